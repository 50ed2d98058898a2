"""The prior of rounded latents: masses of bins by a slow sum, in the tails too, and draws that it scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae.priors import BinnedPrior, LogisticMixture
from jaxvae.priors.binned import log_mass
from tests.drawn import normal_like

DIM, K = 2, 3


def made():
    prior = BinnedPrior(DIM, K)
    shapes = jax.eval_shape(lambda: prior.init(jax.random.key(0), jnp.zeros(DIM), method="log_prob"))
    return prior.bind(normal_like(shapes, scale=0.7))


def expected(mixture, z, width):
    weights = np.exp(np.asarray(mixture.logits, float))
    weights /= weights.sum(axis=1, keepdims=True)
    logistic = stats.logistic(np.asarray(mixture.mean, float), np.exp(np.asarray(mixture.log_scale, float)))
    upper, lower = logistic.cdf(z[..., None] + width / 2), logistic.cdf(z[..., None] - width / 2)
    return np.log((weights * (upper - lower)).sum(axis=-1))


@pytest.mark.parametrize("width", [0.25, 1.0, 3.0])
def test_masses_by_scipy(width):
    mixture, z = made().mixture(), np.linspace(-4, 4, 18).reshape(9, DIM)
    np.testing.assert_allclose(
        jax.vmap(lambda z: log_mass(mixture, z, width))(jnp.asarray(z)), expected(mixture, z, width), rtol=2e-4
    )


def test_whole_numbers_have_all_the_mass():
    prior, numbers = made(), np.arange(-200, 201)
    each = jax.vmap(lambda z: log_mass(prior.mixture(), jnp.full(DIM, z), 1.0))(numbers.astype(np.float32))
    np.testing.assert_allclose(np.exp(np.asarray(each, float)).sum(axis=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("z", [-60.0, 60.0])
def test_tails_keep_their_digits(z):
    """There log F is -|z - m| / s, and of a bin log(e^(1/2s) - e^(-1/2s)) more."""
    mixture = LogisticMixture(*(jnp.full((1, 1), value) for value in (0.0, 1.0, 0.0)))
    by_hand = -abs(z - 1.0) + np.log(np.exp(0.5) - np.exp(-0.5))
    np.testing.assert_allclose(log_mass(mixture, jnp.array([z]), 1.0), [by_hand], rtol=1e-6)


@pytest.mark.slow
def test_draws_are_of_the_density():
    prior = made()
    z = np.asarray(prior.sample(jax.random.key(3), (20_000, DIM)), float)
    for d in range(DIM):
        edges = np.arange(-3.0, 4.0)
        middles = (edges[:-1] + edges[1:]) / 2
        points = jnp.asarray(np.linspace(0.0, 1.0, 41) + edges[:-1, None])
        one = LogisticMixture(*(leaf[d : d + 1] for leaf in prior.mixture()))
        log_density = jnp.vectorize(lambda z, one=one: log_mass(one, z, 1.0), signature="(d)->(d)")(points[..., None])
        density = np.exp(np.asarray(log_density[..., 0], float))
        mass = np.trapezoid(density, dx=1 / 40, axis=1)
        share = np.histogram(z[:, d], edges)[0] / len(z)
        np.testing.assert_allclose(share, mass, atol=4 * np.sqrt(mass.max() / len(z)), err_msg=str(middles))


def test_another_dimension_is_refused():
    with pytest.raises(ValueError, match=r"expected 2 dimensions"):
        made().sample(jax.random.key(0), (3, 4))
