"""The latents of VAEs as chains of Gaussians, in the order in which bits back codes them."""

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.codable import AffineLayers, ChainStep, HasLatentChain, PixelsGiven, TokenSteps
from jaxvae.flows.coupling import CouplingFlow, actnorms, coupling
from jaxvae.models import VAE, HierarchicalVAE, LatentVariableModel, TopDownVAE
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.priors import FlowPrior, RefittedPrior, StandardNormal
from jaxvae.systems.token_steps import pixels_given, token_steps
from jaxvae.types import Array, DataSpec, ELBOTerms, GaussianParams, ModelState, Params, PRNGKey


def latent_chain(vae: LatentVariableModel, spec: DataSpec) -> HasLatentChain | None:
    """Return the latents of a VAE as a chain; None if it has none that can be coded.

    Args:
      vae: the model.
      spec: of its images.
    """
    coded = _coded(vae)
    pixels = None if coded is None else coded.pixels(spec)
    if coded is None or pixels is None:
        return None
    model, top = coded.vae, ChainStep("generate", 0, flow=coded.flow)
    if isinstance(model, VAE) and model.has_gaussian_posterior:
        sizes: tuple[int, ...] = (model.posterior.latent_dim,)
        steps: tuple[ChainStep, ...] = (ChainStep("infer", 0, coded.encode), ChainStep("pixels"), top)
    elif isinstance(model, TopDownVAE):
        sizes = tuple(map(math.prod, model.group_shapes))
        steps = (*_top_down(coded, sizes), top, *(ChainStep("generate", group) for group in range(1, len(sizes))))
    elif isinstance(model, HierarchicalVAE) and coded.flow is None:
        sizes, steps = tuple(posterior.latent_dim for posterior in model.posteriors), _bottom_up(coded)
    else:
        return None
    return HasLatentChain(sizes, steps, pixels, coded.terms)


# ---------- private

Latents = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class _Coded:
    """A VAE as it is coded.

    Attributes:
      vae: with a prior that can be.
      refitted: whether the trained one has that prior inside of another.
    """

    vae: Any
    refitted: bool = False

    @property
    def flow(self) -> AffineLayers | None:
        """The layers of the prior, None of N(0, I)."""
        if isinstance(self.vae.prior, StandardNormal):
            return None
        return AffineLayers(self.vae.prior.flow.num_flows, self.constants, self.conditioner)

    def encode(self, params: Params, model_state: ModelState, x: Array, latents: Latents) -> GaussianParams:
        return self._gaussian(params, x, method="encode")

    def infer_down(
        self, start: int, end: int, params: Params, model_state: ModelState, x: Array, latents: Latents
    ) -> GaussianParams:
        q = self._gaussian(params, x, jnp.concatenate(latents, axis=-1), method="posterior_given")
        return jax.tree.map(lambda leaf: leaf[:, start:end], q)

    def infer_up(
        self, level: int, params: Params, model_state: ModelState, x: Array, latents: Latents
    ) -> GaussianParams:
        return self._gaussian(params, level, latents[level - 1] if level else x, method="posterior_of")

    def generate_down(
        self, level: int, params: Params, model_state: ModelState, x: Array, latents: Latents
    ) -> GaussianParams:
        return self._gaussian(params, level, latents[level + 1], method="conditional_of")

    def pixels(self, spec: DataSpec) -> PixelsGiven | TokenSteps | None:
        """The pixels given all groups, one by one where the decoder is autoregressive."""
        decoder, likelihood = self.vae.decoder, self.vae.likelihood
        if not isinstance(decoder, AutoregressiveDecoder):
            return pixels_given(likelihood, spec, self.decode)
        if decoder.num_codes or isinstance(self.vae, TopDownVAE):  # whose decoder is given a map of its own
            return None
        return token_steps(decoder, likelihood, spec.shape, lambda params: params["decoder"], self.decoded)

    def decoded(self, latents: Latents) -> Array:
        """What is decoded: all groups side by side, or the lowest of a chain."""
        return latents[0] if isinstance(self.vae, HierarchicalVAE) else jnp.concatenate(latents, axis=-1)

    def decode(self, params: Params, model_state: ModelState, latents: Latents) -> Any:
        """The likelihood's parameters."""
        return self.vae.apply(self._variables(params), self.decoded(latents), method="decode")

    def terms(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> ELBOTerms:
        found: ELBOTerms = self.vae.apply(self._variables(params), keys, x)
        return found

    def constants(self, params: Params, model_state: ModelState) -> tuple[Array, Array]:
        return actnorms(self._flow_params(params))

    def conditioner(self, params: Params, model_state: ModelState, layer: Array, kept: Array) -> tuple[Array, Array]:
        return coupling(self.vae.prior.flow, self._flow_params(params), layer, kept)

    def _flow_params(self, params: Params) -> Params:
        return self._variables(params)["params"]["prior"]["flow"]

    def _gaussian(self, params: Params, *args: Any, method: str) -> GaussianParams:
        found: GaussianParams = self.vae.apply(self._variables(params), *args, method=method)
        return found

    def _variables(self, params: Params) -> dict[str, Any]:
        return {"params": {**params, "prior": params["prior"]["learned"]} if self.refitted else params}


def _coded(vae: Any) -> _Coded | None:
    """The VAE with the prior that is coded, None if there is none."""
    prior = getattr(vae, "prior", None)
    if getattr(vae, "num_classes", 0):  # the classes of images are no part of a file
        return None
    if isinstance(prior, RefittedPrior):
        found = _coded(vae.clone(prior=prior.learned))
        return None if found is None else _Coded(found.vae, refitted=True)
    if isinstance(prior, StandardNormal):
        return _Coded(vae)
    flow = prior.flow if isinstance(prior, FlowPrior) else None
    # Of other flows the layers are no affine maps.
    if type(flow) is CouplingFlow and flow.mixing == "reverse" and not flow.amortized and flow.num_flows > 0:
        return _Coded(vae)
    return None


def _top_down(coded: _Coded, sizes: tuple[int, ...]) -> tuple[ChainStep, ...]:
    """All groups, each given those above; they are in the coordinates of their priors, which are N(0, I)."""
    ends = itertools.accumulate(sizes)
    infer = (
        ChainStep("infer", group, functools.partial(coded.infer_down, end - size, end))
        for group, (size, end) in enumerate(zip(sizes, ends, strict=True))
    )
    return *infer, ChainStep("pixels")


def _bottom_up(coded: _Coded) -> tuple[ChainStep, ...]:
    """Bit-Swap: what is above a group is inferred when the group below has given its bits."""
    steps = [ChainStep("infer", 0, functools.partial(coded.infer_up, 0)), ChainStep("pixels")]
    top = len(coded.vae.posteriors) - 1
    for level in range(top):
        steps.append(ChainStep("infer", level + 1, functools.partial(coded.infer_up, level + 1)))
        steps.append(ChainStep("generate", level, functools.partial(coded.generate_down, level)))
    return *steps, ChainStep("generate", top)
