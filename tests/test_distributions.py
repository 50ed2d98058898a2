"""Densities, divergences and samplers against scipy and hand-worked numbers, and at the ends of their range."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxvae import distributions
from jaxvae.types import GaussianParams

MEAN = np.array([0.3, -1.2, 2.0], np.float32)
LOG_VAR = np.array([0.5, -2.0, 1.1], np.float32)
PARAMS = GaussianParams(jnp.array(MEAN), jnp.array(LOG_VAR))
OTHER = GaussianParams(jnp.array([1.0, 0.0, -0.7]), jnp.array([-0.4, 0.9, 0.2]))
X = np.array([-0.5, 0.1, 3.0], np.float32)


def columns(*choices):
    """Every combination of the choices, a vector for each argument."""
    return [jnp.array(column) for column in zip(*itertools.product(*choices), strict=True)]


# ---------- formulas


def test_standard_normal_log_prob_equals_scipy():
    expected = sum(stats.norm.logpdf(x) for x in X)
    np.testing.assert_allclose(distributions.standard_normal_log_prob(jnp.array(X)), expected, rtol=1e-6)


def test_normal_log_prob_equals_scipy():
    expected = sum(stats.norm.logpdf(x, m, np.exp(lv / 2)) for x, m, lv in zip(X, MEAN, LOG_VAR, strict=True))
    np.testing.assert_allclose(distributions.normal_log_prob(PARAMS, jnp.array(X)), expected, rtol=1e-6)


def test_normal_log_prob_sums_events_of_any_shape():
    image = jax.tree.map(lambda v: v.reshape(1, 3, 1), (PARAMS, jnp.array(X)))
    np.testing.assert_allclose(
        distributions.normal_log_prob(*image), distributions.normal_log_prob(PARAMS, jnp.array(X)), rtol=1e-6
    )


def test_a_relative_normal_has_the_same_densities_and_the_same_kl():
    relative = distributions.normal_relative(PARAMS, OTHER)
    sd = np.exp(0.5 * np.asarray(OTHER.log_var))
    e = (X - np.asarray(OTHER.mean)) / sd
    expected = stats.norm.logpdf(X, MEAN, np.exp(LOG_VAR / 2)).sum() + np.log(sd).sum()
    np.testing.assert_allclose(distributions.normal_log_prob(relative, jnp.asarray(e)), expected, rtol=1e-5)
    kl = distributions.normal_kl_to_standard(relative)
    np.testing.assert_allclose(kl, distributions.normal_kl(PARAMS, OTHER), rtol=1e-5)


def test_softplus_log_var_is_that_of_a_softplus_deviation():
    raw = np.linspace(-60.0, 60.0, 241)
    sd = np.logaddexp(0.0, raw + np.log(np.expm1(1.0)))
    found = distributions.softplus_log_var(jnp.asarray(raw, jnp.float32))
    np.testing.assert_allclose(found, np.clip(2.0 * np.log(sd), -20.0, 20.0), rtol=1e-5, atol=1e-6)
    slope = jax.vmap(jax.grad(distributions.softplus_log_var))(jnp.asarray(raw, jnp.float32))
    free = np.abs(2.0 * np.log(sd)) < 19.9
    expected = 2.0 * special.expit(raw + np.log(np.expm1(1.0))) / sd
    np.testing.assert_allclose(slope[free], expected[free], rtol=1e-4)


@pytest.mark.parametrize("raw", [-1e4, -200.0, -104.0, -100.0, 0.0, 100.0, 1e4])
def test_kl_of_softplus_deviations_is_finite_at_the_ends(raw):
    def kl(one, other, mean):
        params = [GaussianParams(m, distributions.softplus_log_var(r)) for m, r in ((mean, one), (0.0, other))]
        return distributions.normal_kl_to_standard(distributions.normal_relative(*params))

    for other in (-200.0, 0.0, 200.0):
        value, gradient = jax.value_and_grad(kl, argnums=(0, 1, 2))(jnp.float32(raw), jnp.float32(other), 0.5)
        assert np.isfinite(value)
        assert value >= 0.0
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", ["sample", "sample_and_log_prob"])
def test_normal_sample_has_mean_and_variance(name):
    num = 20_000
    keys = jax.random.split(jax.random.key(0), num)
    draw = distributions.normal_sample
    if name == "sample_and_log_prob":
        draw = lambda key, params: distributions.normal_sample_and_log_prob(key, params)[0]  # noqa: E731
    x = np.asarray(jax.jit(jax.vmap(lambda key: draw(key, PARAMS)))(keys), np.float64)
    var = np.exp(LOG_VAR.astype(np.float64))
    assert np.all(np.abs(x.mean(0) - MEAN) < 4.0 * np.sqrt(var / num))
    assert np.all(np.abs(x.var(0) / var - 1.0) < 4.0 * np.sqrt(2.0 / num))
    off_diagonal = np.corrcoef(x.T)[np.triu_indices(3, 1)]
    assert np.all(np.abs(off_diagonal) < 4.0 / np.sqrt(num))


def test_normal_sample_and_log_prob_equals_log_prob_of_the_sample():
    x, log_prob = distributions.normal_sample_and_log_prob(jax.random.key(1), PARAMS)
    expected = stats.norm.logpdf(np.asarray(x), MEAN, np.exp(LOG_VAR / 2)).sum()
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)
    np.testing.assert_array_equal(x, distributions.normal_sample(jax.random.key(1), PARAMS))


def test_normal_sample_and_log_prob_gradient_is_the_total_one():
    key = jax.random.key(2)
    joint = lambda p: distributions.normal_sample_and_log_prob(key, p)[1]  # noqa: E731
    composed = lambda p: distributions.normal_log_prob(p, distributions.normal_sample(key, p))  # noqa: E731
    # The density at a reparameterised sample depends on the scale alone: -log_var / 2.
    for log_prob in (joint, composed):
        gradient = jax.jit(jax.grad(log_prob))(PARAMS)
        np.testing.assert_allclose(gradient.mean, np.zeros(3), atol=1e-5)
        np.testing.assert_allclose(gradient.log_var, np.full(3, -0.5), atol=1e-5)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_log_variances_are_exact_up_to_40_and_limited_there(sign):
    at = lambda log_var: GaussianParams(jnp.zeros(1), jnp.array([sign * log_var], jnp.float32))  # noqa: E731
    kl = lambda log_var: distributions.normal_kl_to_standard(at(log_var))[0]  # noqa: E731
    x = jnp.array([np.exp(sign * 39.0 / 2.0)], jnp.float32)
    np.testing.assert_allclose(kl(39.0), 0.5 * (np.exp(sign * 39.0) - 1.0 - sign * 39.0), rtol=1e-4)
    np.testing.assert_allclose(
        distributions.normal_log_prob(at(39.0), x), stats.norm.logpdf(x[0], 0.0, np.exp(sign * 39.0 / 2.0)), rtol=1e-4
    )
    draw = lambda log_var: distributions.normal_sample(jax.random.key(0), at(log_var))  # noqa: E731
    np.testing.assert_allclose(draw(39.0) / draw(0.0), x, rtol=1e-4)
    for beyond in (41.0, 1e3):
        assert kl(beyond) == kl(40.0)
        assert draw(beyond) == draw(40.0)
    assert np.isfinite(distributions.normal_kl(at(1e3), at(-1e3))[0])


def test_normal_kl_of_lecture_example():
    # log 2 + (1 + 1) / (2 * 4) - 1/2 = 0.4431: the second Gaussian has standard deviation 2, so variance 4.
    q = GaussianParams(jnp.array([0.0]), jnp.array([0.0]))
    p = GaussianParams(jnp.array([1.0]), jnp.log(jnp.array([4.0])))
    np.testing.assert_allclose(distributions.normal_kl(q, p), [0.4431], atol=5e-5)


def test_normal_kl_equals_quadrature():
    grid = np.linspace(-15.0, 15.0, 40_001)
    kl = distributions.normal_kl(PARAMS, OTHER)
    assert kl.shape == (3,)
    for d in range(3):
        log_q = stats.norm.logpdf(grid, MEAN[d], np.exp(LOG_VAR[d] / 2))
        log_p = stats.norm.logpdf(grid, float(OTHER.mean[d]), np.exp(float(OTHER.log_var[d]) / 2))
        np.testing.assert_allclose(kl[d], np.trapezoid(np.exp(log_q) * (log_q - log_p), grid), rtol=1e-5)


def test_normal_kl_is_zero_between_equals_and_positive_otherwise():
    np.testing.assert_allclose(distributions.normal_kl(PARAMS, PARAMS), np.zeros(3), atol=1e-6)
    assert np.all(np.asarray(distributions.normal_kl(PARAMS, OTHER)) > 0.1)
    assert np.all(np.asarray(distributions.normal_kl(OTHER, PARAMS)) > 0.1)


def test_normal_kl_to_standard_equals_general_kl_and_hand_numbers():
    standard = GaussianParams(jnp.zeros(3), jnp.zeros(3))
    expected = distributions.normal_kl(PARAMS, standard)
    np.testing.assert_allclose(distributions.normal_kl_to_standard(PARAMS), expected, rtol=1e-5)
    # (1 + 4 - 1 - 0) / 2 and (4 + 0 - 1 - log 4) / 2.
    q = GaussianParams(jnp.array([2.0, 0.0]), jnp.log(jnp.array([1.0, 4.0])))
    np.testing.assert_allclose(distributions.normal_kl_to_standard(q), [2.0, 0.8068528], rtol=1e-5)


def test_bernoulli_log_prob_equals_scipy():
    logits = np.array([[-30.0, -2.0, 0.0], [0.7, 5.0, 30.0]])
    for bits in itertools.product((0.0, 1.0), repeat=6):
        x = np.array(bits).reshape(2, 3)
        expected = -np.logaddexp(0.0, np.where(x == 1.0, -logits, logits)).sum()
        got = distributions.bernoulli_log_prob(jnp.array(logits, jnp.float32), jnp.array(x, jnp.float32))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_bernoulli_log_prob_of_grey_values_is_the_cross_entropy():
    logits, x = np.array([0.4, -1.5]), np.array([0.25, 0.9])
    p = 1.0 / (1.0 + np.exp(-logits))
    expected = np.sum(x * np.log(p) + (1.0 - x) * np.log(1.0 - p))
    got = distributions.bernoulli_log_prob(jnp.array(logits, jnp.float32), jnp.array(x, jnp.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_bernoulli_log_prob_derivatives_of_first_and_second_order():
    logits, x = jnp.array([-1e4, -3.0, 0.0, 0.8, 1e4]), jnp.array([1.0, 0.0, 1.0, 1.0, 0.0])
    p = 1.0 / (1.0 + np.exp(-np.clip(np.asarray(logits, np.float64), -700.0, 700.0)))
    log_prob = lambda v: distributions.bernoulli_log_prob(v, x)  # noqa: E731
    np.testing.assert_allclose(jax.jit(jax.grad(log_prob))(logits), np.asarray(x) - p, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.hessian(log_prob))(logits), np.diag(-p * (1.0 - p)), atol=1e-6)


def test_bernoulli_sample_has_frequencies_and_dtype_of_logits():
    num, logits = 20_000, jnp.array([-1e4, -1.5, 0.0, 2.0, 1e4])
    keys = jax.random.split(jax.random.key(3), num)
    x = jax.jit(jax.vmap(distributions.bernoulli_sample, in_axes=(0, None)))(keys, logits)
    assert x.dtype == logits.dtype
    assert set(np.unique(x)) == {0.0, 1.0}
    p = 1.0 / (1.0 + np.exp(-np.clip(np.asarray(logits, np.float64), -700.0, 700.0)))
    assert np.all(np.abs(np.mean(x, axis=0) - p) <= 4.0 * np.sqrt(p * (1.0 - p) / num) + 1e-9)


def test_categorical_kl_of_lecture_example():
    # 0.5 log(5/4) + 0.3 log(3/4) + 0.2 log 1
    q, p = jnp.log(jnp.array([0.5, 0.3, 0.2])), jnp.log(jnp.array([0.4, 0.4, 0.2]))
    np.testing.assert_allclose(distributions.categorical_kl(q, p), 0.0253, atol=5e-5)
    np.testing.assert_allclose(distributions.categorical_kl(p, p), 0.0, atol=1e-7)


def test_categorical_kl_with_values_that_never_occur():
    q, p = jnp.log(jnp.array([0.5, 0.5, 0.0])), jnp.log(jnp.array([0.25, 0.5, 0.25]))
    np.testing.assert_allclose(distributions.categorical_kl(q, p), 0.5 * np.log(2.0), rtol=1e-5)
    both = jnp.log(jnp.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(distributions.categorical_kl(both, jnp.log(jnp.array([0.5, 0.5, 0.0]))), np.log(2.0))
    assert distributions.categorical_kl(p, q) == jnp.inf
    gradients = jax.grad(distributions.categorical_kl, argnums=(0, 1))(q, p)
    assert np.all(np.isfinite(np.asarray(gradients)))


def test_bernoulli_kl_equals_enumeration_and_a_hand_number():
    q, p = (np.array(v) for v in zip(*itertools.product((-4.0, -0.3, 0.0, 2.5), (-3.0, 0.0, 0.7)), strict=True))
    one_q, one_p = special.expit(q), special.expit(p)
    expected = special.rel_entr(one_q, one_p) + special.rel_entr(1.0 - one_q, 1.0 - one_p)
    kl = distributions.bernoulli_kl(jnp.array(q, jnp.float32), jnp.array(p, jnp.float32))
    np.testing.assert_allclose(kl, expected, rtol=1e-4, atol=1e-6)
    # 1/2 log(2) + 1/2 log(2/3) of a fair coin and one of probability 1/4.
    quarter = jnp.array([-np.log(3.0)], jnp.float32)
    np.testing.assert_allclose(distributions.bernoulli_kl(jnp.zeros(1), quarter), [0.1438410], rtol=1e-5)


def test_bernoulli_kl_of_certain_bits_loses_no_digits():
    # A bit that is surely one costs -log p(1), however large its logit is.
    kl = distributions.bernoulli_kl(jnp.array([1234.567, -9876.543]), jnp.array([1.1, 1.1]))
    np.testing.assert_allclose(kl, [np.log1p(np.exp(-1.1)), np.log1p(np.exp(1.1))], rtol=1e-5)


# ---------- relaxed discrete

LOG_ODDS, TEMPERATURES = np.array([-1.3, 0.0, 2.0]), (0.3, 1.0, 2.5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_relaxed_bernoulli_log_prob_equals_scipy_and_the_papers_density(temperature):
    y = np.array([-0.7, 1.9, 3.0])
    got = distributions.relaxed_bernoulli_log_prob(jnp.array(LOG_ODDS), jnp.array(y), temperature)
    logistic = stats.logistic.logpdf(y, LOG_ODDS / temperature, 1.0 / temperature)
    np.testing.assert_allclose(got, logistic.sum(), rtol=1e-5)
    # Of the relaxed bit b = sigmoid(y), with dy/db = 1 / (b (1 - b)): Maddison et al. 2017, eq. 24.
    b, alpha, t = special.expit(y), np.exp(LOG_ODDS), temperature
    density = t * alpha * b ** (-t - 1) * (1 - b) ** (-t - 1) / (alpha * b**-t + (1 - b) ** -t) ** 2
    np.testing.assert_allclose(got - np.sum(np.log(b * (1 - b))), np.log(density).sum(), rtol=1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_relaxed_bernoulli_integrates_to_one_with_the_probability_of_a_one_above_zero(temperature):
    grid = jnp.linspace(-80.0, 80.0, 16_001)
    log_prob = jax.vmap(lambda y: distributions.relaxed_bernoulli_log_prob(jnp.array([0.8]), y[None], temperature))
    density = np.exp(np.asarray(log_prob(grid), np.float64))
    np.testing.assert_allclose(np.trapezoid(density, grid), 1.0, rtol=1e-4)
    ones = grid >= 0
    np.testing.assert_allclose(np.trapezoid(density[ones], grid[ones]), special.expit(0.8), rtol=1e-4)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_relaxed_bernoulli_sample_is_logistic_and_comes_with_its_density(temperature):
    logits = jnp.broadcast_to(jnp.array(LOG_ODDS, jnp.float32), (5_000, 3))
    y, log_prob = distributions.relaxed_bernoulli_sample_and_log_prob(jax.random.key(5), logits, temperature)
    for d in range(3):
        logistic = stats.logistic(LOG_ODDS[d] / temperature, 1.0 / temperature)
        assert stats.kstest(np.asarray(y[:, d]), logistic.cdf).pvalue > 1e-3
    np.testing.assert_allclose(log_prob, distributions.relaxed_bernoulli_log_prob(logits, y, temperature), rtol=1e-4)
    again = distributions.relaxed_bernoulli_sample(jax.random.key(5), logits, temperature)
    np.testing.assert_array_equal(again, y)


def test_relaxed_bernoulli_becomes_hard_as_the_temperature_falls():
    num, p = 4_000, special.expit(LOG_ODDS)
    logits = jnp.broadcast_to(jnp.array(LOG_ODDS, jnp.float32), (num, 3))
    draw = lambda t: distributions.relaxed_bernoulli_sample(jax.random.key(6), logits, t)  # noqa: E731
    bits = np.asarray(jax.nn.sigmoid(jnp.stack([draw(t) for t in (1.0, 0.1, 1e-3)])))
    distance = np.minimum(bits, 1.0 - bits).mean(axis=(1, 2))
    assert distance[0] > 0.1 > distance[1] > 0.01 > 10 * distance[2]
    bits = bits[-1]
    assert np.all(np.abs(bits.mean(0) - p) < 4.0 * np.sqrt(p * (1 - p) / num))


def test_relaxed_bernoulli_gradients_are_those_of_the_reparameterisation():
    draw = lambda logits, t: distributions.relaxed_bernoulli_sample_and_log_prob(jax.random.key(7), logits, t)  # noqa: E731
    logits = jnp.array(LOG_ODDS, jnp.float32)
    y, _ = draw(logits, 0.5)
    np.testing.assert_allclose(jax.jacobian(lambda v: draw(v, 0.5)[0])(logits), 2.0 * np.eye(3), atol=1e-6)
    np.testing.assert_allclose(jax.jacobian(lambda t: draw(logits, t)[0])(0.5), -y / 0.5, rtol=1e-5)
    # At its own draw the density depends on the temperature alone: D log T.
    np.testing.assert_allclose(jax.grad(lambda v: draw(v, 0.5)[1])(logits), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda t: draw(logits, t)[1])(0.5), 3.0 / 0.5, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1, float("nan")])
def test_relaxed_bernoulli_refuses_temperatures(temperature):
    with pytest.raises(ValueError, match=f"The temperature of relaxed bits is {temperature}, expected more than 0"):
        distributions.relaxed_bernoulli_log_prob(jnp.zeros(2), jnp.zeros(2), temperature)
    with pytest.raises(ValueError, match="expected more than 0"):
        distributions.relaxed_bernoulli_sample(jax.random.key(0), jnp.zeros(2), temperature)


# ---------- ends of the range

BIG, HUGE_LOG_VAR = (-1e4, 1e4), (-1e3, -100.0, 100.0, 1e3)
LOGITS = (-1e4, -100.0, 0.0, 100.0, 1e4)


def _normal_log_prob(mean, log_var, x):
    return distributions.normal_log_prob(GaussianParams(mean, log_var), x)


def _normal_kl(mean_q, log_var_q, mean_p, log_var_p):
    return distributions.normal_kl(GaussianParams(mean_q, log_var_q), GaussianParams(mean_p, log_var_p))


def _normal_kl_to_standard(mean, log_var):
    return distributions.normal_kl_to_standard(GaussianParams(mean, log_var))


def _normal_sample(mean, log_var):
    return distributions.normal_sample(jax.random.key(0), GaussianParams(mean, log_var))


def _normal_sample_and_log_prob(mean, log_var):
    x, log_prob = distributions.normal_sample_and_log_prob(jax.random.key(0), GaussianParams(mean, log_var))
    return jnp.append(x, log_prob)


def _log_density_of_a_wide_sample_under_a_narrow_gaussian(mean, log_var_q, log_var_p):
    x = distributions.normal_sample(jax.random.key(0), GaussianParams(mean, log_var_q))
    return distributions.normal_log_prob(GaussianParams(mean, log_var_p), x)


def _categorical_kl(logits_q, logits_p):
    return distributions.categorical_kl(jax.nn.log_softmax(logits_q), jax.nn.log_softmax(logits_p))


def _relaxed_bernoulli_sample_and_log_prob(logits, temperature):
    draw = lambda *one: distributions.relaxed_bernoulli_sample_and_log_prob(jax.random.key(0), *one)  # noqa: E731
    return jnp.stack(jax.vmap(draw)(logits, temperature))


EXTREMES = {
    "standard_normal_log_prob": (distributions.standard_normal_log_prob, columns(BIG)),
    "normal_log_prob": (_normal_log_prob, columns(BIG, HUGE_LOG_VAR, BIG)),
    "normal_sample": (_normal_sample, columns(BIG, HUGE_LOG_VAR)),
    "normal_sample_and_log_prob": (_normal_sample_and_log_prob, columns(BIG, HUGE_LOG_VAR)),
    "normal_sample_then_log_prob": (
        _log_density_of_a_wide_sample_under_a_narrow_gaussian,
        columns((0.0,), HUGE_LOG_VAR, HUGE_LOG_VAR),
    ),
    "normal_kl": (_normal_kl, columns(BIG, HUGE_LOG_VAR, BIG, HUGE_LOG_VAR)),
    "normal_kl_to_standard": (_normal_kl_to_standard, columns(BIG, HUGE_LOG_VAR)),
    "bernoulli_log_prob": (distributions.bernoulli_log_prob, columns(LOGITS, (0.0, 0.5, 1.0))),
    "bernoulli_kl": (distributions.bernoulli_kl, columns(LOGITS, LOGITS)),
    "relaxed_bernoulli_log_prob": (
        jax.vmap(distributions.relaxed_bernoulli_log_prob),
        columns(LOGITS, LOGITS, (0.01, 1.0, 100.0)),
    ),
    "relaxed_bernoulli_sample_and_log_prob": (
        _relaxed_bernoulli_sample_and_log_prob,
        columns(LOGITS, (0.01, 1.0, 100.0)),
    ),
    "categorical_kl": (_categorical_kl, columns(LOGITS, LOGITS)),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_parameters_give_finite_values_and_gradients(name):
    function, arguments = EXTREMES[name]
    values = function(*arguments)
    assert np.all(np.isfinite(np.asarray(values))), values
    gradients = jax.jit(jax.grad(lambda a: jnp.sum(function(*a))))(arguments)
    for i, gradient in enumerate(gradients):
        assert np.all(np.isfinite(np.asarray(gradient))), f"argument {i}: {gradient}"


def test_log_variance_beyond_the_limit_counts_as_the_limit():
    limit = distributions.LOG_VAR_LIMIT
    for sign in (-1.0, 1.0):
        far, at = (GaussianParams(jnp.zeros(1), jnp.array([sign * value])) for value in (1e3, limit))
        for function in (
            lambda p: distributions.normal_log_prob(p, jnp.ones(1)),
            lambda p: distributions.normal_sample_and_log_prob(jax.random.key(0), p),
            lambda p: distributions.normal_kl(p, PARAMS._replace(mean=jnp.zeros(1), log_var=jnp.zeros(1))),
            distributions.normal_kl_to_standard,
        ):
            jax.tree.map(np.testing.assert_array_equal, function(far), function(at))
