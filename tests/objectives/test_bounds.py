"""Bounds against slow loops, and against the closed-form log p(x) of a linear-Gaussian model.

The model of these tests, as pure functions of explicit arrays:

  p(z) = N(0, I),   p(x | z) = N(z W + b, SIGMA^2 I),   q(z | x) = N(x M + c, diag exp(l))

The rows of W are orthogonal, so the true posterior is diagonal and q can be exactly it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae import distributions, objectives
from jaxvae.types import ELBOTerms, GaussianParams

SIGMA = 0.6
W = np.array([[0.9, 0.3, 0.0, -0.5], [-0.3, 0.9, 0.4, 0.0]])  # orthogonal rows
BIAS = np.array([0.1, -0.2, 0.3, 0.0])
X = np.array([[0.5, -0.7, 1.0, 0.2], [-1.2, 0.4, 0.0, 0.9]], np.float32)
MODEL = {"w": jnp.array(W, jnp.float32), "b": jnp.array(BIAS, jnp.float32)}


def posterior_params(shift=0.0, log_scale=0.0):
    precision = 1.0 + np.sum(W**2, axis=1) / SIGMA**2
    m = W.T / precision / SIGMA**2
    arrays = {"m": m, "c": -BIAS @ m + shift, "l": -np.log(precision) + log_scale}
    return {name: jnp.array(value, jnp.float32) for name, value in arrays.items()}


EXACT = {"model": MODEL, "posterior": posterior_params()}
WRONG = {"model": MODEL, "posterior": posterior_params(shift=0.4, log_scale=0.5)}


def draw(params, x, noise):
    q = params["posterior"]
    return (x @ q["m"] + q["c"][None])[None] + jnp.exp(0.5 * q["l"])[None, None] * noise


def log_px_of(params, x, z):
    mean = z @ params["model"]["w"] + params["model"]["b"][None, None]
    log_var = jnp.full(x.shape[1:], 2.0 * np.log(SIGMA))
    log_px = lambda x, mean: distributions.normal_log_prob(GaussianParams(mean, log_var), x)  # noqa: E731
    return jax.vmap(jax.vmap(log_px), in_axes=(None, 0))(x, mean)


def log_joint(params, x, z):
    return log_px_of(params, x, z) + jax.vmap(jax.vmap(distributions.standard_normal_log_prob))(z)


def log_posterior(params, x, z):
    mean = x @ params["posterior"]["m"] + params["posterior"]["c"][None]
    log_qz = lambda mean, z: distributions.normal_log_prob(GaussianParams(mean, params["posterior"]["l"]), z)  # noqa: E731
    return jax.vmap(jax.vmap(log_qz), in_axes=(None, 0))(mean, z)


def terms_of(params, x, noise):
    z = draw(params, x, noise)
    log_pz = jax.vmap(jax.vmap(distributions.standard_normal_log_prob))(z)
    return ELBOTerms(log_px_of(params, x, z), log_pz[..., None], log_posterior(params, x, z)[..., None])


def elbo_of(params, x, noise):
    return objectives.elbo(terms_of(params, x, noise))


def iwae_of(params, x, noise):
    return objectives.iwae(terms_of(params, x, noise))


def dreg_of(params, x, noise):
    return objectives.dreg(
        params,
        lambda p: draw(p, x, noise),
        lambda p, z: log_joint(p, x, z),
        lambda p, z: log_posterior(p, x, z),
    )


@functools.partial(jax.jit, static_argnums=0)
def value_of(bound, params, x, noise):
    return bound(params, x, noise)


@functools.partial(jax.jit, static_argnums=0)
def gradient_of(bound, params, x, noise):
    return jax.grad(lambda p: jnp.sum(bound(p, x, noise)))(params)


@pytest.fixture(scope="module")
def many_terms():
    """Terms of 20,000 samples under the wrong posterior."""
    return value_of(terms_of, WRONG, X, noise_of(20_000))


def log_marginal():
    return stats.multivariate_normal(BIAS, W.T @ W + SIGMA**2 * np.eye(4)).logpdf(X)


def noise_of(num_samples, num_examples=2, seed=0):
    return jax.random.normal(jax.random.key(seed), (num_samples, num_examples, len(W)))


def many_gradients(bound, params, num_samples, num_keys):
    """Gradients of one example's bound with independent noise: a tree of [num_keys, ...]."""
    noise = noise_of(num_samples, num_keys, seed=5)
    one = lambda noise: gradient_of(bound, params, X[:1], noise[:, None])  # noqa: E731
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(one, in_axes=1))(noise))


