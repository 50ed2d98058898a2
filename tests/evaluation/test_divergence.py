"""Divergences against quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.evaluation.divergence import divergence, normalized
from jaxvae.flows.planar_chain import InUse, init_params
from jaxvae.targets import Target, gaussian_mixture

BASE_ALONE = InUse(jnp.float32(0), jnp.float32(0))
MIXTURE = gaussian_mixture(1.0)


@pytest.mark.parametrize("objective", ["reverse_kl", "likelihood"])
def test_divergence_between_a_gaussian_and_the_mixture_equals_quadrature(objective):
    mean, stderr = divergence(objective, MIXTURE, 20_000)(init_params(jax.random.key(0), 2), BASE_ALONE)
    axis = (np.arange(400) + 0.5) / 400 * 16 - 8
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1), jnp.float32).reshape(-1, 2)
    log_p = np.asarray(jax.vmap(MIXTURE.log_density)(grid), np.float64)
    log_q = -0.5 * np.sum(np.square(np.asarray(grid, np.float64)), axis=-1) - np.log(2 * np.pi)
    first, second = (log_q, log_p) if objective == "reverse_kl" else (log_p, log_q)
    expected = np.sum(np.exp(first) * (first - second)) * (16 / 400) ** 2
    assert abs(float(mean) - expected) < 5 * float(stderr)
    assert float(stderr) < 0.1


def test_one_draw_has_no_standard_error():
    with pytest.raises(ValueError, match="A divergence of 1 draws has no standard error, expected at least 2"):
        divergence("reverse_kl", MIXTURE, 1)


def test_normalized_takes_the_constant_out_also_while_tracing():
    shifted = Target("shifted", lambda z: MIXTURE.log_density(z) + 3.0)
    z = jnp.array([0.3, -0.2])
    found = jax.jit(lambda z: normalized(shifted)(z))(z)
    np.testing.assert_allclose(found, MIXTURE.log_density(z), rtol=1e-4)
