"""Planar flows on densities in the plane, whose number of layers and kind of base are arrays: one program for all.

`params` are those of the longest flow, {"layers": {"u", "w", "b"}, "base": {"mean", "log_scale", "shear"}}; `hparams`
say what of them is in use: {"num_flows", "learned_base"}.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.distributions import standard_normal_log_prob
from jaxvae.flows import (
    PlanarParams,
    chain,
    chain_inverse,
    path_chain,
    path_step,
    planar,
    planar_inverse,
    standard_normal_path,
)
from jaxvae.flows.chain import Step
from jaxvae.targets import Target, draw, log_normalizer
from jaxvae.types import Array, Params, PRNGKey

Objective = Literal["reverse_kl", "likelihood"]
NUM_DRAWS = 100_000  # for the KL that is stated: its standard error is about sqrt(2 KL) / 316
CHUNK = 10_000
DRAWS = 0x64726177  # seed of these draws, none of a training's


class Layer(NamedTuple):
    """A planar layer on its way from noise to a point, and back; log_det is that of the former in both."""

    forward: Step  # (PlanarParams, z [2]) -> z [2], log_det []
    inverse: Step


def inverse(step: Step) -> Step:
    """Return the map that an inverse is, with its own log-determinant."""

    def backwards(params: Any, z: Array) -> tuple[Array, Array]:
        z, log_det = step(params, z)
        return z, -log_det

    return backwards


# The map of a planar layer is quick, its inverse a search: each objective has the map where it trains.
LAYERS: dict[Objective, Layer] = {
    "reverse_kl": Layer(planar, planar_inverse),
    "likelihood": Layer(inverse(planar_inverse), inverse(planar)),
}


def on_path(params: Params, hparams: Mapping[str, Any], noise: Array) -> tuple[Array, Array]:
    """Return a draw z [2] and log q(z) [], whose gradient goes through z alone."""
    start = path_step(lambda base, noise: _base(base, hparams, noise), params["base"], standard_normal_path(noise))
    end = path_chain(_if_used(planar), _layers(params, hparams), start)
    return end.z, end.log_prob()


def on_all(params: Params, hparams: Mapping[str, Any], noise: Array) -> tuple[Array, Array]:
    """Return a draw z [2] and log q(z) []."""
    z, log_det = transform(LAYERS["reverse_kl"], params, hparams, noise)
    return z, standard_normal_log_prob(noise) - log_det


def transform(layer: Layer, params: Params, hparams: Mapping[str, Any], noise: Array) -> tuple[Array, Array]:
    """Map noise [2] through the base and the layers in use to z [2] and log|det dz/dnoise| []."""
    z, log_det = _base(params["base"], hparams, noise)
    z, of_layers = chain(_if_used(layer.forward), _layers(params, hparams), z)
    return z, log_det + of_layers


def log_density(layer: Layer, params: Params, hparams: Mapping[str, Any], z: Array) -> Array:
    """Return log q(z) of any point, z [2] -> [], by the inverse of `transform`."""
    z, log_det = chain_inverse(_if_used(layer.inverse), _layers(params, hparams), z)
    noise, of_base = _base_inverse(params["base"], hparams, z)
    return standard_normal_log_prob(noise) - log_det - of_base


def normalized(target: Target) -> Callable[[Array], Array]:
    """Return log p(z) of a target, z [2] -> []."""
    log_z = log_normalizer(target)
    return lambda z: target.log_density(z) - log_z


def divergence(objective: Objective, target: Target) -> Callable[[Params, Mapping[str, Any]], tuple[Array, Array]]:
    """Return a function of (params, hparams) that gives a KL divergence in nats and its standard error.

    KL(q || p) is the mean of log q(z) - log p(z) over draws of the flow q, KL(p || q) that of log p(z) - log q(z) over
    draws of the target p.
    """
    log_p = normalized(target)

    def reverse(params: Params, hparams: Mapping[str, Any], key: PRNGKey) -> Array:
        z, log_qz = on_all(params, hparams, jax.random.normal(key, (2,)))
        return log_qz - log_p(z)

    def forward(params: Params, hparams: Mapping[str, Any], z: Array) -> Array:
        return log_p(z) - log_density(LAYERS["likelihood"], params, hparams, z)

    key = jax.random.key(DRAWS)
    if objective == "reverse_kl":
        one, draws = reverse, jax.random.split(key, NUM_DRAWS)
    else:
        one, draws = forward, draw(key, target, NUM_DRAWS)

    def measure(params: Params, hparams: Mapping[str, Any]) -> tuple[Array, Array]:
        values = jax.lax.map(functools.partial(one, params, hparams), draws, batch_size=CHUNK)
        return jnp.mean(values), jnp.std(values) / NUM_DRAWS**0.5

    return measure


# ---------- private


def _if_used(step: Step) -> Step:
    """A step of (its parameters, whether the layer is in use)."""

    def one(layer: tuple[Any, Array], z: Array) -> tuple[Array, Array]:
        params, used = layer
        y, log_det = step(params, z)
        return jnp.where(used, y, z), jnp.where(used, log_det, 0.0)

    return one


def _base(base: Params, hparams: Mapping[str, Any], noise: Array) -> tuple[Array, Array]:
    scale = jnp.exp(base["log_scale"])
    learned = base["mean"] + scale * noise + jnp.stack([jnp.zeros(()), base["shear"] * noise[0]])
    used = jnp.asarray(hparams["learned_base"], bool)
    return jnp.where(used, learned, noise), jnp.where(used, jnp.sum(base["log_scale"]), 0.0)


def _base_inverse(base: Params, hparams: Mapping[str, Any], z: Array) -> tuple[Array, Array]:
    x, scale = z - base["mean"], jnp.exp(base["log_scale"])
    first = x[0] / scale[0]
    noise = jnp.stack([first, (x[1] - base["shear"] * first) / scale[1]])
    used = jnp.asarray(hparams["learned_base"], bool)
    return jnp.where(used, noise, z), jnp.where(used, jnp.sum(base["log_scale"]), 0.0)


def _layers(params: Params, hparams: Mapping[str, Any]) -> tuple[PlanarParams, Array]:
    """The stacked layers, and which of them are in use."""
    layers = PlanarParams(**params["layers"])
    return layers, jnp.arange(len(layers.b)) < hparams["num_flows"]