def assert_trees_close(got, expected, **tolerance):
    jax.tree.map(functools.partial(np.testing.assert_allclose, **tolerance), got, expected)


def random_terms(num_samples=3, num_examples=4, num_groups=2, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((num_samples, num_examples), *2 * ((num_samples, num_examples, num_groups),))
    return ELBOTerms(*(jnp.array(rng.normal(size=shape) * 3.0, jnp.float32) for shape in shapes))


# ---------- elbo, elbo_analytic, log_weights


def test_log_weights_equals_loop():
    terms = random_terms()
    expected = np.zeros((3, 4))
    for s in range(3):
        for b in range(4):
            groups = [float(terms.log_pz[s, b, group] - terms.log_qz[s, b, group]) for group in range(2)]
            expected[s, b] = float(terms.log_px[s, b]) + sum(groups)
    np.testing.assert_allclose(objectives.log_weights(terms), expected, rtol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
def test_elbo_equals_loop(beta):
    terms = random_terms()
    expected = np.zeros(4)
    for b in range(4):
        for s in range(3):
            kl = sum(float(terms.log_qz[s, b, group] - terms.log_pz[s, b, group]) for group in range(2))
            expected[b] += (float(terms.log_px[s, b]) - beta * kl) / 3.0
    np.testing.assert_allclose(objectives.elbo(terms, beta), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(objectives.elbo(terms, jnp.array(beta)), expected, rtol=1e-5, atol=1e-6)


def test_elbo_of_beta_one_is_the_default_and_the_mean_log_weight():
    terms = random_terms()
    np.testing.assert_allclose(objectives.elbo(terms), objectives.log_weights(terms).mean(0), rtol=1e-5)


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_elbo_analytic_equals_loop(beta):
    log_px, kl = random_terms().log_px, jnp.array([0.0, 1.0, 2.5, 7.0])
    expected = [np.mean([float(log_px[s, b]) for s in range(3)]) - beta * float(kl[b]) for b in range(4)]
    np.testing.assert_allclose(objectives.elbo_analytic(log_px, kl, beta), expected, rtol=1e-5, atol=1e-6)


def test_elbo_analytic_takes_one_kl_for_the_batch():
    log_px = random_terms().log_px
    per_example = objectives.elbo_analytic(log_px, jnp.full(4, 2.0))
    np.testing.assert_array_equal(objectives.elbo_analytic(log_px, jnp.array(2.0)), per_example)


def test_elbo_analytic_equals_elbo_in_expectation(many_terms):
    log_px, log_pz, log_qz = many_terms
    mean = X @ WRONG["posterior"]["m"] + WRONG["posterior"]["c"][None]
    q = GaussianParams(mean, jnp.broadcast_to(WRONG["posterior"]["l"], mean.shape))
    kl = jnp.sum(distributions.normal_kl_to_standard(q), axis=-1)
    analytic, sampled = objectives.elbo_analytic(log_px, kl), objectives.elbo(many_terms)
    std_error = np.std(np.asarray(log_pz - log_qz)[..., 0], axis=0) / np.sqrt(len(log_px))
    assert np.all(np.abs(analytic - sampled) < 4.0 * std_error)


# ---------- stratified_elbo


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_stratified_elbo_equals_loop(beta):
    components = [random_terms(num_examples=4, seed=seed) for seed in range(2)]
    weights = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])
    expected = np.zeros(4)
    for k, terms in enumerate(components):
        for b in range(4):
            for s in range(3):
                kl = sum(float(terms.log_qz[s, b, group] - terms.log_pz[s, b, group]) for group in range(2))
                expected[b] += weights[b, k] * (float(terms.log_px[s, b]) - beta * kl) / 3.0
    with np.errstate(divide="ignore"):
        log_weights = jnp.array(np.log(weights), jnp.float32)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *components)
    got = objectives.stratified_elbo(stacked, log_weights, beta)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_stratified_elbo_has_the_gradient_of_the_weights():
    # d/dlogit_k sum_j w_j e_j = w_k (e_k - sum_j w_j e_j), w the softmax of the logits.
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[random_terms(seed=seed) for seed in range(3)])
    logits = jnp.array(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)
    total = lambda logits: jnp.sum(objectives.stratified_elbo(stacked, jax.nn.log_softmax(logits)))  # noqa: E731
    each = np.stack([objectives.elbo(jax.tree.map(lambda leaf: leaf[k], stacked)) for k in range(3)], axis=1)  # noqa: B023
    weights = np.asarray(jax.nn.softmax(logits))
    expected = weights * (each - np.sum(weights * each, axis=1, keepdims=True))
    np.testing.assert_allclose(jax.grad(total)(logits), expected, rtol=1e-4, atol=1e-5)


