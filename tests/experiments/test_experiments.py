"""Every experiment, whatever its model: two steps, samples, resume, lowering for other backends."""

import functools
import json
import shutil
from dataclasses import replace
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import run as shared
from experiments.__main__ import experiments
from experiments.common import sweep as sweeps
from experiments.common import training
from experiments.common.folder import read_records
from experiments.quantizers import Name
from experiments.run import Options
from jaxvae.errors import UserError
from jaxvae.evaluation import active_units
from jaxvae.training import create_train_state, make_evaluator, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, StepInput
from tests.experiments.conftest import SPEC, module_and_config

# Without images, of several trainings or of none.
OTHERS = {"blur", "denoising", "planar_density", "representations", "semi_supervised"}
NAMES = sorted(experiments().keys() - OTHERS - {"stacked_autoencoder", "vq_prior"})
pytestmark = pytest.mark.usefixtures("images")


def folders_with_checkpoints(folder):
    return sorted(path.parent for path in folder.rglob("checkpoints"))


# Every experiment as it comes, and the networks that are another choice's default.
AS_THEY_COME = [(name, {}) for name in NAMES]
NETWORKS = [
    ("binary_vae", {"net": "resnet", "remat": True}),
    ("binary_vae", {"precision": "bf16"}),
    ("iwae", {"num_layers": 2, "precision": "bf16"}),
]
SMALL_FLOW = {"latent_dim": 3, "num_flows": 2}
ORTHOGONAL = ("flow_posterior", {"posteriors": ("orthogonal",), "num_columns": 2, **SMALL_FLOW})
# Every choice of a part: the numbers are checked by the part's own tests, or by runs below.
CHOICES = [
    ORTHOGONAL,
    *[
        ("flow_posterior", {"posteriors": (name,), **SMALL_FLOW})
        for name in ("radial", "iaf", "householder", "triangular")
    ],
    *[("flow_prior", {"priors": (name,), **SMALL_FLOW}) for name in ("mixture", "vamp", "realnvp", "maf")],
    *[
        ("binary_latents", {"latents": (name,), "latent_dim": 3})
        for name in ("gaussian_mixture", "straight_through", "mixture_posterior", "learned_prior", "mixture_prior")
    ],
    *[("pixel_cnn", {"net": name}) for name in ("pixelrnn", "transformer")],
    *[("pixel_cnn", {"likelihood": name, "class_conditional": True}) for name in ("categorical", "logistic_mixture")],
    ("pixel_vae", {"likelihood": "logistic_mixture", "num_layers": (1,)}),
    *[("vq_vae", {"likelihood": name}) for name in ("bernoulli", "gaussian")],
    *[("quantizers", {"quantizers": (name,)}) for name in get_args(Name) if name != "restart"],
    ("vq_vae", {"levels": 2, "through": "rotation", "num_blocks": 1}),
    ("pixel_cnn", {"block": 1}),
    *[("autoencoder", {"noise": name, "tied": True}) for name in ("gaussian", "masking", "salt_and_pepper", "dropout")],
    ("autoencoder", {"net": "dense", "sparsity": "l1", "contraction_weight": 0.1, "loss": "mse"}),
    ("autoencoder", {"latent_dim": 0, "sparsity": "kl", "activation": "sigmoid", "last_alone": True, "hidden": (4, 3)}),
    *AS_THEY_COME,
    *NETWORKS,
]
CLASSIFIERS = [("semi_supervised", {"methods": (name,)}) for name in ("scratch", "m2", "ladder")]
CONVOLVING = ("autoencoder", "binary_vae", "pixel_cnn", "pixel_vae", "quantizers", "vq_vae")
LOWERED = [*AS_THEY_COME, *NETWORKS, ORTHOGONAL, *CLASSIFIERS]  # one of them has a decomposition
# What no run below computes; residual networks have their values tested in tests/nets.
COMPUTED = [*NETWORKS[1:], ("mixture_bernoulli", {"num_components": (2,)}), ("pixel_vae", {"num_layers": (1,)})]


