"""The top-down hierarchy: its terms group by group, a linear-Gaussian one, and what is drawn of it."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae import objectives
from jaxvae.flows import CouplingFlow
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.models import TopDownVAE
from jaxvae.models.top_down_group import TopDownGroup
from jaxvae.nets import BottomUp, Enlarge, Group, ImageDecoder
from jaxvae.priors import FlowPrior
from tests.drawn import normal_like

SHAPE, GROUPS = (4, 4, 1), (Group(1, 3, 2), Group(2, 2, 1), Group(2, 2, 1))
DIMS = (2, 4, 4)
LIKELIHOOD = bernoulli()
KEYS = jax.random.split(jax.random.key(1), 3)
IMAGES = jax.random.bernoulli(jax.random.key(2), 0.4, (3, *SHAPE)).astype(jnp.float32)


def small(**options):
    decoder = ImageDecoder(Enlarge(SHAPE), LIKELIHOOD.param_shapes(SHAPE), latent_axes=3)
    return TopDownVAE(GROUPS, BottomUp(GROUPS), decoder, LIKELIHOOD, SHAPE, **options)


MODEL, FLOW = small(), small(prior=FlowPrior(CouplingFlow(DIMS[0], 2, (4,))))


@functools.cache
def params_of(model):
    """Parameters of some size: nothing is at zero, where it starts."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), KEYS, IMAGES)
    return normal_like(shapes["params"], scale=0.4)


@functools.partial(jax.jit, static_argnames=("method", "num_samples", "model"))
def apply(method, *args, num_samples=None, model=MODEL, params=None):
    options = {} if num_samples is None else {"num_samples": num_samples}
    params = params_of(model) if params is None else params
    return model.apply({"params": params}, *args, **options, method=method)


@jax.jit
def infer(z):
    """What is inferred of given latents."""
    bound = MODEL.bind({"params": params_of(MODEL)})
    return bound._infer(bound.encoder(IMAGES), z=jnp.asarray(z, jnp.float32))[0]


@pytest.fixture(scope="module")
def terms_and_latents():
    return apply("__call__", KEYS, IMAGES, num_samples=2), apply("draw", KEYS, IMAGES, num_samples=2)


def parts(z):
    return np.split(np.asarray(z), np.cumsum(DIMS)[:-1], axis=-1)


# ---------- terms


def test_terms_have_a_column_for_each_group(terms_and_latents):
    terms, z = terms_and_latents
    assert terms.log_px.shape == (2, 3)
    assert terms.log_pz.shape == terms.log_qz.shape == (2, 3, 3)
    assert z.shape == (2, 3, sum(DIMS))
    assert MODEL.group_shapes == ((1, 1, 2), (2, 2, 1), (2, 2, 1))


def test_prior_of_every_group_is_standard_normal_in_its_own_coordinates(terms_and_latents):
    terms, z = terms_and_latents
    expected = np.stack([stats.norm.logpdf(part).sum(-1) for part in parts(z)], axis=-1)
    np.testing.assert_allclose(terms.log_pz, expected, rtol=1e-5)


