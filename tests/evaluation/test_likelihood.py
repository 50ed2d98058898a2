import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.evaluation import likelihood
from jaxvae.evaluation.likelihood import importance_estimate
from jaxvae.types import ELBOTerms


def terms(keys):
    """Densities of one sample: three columns of noise for every key."""
    noise = jax.vmap(lambda key: 5 * jax.random.normal(key, (3,)))(keys)[None]
    return ELBOTerms(noise[..., 0] - 700.0, noise[..., 1:2], noise[..., 2:3])


def by_loop(keys, num_samples):
    log_w, log_px = [], []
    for k in range(num_samples):
        one = terms(jnp.stack([jax.random.fold_in(key, k) for key in keys]))
        log_px.append(np.asarray(one.log_px[0], np.float64))
        log_w.append(log_px[-1] + np.asarray(one.log_pz - one.log_qz, np.float64)[0, :, 0])
    log_w, log_px = np.array(log_w), np.array(log_px)
    largest = log_w.max(axis=0)
    return largest + np.log(np.mean(np.exp(log_w - largest), axis=0)), log_w.mean(axis=0), log_px.mean(axis=0)


@pytest.mark.parametrize("chunk_size", [1, 4, 7, 50])
def test_importance_estimate_equals_a_loop_for_every_chunk_size(chunk_size):
    keys = jax.random.split(jax.random.key(0), 3)
    estimate = importance_estimate(terms, keys, num_samples=7, chunk_size=chunk_size)
    log_likelihood, elbo, log_px = by_loop(keys, 7)
    np.testing.assert_allclose(estimate.log_likelihood, log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(estimate.elbo, elbo, rtol=1e-5)
    np.testing.assert_allclose(estimate.reconstruction, -log_px, rtol=1e-5)
    np.testing.assert_allclose(estimate.kl, log_px - elbo, rtol=1e-3, atol=1e-3)


def test_importance_estimate_of_one_sample_is_the_elbo():
    estimate = importance_estimate(terms, jax.random.split(jax.random.key(0), 2), num_samples=1, chunk_size=10)
    np.testing.assert_allclose(estimate.log_likelihood, estimate.elbo, rtol=1e-6)


def test_importance_estimate_of_a_known_normaliser():
    # p(x, z) = c N(z; 0, 1) and a wide q: log p(x) = log c.
    def wide(keys):
        z = 2.0 * jax.vmap(lambda key: jax.random.normal(key, ()))(keys)[None]
        log_q = -0.5 * (z / 2.0) ** 2 - jnp.log(2.0)
        return ELBOTerms(jnp.full(z.shape, -3.0), (-0.5 * z**2)[..., None], log_q[..., None])

    estimate = importance_estimate(wide, jax.random.split(jax.random.key(1), 4), num_samples=4000, chunk_size=500)
    np.testing.assert_allclose(estimate.log_likelihood, -3.0, atol=0.05)
    assert np.all(np.asarray(estimate.elbo) < -3.5)


def test_jit_estimate_is_jit_whether_or_not_the_compiler_knows_its_option(monkeypatch):
    square = lambda x: x @ x  # noqa: E731
    expected = jax.jit(square)(jnp.eye(3) * 2.0)
    np.testing.assert_allclose(likelihood.jit_estimate(square)(jnp.eye(3) * 2.0), expected)
    monkeypatch.setattr(likelihood, "_WITHOUT_YNN", {"xla_cpu_no_such_option": ""})
    likelihood._accepts_option.cache_clear()
    np.testing.assert_allclose(likelihood.jit_estimate(square)(jnp.eye(3) * 2.0), expected)
    likelihood._accepts_option.cache_clear()


def test_importance_estimate_takes_keys_of_both_kinds_and_no_single_one():
    older = jax.random.split(jax.random.PRNGKey(0), 2)
    new = importance_estimate(terms, jax.random.wrap_key_data(older, impl="threefry2x32"), num_samples=3, chunk_size=2)
    jax.tree.map(np.testing.assert_array_equal, importance_estimate(terms, older, num_samples=3, chunk_size=2), new)
    with pytest.raises(ValueError, match="Noise takes a key for every example, .*, got one key"):
        importance_estimate(terms, older[0], num_samples=3, chunk_size=2)