def test_stratified_elbo_refuses_weights_of_other_components():
    terms = jax.tree.map(lambda *leaves: jnp.stack(leaves), random_terms(), random_terms(seed=1))
    with pytest.raises(ValueError, match=r"log_px has shape \[2, 3, 4\], expected \[3, any, 4\]"):
        objectives.stratified_elbo(terms, jnp.zeros((4, 3)))


# ---------- free bits


def test_free_bits_of_hand_worked_batch():
    # Batch means 0.2, 2, 0.5 nats: the first is lifted to 0.5.
    kl = jnp.array([[0.1, 1.0, 0.0], [0.3, 3.0, 1.0]])
    np.testing.assert_allclose(objectives.free_bits(kl, 0.5), 3.0, rtol=1e-6)
    np.testing.assert_allclose(objectives.free_bits(kl, 0.0), 2.7, rtol=1e-6)
    np.testing.assert_allclose(objectives.free_bits(kl, 10.0), 30.0, rtol=1e-6)


def test_free_bits_gradient_is_zero_below_the_minimum():
    kl = jnp.array([[0.1, 1.0], [0.3, 3.0]])
    np.testing.assert_allclose(jax.grad(objectives.free_bits)(kl, 0.5), [[0.0, 0.5], [0.0, 0.5]], rtol=1e-6)


def test_free_bits_of_replicas_equals_the_whole_batch():
    # Dimension 0 is below the minimum of 1 as a whole but above it on one replica; dimension 1 the other way round.
    kl = jnp.array([[0.1, 0.4], [0.1, 0.6], [1.2, 2.5], [1.4, 3.0], [0.3, 0.9], [0.5, 0.9]])
    whole, whole_gradient = jax.value_and_grad(objectives.free_bits)(kl, 1.0)
    replica = jax.value_and_grad(functools.partial(objectives.free_bits, minimum=1.0, axis_name="data"))
    values, gradients = jax.vmap(replica, axis_name="data")(kl.reshape(3, 2, 2))
    np.testing.assert_allclose(values.mean(), whole, rtol=1e-6)
    # A replica's gradient is of its own examples' mean: averaged over replicas, that of the whole batch.
    np.testing.assert_allclose(gradients.reshape(6, 2) / 3.0, whole_gradient, rtol=1e-6)


