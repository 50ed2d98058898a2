"""Binary pixels against hand-worked numbers and a slow mixture; whether new components part."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.likelihoods import BernoulliMixtureParams, bernoulli, bernoulli_mixture


def test_bernoulli_log_prob_of_hand_worked_image():
    # Probabilities 1/2, 3/4, 1/4, 4/5 of a one; image 1, 1, 0, 0: 1/2 * 3/4 * 3/4 * 1/5.
    logits = jnp.log(jnp.array([1.0, 3.0, 1.0 / 3.0, 4.0])).reshape(2, 2, 1)
    x = jnp.array([1.0, 1.0, 0.0, 0.0]).reshape(2, 2, 1)
    np.testing.assert_allclose(bernoulli().log_prob(logits, x), np.log(9.0 / 160.0), rtol=1e-6)


def test_bernoulli_mixture_equals_a_slow_sum_over_components():
    generator = np.random.default_rng(0)
    weights, logits = generator.normal(size=3), generator.normal(scale=2.0, size=(2, 3, 1, 3))
    x = generator.integers(0, 2, (2, 3, 1))
    total = 0.0
    for k in range(3):
        p = np.exp(weights[k]) / np.sum(np.exp(weights))
        for index in np.ndindex(2, 3, 1):
            one = 1.0 / (1.0 + np.exp(-logits[index][k]))
            p *= one if x[index] else 1.0 - one
        total += p
    params = BernoulliMixtureParams(jnp.array(weights, jnp.float32), jnp.array(logits, jnp.float32))
    got = jax.jit(bernoulli_mixture(3).log_prob)(params, jnp.array(x, jnp.float32))
    np.testing.assert_allclose(got, np.log(total), rtol=1e-5)


def test_bernoulli_mixture_of_one_is_bernoulli():
    mean = np.linspace(0.0, 1.0, 4, dtype=np.float32).reshape(2, 2, 1)
    x = np.array([0.0, 1.0, 1.0, 0.0], np.float32).reshape(2, 2, 1)
    mixture, single = bernoulli_mixture(1), bernoulli()

    @jax.jit
    def new(mean, x):
        params, logits = mixture.init_bias(mean), single.init_bias(mean)
        return params.logits[..., 0], logits, mixture.log_prob(params, x), single.log_prob(logits, x)

    of_mixture, of_single, log_p_of_mixture, log_p_of_single = new(mean, x)
    np.testing.assert_allclose(of_mixture, of_single, rtol=1e-6)
    np.testing.assert_allclose(log_p_of_mixture, log_p_of_single, rtol=1e-6)


def test_new_components_of_a_bernoulli_mixture_part_under_gradient_ascent():
    # Images all dark or all bright: 1/2 each with two components, 1/16 each with one.
    likelihood, x = bernoulli_mixture(2), np.stack([np.zeros((2, 2, 1), np.float32), np.ones((2, 2, 1), np.float32)])

    def mean_log_prob(params):
        return jnp.mean(jax.vmap(likelihood.log_prob, in_axes=(None, 0))(params, x))

    @jax.jit
    def trained(params):
        ascend = lambda _, p: jax.tree.map(lambda a, g: a + 2.0 * g, p, jax.grad(mean_log_prob)(p))  # noqa: E731
        return mean_log_prob(jax.lax.fori_loop(0, 200, ascend, params))

    params = jax.jit(likelihood.init_bias)(np.mean(x, axis=0))
    equal = params._replace(logits=np.zeros_like(params.logits))
    np.testing.assert_allclose(trained(equal), np.log(1.0 / 16.0), rtol=1e-5)
    assert trained(params) > np.log(0.45)