def test_log_joint_and_log_posterior_are_sums_of_the_terms(terms_and_latents):
    terms, z = terms_and_latents
    np.testing.assert_allclose(apply("log_joint", IMAGES, z), terms.log_px + terms.log_pz.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(apply("log_prior", z), terms.log_pz.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(apply("log_posterior", IMAGES, z), terms.log_qz.sum(-1), rtol=1e-4, atol=1e-4)


def test_decoded_latents_are_what_the_terms_are_of(terms_and_latents):
    terms, z = terms_and_latents
    log_px = jax.vmap(jax.vmap(LIKELIHOOD.log_prob), (0, None))(apply("decode", z), IMAGES)
    np.testing.assert_allclose(terms.log_px, log_px, rtol=1e-5)


def test_groups_follow_from_those_above_and_not_from_those_below():
    """q of a group moves with the latents above, at one image with the same noise, and with none of its own."""
    ends, z = np.cumsum(DIMS), np.asarray(apply("prior_latents", KEYS))[None]
    moved = [z + 0.5 * (np.arange(sum(DIMS)) == start) for start in (0, *ends[:-1])]
    found = [parts(infer(one).q.mean) for one in (z, *moved)]
    for below in range(3):
        for above in range(3):
            same = np.array_equal(found[0][below], found[1 + above][below])
            assert same == (above >= below), (above, below)


@pytest.mark.parametrize("model", [MODEL, pytest.param(FLOW, marks=pytest.mark.slow)], ids=["normal", "flow"])
def test_kl_of_every_group_is_that_of_monte_carlo_and_not_negative(model):
    num = 4_000
    terms, q = apply("terms_and_stats", KEYS, IMAGES, num_samples=num, model=model)
    mean = apply("kl_per_group", terms, q, model=model)
    # Of every sample of the groups above by itself, as if it were an image.
    alone = jax.tree.map(lambda leaf: leaf.reshape(1, num * 3, *leaf.shape[2:]), (terms, q))
    closed = np.asarray(apply("kl_per_group", *alone, model=model)).reshape(num, 3, 3)
    np.testing.assert_allclose(mean, closed.mean(axis=0), rtol=1e-4)
    difference = closed - np.asarray(terms.log_qz - terms.log_pz)
    error = difference.std(axis=0) / np.sqrt(num)
    assert np.all(np.abs(difference.mean(axis=0)) < 4.5 * error + 1e-5)
    first = 0 if model is MODEL else 1  # that of a flow is of the samples
    assert closed[..., first:].min() >= 0.0
    assert np.min(mean) > 0.01
    assert np.all(difference[..., first:].std(axis=0) > 0.05)  # it has less variance
    assert not first or np.all(difference[..., 0] == 0.0)


def test_a_group_starts_with_the_posterior_at_the_prior():
    heads = lambda path, leaf: leaf * ("_head" not in jax.tree_util.keystr(path))  # noqa: E731
    params = jax.tree_util.tree_map_with_path(heads, params_of(MODEL))
    terms, _ = apply("terms_and_stats", KEYS, IMAGES, num_samples=2, params=params)
    np.testing.assert_array_equal(terms.log_pz, terms.log_qz)
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), KEYS, IMAGES)["params"]["layers_1"]
    layer = TopDownGroup(2, 1)
    h, features = jnp.zeros((1, 3, 2, 2, 2)), jnp.zeros((1, 3, 2, 2, 2))
    started = jax.jit(lambda: layer.init(jax.random.key(0), h, features, jnp.zeros((1, 3, 4)), None))()["params"]
    assert jax.tree.structure(started) == jax.tree.structure(shapes)
    assert all(not leaf.any() for name in ("p_head", "q_head") for leaf in jax.tree.leaves(started[name]))


@pytest.mark.slow
def test_encoder_may_see_other_images_than_are_scored(terms_and_latents):
    params = params_of(MODEL)
    seeing = jax.jit(lambda seen: MODEL.apply({"params": params}, KEYS, IMAGES, 2, seen, method="terms_and_stats"))
    terms, q = seeing(1 - IMAGES)
    of_others, others_q = apply("terms_and_stats", KEYS, 1 - IMAGES, num_samples=2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), q, others_q)
    np.testing.assert_allclose(terms.log_qz, of_others.log_qz, rtol=1e-5)
    assert np.all(np.abs(terms.log_px - of_others.log_px) > 0.1)
    np.testing.assert_allclose(seeing(IMAGES)[0].log_px, terms_and_latents[0].log_px, rtol=1e-5)


# ---------- examples, samples, numbers


def test_another_image_of_the_batch_leaves_all_others_bit_for_bit():
    other = IMAGES.at[1].set(1 - IMAGES[1])
    before, after = (apply("terms_and_stats", KEYS, x, num_samples=2) for x in (IMAGES, other))
    for one, two in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(one[:, [0, 2]], two[:, [0, 2]])
    assert np.all(before[0].log_px[:, 1] != after[0].log_px[:, 1])


@pytest.mark.slow
def test_fewer_samples_are_the_first_ones(terms_and_latents):
    one = apply("__call__", KEYS, IMAGES), apply("draw", KEYS, IMAGES, num_samples=1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:1], b, rtol=1e-4, atol=1e-5), terms_and_latents, one)


