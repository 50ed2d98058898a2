"""True KL divergences in nats between planar flows and densities in the plane: 0 is perfect, whatever constants."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.evaluation.statistics import standard_error
from jaxvae.flows.planar_chain import LAYERS, InUse, Objective, log_density, sample
from jaxvae.targets import Target, draw, log_normalizer
from jaxvae.types import Array, Params, PRNGKey

NUM_DRAWS = 100_000  # the standard error is about sqrt(2 KL) / 316
CHUNK = 10_000
DRAWS = 0x64726177  # seed of these draws, none of a training's


@functools.lru_cache(maxsize=16)
def normalized(target: Target) -> Callable[[Array], Array]:
    """Return log p(z) of a target, z [2] -> [], with log Z by quadrature."""
    with jax.ensure_compile_time_eval():
        log_z = log_normalizer(target)
    return lambda z: target.log_density(z) - log_z


@functools.lru_cache(maxsize=16)
def divergence(
    objective: Objective, target: Target, num_draws: int = NUM_DRAWS
) -> Callable[[Params, InUse], tuple[float, float]]:
    """Return a function that gives the divergence between a flow and a target, and its standard error.

    KL(q || p) is the mean of log q(z) - log p(z) over draws of the flow q, KL(p || q) that of log p(z) - log q(z) over
    draws of the target p.

    Args:
      objective: `reverse_kl` for KL(q || p) of a flow of quick maps, `likelihood` for KL(p || q) of one of quick
        inverses.
      target: p.
      num_draws: of the flow, or of the target, at least 2.

    Returns:
      (parameters, what of them is in use) -> divergence and standard error, nats; what computes them is compiled once.

    Raises:
      ValueError: if one draw is to have a standard error.
    """
    if num_draws < 2:
        raise ValueError(f"A divergence of {num_draws} draws has no standard error, expected at least 2.")
    log_p, key = normalized(target), jax.random.key(DRAWS)

    def reverse(params: Params, used: InUse, key: PRNGKey) -> Array:
        z, log_qz = sample(params, used, jax.random.normal(key, (2,)))
        return log_qz - log_p(z)

    def forward(params: Params, used: InUse, z: Array) -> Array:
        return log_p(z) - log_density(LAYERS["likelihood"], params, used, z)

    one = reverse if objective == "reverse_kl" else forward
    draws = jax.random.split(key, num_draws) if one is reverse else jnp.asarray(draw(key, target, num_draws))

    @jax.jit
    def of_each(params: Params, used: InUse) -> Array:
        return jax.lax.map(functools.partial(one, params, used), draws, batch_size=CHUNK)

    def measure(params: Params, used: InUse) -> tuple[float, float]:
        values = np.asarray(of_each(params, used), np.float64)
        error = standard_error(values)
        assert error is not None
        return float(np.mean(values)), error

    return measure
