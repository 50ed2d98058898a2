"""The latents of VAEs as chains of Gaussians, in the order in which bits back codes them."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.capabilities import ChainStep, HasLatentChain
from jaxvae.likelihoods.scoring import has_independent_pixels
from jaxvae.models import VAE, HierarchicalVAE, LatentVariableModel, TopDownVAE
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.priors import StandardNormal
from jaxvae.types import Array, DataSpec, GaussianParams, ModelState, Params


def latent_chain(vae: LatentVariableModel, spec: DataSpec) -> HasLatentChain | None:
    """Return the latents of a VAE as a chain; None if it has none that can be coded.

    Args:
      vae: the model.
      spec: of its images.
    """
    of_x, prior = vae.likelihood, getattr(vae, "prior", None)
    if of_x.channel_log_pmf is None or not isinstance(prior, StandardNormal):
        return None
    if isinstance(vae.decoder, AutoregressiveDecoder) or not has_independent_pixels(of_x, spec.shape):
        return None
    sizes: tuple[int, ...]
    if isinstance(vae, VAE) and vae.has_gaussian_posterior:
        sizes, steps = (vae.posterior.latent_dim,), _one_group(vae)
    elif isinstance(vae, TopDownVAE):
        sizes = tuple(map(math.prod, vae.clone().group_shapes))
        steps = _top_down(vae, sizes)
    elif isinstance(vae, HierarchicalVAE):
        sizes, steps = tuple(posterior.latent_dim for posterior in vae.posteriors), _bottom_up(vae)
    else:
        return None
    return HasLatentChain(sizes, steps, of_x, functools.partial(_decode, vae))


# ---------- private


def _one_group(vae: VAE) -> tuple[ChainStep, ...]:
    return ChainStep("infer", 0, functools.partial(_encode, vae)), ChainStep("pixels"), ChainStep("generate", 0)


def _top_down(vae: TopDownVAE, sizes: tuple[int, ...]) -> tuple[ChainStep, ...]:
    """All groups, each given those above; they are in the coordinates of their priors, which are N(0, I)."""
    ends = list(itertools.accumulate(sizes))
    infer = (
        ChainStep("infer", group, functools.partial(_infer_down, vae, end - size, end))
        for group, (size, end) in enumerate(zip(sizes, ends, strict=True))
    )
    return *infer, ChainStep("pixels"), *(ChainStep("generate", group) for group in range(len(sizes)))


def _bottom_up(vae: HierarchicalVAE) -> tuple[ChainStep, ...]:
    """Bit-Swap: what is above a group is inferred when the group below has given its bits."""
    steps = [ChainStep("infer", 0, functools.partial(_infer_up, vae, 0)), ChainStep("pixels")]
    top = len(vae.posteriors) - 1
    for group in range(top):
        steps.append(ChainStep("infer", group + 1, functools.partial(_infer_up, vae, group + 1)))
        steps.append(ChainStep("generate", group, functools.partial(_generate_down, vae, group)))
    return *steps, ChainStep("generate", top)


def _encode(vae: VAE, params: Params, model_state: ModelState, x: Array, latents: tuple[Array, ...]) -> GaussianParams:
    return _gaussian(vae, params, x, method="encode")


def _infer_down(
    vae: TopDownVAE, start: int, end: int, params: Params, model_state: ModelState, x: Array, latents: tuple[Array, ...]
) -> GaussianParams:
    q = _gaussian(vae, params, x, jnp.concatenate(latents, axis=-1), method="posterior_given")
    return jax.tree.map(lambda leaf: leaf[:, start:end], q)


def _infer_up(
    vae: HierarchicalVAE, group: int, params: Params, model_state: ModelState, x: Array, latents: tuple[Array, ...]
) -> GaussianParams:
    return _gaussian(vae, params, group, latents[group - 1] if group else x, method="posterior_of")


def _generate_down(
    vae: HierarchicalVAE, group: int, params: Params, model_state: ModelState, x: Array, latents: tuple[Array, ...]
) -> GaussianParams:
    return _gaussian(vae, params, group, latents[group + 1], method="conditional_of")


def _decode(vae: Any, params: Params, model_state: ModelState, latents: tuple[Array, ...]) -> Any:
    """The likelihood's parameters, of what is decoded: all groups side by side, or the lowest of a chain."""
    z = latents[0] if isinstance(vae, HierarchicalVAE) else jnp.concatenate(latents, axis=-1)
    return vae.apply({"params": params}, z, method="decode")


def _gaussian(vae: Any, params: Params, *args: Any, method: str) -> GaussianParams:
    found: GaussianParams = vae.apply({"params": params}, *args, method=method)
    return found
