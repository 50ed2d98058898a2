"""Few labels: methods side by side in a study, the loss of M2 by hand, what is wrong with a request."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import semi_supervised
from experiments.semi_supervised import Config, build, check, m2, m2_loss, train_method
from jaxvae.applications.features import latents_of
from jaxvae.capabilities import Classifies, Generates, find, require
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.models import ClassTerms, class_bound
from jaxvae.reports import semi_supervised as reports
from jaxvae.runs.load import load
from jaxvae.runs.options import Options
from jaxvae.runs.trained import Trained
from jaxvae.training import create_train_state, evaluation_keys
from jaxvae.training.step import step_keys
from jaxvae.types import StepInput
from tests.experiments.conftest import module_and_config, run_command
from tests.squares import SPEC, batch_of_squares, squares

pytestmark = pytest.mark.usefixtures("images")
OPTIONS = Options(name="a")


def small(**changes):
    _, config = module_and_config("semi_supervised", labels=6, hidden=(8,), latent_dim=2)
    return replace(config, **changes)


def untrained(name, **changes):
    """A model as it is built, as `load` would give it."""
    module, config = module_and_config(name, **changes)
    system = module.build(config, SPEC)
    params, model_state = system.trainable.init(jax.random.key(9), batch_of_squares(40))
    return Trained(system, params, model_state, {"config": {}})


@pytest.mark.slow
def test_every_method_with_an_encoder_leaves_runs_and_a_row(images, tmp_path):
    encoder = run_command("binary_vae", "--net", "mlp", "--latent-dim", 3, out=tmp_path)
    methods = ("frozen", "m1", "m1_spread", "m1m2")
    flags = ("--labels", 6, "--latent-dim", 2, "--hidden", 8, "--encoder", encoder)
    sweep = ("--sweep", f"method={','.join(methods)}", "seed=0,1")
    folder = run_command("semi_supervised", *flags, *sweep, out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["method"] for row in summary["variants"]] == list(methods)
    assert all(row["runs"] == 2 and 0 <= row["error"] <= 1 for row in summary["variants"])
    for method in ("frozen", "m1m2"):
        run = load(folder / f"method={method}_seed=1")
        x = run.system.prepare(jax.random.split(jax.random.key(0), 2), jnp.ones((2, *SPEC.shape)))
        classify = require(run.system, Classifies).classify
        log_q = classify(run.params, run.model_state, jax.random.split(jax.random.key(1), 2), x)
        np.testing.assert_allclose(np.sum(np.exp(log_q), axis=1), 1.0, rtol=1e-5)
        assert (find(run.system, Generates) is not None) == (method == "m1m2")
    m1m2 = load(folder / "method=m1m2_seed=0")
    noise, draw = split_each(evaluation_keys(0, 10))
    x = m1m2.system.prepare(noise, images.test.x)
    log_q = require(m1m2.system, Classifies).classify(m1m2.params, m1m2.model_state, draw, x)
    error = next(r["metrics"]["error"] for r in summary["runs"] if (r["method"], r["seed"]) == ("m1m2", 0))
    assert error == pytest.approx(np.mean(np.argmax(log_q, 1) != images.test.labels))
    start, after = load(encoder).params, load(folder / "method=frozen_seed=0").params["encoder"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), start, after)  # but for averaging
    assert (folder / "method=m1m2_seed=0" / "figures" / "analogies.png").exists()
    assert "error" in json.loads((folder / "method=m1_seed=0" / "summary.json").read_text())["metrics"]


@pytest.mark.slow
def test_resumed_study_may_add_methods_and_a_method_may_be_trained_alone(tmp_path):
    flags = ("--labels", 6, "--latent-dim", 2, "--hidden", 8, "--ladder", 32, 16)
    folder = run_command("semi_supervised", *flags, "--sweep", "method=m2", "seed=0", out=tmp_path)
    run_command("semi_supervised", *flags, "--sweep", "method=ladder", "seed=0", "--resume", out=tmp_path)
    rows = json.loads((folder / "summary.json").read_text())["runs"]
    assert [row["method"] for row in rows] == ["m2", "ladder"]
    for method in ("m2", "ladder"):
        assert find(load(folder / f"method={method}_seed=0").system, Classifies) is not None
    config = json.loads((folder / "method=ladder_seed=0" / "config.json").read_text())["config"]
    assert config["ema_decay"] == 0.0
    alone = run_command("semi_supervised", *flags, "--method", "m2", "--sweep", "none", "--name", "b", out=tmp_path)
    assert load(alone).config["method"] == "m2"
    metrics = [
        json.loads((place / "summary.json").read_text())["metrics"] for place in (alone, folder / "method=m2_seed=0")
    ]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-4)


def test_loss_of_m2_is_its_bound_and_the_weighted_cross_entropy_of_known_classes():
    generator = np.random.default_rng(0)
    bounds = jnp.asarray(generator.normal(-90.0, 5.0, (4, 3)), jnp.float32)
    log_qy = jax.nn.log_softmax(jnp.asarray(generator.normal(size=(4, 3)), jnp.float32))
    labels = jnp.array([0, -1, 2, -1])
    terms, inputs = ClassTerms(bounds, log_qy), StepInput(None, None, jnp.int32(0), {})
    loss, metrics = m2_loss(terms, labels, inputs, weight=50.0)
    q = np.exp(log_qy)
    want = [bounds[0, 0], 0.0, bounds[2, 2], 0.0]
    for i in (1, 3):
        want[i] = sum(q[i, y] * (bounds[i, y] - log_qy[i, y]) for y in range(3))
    assert float(metrics["bound"]) == pytest.approx(float(np.mean(want)), rel=1e-5)
    np.testing.assert_allclose(want, class_bound(terms, labels), rtol=1e-5)
    cross_entropy = -(log_qy[0, 0] + log_qy[2, 2]) / 2
    assert float(metrics["cross_entropy"]) == pytest.approx(float(cross_entropy), rel=1e-5)
    assert float(loss) == pytest.approx(float(-np.mean(want) + 50 * cross_entropy), rel=1e-5)


@pytest.mark.slow
def test_classifier_of_m2_learns_from_shifted_images():
    config = small(method="m2", shift=2, classifier="conv")
    system, batch = build(config, SPEC), batch_of_squares(labels=[0, -1, 2, -1, -1, -1, -1, -1])
    state = create_train_state(system, jax.random.key(0), batch)
    inputs = StepInput(batch, step_keys(state, 8), state.step, {})
    _, (_, moved) = jax.jit(system.trainable.players[0].loss)(state.params, {}, inputs)
    still = build(replace(config, shift=0), SPEC)
    _, (_, metrics) = jax.jit(still.trainable.players[0].loss)(state.params, {}, inputs)
    assert float(moved["cross_entropy"]) != pytest.approx(float(metrics["cross_entropy"]), rel=1e-4)
    assert "conv_0" in str(jax.tree_util.tree_structure(state.params["classifier"]))


@pytest.mark.parametrize("method", ["frozen", "finetune", "scratch"])
def test_codes_start_from_the_encoder_but_from_scratch(method):
    encoder = untrained("autoencoder", net="dense", hidden=(), latent_dim=2)
    system = build(small(method=method, encoder="a"), SPEC, encoder)
    params, _ = system.trainable.init(jax.random.key(0), batch_of_squares())
    same = np.array_equal(params["encoder"]["pairs_0"]["kernel"], encoder.params["pairs_0"]["kernel"])
    assert same == (method != "scratch")


@pytest.mark.slow
def test_m1m2_trains_on_latents_that_were_encoded_once(images, tmp_path, monkeypatch):
    encoder, parts = untrained("binary_vae", net="mlp", latent_dim=3), []
    monkeypatch.setattr(semi_supervised, "load", lambda place: encoder)
    monkeypatch.setattr(
        semi_supervised, "train_sweep", lambda configs, build, splits, *_, **__: parts.append(splits) or []
    )
    train_method([small(method="m1m2", encoder="a")], [tmp_path], OPTIONS, images, SPEC)
    want = latents_of(encoder.system, encoder.params, encoder.model_state, images.train)
    np.testing.assert_array_equal(parts[0].train.x.mean[:40], want.mean)
    np.testing.assert_array_equal(parts[0].train.x.log_var[40:], want.log_var)
    np.testing.assert_array_equal(parts[0].train.labels[:40], np.full(40, -1))


@pytest.mark.slow
def test_m2_of_latents_is_of_their_shape():
    first_stage = untrained("binary_vae", net="mlp", latent_dim=3).system.parts
    model = m2(small(method="m1m2", encoder="a"), SPEC, first_stage)
    assert model.decoder.param_shapes.mean.shape == (3,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "m1m2"}, "--encoder is None, expected a run, which m1m2 needs"),
        ({"labels": 0}, "--labels is 0, expected at least 1"),
        ({"known_fraction": 1.0}, "--known-fraction is 1.0"),
        ({"noise": "masking", "noise_level": 1.5}, "The noise level is 1.5, expected 0 to 1 of masking"),
        ({"ladder": (5,), "ladder_costs": (1.0,) * 4}, "--ladder-costs is .*one to 3 numbers"),
        ({"shift": -1}, "--shift is -1, expected at least 0"),
        ({"latent_noise": -0.1}, "--latent-noise is -0.1, expected at least 0"),
        ({"precision": "bf16", "method": "scratch"}, "--precision is bf16, expected float32, but for m2 and m1m2"),
    ],
)
def test_settings_that_make_no_sense_are_an_error(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "ladder", "noise": "masking"}, "--noise is masking, expected none without a method"),
        ({"method": "ladder", "shift": 1}, "--shift is 1, expected 0 without a method that uses it: scratch, "),
        ({"method": "scratch", "classifier": "conv"}, "--classifier is conv, expected mlp .* uses it: m2"),
        ({"method": "m2", "latent_noise": 1.0}, "--latent-noise is 1.0, expected 0.3 .* uses it: m1m2"),
        ({"labels": 2}, "--labels is 2, fewer than the 3 classes"),
        ({"method": "m2", "shift": 12}, "--shift is 12, expected less than the 12 pixels of an image"),
    ],
)
def test_requests_that_cannot_be_are_an_error_before_a_folder_is_made(changes, message, tmp_path):
    flags = [word for name, value in changes.items() for word in (f"--{name.replace('_', '-')}", value)]
    with pytest.raises(SystemExit, match=message):
        run_command("semi_supervised", *flags, "--sweep", "none", out=tmp_path)
    with pytest.raises(SystemExit, match=message):
        run_command("semi_supervised", *flags, "--sweep", "seed=0,1", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_setting_may_be_for_some_methods_of_a_study_and_a_resumed_one_may_add_others(images):
    configs = [small(method=name, shift=1) for name in ("scratch", "ladder")]
    check(configs, OPTIONS, images, SPEC)
    check(configs[1:], replace(OPTIONS, resume=True), images, SPEC)
    with pytest.raises(UserError, match="--shift is 1"):
        check(configs[1:], OPTIONS, images, SPEC)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("pixel_cnn", "m1", "--encoder a is a run of pixel_cnn, which has no codes"),
        ("pixel_cnn", "frozen", "--encoder a is a run of pixel_cnn, which cannot encode images as vectors"),
        ("autoencoder", "m1", "--labels is 5, expected so many that there are two of every class"),
        ("autoencoder", "m1m2", "--encoder a is a run of autoencoder, which cannot give q.z . x. as a Gaussian"),
    ],
)
def test_encoders_that_a_method_cannot_use_are_an_error(name, method, message, monkeypatch, images):
    encoder = untrained(name)
    monkeypatch.setattr(semi_supervised, "load", lambda place: encoder)
    with pytest.raises(UserError, match=message):
        check([small(method=method, encoder="a", labels=5)], OPTIONS, images, SPEC)


def test_classes_that_are_not_known_in_the_data_are_left_out(images):
    splits = squares()
    splits.train.labels[::4] = 9
    config = small(method="scratch", unlabelled=9)
    check([config], OPTIONS, splits, SPEC)
    assert np.all(
        splits.train.labels[np.flatnonzero(splits.train.labels != 9)[semi_supervised.draw(config, splits)]] < 9
    )


def test_figure_of_errors_goes_from_few_labels_to_many_with_the_spread_over_draws(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(reports.viz, "save_learning_curve", lambda *place, **texts: drawn.update(place=place, **texts))
    (tmp_path / "config.json").write_text(json.dumps({"config": {"method": "m2", "labels": 100}}))
    rows = [
        {"labels": labels, "seed": seed, "metrics": {"error": share * (seed + 1) / labels}}
        for labels, share in ((15, 0.3), (6, 0.3))
        for seed in (0, 1)
    ]
    reports.draw_errors(tmp_path, rows)
    path, sizes, curves = drawn["place"]
    assert (path.name, sizes) == ("errors.png", [6, 15])
    np.testing.assert_allclose(curves["m2"], [7.5, 3.0])
    np.testing.assert_allclose(drawn["spreads"]["m2"], [5 / np.sqrt(2), 2 / np.sqrt(2)], atol=1e-3)
    drawn.clear()
    reports.draw_errors(tmp_path, rows[:2])  # of one number of labels
    assert not drawn
