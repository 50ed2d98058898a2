"""Few labels: methods side by side, the loss of M2 by hand, what is wrong with a request."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import semi_supervised
from experiments.common import inspection
from experiments.common.m2 import m2_experiment
from experiments.common.vae import split_each
from experiments.run import Finished, Options, load
from experiments.semi_supervised import Config
from jaxvae.data import gaussian_noise, shift
from jaxvae.errors import UserError
from jaxvae.models import ClassTerms, LadderNetwork, class_bound
from jaxvae.training import create_train_state, evaluation_keys, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, StepInput
from tests.experiments.conftest import SPEC, module_and_config

pytestmark = pytest.mark.usefixtures("images")


def small(**changes):
    _, config = module_and_config("semi_supervised", labels=(6,), hidden=(8,), latent_dim=2)
    return replace(config, **changes)


@pytest.mark.slow
def test_every_method_with_an_encoder_leaves_runs_and_a_row(images, tmp_path):
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=3)
    encoder = str(module.run(config, Options(name="m1", out=tmp_path)))
    methods = ("frozen", "m1", "m1_spread", "m1m2")
    folder = semi_supervised.run(small(methods=methods, encoder=encoder), Options(name="a", out=tmp_path))
    rows = {row["method"]: row for row in json.loads((folder / "summary.json").read_text())["errors"]}
    assert tuple(rows) == methods
    assert all(len(row["errors"]) == 2 and 0 <= row["error"] <= 100 for row in rows.values())
    for method in ("frozen", "m1m2"):
        run = load(folder / f"{method}_labels=6_seed=1")
        x = run.experiment.prepare(jax.random.split(jax.random.key(0), 2), jnp.ones((2, *SPEC.shape)))
        log_q = run.experiment.classify(run.params, run.model_state, jax.random.split(jax.random.key(1), 2), x)
        np.testing.assert_allclose(np.sum(np.exp(log_q), axis=1), 1.0, rtol=1e-5)
        assert (run.experiment.sample is not None) == (method == "m1m2")
    m1m2 = load(folder / "m1m2_labels=6_seed=0")
    noise, draw = split_each(evaluation_keys(0, 10))
    x = m1m2.experiment.prepare(noise, images.test.x)
    log_q = m1m2.experiment.classify(m1m2.params, m1m2.model_state, draw, x)
    assert rows["m1m2"]["errors"][0] == pytest.approx(100 * np.mean(np.argmax(log_q, 1) != images.test.labels))
    start, after = load(encoder).params, load(folder / "frozen_labels=6_seed=0").params["encoder"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), start, after)  # but for averaging
    assert (folder / "m1m2_labels=6_seed=0" / "figures" / "analogies.png").exists()


@pytest.mark.parametrize("method", ["frozen", "finetune", "scratch"])
def test_codes_stay_or_learn_and_start_where_they_should(method, images):
    module, of_encoder = module_and_config("autoencoder", net="dense", hidden=(), latent_dim=2)
    encoder = module.build(of_encoder, SPEC)
    batch = Batch(images.train.x[:8], images.train.labels[:8], np.ones(8, np.float32))
    variables = encoder.init(jax.random.key(9), batch)
    experiment = semi_supervised.build(small(methods=(method,), encoder="a"), SPEC, encoder, variables)
    state = create_train_state(experiment, jax.random.key(0), batch)
    after, _ = jax.jit(make_train_step(experiment.loss, experiment.optimizer))(state, batch)
    kernels = [
        params["pairs_0"]["kernel"] for params in (variables[0], state.params["encoder"], after.params["encoder"])
    ]
    given, before, now = kernels
    assert np.array_equal(before, given) == (method != "scratch")
    assert np.array_equal(now, before) == (method == "frozen")
    assert not np.array_equal(after.params["head"]["kernel"], state.params["head"]["kernel"])


def m2_of(images, labels):
    experiment = semi_supervised.build(small(methods=("m2",)), SPEC)
    batch = Batch(images.train.x[:8], np.asarray(labels, np.int32), np.ones(8, np.float32))
    return experiment, batch, create_train_state(experiment, jax.random.key(0), batch)


def test_loss_of_m2_is_its_bound_and_the_weighted_cross_entropy_of_known_classes(images):
    labels = np.array([0, -1, 2, -1, -1, -1, -1, -1])
    experiment, batch, state = m2_of(images, labels)
    inputs = StepInput(batch, step_keys(state, 8), state.step, {})
    loss, (_, metrics) = jax.jit(experiment.loss)(state.params, {}, inputs)
    assert float(loss) == pytest.approx(float(-metrics["bound"] + 50 * metrics["cross_entropy"]), rel=1e-5)
    noise, draw = split_each(inputs.keys.examples)
    x = experiment.prepare(noise, jnp.asarray(batch.x))
    model = semi_supervised.m2(small(), SPEC, None)
    terms = model.apply({"params": state.params}, split_each(draw)[1], x)
    assert float(metrics["bound"]) == pytest.approx(float(jnp.mean(class_bound(terms, jnp.asarray(labels)))), rel=1e-5)
    want = -(terms.log_qy[0, 0] + terms.log_qy[2, 2]) / 2
    assert float(metrics["cross_entropy"]) == pytest.approx(float(want), rel=1e-4)


def test_classifier_of_m2_learns_from_shifted_images_and_all_else_from_them_as_they_are(images):
    config = small(methods=("m2",), shift=2, classifier="conv")
    experiment = semi_supervised.build(config, SPEC)
    labels = np.array([0, -1, 2, -1, -1, -1, -1, -1], np.int32)
    batch = Batch(images.train.x[:8], labels, np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    inputs = StepInput(batch, step_keys(state, 8), state.step, {})
    _, (_, metrics) = jax.jit(experiment.loss)(state.params, {}, inputs)
    noise, draw = split_each(inputs.keys.examples)
    of_classifier, of_style = split_each(draw)
    x = experiment.prepare(noise, jnp.asarray(batch.x))
    moved = shift(split_each(of_classifier)[0], x, 2)
    variables = {"params": state.params}
    model = semi_supervised.m2(config, SPEC, None)
    bounds = model.apply(variables, of_style, x).bounds
    log_qy = model.apply(variables, moved, method="classify")
    want = jnp.mean(class_bound(ClassTerms(bounds, log_qy), jnp.asarray(labels)))
    assert float(metrics["bound"]) == pytest.approx(float(want), rel=1e-5)
    assert float(metrics["cross_entropy"]) == pytest.approx(float(-(log_qy[0, 0] + log_qy[2, 2]) / 2), rel=1e-4)
    assert "conv_0" in str(jax.tree_util.tree_structure(state.params["classifier"]))
    found = experiment.evaluate(state.params, {}, inputs.keys.examples, batch, {})  # where nothing is moved
    bounds = class_bound(model.apply(variables, of_style, x), jnp.full(8, -1))
    np.testing.assert_allclose(found["bound"], bounds, rtol=1e-4)
    found = experiment.classify(state.params, {}, draw, x)
    np.testing.assert_allclose(found, model.apply(variables, x, method="classify"), rtol=1e-4)


def m1m2_of(images, **changes):
    """M1 + M2 on a VAE that is not trained, and the means and variances of its latents of all training images."""
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=3)
    below = module.build(config, SPEC)
    x = jnp.asarray(images.train.x)
    batch = Batch(x, np.full(len(x), -1, np.int32), np.ones(len(x), np.float32))
    variables = below.init(jax.random.key(9), batch)
    experiment = semi_supervised.build(small(methods=("m1m2",), encoder="a", **changes), SPEC, below, variables)
    latents = below.posterior(*variables, x / 255)
    return experiment, batch, create_train_state(experiment, jax.random.key(0), batch), latents, (below, variables)


def test_m1m2_learns_from_latents_as_from_their_images(images):
    experiment, batch, state, latents, _ = m1m2_of(images)
    keys = step_keys(state, len(batch.x))
    losses = [
        jax.jit(experiment.loss)(state.params, state.model_state, StepInput(one, keys, state.step, {}))[0]
        for one in (batch, batch._replace(x=latents))
    ]
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    other = experiment.init(jax.random.key(0), batch._replace(x=latents))[1]
    for name in ("center", "scale"):
        np.testing.assert_allclose(other[name], state.model_state[name], rtol=1e-5)
    padded = jax.tree.map(lambda leaf: np.concatenate([leaf, np.zeros_like(leaf[:3])]), batch._replace(x=latents))
    for name in ("center", "scale"):  # rows that only fill the batch do not count
        found = experiment.init(jax.random.key(0), padded)[1][name]
        np.testing.assert_allclose(found, state.model_state[name], rtol=1e-5)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_latents_of_m1m2_are_standardized_and_drawn_with_part_of_their_deviation(noise, images):
    experiment, batch, state, latents, _ = m1m2_of(images, latent_noise=noise)
    mean, deviation = np.asarray(latents.mean), np.exp(0.5 * np.asarray(latents.log_var))
    keys = step_keys(state, len(mean)).examples
    drawn = jax.vmap(lambda key: jax.random.normal(key, (3,)))(split_each(split_each(keys)[1])[0])
    scale = np.maximum(np.sqrt(mean.var(axis=0) + noise**2 * np.mean(deviation**2, axis=0)), 0.1)
    z = (mean + noise * deviation * np.asarray(drawn) - mean.mean(axis=0)) / scale
    model = semi_supervised.m2(small(), SPEC, m1m2_of(images)[4][0])
    terms = model.apply({"params": state.params}, split_each(split_each(keys)[1])[1], z)
    inputs = StepInput(batch, step_keys(state, len(mean)), state.step, {})
    _, (_, metrics) = jax.jit(experiment.loss)(state.params, state.model_state, inputs)
    assert float(metrics["bound"]) == pytest.approx(float(jnp.mean(class_bound(terms, batch.labels))), rel=1e-4)
    means = (mean - mean.mean(axis=0)) / scale
    classes = experiment.classify(state.params, state.model_state, keys, batch.x / 255)
    np.testing.assert_allclose(
        classes, model.apply({"params": state.params}, means, method="classify"), rtol=1e-3, atol=1e-4
    )


def test_what_m1m2_makes_of_a_latent_is_decoded_in_the_units_of_m1(images):
    experiment, batch, state, _, (below, variables) = m1m2_of(images)
    model, x, y = semi_supervised.m2(small(), SPEC, below), batch.x[:2] / 255, jnp.array([0, 2])
    keys = jax.random.split(jax.random.key(1), 2)
    found = experiment.analogies(state.params, state.model_state, keys, x, y)
    center, scale = state.model_state["center"], state.model_state["scale"]
    z = (below.posterior(*variables, x).mean - center) / scale
    style = model.apply({"params": state.params}, z, y, method="style").mean
    params = model.apply({"params": state.params}, style, jnp.array([1, 1]), method="decode")
    want = below.decode(*variables, keys, jax.vmap(model.likelihood.mean)(params) * scale + center)
    np.testing.assert_allclose(found[:, 1], want, rtol=1e-3, atol=1e-4)


def test_latents_of_m1_are_those_of_images_in_their_order(images, tmp_path, monkeypatch):
    *_, (below, variables) = m1m2_of(images)
    monkeypatch.setattr(inspection, "evaluation_batch", lambda spec: 16)  # and 40 images
    found = inspection.latents_of(Finished(below, None, *variables, tmp_path, {}), images.train)
    for one, want in zip(found, below.posterior(*variables, jnp.asarray(images.train.x) / 255), strict=True):
        np.testing.assert_allclose(one, want, rtol=1e-4, atol=1e-5)


def test_m1m2_trains_on_latents_that_were_encoded_once(images, tmp_path, monkeypatch):
    *_, (below, variables) = m1m2_of(images)
    encoder, pools = Finished(below, None, *variables, tmp_path, {}), []
    monkeypatch.setattr(semi_supervised, "load", lambda place: encoder)
    monkeypatch.setattr(semi_supervised, "_stage", lambda encoder: {})
    monkeypatch.setattr(semi_supervised, "_train", lambda method, num, config, pool, *_: pools.append(pool) or [])
    semi_supervised.run(small(methods=("m1m2",), encoder="a"), Options(name="a", out=tmp_path))
    want = inspection.latents_of(encoder, images.train)
    np.testing.assert_array_equal(pools[0].train.x.mean[:40], want.mean)
    np.testing.assert_array_equal(pools[0].train.x.log_var[40:], want.log_var)


def test_latents_are_not_corrupted(images):
    below = m1m2_of(images)[4][0]
    model = semi_supervised.m2(small(), SPEC, below)
    with pytest.raises(ValueError, match="corrupt is of images"):
        m2_experiment(
            name="a",
            spec=SPEC,
            model=model,
            prepare=below.prepare,
            optimizer=optax.sgd(0.1),
            classifier_weight=1.0,
            corrupt=lambda keys, x: x,
            below=below,
        )


def test_classifier_from_scratch_learns_from_images_that_are_shifted_and_then_corrupted(images):
    config = small(methods=("scratch",), shift=2, noise="gaussian", noise_level=0.3)
    experiment = semi_supervised.build(config, SPEC)
    batch = Batch(images.train.x[:8], images.train.labels[:8], np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    inputs = StepInput(batch, step_keys(state, 8), state.step, {})
    loss, _ = jax.jit(experiment.loss)(state.params, state.model_state, inputs)
    noise, draw = split_each(inputs.keys.examples)
    first, second = split_each(noise)
    of_shift, of_noise = split_each(second)
    moved = shift(of_shift, experiment.prepare(first, jnp.asarray(batch.x)), 2)
    seen = gaussian_noise(of_noise, moved, 0.3)
    log_q = experiment.classify(state.params, state.model_state, draw, seen)
    want = -np.mean(np.asarray(log_q)[np.arange(8), batch.labels])
    assert float(loss) == pytest.approx(want, rel=1e-4)
    first, draw = split_each(inputs.keys.examples)
    found = experiment.evaluate(state.params, state.model_state, inputs.keys.examples, batch, {})["cross_entropy"]
    clean = experiment.prepare(first, jnp.asarray(batch.x))
    log_q = experiment.classify(state.params, state.model_state, draw, clean)
    np.testing.assert_allclose(found, -np.asarray(log_q)[np.arange(8), batch.labels], rtol=1e-4)


def test_loss_of_a_ladder_weighs_the_costs_of_its_layers_from_the_image_upwards(images):
    config = small(methods=("ladder",), ladder=(5,), ladder_costs=(100.0, 10.0))
    experiment = semi_supervised.build(config, SPEC)
    labels = np.array([0, -1, 2, -1, -1, -1, -1, -1], np.int32)
    batch = Batch(images.train.x[:8], labels, np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    inputs = StepInput(batch, step_keys(state, 8), state.step, {})
    loss, (_, metrics) = jax.jit(experiment.loss)(state.params, state.model_state, inputs)
    variables = {"params": state.params, **state.model_state}
    net, x, hidden = LadderNetwork(3, (5,), 0.3), jnp.asarray(batch.x) / 255, (labels < 0).astype(np.float32)
    terms, _ = net.apply(variables, inputs.keys.examples, x, hidden, train=True, mutable=["batch_stats"])
    cost = np.mean((np.asarray(terms.costs) @ np.array([100.0, 10.0, 10.0]))[labels < 0])
    cross_entropy = -(terms.log_q[0, 0] + terms.log_q[2, 2]) / 2
    assert float(metrics["cost"]) == pytest.approx(cost, rel=1e-3)
    assert float(metrics["cross_entropy"]) == pytest.approx(float(cross_entropy), rel=1e-3)
    assert float(loss) == pytest.approx(float(metrics["cost"] + metrics["cross_entropy"]), rel=1e-5)


@pytest.mark.parametrize("method", ["m2", "ladder"])
def test_gradients_of_replicas_are_those_of_the_whole_batch(method, images):
    """Though known classes are divided unevenly: three of the first half, one of the other."""
    experiment = semi_supervised.build(small(methods=(method,), ladder=(5,)), SPEC)
    labels = np.array([0, 1, 2, -1, -1, -1, 0, -1], np.int32)
    batch = Batch(images.train.x[:8], labels, np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    keys = step_keys(state, 8)

    def gradient(batch, examples, axis_name=None):
        inputs = StepInput(batch, keys._replace(examples=examples), state.step, {}, axis_name)
        found = jax.grad(lambda params: experiment.loss(params, state.model_state, inputs)[0])(state.params)
        return jax.lax.pmean(found, axis_name) if axis_name else found

    whole = jax.jit(gradient)(batch, keys.examples)
    half = jax.tree.map(lambda leaf: leaf.reshape(2, 4, *leaf.shape[1:]), (batch, keys.examples))
    apart = jax.pmap(lambda batch, keys: gradient(batch, keys, "data"), "data", devices=jax.devices()[:2])(*half)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=2e-3, atol=1e-4), apart, whole)


def test_a_batch_without_known_classes_learns_from_its_images(images):
    experiment, batch, state = m2_of(images, np.full(8, -1))
    _, metrics = jax.jit(make_train_step(experiment.loss, experiment.optimizer))(state, batch)
    assert metrics["cross_entropy"] == 0
    assert metrics["loss"] == pytest.approx(float(-metrics["bound"]), rel=1e-6)
    assert metrics["grad_norm"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("m1m2",)}, "--encoder is None, expected a run, which m1m2 needs"),
        ({"methods": ()}, "--methods is .*expected different ones"),
        ({"labels": (0,)}, "--labels is .*at least 1"),
        ({"known_fraction": 1.0}, "--known-fraction is 1.0"),
        ({"noise": "masking", "noise_level": 1.5}, "--noise-level is 1.5, expected 0 to 1 of masking"),
        ({"ladder": (5,), "ladder_costs": (1.0,) * 4}, "--ladder-costs is .*one to 3 numbers"),
        ({"shift": -1}, "--shift is -1, expected at least 0"),
        ({"latent_noise": -0.1}, "--latent-noise is -0.1, expected at least 0"),
        ({"precision": "bf16"}, "--precision is bf16, expected float32, but for m2 and m1m2"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


def test_labels_that_cannot_be_are_an_error_before_a_folder_is_made(tmp_path):
    with pytest.raises(UserError, match="--labels is 2, fewer than the 3 classes"):
        semi_supervised.run(small(labels=(2,)), Options(name="a", out=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"methods": ("ladder",), "noise": "masking"},
            "--noise is masking, expected none without a method",
        ),
        ({"methods": ("ladder",), "shift": 1}, "--shift is 1, expected 0 without a method that uses it: scratch, "),
        ({"methods": ("scratch",), "classifier": "conv"}, "--classifier is conv, expected mlp .* uses it: m2"),
        ({"methods": ("m2",), "latent_noise": 1.0}, "--latent-noise is 1.0, expected 0.3 .* uses it: m1m2"),
    ],
)
def test_settings_that_no_method_uses_are_an_error_before_a_folder_is_made(changes, message, images, tmp_path):
    with pytest.raises(UserError, match=message):
        semi_supervised.run(small(**changes), Options(name="a", out=tmp_path))
    assert not list(tmp_path.iterdir())


def test_shifts_out_of_the_image_are_an_error_before_a_folder_is_made(tmp_path):
    with pytest.raises(UserError, match="--shift is 12, expected less than the 12 pixels of an image"):
        semi_supervised.run(small(methods=("m2",), shift=12), Options(name="a", out=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pixel_cnn", "--encoder a is a run of pixel_cnn, which has no codes"),
        ("autoencoder", "--labels is 5, expected so many that there are two of every class"),
    ],
)
def test_m1_needs_codes_and_two_labels_of_every_class(name, message, tmp_path, monkeypatch):
    module, config = module_and_config(name)
    encoder = Finished(module.build(config, SPEC), config, None, None, tmp_path, {})
    monkeypatch.setattr(semi_supervised, "load", lambda place: encoder)
    with pytest.raises(UserError, match=message):
        semi_supervised.run(small(methods=("m1",), encoder="a", labels=(5,)), Options(name="a", out=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_resumed_comparison_keeps_its_earlier_rows(tmp_path):
    options = Options(name="a", out=tmp_path)
    folder = semi_supervised.run(small(methods=("m2",), num_draws=1), options)
    semi_supervised.run(small(methods=("ladder",), num_draws=1, ladder=(32, 16)), replace(options, resume=True))
    rows = json.loads((folder / "summary.json").read_text())["errors"]
    assert [(row["method"], row["labels"]) for row in rows] == [("m2", 6), ("ladder", 6)]
    assert all(0 <= row["error"] <= 100 for row in rows)
    for method in ("m2", "ladder"):
        assert load(folder / f"{method}_labels=6_seed=0").experiment.classify is not None


def test_resumed_comparison_may_add_methods_that_do_not_use_its_settings(images, tmp_path, monkeypatch):
    monkeypatch.setattr(semi_supervised, "_train", lambda *_: [])
    options = Options(name="a", out=tmp_path)
    semi_supervised.run(small(methods=("scratch",), shift=2), options)
    folder = semi_supervised.run(small(methods=("ladder",), shift=2), replace(options, resume=True))
    rows = json.loads((folder / "summary.json").read_text())["errors"]
    assert [row["method"] for row in rows] == ["scratch", "ladder"]


def test_rows_that_were_made_are_kept_when_a_later_method_fails(tmp_path, monkeypatch):
    def train(method, *_):
        if method == "ladder":
            raise MemoryError
        return []

    monkeypatch.setattr(semi_supervised, "_train", train)
    with pytest.raises(MemoryError):
        semi_supervised.run(small(methods=("m2", "ladder"), num_draws=1), Options(name="a", out=tmp_path))
    summary = json.loads((tmp_path / "semi_supervised" / "a" / "summary.json").read_text())
    assert [row["method"] for row in summary["errors"]] == ["m2"]


def test_figure_of_errors_goes_from_few_labels_to_many_with_the_spread_over_draws(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(semi_supervised, "_train", lambda method, num, *_: [num])
    monkeypatch.setattr(semi_supervised, "_errors", lambda members, _: [30.0 / members[0], 60.0 / members[0]])
    monkeypatch.setattr(semi_supervised, "totals", lambda *_: {})
    monkeypatch.setattr(
        semi_supervised.viz, "save_learning_curve", lambda *place, **texts: drawn.update(place=place, **texts)
    )
    semi_supervised.run(small(methods=("m2",), labels=(15, 6), num_draws=2), Options(name="a", out=tmp_path))
    path, sizes, curves = drawn["place"]
    assert (path.name, sizes, curves) == ("errors.png", [6, 15], {"m2": [7.5, 3.0]})
    np.testing.assert_allclose(drawn["spreads"]["m2"], [5 / np.sqrt(2), 2 / np.sqrt(2)], atol=1e-3)


def test_m1m2_on_an_autoencoder_is_an_error():
    module, config = module_and_config("autoencoder", net="dense", hidden=(), latent_dim=2)
    with pytest.raises(UserError, match="--encoder is a run of autoencoder, m1m2 needs one of a VAE"):
        semi_supervised.build(small(methods=("m1m2",), encoder="a"), SPEC, module.build(config, SPEC))
