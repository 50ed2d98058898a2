"""A VQ-VAE with a prior over its codes as one model of images, as a trained prior is loaded.

Its parameters are those of the prior, its state has the VQ-VAE, as `jaxvae.systems.code_prior` keeps them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxvae import capabilities
from jaxvae.keys import split_each
from jaxvae.systems.assemble import loaded
from jaxvae.systems.code_prior import CodePriorParts
from jaxvae.systems.code_tokens import codes_of_images
from jaxvae.types import Array, Batch, DataSpec, Metrics, ModelState, Params, Parts, Prepare, PRNGKey, System


class HasStages(NamedTuple):
    """Is made of a VQ-VAE, whose variables are in the state, and a prior over its codes."""

    codec: System
    prior: System  # of rows of codes

    verb = "bound log p(x) by the likelihood of the codes"
    kinds = "VQ-VAEs with a prior over their codes"


@dataclass(frozen=True, eq=False)
class TwoStageParts:
    """A prior over codes and the VQ-VAE below it, which encodes and decodes images.

    Attributes:
      prior: with its codec.
    """

    prior: CodePriorParts

    @property
    def spec(self) -> DataSpec:
        """Shape and values of the images."""
        return self.prior.codec.spec

    @property
    def prepare(self) -> Prepare:
        """The preprocessing of images."""
        return self.prior.codec.prepare

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters and state of the shapes that a checkpoint of the prior has."""
        return self.prior.init(key, batch)

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the negative log-likelihood of the codes of every image: see `CodePriorParts.evaluate`."""
        noise, _ = split_each(keys)
        grids = self.encode(params, model_state, self.prepare(noise, batch.x))
        return self.prior.evaluate(params, model_state, keys, batch._replace(x=code_rows(grids)), hparams)

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: those of the VQ-VAE, and of the prior those that draw images."""
        codec, prior = (loaded(name, part, {}) for name, part in (("vqvae", self.prior.codec), ("prior", self.prior)))
        coded = capabilities.require(codec, capabilities.Codes)
        of_images = coded._replace(
            encode=self.encode, decode=self.decode, vectors=self.vectors, log_px=self.log_px, penalty=self.penalty
        )
        by_pixel = capabilities.find(codec, capabilities.ScoresPixels)
        pixels = () if by_pixel is None else (by_pixel._replace(log_px=self.log_pixels),)
        drawing = (capabilities.Generates, capabilities.GeneratesClasses, capabilities.GeneratesTempered)
        drawn = (one for one in prior.use if isinstance(one, drawing))
        return of_images, *pixels, *drawn, HasStages(codec, prior), codes_of_images(self.prior)

    def encode(self, params: Params, model_state: ModelState, x: Array) -> tuple[Array, ...]:
        """Return the grids of codes of images: see `capabilities.Codes`."""
        return self.prior.codec.encode(*_of_codec(model_state), x)

    def decode(self, params: Params, model_state: ModelState, codes: tuple[Array, ...]) -> Array:
        """Return the images of grids of codes: see `capabilities.Codes`."""
        return self.prior.codec.decode(*_of_codec(model_state), codes)

    def vectors(self, params: Params, model_state: ModelState, codes: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the vectors of grids of codes: see `capabilities.Codes`."""
        return self.prior.codec.vectors(*_of_codec(model_state), codes)

    def log_px(self, params: Params, model_state: ModelState, x: Array) -> Array:
        """Return log p(x | codes of x): see `capabilities.Codes`."""
        return self.prior.codec.log_px(*_of_codec(model_state), x)

    def penalty(self, params: Params, model_state: ModelState, x: Array) -> Array:
        """Return what the quantizers charge: see `capabilities.Codes`."""
        return self.prior.codec.penalty(*_of_codec(model_state), x)

    def log_pixels(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log p(x_ij | codes of x): see `capabilities.ScoresPixels`."""
        return self.prior.codec.log_pixels(*_of_codec(model_state), keys, x)


def of_images(parts: Parts) -> Parts:
    """Return the parts of a model of images: a prior over codes gets the VQ-VAE below, others stay as they are."""
    return TwoStageParts(parts) if isinstance(parts, CodePriorParts) else parts


def code_rows(grids: tuple[Array, ...]) -> Array:
    """Return grids of codes [B, h, w] as the rows [B, L] that a prior is of."""
    return jnp.concatenate([grid.reshape(len(grid), -1) for grid in grids], axis=1)


# ---------- private


def _of_codec(model_state: ModelState) -> tuple[Params, ModelState]:
    return model_state["params"], model_state["state"]