@pytest.mark.parametrize(("name", "changes"), COMPUTED)
def test_build_gives_a_finite_loss_and_images(name, changes, images):
    module, config = module_and_config(name, **changes)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x[:8], images.train.labels[:8], np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    step = jax.jit(make_train_step(experiment.loss, experiment.optimizer))
    for _ in range(2):
        state, metrics = step(state, batch)
    assert int(state.step) == 2
    assert np.isfinite(metrics["loss"])
    sample = jax.jit(experiment.sample, static_argnums=3)
    samples = sample(jax.random.key(1), state.params, state.model_state, 3)
    assert samples.x.shape == (3, *SPEC.shape)
    assert samples.mean is None or samples.mean.shape == samples.x.shape
    assert set(np.unique(samples.x)) <= {0.0, 1.0}


@pytest.mark.parametrize(("name", "changes"), CHOICES)
def test_parts_of_every_choice_fit_together(name, changes, images):
    module, config = module_and_config(name, **changes)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x[:8], images.train.labels[:8], np.ones(8, np.float32))

    def trained(key):
        state = create_train_state(experiment, key, batch)
        state, metrics = make_train_step(experiment.loss, experiment.optimizer)(state, batch)
        if experiment.sample is not None:
            return metrics["loss"], experiment.sample(key, state.params, state.model_state, 3).x
        x, model = jnp.zeros((3, *SPEC.shape)), (state.params, state.model_state)
        if experiment.codec is not None:
            return metrics["loss"], experiment.codec.decode(*model, experiment.codec.encode(*model, x))
        keys = jax.random.split(key, 3)
        return metrics["loss"], experiment.decode(*model, keys, experiment.encode(*model, keys, x)[0])

    loss, samples = jax.eval_shape(trained, jax.random.key(0))
    assert loss.shape == ()
    assert samples.shape == (3, *SPEC.shape)


