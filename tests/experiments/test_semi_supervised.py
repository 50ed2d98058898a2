"""Few labels: methods side by side, the loss of M2 by hand, what is wrong with a request."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import semi_supervised
from experiments.common.vae import split_each
from experiments.run import Options, load
from experiments.semi_supervised import Config
from jaxvae.errors import UserError
from jaxvae.models import class_bound
from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, StepInput
from tests.experiments.conftest import SPEC, module_and_config

pytestmark = pytest.mark.usefixtures("images")


def small(**changes):
    _, config = module_and_config("semi_supervised", labels=(6,), hidden=(8,), latent_dim=2)
    return replace(config, **changes)


@pytest.mark.slow
def test_every_method_leaves_runs_and_a_row(tmp_path):
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=3)
    encoder = str(module.run(config, Options(name="m1", out=tmp_path)))
    methods = ("scratch", "frozen", "finetune", "m1", "m2", "m1m2", "ladder")
    folder = semi_supervised.run(small(methods=methods, encoder=encoder), Options(name="a", out=tmp_path))
    rows = {row["method"]: row for row in json.loads((folder / "summary.json").read_text())["errors"]}
    assert tuple(rows) == methods
    assert all(len(row["errors"]) == 2 and 0 <= row["error"] <= 100 for row in rows.values())
    for method in ("frozen", "m2", "m1m2", "ladder"):
        run = load(folder / f"{method}_labels=6_seed=1")
        x = run.experiment.prepare(jax.random.split(jax.random.key(0), 2), jnp.ones((2, *SPEC.shape)))
        log_q = run.experiment.classify(run.params, run.model_state, jax.random.split(jax.random.key(1), 2), x)
        np.testing.assert_allclose(np.sum(np.exp(log_q), axis=1), 1.0, rtol=1e-5)
        assert (run.experiment.sample is not None) == (method in ("m2", "m1m2"))
    start, after = load(encoder).params, load(folder / "frozen_labels=6_seed=0").params["encoder"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), start, after)  # but for averaging
    tuned = load(folder / "finetune_labels=6_seed=0").params["encoder"]
    assert not np.allclose(start["posterior"]["statistics"]["kernel"], tuned["posterior"]["statistics"]["kernel"])
    assert (folder / "m2_labels=6_seed=0" / "figures" / "analogies.png").exists()


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
    terms = model.apply({"params": state.params}, draw, x)
    assert float(metrics["bound"]) == pytest.approx(float(jnp.mean(class_bound(terms, jnp.asarray(labels)))), rel=1e-5)
    want = -(terms.log_qy[0, 0] + terms.log_qy[2, 2]) / 2
    assert float(metrics["cross_entropy"]) == pytest.approx(float(want), rel=1e-4)


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
    ],
)
def test_settings_that_make_no_sense_are_an_error(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


def test_fewer_labels_than_classes_are_an_error(tmp_path):
    with pytest.raises(UserError, match="--labels is 2, fewer than the 3 classes"):
        semi_supervised.run(small(labels=(2,)), Options(name="a", out=tmp_path))


def test_m1m2_on_an_autoencoder_is_an_error():
    module, config = module_and_config("autoencoder", net="dense", hidden=(), latent_dim=2)
    with pytest.raises(UserError, match="--encoder is a run of autoencoder, m1m2 needs one of a VAE"):
        semi_supervised.build(small(methods=("m1m2",), encoder="a"), SPEC, module.build(config, SPEC))
