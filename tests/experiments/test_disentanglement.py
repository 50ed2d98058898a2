"""Methods of disentanglement on small sprites: penalties, players, layouts, and runs with their scores."""

import json

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae import data
from jaxvae.data import sprites
from jaxvae.errors import UserError
from jaxvae.reports import disentanglement
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch, Dataset, DataSpec, Splits
from tests.experiments.conftest import module_and_config, run_command

SPEC = DataSpec((8, 8, 1), 2, 3, sprites.SHAPES)


@pytest.fixture
def images(monkeypatch):
    def part(start):
        rows = start + np.arange(60) * 12_000
        return Dataset(sprites.render(rows, 8), sprites.factors_of(rows)[:, 0].astype(np.int32))

    splits = Splits(*map(part, range(3)))
    monkeypatch.setattr(data, "load", lambda source, **_: (splits, SPEC))
    return splits


def batch_of(images):
    return Batch(images.train.x[::8], None, np.ones(8, np.float32))


def system_of(**changes):
    module, config = module_and_config("disentanglement", latent_dim=3, **changes)
    return module.build(config, SPEC)


def one_step(system, batch, axis_name=None):
    state = create_train_state(system, jax.random.key(0), batch)
    return state, make_train_step(system.trainable.players, axis_name=axis_name)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["beta_vae", "beta_tcvae", "factor_vae"])
def test_without_a_penalty_all_methods_are_the_vae(method, images):
    neutral = 0.0 if method == "factor_vae" else 1.0
    batch = batch_of(images)
    state, step = one_step(system_of(method=method, weight=neutral), batch)
    metrics = jax.jit(step)(state, batch)[1]
    np.testing.assert_allclose(metrics["loss"], -metrics["elbo"], rtol=1e-6)
    weighed, step = one_step(system_of(method=method, weight=3.0), batch)
    metrics = jax.jit(step)(weighed, batch)[1]
    np.testing.assert_allclose(metrics["loss"], metrics["penalty"] - metrics["elbo"], rtol=1e-6)
    assert abs(float(metrics["penalty"])) > 1e-4
    if method == "beta_vae":
        np.testing.assert_allclose(metrics["penalty"], 2.0 * metrics["kl"], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["beta_tcvae", "factor_vae"])
def test_statistics_are_those_of_the_whole_batch_on_replicas(method, images):
    batch, system = batch_of(images), system_of(method=method, weight=20.0)
    state, step = one_step(system, batch)
    expected = jax.jit(step)(state, batch)
    _, shared = one_step(system, batch, "data")
    halves = jax.tree.map(lambda leaf: leaf.reshape(2, 4, *leaf.shape[1:]), batch)
    divided = jax.pmap(shared, "data", in_axes=(None, 0), devices=jax.devices()[:2])
    found = jax.tree.map(lambda leaf: leaf[0], divided(state, halves)[1])
    assert set(found) == set(expected[1])
    for name, value in expected[1].items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=1e-5)


@pytest.mark.slow
def test_vae_and_discriminator_move_at_the_same_time(images):
    batch, system = batch_of(images), system_of(method="factor_vae", weight=0.0)
    state, step = one_step(system, batch)
    moved, metrics = jax.jit(step)(state, batch)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), state.params, moved.params)
    assert all(any(jax.tree.leaves(changed[name])) for name in ("encoder", "decoder", "discriminator"))
    np.testing.assert_allclose(metrics["loss_discriminator"], np.log(2), atol=0.3)
    assert 0 <= metrics["discriminator_accuracy"] <= 1
    # Without a penalty the VAE is the one that beta-VAE with the weight 1 trains.
    vae = system_of(method="beta_vae", weight=1.0)
    state, step = one_step(vae, batch)
    alone = jax.jit(step)(state, batch)[0].params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), alone, {k: moved.params[k] for k in alone})


@pytest.mark.slow
def test_study_leaves_scores_and_runs_that_load(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(disentanglement, "NUM_IMAGES", 300)
    monkeypatch.setattr(disentanglement, "NUM_GROUPS", 40)
    flags = ("--method", "factor_vae", "--latent-dim", "3", "--sweep", "weight=1,5", "seed=0,1")
    folder = run_command("disentanglement", *flags, out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    metrics = [run["metrics"] for run in summary["runs"]]
    assert len(metrics) == 4
    for one in metrics:
        assert 0 <= one["mig"] <= one["mig_ceiling"] < 1
        assert one["images_seen"] == 16
        gaps = [one[f"mig_{factor.name}"] for factor in sprites.FACTORS]
        np.testing.assert_allclose(np.mean(gaps), one["mig"])
    assert len({run["seconds"] for run in summary["runs"]}) == 1  # one program
    printed = capsys.readouterr().out
    assert "MIG of 16 images seen, of a perfect code" in printed
    assert "of 2 runs" in printed
    assert (folder / "weight=5_seed=1" / "figures" / "traversals.png").exists()
    loaded = jv.load(folder)
    assert loaded.encode(images.test.x).shape == (60, 3)
    run_command("disentanglement", *flags, "--steps", "3", "--resume", out=tmp_path)


def test_other_images_are_refused(images):
    module, config = module_and_config("disentanglement", data="digits")
    with pytest.raises(UserError, match="--data is digits, whose factors are not known: expected sprites"):
        module.check([config], None, images, SPEC)