# ---------- iwae


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
def test_iwae_equals_numpy_at_extreme_weights(scale):
    log_px = np.array([[1.0, -1.0, 0.0], [-1.0, -1.1, 0.0], [0.5, -3.0, 0.0]], np.float32) * np.float32(scale)
    terms = ELBOTerms(jnp.array(log_px), jnp.zeros((3, 3, 1)), jnp.zeros((3, 3, 1)))
    expected = special.logsumexp(log_px.astype(np.float64), axis=0) - np.log(3.0)
    np.testing.assert_allclose(objectives.iwae(terms), expected, rtol=1e-6)
    weights = special.softmax(log_px.astype(np.float64), axis=0)
    gradient = jax.grad(lambda t: jnp.sum(objectives.iwae(t)))(terms)
    np.testing.assert_allclose(gradient.log_px, weights, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradient.log_qz[..., 0], -weights, rtol=1e-5, atol=1e-7)


def test_iwae_counts_samples_of_zero_weight():
    terms = ELBOTerms(jnp.array([[-jnp.inf], [2.0]]), jnp.zeros((2, 1, 1)), jnp.zeros((2, 1, 1)))
    np.testing.assert_allclose(objectives.iwae(terms), [2.0 - np.log(2.0)], rtol=1e-6)
    gradient = jax.grad(lambda t: jnp.sum(objectives.iwae(t)))(terms)
    np.testing.assert_allclose(gradient.log_px, [[0.0], [1.0]])


def test_iwae_of_one_sample_is_the_elbo():
    terms = random_terms(num_samples=1)
    np.testing.assert_array_equal(objectives.iwae(terms), objectives.elbo(terms))


def test_iwae_of_equal_weights_is_the_weight():
    terms = ELBOTerms(jnp.full((7, 2), -3.5), jnp.ones((7, 2, 1)), jnp.zeros((7, 2, 1)))
    np.testing.assert_allclose(objectives.iwae(terms), [-2.5, -2.5], rtol=1e-6)


# ---------- a linear-Gaussian model


@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("bound", [elbo_of, iwae_of, dreg_of])
def test_bound_with_the_exact_posterior_is_the_marginal(bound, num_samples):
    for seed in range(3):  # for any noise: the weights do not vary
        got = value_of(bound, EXACT, X, noise_of(num_samples, seed=seed))
        np.testing.assert_allclose(got, log_marginal(), rtol=1e-5)


def test_elbo_falls_short_by_the_divergence_of_the_posterior(many_terms):
    # log p(x) - ELBO = KL(q(z | x) || p(z | x)), and 1/2 (shift^2 / var + exp(log_scale) - 1 - log_scale) a dimension.
    log_w = np.asarray(objectives.log_weights(many_terms), np.float64)
    precision = 1.0 + np.sum(W**2, axis=1) / SIGMA**2
    gap = np.sum(0.5 * (0.4**2 * precision + np.exp(0.5) - 1.0 - 0.5))
    assert np.all(np.abs(log_w.mean(0) + gap - log_marginal()) < 4.0 * log_w.std(0) / np.sqrt(len(log_w)))


