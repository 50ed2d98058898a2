"""The mixture posterior: the density of its components, draws of the mixture, strata that are the components'."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae.posteriors import BernoulliPosterior, GaussianPosterior, MixturePosterior

NUM_EXAMPLES, NUM_FEATURES, DIM, K, NUM_SAMPLES = 4, 5, 2, 3, 3_000
KEYS = jax.random.split(jax.random.key(1), NUM_EXAMPLES)
FEATURES = jax.random.normal(jax.random.key(2), (NUM_EXAMPLES, NUM_FEATURES))
COMPONENTS = {"gaussian": GaussianPosterior(DIM), "bernoulli": BernoulliPosterior(DIM)}
ALL_BITS = np.array(list(itertools.product((0.0, 1.0), repeat=DIM)), np.float32)


def posterior_of(name):
    return MixturePosterior(COMPONENTS[name], K)


@functools.cache
def params_of(name):
    shapes = jax.eval_shape(lambda: posterior_of(name).init(jax.random.key(0), KEYS, FEATURES, 1))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.array(0.7 * rng.normal(size=leaf.shape), jnp.float32), shapes)


@functools.cache
def results(name):
    """What the mixture and each of its components say, from one program."""

    @jax.jit
    def run(params):
        apply = functools.partial(posterior_of(name).apply, params)
        got = {
            "drawn": apply(KEYS, FEATURES, NUM_SAMPLES),
            "strata": apply(KEYS, FEATURES, NUM_SAMPLES, method="stratified"),
            "mean": apply(KEYS, FEATURES, 1, method="mean"),
            "of_bits": apply(
                FEATURES, jnp.broadcast_to(ALL_BITS[:, None], (len(ALL_BITS), NUM_EXAMPLES, DIM)), method="log_prob"
            ),
        }
        z, backwards = got["drawn"][0][:2], FEATURES[::-1]
        got["of_each_sample"] = apply(jnp.stack([FEATURES, backwards]), z, method="log_prob")
        got["of_one_order"] = [apply(FEATURES, z, method="log_prob")[0], apply(backwards, z, method="log_prob")[1]]
        z = jnp.concatenate([got["drawn"][0][:50], got["strata"][0][:, :50].reshape(-1, NUM_EXAMPLES, DIM)])
        parts = []
        for k in range(K):
            one = {"params": jax.tree.map(lambda leaf, k=k: leaf[k], params["params"]["component"])}
            each = functools.partial(COMPONENTS[name].apply, one)
            mean = each(KEYS, FEATURES, 1, method="mean")
            parts.append((each(FEATURES, z, method="log_prob"), each(FEATURES, method="params_of"), mean))
        return got, parts

    return jax.tree.map(np.asarray, run(params_of(name)))


def log_weights_of(name):
    dense = jax.tree.map(np.asarray, params_of(name)["params"]["weights"])
    logits = np.asarray(FEATURES) @ dense["kernel"] + dense["bias"]
    return logits - special.logsumexp(logits, axis=1, keepdims=True)


@pytest.mark.parametrize("name", COMPONENTS)
def test_log_q_is_that_of_the_mixture_at_draws_and_strata(name):
    got, parts = results(name)
    weighted = [log_prob + log_weights_of(name)[:, k] for k, (log_prob, _, _) in enumerate(parts)]
    expected = special.logsumexp(weighted, axis=0)
    strata = got["strata"][1][:, :50].reshape(-1, NUM_EXAMPLES)
    np.testing.assert_allclose(np.concatenate([got["drawn"][1][:50], strata]), expected, rtol=1e-4, atol=1e-4)


def test_log_prob_takes_features_of_each_sample():
    got, _ = results("gaussian")
    np.testing.assert_allclose(got["of_each_sample"], np.stack(got["of_one_order"]), rtol=1e-5, atol=1e-5)
    assert np.all(np.abs(got["of_each_sample"][1] - got["drawn"][1][1]) > 1e-3)


@pytest.mark.parametrize("name", COMPONENTS)
def test_statistics_are_those_of_weights_and_components(name):
    got, parts = results(name)
    for log_weights in (got["drawn"][2].log_weights, got["strata"][2]):
        np.testing.assert_allclose(log_weights, log_weights_of(name), rtol=1e-4, atol=1e-5)
    for k, (_, expected, _) in enumerate(parts):
        same = lambda a, b, k=k: np.testing.assert_allclose(a[:, k], b, rtol=1e-4, atol=1e-5)  # noqa: E731
        jax.tree.map(same, got["drawn"][2].components, expected)


@pytest.mark.parametrize("name", COMPONENTS)
def test_means_of_mixture_and_strata(name):
    got, parts = results(name)
    pairs = [(got["drawn"][0], got["mean"])] + [(got["strata"][0][k], mean) for k, (_, _, mean) in enumerate(parts)]
    for z, mean in pairs:
        z = z.astype(np.float64)
        assert np.all(np.abs(z.mean(0) - mean) < 4.5 * z.std(0) / np.sqrt(NUM_SAMPLES))


def test_components_have_noise_of_their_own():
    z = results("gaussian")[0]["strata"][0]
    centred = (z - z.mean(axis=1, keepdims=True)).reshape(K, -1)
    assert np.all(np.abs(np.corrcoef(centred)[np.triu_indices(K, 1)]) < 4.5 / np.sqrt(centred.shape[1]))


def test_draws_of_bits_have_the_masses_of_the_mixture_which_sum_to_one():
    got, _ = results("bernoulli")
    mass = np.exp(got["of_bits"].astype(np.float64))
    np.testing.assert_allclose(mass.sum(0), np.ones(NUM_EXAMPLES), rtol=1e-5)
    for b in range(NUM_EXAMPLES):
        counts = [np.sum(np.all(got["drawn"][0][:, b] == bits, axis=-1)) for bits in ALL_BITS]
        assert stats.chisquare(counts, NUM_SAMPLES * mass[:, b] / mass[:, b].sum()).pvalue > 1e-3


def test_draws_depend_on_their_key_and_number_alone():
    got, _ = results("gaussian")

    @jax.jit
    def few(params):
        apply = functools.partial(posterior_of("gaussian").apply, params, KEYS[1:2], FEATURES[1:2], 2)
        return apply(), apply(method="stratified")

    drawn, strata = few(params_of("gaussian"))
    same = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    for i in range(2):  # z and log q
        same(drawn[i], got["drawn"][i][:2, 1:2])
        same(strata[i], got["strata"][i][:, :2, 1:2])
    assert len(np.unique(got["drawn"][0][:5])) == 5 * NUM_EXAMPLES * DIM


def test_components_start_apart():
    params = jax.jit(lambda: posterior_of("gaussian").init(jax.random.key(0), KEYS, FEATURES, 1))()
    kernel = np.asarray(params["params"]["component"]["statistics"]["kernel"])
    assert kernel.shape == (K, NUM_FEATURES, 2 * DIM)
    assert np.min(np.std(kernel, axis=0)) > 1e-3


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="MixturePosterior has 0 components, expected at least 1"):
        MixturePosterior(GaussianPosterior(DIM), 0).init(jax.random.key(0), KEYS, FEATURES, 1)


def test_features_of_another_batch_are_refused():
    for method in ("__call__", "stratified"):
        with pytest.raises(ValueError, match=r"features has shape \[3, 5\], expected \[4, any\]\."):
            posterior_of("gaussian").apply(params_of("gaussian"), KEYS, FEATURES[:3], 1, method=method)