@pytest.mark.parametrize(("name", "changes"), LOWERED)
def test_step_lowers_for_other_backends(name, changes, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # convolutions take the form of that backend
    module, config = module_and_config(name, **changes)
    experiment = module.build(config, SPEC)
    batch = Batch(jnp.zeros((8, *SPEC.shape), jnp.uint8), jnp.zeros(8, jnp.int32), jnp.ones(8))
    state = jax.eval_shape(lambda key: create_train_state(experiment, key, batch), jax.random.key(0))
    step = make_train_step(experiment.loss, experiment.optimizer)
    # Exported programs take no typed keys: the key goes in as its data.
    bare = lambda state, data, batch: step(state._replace(key=jax.random.wrap_key_data(data)), batch)[1]  # noqa: E731
    exported = jax.export.export(jax.jit(bare), platforms=["cuda", "tpu"])(
        state._replace(key=None), jax.random.key_data(jax.random.key(0)), batch
    )
    assert exported.platforms == ("cuda", "tpu")
    convolves = name in CONVOLVING or changes.get("methods") == ("scratch",)
    assert ("stablehlo.convolution" in exported.mlir_module()) == convolves


# A single run, a sweep, a comparison and an exact model; others are run below and in test_survival for what they have
# beside.
RUNS = {
    "binary_vae": {},
    "beta_vae": {"betas": (0.5, 2.0), "data_sizes": (10, 40)},
    "flow_posterior": {"num_seeds": 2, "posteriors": ("gaussian", "radial")},
    "pixel_cnn": {"features": 8, "class_conditional": True},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a function from a name of `RUNS` to the folder of all runs, where that one is finished and called "a"."""
    out = tmp_path_factory.mktemp("runs")

    @functools.cache
    def run(name):
        module, config = module_and_config(name, **RUNS[name])
        assert module.run(config, Options(name="a", out=out)) == out / name / "a"
        return out

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_run_leaves_a_folder_that_loads(name, runs):
    folder = runs(name) / name / "a"
    summary = json.loads((folder / "summary.json").read_text())
    assert {"experiment", "config", "steps", "seconds", "compile_seconds", "images_per_second"} <= set(summary)
    assert {"device", "versions"} <= set(summary)
    exact = name == "pixel_cnn"
    expected = {"nll", "bits_per_dim"} if exact else {"elbo", "reconstruction", "kl", "nll", "nll_k", "active_units"}
    assert expected <= set(summary["metrics"])
    assert ("nll_stderr" in summary["metrics"]) == (
        name != "flow_posterior"
    )  # a comparison states means over its units
    assert list(folder.rglob("figures/*.png"))

    (first, *_) = folders_with_checkpoints(folder)
    loaded = shared.load(first)
    keys = jax.random.split(jax.random.key(0), 2)
    if not exact:
        encode, decode = jax.jit(loaded.experiment.encode), jax.jit(loaded.experiment.decode)
        z = encode(loaded.params, loaded.model_state, keys, jnp.ones((2, *SPEC.shape)))[0]
        assert decode(loaded.params, loaded.model_state, keys, z).shape == (2, *SPEC.shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binary_vae", "flow_posterior"])  # a single run and a comparison
def test_run_resumes(name, runs, tmp_path):
    module, config = module_and_config(name, **RUNS[name])
    shutil.copytree(runs(name), tmp_path, dirs_exist_ok=True)
    folder = tmp_path / name / "a"
    (first, *_) = folders_with_checkpoints(folder)
    again = Options(name="a", out=tmp_path, resume=True)
    assert module.run(replace(config, steps=4), again) == folder
    lines = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["part"] == "train"] == [1, 2, 3, 4]
    assert json.loads((first / "summary.json").read_text())["steps"] == 4

    before = (first / "config.json").read_text()
    with pytest.raises(UserError, match="exists already: pass --resume"):
        module.run(config, Options(name="a", out=tmp_path))
    with pytest.raises(UserError, match="--seed 0, now it is 1"):
        module.run(replace(config, seed=1), again)
    with pytest.raises(UserError, match="has done 4 steps already"):
        module.run(replace(config, steps=3), again)
    with pytest.raises(UserError, match="no run .*b to resume; runs there: a"):
        module.run(config, Options(name="b", out=tmp_path, resume=True))
    assert (first / "config.json").read_text() == before


def test_load_leaves_a_save_under_way_and_names_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        shared.load(tmp_path)
    record = {"experiment": "binary_vae", "config": {"no_such_field": 1}, "spec": SPEC._asdict()}
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="has no checkpoints, train it first"):
        shared.load(tmp_path)
    under_way = tmp_path / "checkpoints" / "12.orbax-checkpoint-tmp"
    under_way.mkdir(parents=True)
    with pytest.raises(UserError, match="not of this version"):
        shared.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**record, "config": {}}))
    with pytest.raises(UserError, match="no finished checkpoint"):
        shared.load(tmp_path)
    assert under_way.is_dir()


@pytest.mark.slow
def test_init_from_starts_from_another_run(runs, tmp_path):
    module, config = module_and_config("binary_vae")
    first = runs("binary_vae") / "binary_vae" / "a"
    second = module.run(
        replace(config, learning_rate=1e-30, ema_decay=0.0), Options(name="b", out=tmp_path, init_from=first)
    )
    one, two = shared.load(first).params, shared.load(second).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, two)
    assert json.loads((second / "config.json").read_text())["init_from"] == str(first)
    with pytest.raises(UserError, match=r"net.layers_0.dense_0.kernel is \[16, 256\] there"):
        module.run(replace(config, latent_dim=5), Options(name="c", out=tmp_path, init_from=first))
    assert not (tmp_path / "binary_vae" / "c").exists()


@pytest.mark.slow
def test_beta_vae_draws_rate_distortion_and_learning_curve(runs):
    folder = runs("beta_vae") / "beta_vae" / "a"
    assert {path.name for path in (folder / "figures").iterdir()} == {"rate_distortion.png", "learning_curve.png"}
    runs = json.loads((folder / "summary.json").read_text())["runs"]
    assert [(run["beta"], run["images"]) for run in runs] == [(0.5, 10), (0.5, 40), (2.0, 10), (2.0, 40)]
    best = max(runs, key=lambda run: run["valid"]["elbo"])
    assert json.loads((folder / "summary.json").read_text())["metrics"]["elbo"] == best["metrics"]["elbo"]


@pytest.mark.slow
def test_a_sweep_leaves_runs_like_any_other_and_resumes(tmp_path):
    module, config = module_and_config("iwae", learning_rate=1e-3)
    options = Options(name="a", out=tmp_path, sweep=("seed=0,1", "learning_rate=1e-3,1e30"))
    folder = module.run(config, options)
    summary = json.loads((folder / "summary.json").read_text())
    runs = {(run["seed"], run["learning_rate"]): run for run in summary["runs"]}
    assert len(runs) == 4
    assert "Training stopped at step" in runs[0, 1e30]["failure"]
    best = min(runs.values(), key=lambda run: run["loss"])
    assert summary["best"] == f"seed={best['seed']}_learning_rate=0.001"
    assert (folder / "figures" / "sweep.png").exists()
    assert (folder / summary["best"] / "summary.json").exists()

    member = shared.load(folder / "seed=1_learning_rate=0.001")
    assert member.config == replace(config, seed=1, learning_rate=1e-3)

    module.run(replace(config, steps=4), replace(options, resume=True))
    longer = shared.load(folder / "seed=1_learning_rate=0.001")
    assert longer.config.steps == 4


@pytest.mark.slow
def test_a_beta_that_diverges_at_once_is_left_out_and_only_diverged_ones_are_an_error(tmp_path):
    module, config = module_and_config("beta_vae", betas=(1.0,))
    folder = module.run(config, Options(name="a", out=tmp_path, sweep=("learning_rate=1e-3,1e30",)))
    runs = json.loads((folder / "summary.json").read_text())["runs"]
    assert [run["learning_rate"] for run in runs] == [1e-3]
    with pytest.raises(UserError, match="All 2 trainings of the sweep diverged, the first: Training stopped at step"):
        module.run(config, Options(name="b", out=tmp_path, sweep=("learning_rate=1e30,2e30",)))


def test_free_bits_are_those_of_the_whole_batch_on_replicas(images):
    """With a minimum between the KLs of the two halves, each alone would lower other dimensions."""
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=4)
    experiment = module.build(config, SPEC)
    batch = Batch(np.concatenate([images.train.x[:4], np.zeros_like(images.train.x[:4])]), None, np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    keys = step_keys(state, 8)

    def value(params, batch, examples, minimum, axis_name=None):
        hparams = {**state.hparams, "free_bits": minimum, "warmup_steps": 0.0}
        inputs = StepInput(batch, keys._replace(examples=examples), state.step, hparams, axis_name)
        return experiment.loss(params, state.model_state, inputs)

    def gradient(batch, examples, minimum, axis_name=None):
        found = jax.grad(lambda params: value(params, batch, examples, minimum, axis_name)[0])(state.params)
        return jax.lax.pmean(found, axis_name) if axis_name else found

    half = jax.tree.map(lambda leaf: leaf.reshape(2, 4, *leaf.shape[1:]), (batch, keys.examples))
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], half) for i in (0, 1)]
    kls = [float(value(state.params, *one, 0.0)[1][1]["kl"]) / 4 for one in each]
    assert abs(kls[0] - kls[1]) > 0.1 * max(kls)
    minimum = sum(kls) / 2
    whole = jax.jit(gradient)(batch, keys.examples, minimum)
    apart = jax.pmap(lambda batch, keys: gradient(batch, keys, minimum, "data"), "data", devices=jax.devices()[:2])(
        *half
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=2e-3, atol=1e-4), apart, whole)


def test_a_signal_to_one_process_ends_all(tmp_path, monkeypatch):
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=2)
    fit, fitted = training.fit, []
    monkeypatch.setattr(training, "fit", lambda *args, **options: fitted.append(args) or fit(*args, **options))
    monkeypatch.setattr(training.distributed, "any_process", lambda flag: flag or bool(fitted))
    with pytest.raises(SystemExit) as ended:
        module.run(config, Options(name="a", out=tmp_path))
    assert ended.value.code == 0
    assert not (tmp_path / "binary_vae" / "a" / "summary.json").exists()


def test_trainings_that_diverged_are_in_no_mean_and_nothing_else_is_an_error():
    sound, late = (
        shared.Finished(None, None, None, None, None, {"best_step": 4} | more) for more in ({}, {"failure": "x"})
    )
    assert [sweeps.diverged(one) for one in (sound, late)] == [False, True]
    sweeps.require_sound([{}], [sound, late])
    with pytest.raises(UserError, match="All 2 trainings diverged, the first: x"):
        sweeps.require_sound([], [late, late])


@pytest.mark.slow
def test_a_comparison_states_paired_gains(runs):
    folder = runs("flow_posterior") / "flow_posterior" / "a"
    summary = json.loads((folder / "summary.json").read_text())
    nll = {(run["variant"], run["unit"]): run["metrics"]["nll"] for run in summary["runs"]}
    gains = np.array([nll["gaussian", unit] - nll["radial", unit] for unit in ("seed=0", "seed=1")])
    gaussian, radial = summary["variants"]
    assert (gaussian["units"], radial["units"]) == (2, 2)
    assert "gain" not in gaussian
    np.testing.assert_allclose(radial["gain"], gains.mean(), atol=1e-3)
    kl = {(run["variant"], run["unit"]): run["metrics"]["kl"] for run in summary["runs"]}
    saved = [kl["gaussian", unit] - kl["radial", unit] for unit in ("seed=0", "seed=1")]
    np.testing.assert_allclose(radial["kl_saved"], np.mean(saved), atol=1e-3)
    np.testing.assert_allclose(
        gaussian["nll_sd"], np.std([nll["gaussian", f"seed={i}"] for i in range(2)], ddof=1), atol=1e-3
    )
    elbo = lambda name: np.mean([run["valid"]["elbo"] for run in summary["runs"] if run["variant"] == name])  # noqa: E731
    assert summary["best"] == max(("gaussian", "radial"), key=elbo)
    # 12.706 standard errors: Student's t with one degree of freedom.
    np.testing.assert_allclose(radial["gain_within"], 12.706 * gains.std(ddof=1) / 2**0.5, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_a_model_for_each_class_sees_its_class_alone(tmp_path, images):
    module, config = module_and_config("planar_vae", num_flows=(1,), per_class=True, latent_dim=3)
    folder = module.run(config, Options(name="a", out=tmp_path))
    runs = json.loads((folder / "summary.json").read_text())["runs"]
    assert [run["unit"] for run in runs] == ["class=0", "class=1", "class=2"]
    assert (folder / "figures" / "losses.png").exists()
    for label in range(3):
        alone = json.loads((folder / f"K=1_class={label}" / "config.json").read_text())
        assert alone["num_train"] == int(np.sum(images.train.labels == label))
        # The last validation in the log is that of the class's own images.
        of_class = shared.load(folder / f"K=1_class={label}")
        rows = images.valid.labels == label
        values = make_evaluator(of_class.experiment, len(images.valid.x))(
            of_class.params, of_class.model_state, images.valid
        )
        logged = [r for r in read_records(of_class.folder) if r["part"] == "valid"]
        best = min(logged, key=lambda record: record["loss"])
        np.testing.assert_allclose(best["loss"], np.mean(np.asarray(values["loss"])[rows]), rtol=1e-4)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (("k=1,5",), "--sweep k=1,5 is not possible: expected NAME=VALUE,VALUE,... with one of seed, learning_rate"),
        (("seed",), "--sweep seed is not possible"),
        (("seed=0,x",), "--sweep seed=0,x has a value that is no int"),
        (("seed=1,1",), "--sweep seed=1,1 has a value twice"),
    ],
)
def test_sweeps_refuse(sweep, message, tmp_path):
    module, config = module_and_config("iwae")
    with pytest.raises(UserError, match=message):
        module.run(config, Options(name="a", out=tmp_path, sweep=sweep))
    assert not (tmp_path / "iwae" / "a").exists()


def test_large_seeds_have_folders_of_their_own():
    assert sweeps.name_of({"seed": 1_000_001, "beta": 2.0, "rate": 1e-3}) == "seed=1000001_beta=2_rate=0.001"


def test_sweeps_refuse_layouts_that_do_not_divide_members(tmp_path):
    module, config = module_and_config("iwae")
    with pytest.raises(UserError, match="--layout pmap is not for a sweep"):
        module.run(config, Options(name="a", out=tmp_path, sweep=("seed=0,1",), layout="pmap"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"devices": 9}, "9 devices are asked for"), ({"devices": 3}, "A batch of 8 cannot be divided evenly among 3")],
)
def test_devices_that_cannot_be_used(changes, message, tmp_path):
    module, config = module_and_config("iwae")
    with pytest.raises(UserError, match=message):
        module.run(config, Options(name="a", out=tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"betas": (1.0, 1.0)}, "distinct"), ({"betas": (1.0, float("nan"))}, "at least 0"), ({"data_sizes": (0,)}, "1")],
)
def test_beta_vae_refuses_impossible_lists(changes, message):
    with pytest.raises(UserError, match=message):
        module_and_config("beta_vae", **changes)


def test_beta_vae_refuses_more_images_than_there_are_before_training(tmp_path):
    module, config = module_and_config("beta_vae", data_sizes=(10, 1000))
    with pytest.raises(UserError, match="at most 40 images"):
        module.run(config, Options(name="a", out=tmp_path))
    assert not (tmp_path / "beta_vae").exists()


def test_active_units_of_identical_images_are_none(images):
    # The second layer's means are averages over samples of the first: their noise is no activity.
    module, config = module_and_config("iwae", num_layers=2, k=1)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x[:8], None, np.ones(8, np.float32))
    params, _ = jax.jit(experiment.init)(jax.random.key(0), batch)
    same = jnp.broadcast_to(batch.x[0] / 255.0, (100, *SPEC.shape))
    keys = jax.random.split(jax.random.key(1), 200).reshape(2, 100)
    pairs = zip(*map(jax.jit(lambda keys: experiment.encode(params, {}, keys, same)), keys), strict=True)
    for means, again in pairs:
        assert not np.any(active_units(means, again, threshold=1e-3))


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
    # One step's loss is a draw with a spread of its own: start and end are compared on the same noise.
    keys = jax.random.split(jax.random.key(1), 64).reshape(8, 8)
    evaluate = lambda params, keys: experiment.evaluate(params, {}, keys, batch, experiment.hparams)["loss"]  # noqa: E731
    bound = jax.jit(jax.vmap(evaluate, (None, 1)))
    before = np.mean(bound(state.params, keys))
    for _ in range(30):
        state, _ = step(state, batch)
    assert np.mean(bound(state.params, keys)) < before - 0.5


@pytest.mark.parametrize("field", ["steps", "batch_size", "eval_every", "nll_samples"])
def test_config_refuses_impossible_values(field):
    module, config = module_and_config("binary_vae")
    with pytest.raises(UserError, match=f"--{field.replace('_', '-')} is 0, expected at least 1"):
        replace(config, **{field: 0})


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({"class_conditional": True}, SPEC._replace(num_classes=0), "--class-conditional needs labels"),
        ({"likelihood": "categorical"}, SPEC._replace(num_values=2), "is of images with more than two values"),
        ({"block": 2}, SPEC._replace(shape=(11, 12, 1)), "--block is 2, which does not divide images of 11x12"),
    ],
)
def test_pixel_cnn_refuses_what_the_data_do_not_have(changes, spec, message):
    module, config = module_and_config("pixel_cnn", **changes)
    with pytest.raises(UserError, match=message):
        module.build(config, spec)


def test_exact_models_complete_images_and_count_all_their_pixels(images):
    """The NLL of blocks is that of pixels: an untrained model of either gives the same number of nats."""
    x = jnp.round(images.train.x[:6] / 255.0)
    for block in (1, 2):
        module, config = module_and_config("pixel_cnn", block=block, features=4, num_layers=1)
        experiment = module.build(config, SPEC)
        keys = jax.random.split(jax.random.key(0), 6)
        batch = Batch(images.train.x[:6], None, np.ones(6))
        shapes, _ = jax.eval_shape(experiment.init, jax.random.key(0), batch)
        params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
        values = experiment.evaluate(params, {}, keys, Batch(x, None, np.ones(6)), {})
        np.testing.assert_allclose(values["nll"], 144 * np.log(2.0), rtol=1e-5)
        np.testing.assert_allclose(values["bits_per_dim"], 1.0, rtol=1e-5)
        known = jnp.arange(144).reshape(12, 12) < 72
        completed = jax.jit(experiment.complete)(params, {}, keys, x, None, known)
        np.testing.assert_array_equal(completed[:, :6], x[:, :6])
        assert 0.4 < completed[:, 6:].mean() < 0.6
