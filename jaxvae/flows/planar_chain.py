"""Planar flows in the plane of which arrays say how many layers are in use, and whether the base is learned.

Flows of all lengths are then one program. Parameters are those of the longest flow:
{"layers": {"u" [K, 2], "w" [K, 2], "b" [K]}, "base": {"mean" [2], "log_scale" [2], "shear" []}}.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.distributions import standard_normal_log_prob
from jaxvae.flows.chain import Step, chain, chain_inverse
from jaxvae.flows.path_gradient import path_chain, path_step, standard_normal_path
from jaxvae.flows.planar import PlanarParams, planar, planar_inverse
from jaxvae.types import Array, Params, PRNGKey

Objective = Literal["reverse_kl", "likelihood"]


class InUse(NamedTuple):
    """What of the parameters a flow uses."""

    num_flows: Array  # [], layers: the first ones
    learned_base: Array  # [], 0 for the base N(0, I), else a Gaussian of its own mean, scale and shear


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


def init_params(key: PRNGKey, num_flows: int) -> Params:
    """Return the parameters of `num_flows` layers that bend little, on the base N(0, I)."""
    u, w = jax.random.split(key)
    layers = {
        "u": 0.1 * jax.random.normal(u, (num_flows, 2)),
        "w": 2**-0.5 * jax.random.normal(w, (num_flows, 2)),
        "b": jnp.zeros(num_flows),
    }
    # The scale is a triangular matrix with its diagonal as logarithms.
    return {"layers": layers, "base": {"mean": jnp.zeros(2), "log_scale": jnp.zeros(2), "shear": jnp.zeros(())}}


def path_sample(params: Params, used: InUse, noise: Array) -> tuple[Array, Array]:
    """Return a draw z [2] of a flow of quick maps and log q(z) [], whose gradient goes through z alone."""
    start = path_step(lambda base, noise: _base(base, used, noise), params["base"], standard_normal_path(noise))
    end = path_chain(_if_used(planar), _layers(params, used), start)
    return end.z, end.log_prob()


def sample(params: Params, used: InUse, noise: Array) -> tuple[Array, Array]:
    """Return a draw z [2] of a flow of quick maps and log q(z) []."""
    z, log_det = transform(LAYERS["reverse_kl"], params, used, noise)
    return z, standard_normal_log_prob(noise) - log_det


def transform(layer: Layer, params: Params, used: InUse, noise: Array) -> tuple[Array, Array]:
    """Map noise [2] through the base and the layers in use to z [2] and log|det dz/dnoise| []."""
    z, log_det = _base(params["base"], used, noise)
    z, of_layers = chain(_if_used(layer.forward), _layers(params, used), z)
    return z, log_det + of_layers


def log_density(layer: Layer, params: Params, used: InUse, z: Array) -> Array:
    """Return log q(z) of any point, z [2] -> [], by the inverse of `transform`."""
    z, log_det = chain_inverse(_if_used(layer.inverse), _layers(params, used), z)
    noise, of_base = _base_inverse(params["base"], used, z)
    return standard_normal_log_prob(noise) - log_det - of_base


# ---------- private


def _if_used(step: Step) -> Step:
    """A step of (its parameters, whether the layer is in use)."""

    def one(layer: tuple[Any, Array], z: Array) -> tuple[Array, Array]:
        params, used = layer
        y, log_det = step(params, z)
        return jnp.where(used, y, z), jnp.where(used, log_det, 0.0)

    return one


def _base(base: Params, used: InUse, noise: Array) -> tuple[Array, Array]:
    scale = jnp.exp(base["log_scale"])
    learned = base["mean"] + scale * noise + jnp.stack([jnp.zeros(()), base["shear"] * noise[0]])
    is_learned = jnp.asarray(used.learned_base, bool)
    return jnp.where(is_learned, learned, noise), jnp.where(is_learned, jnp.sum(base["log_scale"]), 0.0)


def _base_inverse(base: Params, used: InUse, z: Array) -> tuple[Array, Array]:
    x, scale = z - base["mean"], jnp.exp(base["log_scale"])
    first = x[0] / scale[0]
    noise = jnp.stack([first, (x[1] - base["shear"] * first) / scale[1]])
    is_learned = jnp.asarray(used.learned_base, bool)
    return jnp.where(is_learned, noise, z), jnp.where(is_learned, jnp.sum(base["log_scale"]), 0.0)


def _layers(params: Params, used: InUse) -> tuple[PlanarParams, Array]:
    """The stacked layers, and which of them are in use."""
    layers = PlanarParams(**params["layers"])
    return layers, jnp.arange(len(layers.b)) < used.num_flows