def test_elbo_is_below_iwae_which_rises_to_the_marginal():
    num_keys, most = 2_000, 64
    terms = value_of(terms_of, WRONG, np.repeat(X[:1], num_keys, axis=0), noise_of(most, num_keys))

    def bound_of(k):
        """IWAE of k samples, the mean over the groups of k: [num_keys]."""
        # Axes: sample, then group and key.
        groups = jax.tree.map(lambda a: np.asarray(a).reshape(k, -1, *a.shape[2:]), terms)
        return np.asarray(jax.jit(objectives.iwae)(groups), np.float64).reshape(most // k, num_keys).mean(0)

    bounds = [np.asarray(objectives.elbo(terms), np.float64), *(bound_of(k) for k in (1, 2, 4, 16, 64))]
    np.testing.assert_allclose(bounds[0], bounds[1], rtol=1e-5, atol=1e-5)
    for smaller, larger in zip(bounds[1:-1], bounds[2:], strict=True):
        rise = larger - smaller
        assert rise.mean() > 4.0 * rise.std() / np.sqrt(num_keys)
    gaps = [log_marginal()[0] - bound.mean() for bound in bounds]
    assert gaps[0] > 0.4
    assert abs(gaps[-1]) < 0.02


def test_importance_weights_average_to_the_marginal(many_terms):
    ratios = np.exp(np.asarray(objectives.log_weights(many_terms), np.float64) - log_marginal())
    assert np.all(np.abs(ratios.mean(0) - 1.0) < 4.0 * ratios.std(0) / np.sqrt(len(ratios)))
    assert np.all(ratios.std(0) > 0.3)


# ---------- dreg


def test_dreg_value_equals_iwae():
    dreg, iwae = (value_of(bound, WRONG, X, noise_of(3)) for bound in (dreg_of, iwae_of))
    np.testing.assert_allclose(dreg, iwae, rtol=1e-6)


def test_dreg_model_gradient_equals_that_of_iwae():
    dreg, iwae = (gradient_of(bound, WRONG, X, noise_of(3))["model"] for bound in (dreg_of, iwae_of))
    assert all(np.max(np.abs(leaf)) > 0.1 for leaf in jax.tree.leaves(iwae))
    assert_trees_close(dreg, iwae, rtol=1e-5, atol=1e-6)


def explicit_posterior_gradient(params, x, noise):
    """sum_b sum_s v_s^2 dlog w_s/dz_s dz_s/dphi by loops, v the normalised weights of eq. 8 of Tucker et al."""
    z = draw(params, x, noise)
    log_w_of = lambda z: log_joint(params, x, z) - log_posterior(params, x, z)  # noqa: E731
    v = special.softmax(np.asarray(log_w_of(z), np.float64), axis=0)
    dlog_w = np.asarray(jax.jit(jax.jacobian(log_w_of))(z))  # [S, B, S, B, D]
    z_of = lambda phi: draw(params | {"posterior": phi}, x, noise)  # noqa: E731
    dz = jax.jit(jax.jacobian(z_of))(params["posterior"])  # [S, B, D, ...]
    total = {name: np.zeros(value.shape) for name, value in params["posterior"].items()}
    for s in range(noise.shape[0]):
        for b in range(noise.shape[1]):
            for d in range(noise.shape[2]):
                for name in total:
                    total[name] += v[s, b] ** 2 * dlog_w[s, b, s, b, d] * np.asarray(dz[name])[s, b, d]
    return total


def test_dreg_posterior_gradient_equals_the_explicit_formula():
    noise = noise_of(3)
    expected = explicit_posterior_gradient(WRONG, X, noise)
    assert all(np.max(np.abs(leaf)) > 0.05 for leaf in expected.values())
    got = gradient_of(dreg_of, WRONG, X, noise)["posterior"]
    assert_trees_close(got, expected, rtol=1e-4, atol=1e-5)


def test_dreg_posterior_gradient_vanishes_at_the_exact_posterior():
    noise = noise_of(3)
    dreg, iwae = (gradient_of(bound, EXACT, X, noise)["posterior"] for bound in (dreg_of, iwae_of))
    assert_trees_close(dreg, jax.tree.map(jnp.zeros_like, dreg), atol=1e-4)
    assert max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(iwae)) > 0.1


def test_dreg_gradient_equals_that_of_iwae_in_expectation():
    num_keys = 10_000
    params = {"model": MODEL, "posterior": posterior_params(shift=0.4, log_scale=1.2)}
    dreg, iwae = (many_gradients(bound, params, 4, num_keys)["posterior"] for bound in (dreg_of, iwae_of))
    for name, left in dreg.items():
        difference = (left - iwae[name]).reshape(num_keys, -1).astype(np.float64)
        std_error = difference.std(0) / np.sqrt(num_keys)
        assert np.all(np.abs(difference.mean(0)) < 4.0 * std_error), name
        # The test could not pass with a gradient of another size.
        assert np.max(np.abs(iwae[name].mean(0).ravel()) / std_error) > 20.0, name


