"""M2 as a system: what its classifier sees, latents of M1 in their units, replicas that share a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import (
    Classifies,
    Generates,
    GeneratesClasses,
    GeneratesTempered,
    TransfersStyle,
    require,
)
from jaxvae.data import shift
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli, gaussian_learned_scale
from jaxvae.models import ClassTerms, LadderNetwork, SemiSupervisedVAE, class_bound
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.systems.classifier import known_class_scores
from jaxvae.systems.corruption import make_corruption
from jaxvae.systems.ladder import ladder_system
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels, unchanged, unit_pixels
from jaxvae.systems.semi_supervised import m2_system
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, StepInput
from tests.squares import SPEC, batch_of_squares

LABELS = np.array([0, -1, 2, -1, -1, -1, -1, -1], np.int32)
M1 = VAEParts(SPEC, gaussian_vae("mlp", 3, bernoulli(), SPEC), binary_pixels(SPEC))


def objective(terms, labels, inputs):
    bound = jnp.mean(class_bound(terms, labels))
    found = known_class_scores(terms.log_qy, labels, inputs.axis_name)
    return -bound + 50.0 * found["cross_entropy"], {"bound": bound, **found}


def model_of(likelihood, shape, net):
    return SemiSupervisedVAE(
        classifier=net((8, SPEC.num_classes)),
        encoder=net((8,)),
        posterior=GaussianPosterior(2),
        decoder=ImageDecoder(MLP((8,)), likelihood.param_shapes(shape)),
        likelihood=likelihood,
        num_classes=SPEC.num_classes,
        features=8,
    )


MODEL = model_of(bernoulli(), SPEC.shape, MLPEncoder)
MODEL_OF_LATENTS = model_of(gaussian_learned_scale(0.2), (3,), MLP)


def m2_of_images(**options):
    return m2_system(
        name="m2",
        spec=SPEC,
        model=MODEL,
        prepare=binary_pixels(SPEC),
        objective=objective,
        optimizer=optax.adam(1e-3),
        **options,
    )


def m2_of_latents(**options):
    return m2_system(
        name="m1m2",
        spec=SPEC,
        model=MODEL_OF_LATENTS,
        prepare=unit_pixels(SPEC),
        objective=objective,
        optimizer=optax.adam(1e-3),
        first_stage=M1,
        **options,
    )


def trained_on(system, batch):
    state = create_train_state(system, jax.random.key(0), batch)
    return state, StepInput(batch, step_keys(state, len(batch.mask)), state.step, {})


@pytest.mark.slow
def test_loss_is_the_objective_of_the_terms_of_prepared_images():
    system, batch = m2_of_images(), batch_of_squares(labels=LABELS)
    state, inputs = trained_on(system, batch)
    loss, (_, metrics) = jax.jit(system.trainable.players[0].loss)(state.params, {}, inputs)
    noise, draw = split_each(inputs.keys.examples)
    x = system.prepare(noise, jnp.asarray(batch.x))
    terms = MODEL.apply({"params": state.params}, split_each(draw)[1], x)
    want, expected = objective(terms, jnp.asarray(LABELS), inputs)
    assert float(loss) == pytest.approx(float(want), rel=1e-5)
    assert float(metrics["bound"]) == pytest.approx(float(expected["bound"]), rel=1e-5)
    cross_entropy = -(terms.log_qy[0, 0] + terms.log_qy[2, 2]) / 2
    assert float(metrics["cross_entropy"]) == pytest.approx(float(cross_entropy), rel=1e-4)


def test_classifier_learns_from_shifted_images_and_all_else_from_them_as_they_are():
    system, batch = m2_of_images(corrupt=make_corruption("none", 0.0, 2)), batch_of_squares(labels=LABELS)
    state, inputs = trained_on(system, batch)
    _, (_, metrics) = jax.jit(system.trainable.players[0].loss)(state.params, {}, inputs)
    noise, draw = split_each(inputs.keys.examples)
    of_classifier, of_style = split_each(draw)
    x = system.prepare(noise, jnp.asarray(batch.x))
    moved, variables = shift(split_each(of_classifier)[0], x, 2), {"params": state.params}
    bounds = MODEL.apply(variables, of_style, x).bounds
    log_qy = MODEL.apply(variables, moved, method="classify")
    want = jnp.mean(class_bound(ClassTerms(bounds, log_qy), jnp.asarray(LABELS)))
    assert float(metrics["bound"]) == pytest.approx(float(want), rel=1e-5)
    assert float(metrics["cross_entropy"]) == pytest.approx(float(-(log_qy[0, 0] + log_qy[2, 2]) / 2), rel=1e-4)
    found = system.trainable.evaluate(state.params, {}, inputs.keys.examples, batch, {})  # where nothing is moved
    bounds = class_bound(MODEL.apply(variables, of_style, x), jnp.full(8, -1))
    np.testing.assert_allclose(found["bound"], bounds, rtol=1e-4)
    classes = require(system, Classifies).classify(state.params, {}, draw, x)
    np.testing.assert_allclose(classes, MODEL.apply(variables, x, method="classify"), rtol=1e-4)


def test_output_starts_at_the_mean_image():
    batch = batch_of_squares()
    params, _ = m2_of_images().trainable.init(jax.random.key(0), batch)
    flat = jax.tree.map(lambda leaf: 0 * leaf if leaf.ndim == 2 else leaf, params)  # no kernels
    of_x = MODEL.apply({"params": flat}, jnp.zeros((1, 2)), jnp.array([0]), method="decode")
    want = MODEL.likelihood.init_bias(jnp.mean(jnp.asarray(batch.x) / 255, axis=0))
    np.testing.assert_allclose(of_x[0], want, rtol=1e-4)


def m1m2_of_all(**options):
    """M1 + M2 on a VAE that is not trained, and q(z | x) of all images."""
    batch = batch_of_squares(40, np.full(40, -1))
    variables = M1.init(jax.random.key(9), batch)
    system = m2_of_latents(first_stage_variables=variables, **options)
    return system, batch, M1.posterior(*variables, jnp.asarray(batch.x) / 255), variables


@pytest.mark.slow
def test_m1m2_learns_from_latents_as_from_their_images():
    system, batch, latents, _ = m1m2_of_all()
    state, inputs = trained_on(system, batch)
    loss = jax.jit(system.trainable.players[0].loss)
    losses = [
        loss(state.params, state.model_state, inputs._replace(batch=one))[0]
        for one in (batch, batch._replace(x=latents))
    ]
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    init = jax.jit(system.trainable.init)
    other = init(jax.random.key(0), batch._replace(x=latents))[1]
    padded = jax.tree.map(lambda leaf: np.concatenate([leaf, np.zeros_like(leaf[:3])]), batch._replace(x=latents))
    again = init(jax.random.key(0), padded)[1]  # rows that only fill the batch do not count
    for name in ("center", "scale"):
        np.testing.assert_allclose(other[name], state.model_state[name], rtol=1e-5)
        np.testing.assert_allclose(again[name], state.model_state[name], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_latents_are_standardized_and_drawn_with_part_of_their_deviation(noise):
    system, batch, latents, _ = m1m2_of_all(latent_noise=noise)
    state, inputs = trained_on(system, batch)
    mean, deviation = np.asarray(latents.mean), np.exp(0.5 * np.asarray(latents.log_var))
    keys = inputs.keys.examples
    drawn = jax.vmap(lambda key: jax.random.normal(key, (3,)))(split_each(split_each(keys)[1])[0])
    scale = np.maximum(np.sqrt(mean.var(axis=0) + noise**2 * np.mean(deviation**2, axis=0)), 0.1)
    z = (mean + noise * deviation * np.asarray(drawn) - mean.mean(axis=0)) / scale
    terms = MODEL_OF_LATENTS.apply({"params": state.params}, split_each(split_each(keys)[1])[1], z)
    _, (_, metrics) = jax.jit(system.trainable.players[0].loss)(state.params, state.model_state, inputs)
    assert float(metrics["bound"]) == pytest.approx(float(jnp.mean(class_bound(terms, batch.labels))), rel=1e-4)
    means = (mean - mean.mean(axis=0)) / scale
    classes = require(system, Classifies).classify(state.params, state.model_state, keys, batch.x / 255)
    want = MODEL_OF_LATENTS.apply({"params": state.params}, means, method="classify")
    np.testing.assert_allclose(classes, want, rtol=1e-3, atol=1e-4)


def test_samples_are_of_the_classes_in_turn_or_of_those_asked_for_and_alike_at_a_low_temperature():
    system, key = m2_of_images(), jax.random.key(0)
    params, state = jax.jit(system.trainable.init)(jax.random.key(1), batch_of_squares())
    labels = jnp.array([0, 1, 2, 0, 1])
    in_turn = require(system, Generates).sample(key, params, state, 5)
    of_classes = require(system, GeneratesClasses)
    assert of_classes.num_classes == 3
    np.testing.assert_array_equal(in_turn.x, of_classes.sample(key, params, state, labels).x)
    other = of_classes.sample(key, params, state, labels.at[1].set(0)).x
    np.testing.assert_array_equal(np.any(other != in_turn.x, axis=(1, 2, 3)), [False, True, False, False, False])
    cold = require(system, GeneratesTempered).sample(key, params, state, labels, 1e-6).x
    np.testing.assert_allclose(cold[0], cold[3], atol=1e-5)
    assert np.abs(cold[0] - cold[1]).max() > 1e-3


@pytest.mark.slow
def test_what_m1m2_makes_of_a_latent_is_decoded_in_the_units_of_m1():
    system, batch, _, variables = m1m2_of_all()
    state, _ = trained_on(system, batch)
    x, y = batch.x[:2] / 255, jnp.array([0, 2])
    keys = jax.random.split(jax.random.key(1), 2)
    found = require(system, TransfersStyle).analogies(state.params, state.model_state, keys, x, y)
    center, scale = state.model_state["center"], state.model_state["scale"]
    z = (M1.posterior(*variables, x).mean - center) / scale
    apply = MODEL_OF_LATENTS.apply
    style = apply({"params": state.params}, z, y, method="style").mean
    params = apply({"params": state.params}, style, jnp.array([1, 1]), method="decode")
    want = M1.decode(*variables, keys, jax.vmap(MODEL_OF_LATENTS.likelihood.mean)(params) * scale + center)
    np.testing.assert_allclose(found[:, 1], want, rtol=1e-3, atol=1e-4)
    samples = require(system, Generates).sample(jax.random.key(0), state.params, state.model_state, 4)
    assert samples.x.shape == (4, *SPEC.shape)
    np.testing.assert_array_equal(samples.mean, samples.x)


def test_parts_alone_have_the_shapes_of_a_checkpoint():
    system, batch, *_ = m1m2_of_all()
    loaded, trained = (
        jax.eval_shape(init, jax.random.key(0), batch) for init in (system.parts.init, system.trainable.init)
    )
    assert jax.tree.map(lambda leaf: leaf.shape, loaded) == jax.tree.map(lambda leaf: leaf.shape, trained)


def test_latents_are_not_corrupted():
    with pytest.raises(ValueError, match="corrupt is of images"):
        m2_of_latents(corrupt=unchanged)


def test_a_batch_without_known_classes_learns_from_its_images():
    system, batch = m2_of_images(), batch_of_squares(labels=np.full(8, -1))
    state, _ = trained_on(system, batch)
    _, metrics = jax.jit(make_train_step(system.trainable.players))(state, batch)
    assert metrics["cross_entropy"] == 0
    assert metrics["loss"] == pytest.approx(float(-metrics["bound"]), rel=1e-6)
    assert metrics["grad_norm"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["m2", "ladder"])
def test_gradients_of_replicas_are_those_of_the_whole_batch(kind):
    """Though known classes are divided unevenly: three of the first half, one of the other."""
    optimizer = optax.adam(1e-3)
    system = m2_of_images()
    if kind == "ladder":
        model = LadderNetwork(3, (5,), 0.3)
        system = ladder_system(name="ladder", spec=SPEC, model=model, optimizer=optimizer, costs=(1000.0, 10.0, 0.1))
    batch = batch_of_squares(labels=[0, 1, 2, -1, -1, -1, 0, -1])
    state, inputs = trained_on(system, batch)
    keys, loss = inputs.keys, system.trainable.players[0].loss

    def gradient(batch: Batch, examples, axis_name=None):
        inputs = StepInput(batch, keys._replace(examples=examples), state.step, {}, axis_name)
        found = jax.grad(lambda params: loss(params, state.model_state, inputs)[0])(state.params)
        return jax.lax.pmean(found, axis_name) if axis_name else found

    whole = jax.jit(gradient)(batch, keys.examples)
    half = jax.tree.map(lambda leaf: leaf.reshape(2, 4, *leaf.shape[1:]), (batch, keys.examples))
    apart = jax.pmap(lambda batch, keys: gradient(batch, keys, "data"), "data", devices=jax.devices()[:2])(*half)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=2e-3, atol=1e-4), apart, whole)
