"""Commands of experiments from their start to their folder: runs, studies, resumption, loading."""

import functools
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

import jaxvae as jv
from jaxvae import data
from jaxvae.runs import training
from jaxvae.runs.files import read_records
from jaxvae.training import make_evaluator
from tests.experiments.conftest import SPEC, run_command

pytestmark = pytest.mark.usefixtures("images")

# A single run, a study of arrays, one of shapes and seeds, and an exact model; others are run in files of their own for
# what they have beside.
RUNS = {
    "binary_vae": (),
    "image_vae": ("--class-conditional", "--channels", "4", "--num-blocks", "0", "--latent-dim", "4"),
    "beta_vae": ("--sweep", "beta=0.5,2.0", "num_train=10,40"),
    "flow_posterior": ("--sweep", "posterior=gaussian,radial", "seed=0,1", "--latent-dim", "4", "--num-columns", "2"),
    "pixel_cnn": ("--features", "8", "--class-conditional"),
    "completion": ("--hidden", "8", "--num-flows", "2", "--latent-dim", "4"),
    "top_down_vae": ("--channels", "4", "--prior", "realnvp"),
}
MORE = {"flow_posterior": ("--num-reflections", "2")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a function from a name of `RUNS` to the folder of all runs, where that one is finished and called "a"."""
    out = tmp_path_factory.mktemp("runs")

    @functools.cache
    def run(name):
        assert run_command(name, *RUNS[name], *MORE.get(name, ()), out=out) == out / name / "a"
        return out

    return run


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_run_leaves_a_folder_that_loads(name, runs, images):
    folder = runs(name) / name / "a"
    summary = summary_of(folder)
    assert {"experiment", "config", "steps", "seconds", "cpu_seconds", "compile_seconds", "device", "versions"} <= set(
        summary
    )
    assert summary["experiment"] == f"experiments.{name}"
    exact = name == "pixel_cnn"
    expected = {"nll", "bits_per_dim"} if exact else {"elbo", "reconstruction", "kl", "nll", "nll_k", "active_units"}
    assert {*expected, "nll_stderr"} <= set(summary["metrics"])
    assert list(folder.rglob("figures/*.png"))

    loaded = jv.load(folder)  # a study stands for its best run
    assert loaded.system.name == name
    assert loaded.system.trainable.players == ()
    samples = loaded.sample(3, seed=1)
    assert samples.shape == (3, *SPEC.shape)
    np.testing.assert_array_equal(samples, loaded.sample(3, seed=1))
    if not exact:
        labels = images.test.labels if name == "image_vae" else None
        z = loaded.encode(images.test.x, labels=labels)
        assert loaded.decode(z, labels=labels).shape == images.test.x.shape
    assert (folder / "figures" / "classes.png").exists() == (name == "image_vae")
    assert (folder / "figures" / "quadrants.png").exists() == (name == "completion")
    assert ("nll_given_2_quadrants" in summary["metrics"]) == (name == "completion")


@pytest.mark.slow
def test_a_report_says_what_each_group_of_latents_decides(runs):
    folder = runs("top_down_vae") / "top_down_vae" / "a"
    metrics = summary_of(folder)["metrics"]
    assert len(metrics["kl_per_group"]) == len(metrics["active_units_per_group"]) == 3
    np.testing.assert_allclose(sum(metrics["kl_per_group"]), metrics["kl"], rtol=0.2)
    assert sum(metrics["active_units_per_group"]) == metrics["active_units"]
    assert metrics["latent_dim"] == 3 * 3 * 16 + 2 * 6 * 6 * 4
    assert {"groups.png", "temperatures.png"} <= {path.name for path in (folder / "figures").iterdir()}
    warm, cool = (jv.load(folder).sample(3, temperature=t, means=True) for t in (1.0, (0.1, 0.1, 0.1)))
    assert cool.std(axis=0).mean() < warm.std(axis=0).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binary_vae", "image_vae", "completion", "flow_posterior", "top_down_vae"])
def test_run_resumes(name, runs, tmp_path):
    shutil.copytree(runs(name), tmp_path, dirs_exist_ok=True)
    folder = tmp_path / name / "a"
    first = min(path.parent for path in folder.rglob("checkpoints"))
    flags = (*RUNS[name], *MORE.get(name, ()))
    run_command(name, *flags, "--steps", "4", "--resume", out=tmp_path)
    lines = [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["part"] == "train"] == [1, 2, 3, 4]
    assert summary_of(first)["steps"] == 4

    before = (first / "config.json").read_text()
    for more, sentence in [
        ((), "exists already: continue it with"),
        (("--resume", "--batch-size", "4", "--steps", "4"), "batch_size 8, now it is 4"),
        (("--resume", "--steps", "3"), "has done 4 steps already"),
        (("--resume", "--name", "b"), "no run .*b to resume; runs there: a"),
    ]:
        with pytest.raises(SystemExit, match=f"error: .*{sentence}"):
            run_command(name, *flags, *more, out=tmp_path)
    assert (first / "config.json").read_text() == before


@pytest.mark.slow
def test_init_from_starts_from_another_run(runs, tmp_path):
    first = runs("binary_vae") / "binary_vae" / "a"
    flags = ("--learning-rate", "1e-30", "--ema-decay", "0.0", "--init-from", first)
    second = run_command("binary_vae", *flags, out=tmp_path)
    one, two = jv.load(first).params, jv.load(second).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, two)
    assert json.loads((second / "config.json").read_text())["init_from"] == str(first)
    with pytest.raises(SystemExit, match=r"decoder.net.dense_0.kernel is float32\[32, 400\] there"):
        run_command("binary_vae", "--latent-dim", "5", "--init-from", first, "--name", "c", out=tmp_path)
    assert not (tmp_path / "binary_vae" / "c").exists()


@pytest.mark.slow
def test_beta_vae_draws_rate_distortion_and_learning_curve(runs):
    folder = runs("beta_vae") / "beta_vae" / "a"
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {"rate_distortion.png", "learning_curve.png", "study.png"}
    summary = summary_of(folder)
    found = [(run["beta"], run["num_train"]) for run in summary["runs"]]
    assert found == [(0.5, 10), (0.5, 40), (2.0, 10), (2.0, 40)]
    best = max(summary["runs"], key=lambda run: run["valid"]["elbo"])
    assert summary["metrics"]["elbo"] == best["metrics"]["elbo"]
    assert summary["best"] == f"beta={best['beta']:g}_num_train={best['num_train']}"
    # All four trained as one program, each from the images that its own seed draws.
    assert len({(run["seconds"], run["compile_seconds"]) for run in summary["runs"]}) == 1
    numbers = [json.loads(path.read_text())["num_train"] for path in sorted(folder.glob("*/config.json"))]
    assert sorted(numbers) == [10, 10, 40, 40]


@pytest.mark.slow
def test_a_study_leaves_runs_like_any_other_and_resumes_with_more_values(tmp_path):
    flags = ("--sweep", "seed=0,1", "learning_rate=1e-3,1e30")
    folder = run_command("iwae", *flags, out=tmp_path)
    summary = summary_of(folder)
    found = {(run["seed"], run["learning_rate"]): run for run in summary["runs"]}
    assert len(found) == 4
    assert "Training stopped at step" in found[0, 1e30]["failure"]
    best = max((run for run in found.values() if "valid" in run), key=lambda run: run["valid"]["elbo"])
    assert summary["best"] == f"seed={best['seed']}_learning_rate=0.001"
    assert (folder / "figures" / "study.png").exists()
    assert (folder / summary["best"] / "summary.json").exists()
    member = jv.load(folder / "seed=1_learning_rate=0.001")
    assert (member.config["seed"], member.config["learning_rate"]) == (1, 1e-3)

    more = ("--sweep", "seed=0,1,2", "learning_rate=1e-3", "--steps", "4", "--resume")
    run_command("iwae", *more, out=tmp_path)
    assert jv.load(folder / "seed=1_learning_rate=0.001").config["steps"] == 4
    runs = summary_of(folder)["runs"]
    assert {(run["seed"], run["learning_rate"]) for run in runs} == {*found, (2, 1e-3), (2, 1e30)}  # all combinations


@pytest.mark.slow
def test_a_study_whose_trainings_all_diverge_is_an_error(tmp_path):
    folder = run_command("beta_vae", "--beta", "1", "--sweep", "learning_rate=1e-3,1e30", out=tmp_path)
    summary = summary_of(folder)
    assert [row["learning_rate"] for row in summary["variants"]] == [1e-3]
    with pytest.raises(SystemExit, match="All 2 trainings of the sweep diverged, the first: Training stopped at step"):
        run_command("beta_vae", "--beta", "1", "--sweep", "learning_rate=1e30,2e30", "--name", "b", out=tmp_path)


@pytest.mark.slow
def test_a_model_for_each_class_sees_its_class_alone(tmp_path, images):
    flags = ("--num-flows", "1", "--latent-dim", "3", "--sweep", "label=0,1,2")
    folder = run_command("planar_vae", *flags, out=tmp_path)
    assert [run["label"] for run in summary_of(folder)["runs"]] == [0, 1, 2]
    for label in range(3):
        place = folder / f"label={label}"
        assert json.loads((place / "config.json").read_text())["num_train"] == int(np.sum(images.train.labels == label))
        # The last validation in the log is that of the class's own images.
        of_class, rows = jv.load(place), images.valid.labels == label
        values = make_evaluator(of_class.system, len(images.valid.x))(
            of_class.params, of_class.model_state, images.valid
        )
        logged = [r for r in read_records(place) if r["part"] == "valid"]
        best = min(logged, key=lambda record: record["loss"])
        np.testing.assert_allclose(best["loss"], np.mean(np.asarray(values["loss"])[rows]), rtol=1e-4)


@pytest.mark.slow
def test_a_signal_to_one_process_ends_all(tmp_path, monkeypatch):
    fit, fitted = training.fit, []
    monkeypatch.setattr(training, "fit", lambda *args, **options: fitted.append(args) or fit(*args, **options))
    monkeypatch.setattr(training.distributed, "any_process", lambda flag: flag or bool(fitted))
    with pytest.raises(SystemExit) as ended:
        run_command("binary_vae", "--net", "mlp", "--latent-dim", "2", out=tmp_path)
    assert ended.value.code == 0
    assert not (tmp_path / "binary_vae" / "a" / "summary.json").exists()


@pytest.mark.parametrize(
    ("name", "flags", "sentence"),
    [
        ("iwae", ("--devices", "9"), "9 devices are asked for"),
        ("iwae", ("--devices", "3"), "A batch of 8 cannot be divided evenly among 3"),
        ("iwae", ("--sweep", "seed=0,1", "--layout", "pmap"), "--layout pmap is not for a sweep"),
        ("iwae", ("--sweep", "depth=1,5"), "--sweep depth=1,5 is not possible: expected FIELD=VALUE,VALUE"),
        ("iwae", ("--sweep", "seed=0,x"), "--sweep seed=x is no value of --seed: expected a whole number"),
        ("iwae", ("--sweep", "seed=1,1"), "--sweep seed=1,1 has a value twice"),
        ("iwae", ("--k", "3", "--sweep", "k=1,2"), "--k and --sweep k=... are both given"),
        ("iwae", ("--sweep", "k=0,1"), "--k is 0, expected at least 1"),
        ("beta_vae", ("--sweep", "none", "--num-train", "1000"), "--num-train is 1000, expected at most 40 images"),
        ("planar_vae", ("--sweep", "none", "--label", "7"), "--label 7 has no training image"),
        ("vqvae_prior", ("--sweep", "seed=0,1"), ""),
        ("iwae", ("--sweep", "seed=" + ",".join(map(str, range(1001)))), "--sweep asks for 1,001 trainings"),
        ("iwae", ("--sweep", "seed=0,1", "--devices", "9"), "9 devices are asked for"),
        ("iwae", ("--sweep", "seed=0,1", "--init-from", "/nowhere"), "/nowhere/config.json cannot be read"),
        ("sharpness", ("--sweep", "latent_dim=4,5000", "--model", "vae"), "fewer than the 5000 of its latent"),
        ("sharpness", ("--init-from", "/nowhere"), "--init-from is not for a comparison of models"),
        (
            "iwae",
            ("--import", "not.there"),
            "not.there of `imports` cannot be imported (ModuleNotFoundError",
        ),
        ("iwae", ("--import", "../x"), "The module ../x of `imports` is no name of one"),
        ("iwae", ("--import", "a\nb\udce4"), "The module a\\nb\\udce4 of `imports` is no name"),
    ],
)
def test_mistakes_are_refused_before_a_folder_is_made(name, flags, sentence, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run_command(name, *flags, out=tmp_path)
    if sentence:
        assert sentence in ended.value.code
        assert len(ended.value.code) < 600
        assert ended.value.code.isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_own_sparse_masks_are_learnt(tmp_path, monkeypatch):
    """A person's own binary masks: larger than the model's images, a thin stroke each."""
    monkeypatch.undo()  # the real `data.load`
    rng, folder = np.random.default_rng(0), tmp_path / "masks"
    folder.mkdir()
    for number in range(200):
        mask = np.zeros((120, 120), bool)
        mask[rng.integers(10, 110), 10:110] = True  # one pixel high: 0.7 % of the mask
        Image.fromarray(mask).save(folder / f"{number:03}.png")
    splits, spec = data.load(f"folder:{folder}", image_size=16)
    assert spec.num_values == 2
    assert splits.train.x.reshape(len(splits.train.x), -1).any(axis=1).all()  # no stroke is lost

    sizes = {"--steps": 400, "--eval-every": 200, "--latent-dim": 4, "--ema-decay": 0.9, "--batch-size": 128}
    flags = [str(word) for pair in sizes.items() for word in pair]
    source = ("--data", f"folder:{folder}", "--image-size", "16", "--net", "mlp", "--log-every", "100")
    run = run_command("binary_vae", *source, *flags, "--nll-samples", "50", out=tmp_path)
    metrics = summary_of(run)["metrics"]
    # Where the stroke lies is log 16 nats; pixels of one histogram need about ten times as much.
    assert metrics["nll"] < 0.3 * metrics["nll_of_independent_pixels"]
    assert metrics["active_units"] > 0
    assert "warning" not in metrics
    assert jv.load(run).spec.shape == (16, 16, 1)
