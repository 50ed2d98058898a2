import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.likelihoods import categorical, in_unit, logistic_mixture


@pytest.mark.parametrize("likelihood", [categorical(4), logistic_mixture(2, 4)])
def test_images_in_the_unit_interval_have_the_probabilities_of_their_levels(likelihood):
    scaled, levels = in_unit(likelihood, 4), np.array([0.0, 1.0, 3.0, 2.0], np.float32).reshape(2, 2, 1)
    generator = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: generator.standard_normal(leaf.shape, np.float32), likelihood.param_shapes((2, 2, 1))
    )
    np.testing.assert_array_equal(scaled.log_prob(params, levels / 3), likelihood.log_prob(params, levels))
    np.testing.assert_allclose(scaled.mean(params), likelihood.mean(params) / 3)
    assert scaled.discrete
    key = jax.random.key(0)
    np.testing.assert_allclose(scaled.sample(key, params), likelihood.sample(key, params) / 3)
    assert scaled.log_prob(params, levels) == -np.inf  # levels are no images in [0, 1]
    mean = jnp.full((2, 2, 1), 0.4)
    jax.tree.map(np.testing.assert_array_equal, scaled.init_bias(mean), likelihood.init_bias(mean * 3))


def test_one_level_is_refused():
    with pytest.raises(ValueError, match="Images of 1 values have no unit, expected at least 2"):
        in_unit(categorical(2), 1)