@pytest.mark.slow
def test_noise_belongs_to_its_key_and_is_never_used_twice():
    zeros = jax.tree.map(jnp.zeros_like, params_of(MODEL))
    noise = np.asarray(apply("draw", KEYS, IMAGES, num_samples=3, params=zeros))
    assert len(np.unique(np.abs(noise))) == noise.size
    order = np.array([2, 0, 1])
    np.testing.assert_array_equal(apply("draw", KEYS[order], IMAGES, num_samples=3, params=zeros), noise[:, order])


@functools.cache
def gradients(model):
    def loss(params):
        terms, q = model.apply({"params": params}, KEYS, IMAGES, method="terms_and_stats")
        kl = model.apply({"params": params}, terms, q, method="kl_per_group")
        return -jnp.mean(terms.log_px - jnp.sum(kl, axis=-1)[None])

    return jax.jit(jax.value_and_grad(loss))


@pytest.mark.slow
def test_remat_gives_the_same_gradients():
    again = small(remat=True).clone(encoder=BottomUp(GROUPS, remat=True))
    params = params_of(MODEL)
    assert str(jax.make_jaxpr(gradients(again))(params)).count("remat") >= len(GROUPS) + 3
    plain, remat = gradients(MODEL)(params), gradients(again)(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain, remat)