def test_dreg_gradient_varies_less_than_that_of_iwae():
    params = {"model": MODEL, "posterior": posterior_params(shift=0.05, log_scale=0.05)}
    dreg, iwae = (many_gradients(bound, params, 64, 500)["posterior"] for bound in (dreg_of, iwae_of))
    for name, left in dreg.items():
        assert np.sum(left.var(0)) < 0.1 * np.sum(iwae[name].var(0)), name


def test_dreg_takes_latents_of_any_structure():
    noise = noise_of(3)

    def split(z):
        return {"first": z[..., 0], "rest": z[..., 1:, None]}  # [S, B] and [S, B, 1, 1]

    def join(z):
        return jnp.concatenate([z["first"][..., None], z["rest"][..., 0]], axis=-1)

    def in_parts(params, x, noise):
        return objectives.dreg(
            params,
            lambda p: split(draw(p, x, noise)),
            lambda p, z: log_joint(p, x, join(z)),
            lambda p, z: log_posterior(p, x, join(z)),
        )

    assert_trees_close(gradient_of(in_parts, WRONG, X, noise), gradient_of(dreg_of, WRONG, X, noise), rtol=1e-5)


@pytest.mark.slow
def test_dreg_gradient_under_jit_and_vmap_equals_one_by_one():
    noise = noise_of(3)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), WRONG, EXACT)
    together = jax.jit(jax.vmap(lambda p: gradient_of(dreg_of, p, X, noise)))(both)
    plain = jax.grad(lambda p: jnp.sum(dreg_of(p, X, noise)))(WRONG)
    assert_trees_close(jax.tree.map(lambda a: a[0], together), plain, rtol=1e-4, atol=1e-4)
    assert_trees_close(jax.tree.map(lambda a: a[1], together), gradient_of(dreg_of, EXACT, X, noise), atol=1e-4)


# ---------- errors


@pytest.mark.parametrize("function", [objectives.elbo, objectives.iwae, objectives.log_weights])
def test_terms_of_wrong_shape_are_refused(function):
    terms = random_terms()
    with pytest.raises(ValueError, match=r"log_qz has shape \[3, 4, 1\], expected \[3, 4, 2\]\."):
        function(terms._replace(log_qz=terms.log_qz[..., :1]))
    with pytest.raises(ValueError, match=r"log_pz has shape \[3, 4\], expected \[3, 4, any\]\."):
        function(terms._replace(log_pz=terms.log_pz[..., 0]))


def test_elbo_analytic_refuses_kl_of_wrong_shape():
    with pytest.raises(ValueError, match=r"kl has shape \[3, 4\], expected \[4\]\."):
        objectives.elbo_analytic(jnp.zeros((3, 4)), jnp.zeros((3, 4)))


def test_free_bits_refuses_kl_of_wrong_shape():
    with pytest.raises(ValueError, match=r"kl has shape \[4\], expected \[any, any\]\."):
        objectives.free_bits(jnp.zeros(4), 0.1)


def test_bounds_refuse_terms_without_the_axis_of_samples():
    terms = ELBOTerms(jnp.zeros(4), jnp.zeros((4, 1)), jnp.zeros((4, 1)))
    for bound in (objectives.elbo, objectives.iwae):
        with pytest.raises(ValueError, match=r"log_px has shape \[4\], expected \[any, any\]"):
            bound(terms)
    with pytest.raises(ValueError, match=r"log_px has shape \[4\]"):
        objectives.elbo_analytic(jnp.zeros(4), jnp.zeros(()))


def test_free_bits_shows_a_kl_that_is_not_a_number():
    assert jnp.isnan(objectives.free_bits(jnp.array([[0.1, jnp.nan]]), 0.5))
