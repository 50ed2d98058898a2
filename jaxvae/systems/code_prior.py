"""Priors over grids of codes as systems: p(codes) = prod_l p(grid_l | grid_{l-1}), each grid code by code.

The second stage of a VQ-VAE. The parameters of the first one, which are not trained, are in the model state, so that a
checkpoint of the prior has all that drawing images takes.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities, likelihoods, sampling
from jaxvae.data import split_grids
from jaxvae.data.codes import Shapes
from jaxvae.likelihoods.scoring import score_images
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.systems.assemble import assembled
from jaxvae.systems.first_stage import abstract_variables, variables_or_zeros
from jaxvae.systems.pixels import unchanged
from jaxvae.systems.tokens import classes_in_turn
from jaxvae.systems.vqvae_parts import VQVAEParts
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    Samples,
    StepInput,
    System,
)


@dataclass(frozen=True, eq=False)
class CodePriorParts:
    """The parts of a prior over codes, with its capabilities as methods.

    Attributes:
      spec: of the codes, see `code_spec`.
      decoders: of the grids, the coarsest first: its context is made of classes, if it has one, and that of the others
        of the grid before.
      shapes: of the grids of one image.
      codec: whose codes they are.
      prepare: leaves codes as they are.
    """

    spec: DataSpec
    decoders: tuple[AutoregressiveDecoder, ...]
    shapes: Shapes
    codec: VQVAEParts
    prepare: Prepare = unchanged

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters of the decoder of every grid, and zeros for the variables of the codec."""
        num = batch.mask.shape[0]
        grids = _columns([jnp.zeros((num, *shape), jnp.int32) for shape in self.shapes])
        given = self._contexts(grids, jnp.zeros(num, jnp.int32))
        keys = jax.random.split(key, len(self.decoders))
        params = {
            str(level): decoder.init(keys[level], z, x)["params"]
            for level, (decoder, z, x) in enumerate(zip(self.decoders, given, grids, strict=True))
        }
        return params, variables_or_zeros(self.codec, None)

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the negative log-likelihood of the codes of every image, nats, and in bits per pixel value."""
        nll = self.nll(params, batch.x, batch.labels)
        return {"loss": nll, "nll": nll, "rate_bits_per_dim": nll * self.bits}

    @property
    def bits(self) -> float:
        """Factor from nats per image to bits per dimension of the images."""
        return 1.0 / (math.log(2.0) * math.prod(self.codec.spec.shape))

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        classes = self.spec.num_classes if self._conditional else 0
        common = (
            capabilities.Generates(self.sample),
            capabilities.ScoresExactly(self.log_prob, True, classes),
            capabilities.GeneratesTempered(self.sample_tempered),
        )
        return (*common, capabilities.GeneratesClasses(classes, self.sample_classes)) if classes else common

    def log_prob(self, params: Params, model_state: ModelState, codes: Array, labels: Array | None) -> Array:
        """Return log p(codes) of rows [B, L]: see `capabilities.ScoresExactly`."""
        return -self.nll(params, codes, labels)

    def nll(self, params: Params, codes: Array, labels: Array | None) -> Array:
        """Return -log p(codes) of rows [B, L], or -log p(codes | class), [B] nats."""
        grids = _columns(split_grids(codes, self.shapes))
        total = jnp.zeros(len(codes))
        for level, (decoder, z) in enumerate(zip(self.decoders, self._contexts(grids, labels), strict=True)):
            of_x = decoder.apply({"params": params[str(level)]}, z, grids[level])
            total -= score_images(likelihoods.categorical(decoder.num_codes), of_x, grids[level])
        return total

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Sample codes, of the classes in turn; the images are E[x | codes]: see `capabilities.Generates`."""
        return self.sample_classes(key, params, model_state, classes_in_turn(num, self.spec.num_classes))

    def sample_classes(self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array) -> Samples:
        """Sample codes of some classes: see `capabilities.GeneratesClasses`."""
        return self.sample_tempered(key, params, model_state, labels, jnp.ones(()))

    def sample_tempered(
        self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array, temperature: Array
    ) -> Samples:
        """Sample codes with tempered probabilities: see `capabilities.GeneratesTempered`."""
        grids: list[Array] = []
        z, num = labels if self._conditional else None, len(labels)
        for level, decoder in enumerate(self.decoders):
            keys = jax.random.split(jax.random.fold_in(key, level), num)
            draw = sampling.tempered_draw(likelihoods.categorical(decoder.num_codes), temperature)
            z = sampling.autoregressive(decoder, params[str(level)], keys, draw, z).astype(jnp.int32)
            grids.append(z.reshape(num, *self.shapes[level]))
        images = self.codec.decode(model_state["params"], model_state["state"], tuple(grids))
        return Samples(images, images)

    @property
    def _conditional(self) -> bool:
        return self.decoders[0].context is not None

    def _contexts(self, grids: Sequence[Array], labels: Array | None) -> list[Array | None]:
        return [labels if self._conditional else None, *grids[:-1]]


@dataclass(frozen=True, eq=False)
class CodesNegativeLogLikelihood:
    """The loss: the mean of -log p(codes) over the batch."""

    parts: CodePriorParts

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        nll = jnp.mean(self.parts.nll(params, inputs.batch.x, inputs.batch.labels))
        return nll, (model_state, {"nll": nll, "rate_bits_per_dim": nll * self.parts.bits})


def code_prior_system(
    *,
    name: str,
    spec: DataSpec,
    decoders: Sequence[AutoregressiveDecoder],
    shapes: Shapes,
    codec: VQVAEParts,
    codec_variables: tuple[Params, ModelState] | None,
    optimizer: optax.GradientTransformation,
) -> System:
    """Return the system that trains a prior over grids of codes and decodes its samples to images.

    Args:
      name: of the system.
      spec: of the codes, see `code_spec`.
      decoders: of the grids, the coarsest first.
      shapes: of the grids of one image, see `grid_shapes`.
      codec: whose codes they are.
      codec_variables: its parameters and state; None where shapes are enough, as for restoring a checkpoint.
      optimizer: of the negative log-likelihood of the codes.

    Returns:
      The system.
    """
    parts = CodePriorParts(spec, tuple(decoders), shapes, codec)
    player = Player("code_prior", CodesNegativeLogLikelihood(parts), optimizer)
    return assembled(name, parts, [player], init=functools.partial(_init, parts, codec_variables))


def code_spec(codec: VQVAEParts) -> DataSpec:
    """Return the data spec of codes: all grids of an image flattened in one row."""
    length = sum(math.prod(shape) for shape in grid_shapes(codec))
    return DataSpec((length,), max(codec.num_codes), codec.spec.num_classes)


def grid_shapes(codec: VQVAEParts) -> Shapes:
    """Return the shapes of the grids of one image, without computing any."""
    params, model_state = abstract_variables(codec)
    grids = jax.eval_shape(codec.encode, params, model_state, jax.ShapeDtypeStruct((1, *codec.spec.shape), jnp.float32))
    return tuple(grid.shape[1:] for grid in grids)


# ---------- private


def _init(
    parts: CodePriorParts, codec_variables: tuple[Params, ModelState] | None, key: PRNGKey, batch: Batch
) -> tuple[Params, ModelState]:
    """Initial parameters of the prior, and the variables of a trained codec."""
    return parts.init(key, batch)[0], variables_or_zeros(parts.codec, codec_variables)


def _columns(grids: Sequence[Array]) -> list[Array]:
    """Grids [B, h, w] as they are, and [B, h, w G] of several codes a place, which stand beside each other."""
    return [grid.reshape(*grid.shape[:2], -1).astype(jnp.int32) for grid in grids]
