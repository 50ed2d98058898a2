"""Every experiment, whatever its model: two steps, samples, resume, lowering for other backends."""

import importlib
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import run as shared
from experiments.__main__ import experiments
from experiments.run import Options
from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch, Dataset, DataSpec, Splits

NAMES = sorted(experiments())
SPEC = DataSpec(shape=(12, 12, 1), num_values=256, num_classes=3)


@pytest.fixture(autouse=True)
def images(monkeypatch):
    """Bright squares in one of three places, for every source."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60).astype(np.int32)
    x = np.zeros((60, *SPEC.shape), np.uint8)
    for image, label in zip(x, labels, strict=True):
        image[4 * label : 4 * label + 4, 4:8] = 230
    part = lambda rows: Dataset(x[rows], labels[rows])  # noqa: E731
    splits = Splits(part(slice(0, 40)), part(slice(40, 50)), part(slice(50, 60)))
    monkeypatch.setattr(data, "load", lambda source, **_: (splits, SPEC))
    return splits


def module_and_config(name, **changes):
    module = importlib.import_module(f"experiments.{name}")
    small = {"steps": 2, "eval_every": 1, "log_every": 1, "batch_size": 8, "nll_samples": 3}
    return module, replace(module.Config().quick(), **small | changes)


def folders_with_checkpoints(folder):
    return sorted(path.parent for path in folder.rglob("checkpoints"))


@pytest.mark.parametrize("name", NAMES)
def test_build_gives_a_finite_loss_and_images(name, images):
    module, config = module_and_config(name)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x[:8], images.train.labels[:8], np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    step = jax.jit(make_train_step(experiment.loss, experiment.optimizer))
    for _ in range(2):
        state, metrics = step(state, batch)
    assert int(state.step) == 2
    assert np.isfinite(metrics["loss"])
    samples = experiment.sample(jax.random.key(1), state.params, state.model_state, 3)
    assert samples.x.shape == samples.mean.shape == (3, *SPEC.shape)
    assert set(np.unique(samples.x)) <= {0.0, 1.0}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_step_lowers_for_other_backends(name, platform):
    module, config = module_and_config(name)
    experiment = module.build(config, SPEC)
    batch = Batch(jnp.zeros((8, *SPEC.shape), jnp.uint8), None, jnp.ones(8))
    state = create_train_state(experiment, jax.random.key(0), batch)
    step = make_train_step(experiment.loss, experiment.optimizer)
    # Exported programs take no typed keys: the key goes in as its data.
    bare = lambda state, data, batch: step(state._replace(key=jax.random.wrap_key_data(data)), batch)[1]  # noqa: E731
    exported = jax.export.export(jax.jit(bare), platforms=[platform])(
        state._replace(key=None), jax.random.key_data(state.key), batch
    )
    assert exported.platforms == (platform,)


@pytest.mark.parametrize("name", NAMES)
def test_run_leaves_a_folder_that_loads_and_resumes(name, tmp_path):
    module, config = module_and_config(name)
    folder = module.run(config, Options(name="a", out=tmp_path))
    assert folder == tmp_path / name / "a"
    summary = json.loads((folder / "summary.json").read_text())
    for field in (
        "experiment",
        "config",
        "steps",
        "seconds",
        "compile_seconds",
        "images_per_second",
        "device",
        "versions",
    ):
        assert field in summary
    assert {"elbo", "reconstruction", "kl", "nll", "nll_k", "nll_stderr", "active_units"} <= set(summary["metrics"])
    np.testing.assert_allclose(
        summary["metrics"]["elbo"], -summary["metrics"]["reconstruction"] - summary["metrics"]["kl"], rtol=1e-4
    )
    assert summary["metrics"]["nll"] <= -summary["metrics"]["elbo"]
    assert list(folder.rglob("figures/*.png"))

    (first, *_) = folders_with_checkpoints(folder)
    loaded = shared.load(first)
    z = loaded.experiment.encode(
        loaded.params, loaded.model_state, jax.random.split(jax.random.key(0), 2), jnp.ones((2, *SPEC.shape))
    )[0]
    assert loaded.experiment.decode(loaded.params, loaded.model_state, z).shape == (2, *SPEC.shape)

    # Two more steps, and the same as four in one go.
    resumed = module.run(replace(config, steps=4), Options(name="a", out=tmp_path, resume=True))
    assert resumed == folder
    lines = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["part"] == "train"] == [1, 2, 3, 4]

    with pytest.raises(UserError, match="exists already: pass --resume"):
        module.run(config, Options(name="a", out=tmp_path))
    with pytest.raises(UserError, match="--seed 0, now it is 1"):
        module.run(replace(config, seed=1), Options(name="a", out=tmp_path, resume=True))


def test_init_from_starts_from_another_run(tmp_path):
    module, config = module_and_config("binary_vae")
    first = module.run(config, Options(name="a", out=tmp_path))
    second = module.run(
        replace(config, learning_rate=1e-30, ema_decay=0.0), Options(name="b", out=tmp_path, init_from=first)
    )
    one, two = shared.load(first).params, shared.load(second).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, two)
    with pytest.raises(UserError, match=r"decoder.net.dense_0.kernel is \[2, 400\] there"):
        module.run(replace(config, latent_dim=5), Options(name="c", out=tmp_path, init_from=first))


def test_beta_vae_draws_rate_distortion_and_learning_curve(tmp_path):
    module, config = module_and_config("beta_vae", betas=(0.5, 2.0), data_sizes=(10, 40))
    folder = module.run(config, Options(name="a", out=tmp_path))
    assert {path.name for path in (folder / "figures").iterdir()} == {"rate_distortion.png", "learning_curve.png"}
    runs = json.loads((folder / "summary.json").read_text())["runs"]
    assert [(run["beta"], run["images"]) for run in runs] == [(0.5, 10), (0.5, 40), (2.0, 10), (2.0, 40)]


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "vae", "k": 2},
        {"objective": "iwae", "num_layers": 2},
        {"objective": "dreg"},
        {"objective": "dreg", "num_layers": 2},
    ],
)
def test_iwae_trains_every_objective_and_depth(changes, images):
    module, config = module_and_config("iwae", **changes)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x[:8], None, np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    step = jax.jit(make_train_step(experiment.loss, experiment.optimizer))
    losses = []
    for _ in range(30):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("field", ["steps", "batch_size", "eval_every", "nll_samples"])
def test_config_refuses_impossible_values(field):
    module, config = module_and_config("binary_vae")
    with pytest.raises(UserError, match=f"--{field.replace('_', '-')} is 0, expected at least 1"):
        replace(config, **{field: 0})