@pytest.mark.slow
@pytest.mark.parametrize("p", [-200.0, 200.0])
@pytest.mark.parametrize("q", [-200.0, 200.0])
def test_extreme_deviations_keep_value_and_gradient_finite(p, q):
    """A softplus of -200 is zero in float32."""
    params = params_of(MODEL)

    def with_bias(path, leaf):
        names = [key.key for key in path]
        ends = {"p_head": p, "q_head": q}
        if names[-1] == "bias" and names[-2] in ends:
            return np.float32([*leaf[: len(leaf) // 2], *[ends[names[-2]]] * (len(leaf) // 2)])
        return leaf

    extreme = jax.tree_util.tree_map_with_path(with_bias, params)
    assert jax.tree.leaves(jax.tree.map(lambda a, b: jnp.any(a != b), params, extreme)).count(True) == 5
    value, gradient = gradients(MODEL)(extreme)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_half_precision_is_of_the_networks_alone():
    decoder = ImageDecoder(Enlarge(SHAPE, jnp.bfloat16), LIKELIHOOD.param_shapes(SHAPE), jnp.bfloat16, latent_axes=3)
    half = MODEL.clone(encoder=BottomUp(GROUPS, jnp.bfloat16), decoder=decoder, dtype=jnp.bfloat16)
    terms, q = apply("terms_and_stats", KEYS, IMAGES, num_samples=2, model=half, params=params_of(MODEL))
    exact, _ = apply("terms_and_stats", KEYS, IMAGES, num_samples=2)
    assert {leaf.dtype for leaf in jax.tree.leaves((terms, q))} == {jnp.dtype("float32")}
    np.testing.assert_allclose(terms.log_px, exact.log_px, atol=0.5)
    assert np.all(terms.log_px != exact.log_px)


# ---------- a linear-Gaussian hierarchy: z_1, z_2 given z_1, an image of both

SIGMA, STEP_VAR, GAIN, OFFSET = 0.6, 0.3, 0.8, -0.4
W = np.array([[0.9, 0.3, 0.0, -0.5], [-0.3, 0.7, 0.4, 0.2]])  # of z_1 and z_2
BIAS = np.array([0.1, -0.2, 0.3, 0.0])
X = jnp.array([[0.5, -0.7, 1.0, 0.2], [-1.2, 0.4, 0.0, 0.9]]).reshape(2, 2, 2, 1)


class Flat(nn.Module):
    """A map of one place that has the pixels as channels, and two empty ones."""

    def __call__(self, x):
        flat = x.reshape(x.shape[0], 1, 1, 4)
        return (jnp.concatenate([flat, jnp.zeros((x.shape[0], 1, 1, 2))], axis=-1),)


class LinearDecoder(nn.Module):
    @nn.compact
    def __call__(self, h, x=None):
        return nn.Dense(4, name="dense")(h[..., 0, 0, :]).reshape(*h.shape[:-3], 2, 2, 1)


LINEAR = TopDownVAE((Group(1, 6, 1), Group(1, 6, 1)), Flat(), LinearDecoder(), gaussian(SIGMA), (2, 2, 1))


def joint():
    """Mean and covariance of (z_1, z_2, x)."""
    # (z_1, z_2, x) = mean + A (e_1, e_2, e_x), e ~ N(0, I)
    a = np.zeros((6, 6))
    a[0, 0] = 1.0
    a[1, :2] = GAIN, np.sqrt(STEP_VAR)
    a[2:, :2] = W.T @ a[:2, :2]
    a[2:, 2:] = SIGMA * np.eye(4)
    mean = np.concatenate([[0.0, OFFSET], BIAS + W[1] * OFFSET])
    return mean, a @ a.T


def conditional(of, given):
    """Weights, offset and variance of one variable given others."""
    mean, covariance = joint()
    weights = np.linalg.solve(covariance[np.ix_(given, given)], covariance[given, of])
    return weights, mean[of] - weights @ mean[given], covariance[of, of] - weights @ covariance[given, of]


def head(channels, weights, offset, variance):
    """A 1x1 convolution to the mean, linear in some channels, and to a constant deviation."""
    kernel = np.zeros((1, 1, 6, 2))
    kernel[0, 0, channels, 0] = weights
    raw = np.log(np.expm1(np.sqrt(variance))) - np.log(np.expm1(1.0))
    return {"kernel": kernel, "bias": np.array([offset, raw])}


def linear_params(shift=0.0, scale=1.0):
    """Blocks of zeros are the identity, so that all is linear: channels 0 to 3 are pixels, 4 and 5 the latents."""
    shapes = jax.eval_shape(LINEAR.init, jax.random.key(0), KEYS[:2], X)["params"]
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    same = {"kernel": np.eye(6)[None, None], "bias": np.zeros(6)}
    weights_1, offset_1, variance_1 = conditional(0, [2, 3, 4, 5])
    weights_2, offset_2, variance_2 = conditional(1, [2, 3, 4, 5, 0])
    first, second = params["layers_0"], params["layers_1"]
    first["q_head"] = head([0, 1, 2, 3], weights_1, offset_1 + shift, scale * variance_1)
    second["q_head"] = head([0, 1, 2, 3, 4], weights_2, offset_2 + shift, scale * variance_2)
    second["p_head"] = head([4], GAIN, OFFSET, STEP_VAR)
    for layer, channel in ((first, 4), (second, 5)):
        layer["q_encoder"], layer["q_above"] = same, {"kernel": same["kernel"]}
        layer["z_in"] = {"kernel": np.eye(6)[None, None, channel : channel + 1], "bias": np.zeros(6)}
    params["decoder"]["dense"] = {"kernel": np.concatenate([np.zeros((4, 4)), W]), "bias": BIAS}
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)


def log_marginal():
    mean, covariance = joint()
    return stats.multivariate_normal(mean[2:], covariance[2:, 2:]).logpdf(np.asarray(X).reshape(2, 4))


def linear_terms(params, num):
    return apply("__call__", KEYS[:2], X, num_samples=num, model=LINEAR, params=params)


def test_linear_hierarchy_with_exact_posteriors_has_every_weight_at_the_marginal():
    terms = linear_terms(linear_params(), 5)
    np.testing.assert_allclose(objectives.log_weights(terms), np.stack([log_marginal()] * 5), rtol=2e-5)
    np.testing.assert_allclose(objectives.iwae(terms), log_marginal(), rtol=2e-5)


@pytest.mark.slow
def test_linear_hierarchy_with_wrong_posteriors_has_a_lower_elbo_that_iwae_makes_up():
    num = 20_000
    terms = linear_terms(linear_params(shift=0.3, scale=1.5), num)
    assert np.all(objectives.elbo(terms) < log_marginal() - 0.2)
    ratios = np.exp(np.asarray(objectives.log_weights(terms), np.float64) - log_marginal())
    assert np.all(np.abs(ratios.mean(0) - 1.0) < 4.0 * ratios.std(0) / np.sqrt(num))


@pytest.mark.slow
def test_linear_posterior_of_given_latents_is_the_gaussian():
    z = np.random.default_rng(0).standard_normal((3, 2, 2)).astype(np.float32)
    found = apply("log_posterior", X, jnp.asarray(z), model=LINEAR, params=linear_params())
    x = np.asarray(X).reshape(2, 4)
    expected = np.zeros((3, 2))
    for s, b in np.ndindex(3, 2):
        z_1, z_2 = z[s, b, 0], OFFSET + GAIN * z[s, b, 0] + np.sqrt(STEP_VAR) * z[s, b, 1]
        for of, value, given in ((0, z_1, x[b]), (1, z_2, [*x[b], z_1])):
            weights, offset, variance = conditional(of, [2, 3, 4, 5, *([0] if of else [])])
            expected[s, b] += stats.norm.logpdf(value, weights @ given + offset, np.sqrt(variance))
        expected[s, b] += 0.5 * np.log(STEP_VAR)  # in the coordinates of the prior
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# ---------- what a trained model is used for


@pytest.mark.slow
def test_codes_are_the_means_of_every_group_at_the_means_above():
    (means,) = apply("latent_means", KEYS, IMAGES, num_samples=7)
    found = infer(means[None])
    np.testing.assert_allclose(means, found.q.mean[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.noise, 0.0, atol=1e-5)


def test_prior_latents_are_standard_normal_and_belong_to_their_keys():
    keys = jax.random.split(jax.random.key(4), 4_000)
    z = np.asarray(apply("prior_latents", keys))
    assert z.shape == (4_000, sum(DIMS))
    assert np.all(np.abs(z.mean(0)) < 4.5 / np.sqrt(4_000))
    assert np.all(np.abs(np.cov(z.T) - np.eye(sum(DIMS))) < 4.5 * np.sqrt(2 / 4_000))
    np.testing.assert_array_equal(apply("prior_latents", keys[::-1]), z[::-1])
    np.testing.assert_array_equal(apply("draw_prior", keys[:5]), apply("prior_latents", keys[:5]))


@pytest.mark.slow
def test_top_group_is_drawn_of_its_prior():
    keys = jax.random.split(jax.random.key(4), 2_000)
    top = np.asarray(apply("prior_latents", keys, model=FLOW))[:, :2]
    bound = FLOW.bind({"params": params_of(FLOW)})
    noise, _ = jax.jit(bound.prior.flow.inverse)(top[None])
    assert np.all(np.abs(np.mean(noise, axis=(0, 1))) < 4.5 / np.sqrt(2_000))
    assert np.all(np.abs(np.cov(np.asarray(noise)[0].T) - np.eye(2)) < 4.5 * np.sqrt(2 / 2_000))
    assert abs(np.cov(top.T) - np.eye(2)).max() > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("model", [MODEL, FLOW], ids=["normal", "flow"])
def test_a_temperature_scales_the_noise_of_its_group(model):
    z = apply("prior_latents", KEYS, model=model)
    same = apply("temper", z, jnp.float32(1.0), model=model)
    np.testing.assert_allclose(same, z, rtol=1e-4, atol=1e-5)
    tempered = parts(apply("temper", z, jnp.array([0.5, 2.0, 1.0]), model=model))
    np.testing.assert_allclose(tempered[1], 2.0 * parts(z)[1], rtol=1e-6)
    np.testing.assert_allclose(tempered[2], parts(z)[2], rtol=1e-6)
    top, expected = parts(z)[0], 0.5 * parts(z)[0]
    if model is FLOW:
        flow = FLOW.bind({"params": params_of(FLOW)}).prior.flow
        expected = jax.jit(lambda top: flow(0.5 * flow.inverse(top)[0])[0])(top[None])[0]
        assert np.all(np.abs(expected - 0.5 * top).max(axis=1) > 1e-3)
    np.testing.assert_allclose(tempered[0], expected, rtol=1e-4, atol=1e-5)
