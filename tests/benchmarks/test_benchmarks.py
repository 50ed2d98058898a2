import importlib.util
import json
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks import draws, flops, models, sweeps, training
from benchmarks import gpu as gpu_suite
from benchmarks.__main__ import main
from benchmarks.data import bumps
from benchmarks.models import MODELS, make_model, num_params, two_stages
from benchmarks.options import QUICK
from benchmarks.peers import Torch
from benchmarks.records import newest, record, tables
from benchmarks.timing import Spread, alternate, spread
from jaxvae import capabilities
from jaxvae.errors import UserError
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch, ELBOTerms, Player, Samples, System, Trainable

pytestmark = pytest.mark.slow  # they compile every model

FIELDS = {"suite", "case", "quick", "device", "devices", "cores", "load_average", "versions", "date"}


def run(tmp_path, capsys, *arguments):
    assert main([*arguments, "--quick", "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(set(one) >= FIELDS and one["quick"] and one["suite"] == path.stem for one in records)
    assert f"| {records[-1]['case']} |" in capsys.readouterr().out
    return {one["case"]: one for one in records}


@pytest.fixture
def tiny(monkeypatch):
    """A mean image in place of every model: what is compiled are the suites' programs and not those of models."""

    def loss(params, model_state, inputs):
        value = inputs.hparams["beta"] * jnp.mean(jnp.square(inputs.batch.x / 255.0 - params["mean"][None]))
        return value, (model_state, {"value": value})

    def terms(params, model_state, keys, x):
        log_px = -jnp.sum(jnp.square(x - params["mean"][None]), axis=(1, 2, 3))[None]
        return ELBOTerms(log_px, log_px[..., None], log_px[..., None])

    trainable = Trainable(
        init=lambda key, batch: ({"mean": jnp.zeros(models.SPEC.shape)}, {}),
        players=(Player("tiny", loss, optax.sgd(0.1)),),
        evaluate=lambda params, model_state, keys, batch, hparams: {"loss": jnp.zeros(len(batch.mask))},
        hparams={"beta": 1.0},
    )
    sample = lambda key, params, model_state, num: Samples(jnp.zeros((num, *models.SPEC.shape)), None)  # noqa: E731
    use = (capabilities.Generates(sample), capabilities.Scores(terms))
    system = System("tiny", models.SPEC, lambda keys, x: x / 255.0, trainable, use)
    one = models.Model("tiny", system, flops.Flops(2, 2, 6), bumps)
    for module in (gpu_suite, sweeps, training):
        monkeypatch.setattr(module, "make_model", lambda name, dtype=None: one)


# ---------- suites


def test_train_step_of_mlp(tmp_path, capsys):
    found = run(tmp_path, capsys, "train_step", "--models", "mlp")
    assert set(found) == {"mlp step", "mlp scan", "mlp scan / mlp step", "mlp fit, 2 steps a checkpoint"}
    scan = found["mlp scan"]
    assert scan["images_per_second"] > 0
    assert scan["compile_seconds"] > 0
    assert scan["flops_per_second"] == pytest.approx(scan["images_per_second"] * scan["flops_per_image"], rel=1e-4)
    assert scan["share_of_ceiling"] == pytest.approx(scan["flops_per_second"] / scan["gemm_flops_per_second"], rel=1e-4)
    assert found["mlp scan / mlp step"]["against"] == "mlp step"
    assert len(found["mlp scan / mlp step"]["speedup_quartiles"]) == 2
    assert found["mlp fit, 2 steps a checkpoint"]["overhead"] > -1


@pytest.mark.usefixtures("tiny")
def test_train_step_of_the_other_models(tmp_path, capsys):
    found = run(tmp_path, capsys, "train_step", "--models", "planar", "conv")
    assert {"planar scan", "conv scan", "conv_lax step", "conv scan / conv_lax step"} <= set(found)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_step(name):
    """By its shapes alone: compiled are those above, and the parts of all in their own tests."""
    model = make_model(name)
    batch = Batch(model.data(4), None, np.ones(4, np.float32))

    def step(key):
        state = create_train_state(model.system, key, batch)
        return make_train_step(model.system.trainable.players)(state, batch)

    assert jax.eval_shape(step, jax.random.key(0))[1]["loss"].shape == ()


@pytest.mark.usefixtures("tiny")
def test_layouts(tmp_path, capsys):
    found = run(tmp_path, capsys, "layouts", "--models", "mlp")
    assert set(found) == {"mlp scan 1", "mlp sharded 2", "mlp sharded parameters 2"}
    assert found["mlp sharded 2"]["against"] == "mlp scan 1"
    assert found["mlp scan 1"]["devices"] == jax.device_count()


def test_sampling(tmp_path, capsys):
    assert run(tmp_path, capsys, "sampling", "--models", "mlp")["mlp"]["num_samples"] == QUICK.num_samples


def test_sampling_pixel_by_pixel(tmp_path, capsys):
    found = run(tmp_path, capsys, "sampling", "--models", "gated_pixelcnn")
    assert set(found) == {"gated_pixelcnn, 2 at a time", "gated_pixelcnn, 2 at a time / without a cache"}
    assert found["gated_pixelcnn, 2 at a time"]["seconds"] > 0


def test_sampling_code_by_code(tmp_path, capsys):
    found = run(tmp_path, capsys, "sampling", "--models", "two_stages")
    assert found["two_stages, 2 at a time"]["seconds"] > 0
    stages = two_stages().flops.decoding
    assert stages == make_model("gated_pixelcnn").flops.decoding + make_model("vq_vae").flops.decoding


def test_evaluation_says_what_it_extrapolates(tmp_path, capsys):
    (one,) = run(tmp_path, capsys, "evaluation", "--nll-images", "30").values()
    assert one["case"] == f"burda, NLL of 30 images, k = {QUICK.nll_samples}"
    expected = one["seconds"] * 10_000 / 30
    assert one["extrapolated_seconds_of_10000_images"] == pytest.approx(expected, rel=1e-4)


def test_lookup(tmp_path, capsys):
    one = run(tmp_path, capsys, "lookup")["nearest of 20 codes of 64 channels"]
    assert one["vectors_per_second"] == pytest.approx(50 / one["seconds"], rel=1e-3)
    assert one["megabytes"] > 0


@pytest.mark.usefixtures("tiny")
def test_sweep(tmp_path, capsys):
    found = run(tmp_path, capsys, "sweep")
    assert set(found) == {"mlp, warm steps", "mlp, whole with compilation"}
    assert found["mlp, warm steps"]["members"] == 2
    assert found["mlp, whole with compilation"]["separate_seconds"] > 0


def test_draws(tmp_path, capsys, monkeypatch):
    seen = []

    def finish(command, env, **options):
        flags = dict(zip(command[3::2], command[4::2], strict=True))
        seen.append((flags["--method"], flags["--sweep"], env["JAXVAE_CACHE"]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(draws.subprocess, "run", finish)
    found = run(tmp_path, capsys, "draws")
    assert set(found) == {"scratch, 2 draws of 100 labels", "m2, 2 draws of 100 labels"}
    scratch = [one for one in seen if one[0] == "scratch"]
    assert [one[1] for one in scratch] == ["seed=0,1", "seed=0", "seed=1"]
    assert len({one[2] for one in scratch}) == 2  # what one side has compiled the other does not find


def test_draws_whose_command_fails(tmp_path, capsys, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "a bar\nerror: there are no digits.\n")
    monkeypatch.setattr(draws.subprocess, "run", lambda *arguments, **options: failed)
    assert main(["draws", "--quick", "--out", str(tmp_path)]) == 1
    assert "status 1: error: there are no digits." in capsys.readouterr().err


def test_compile(tmp_path, capsys):
    one = run(tmp_path, capsys, "compile", "--models", "mlp")["mlp step"]
    assert one["hlo_instructions"] > 100
    assert one["lowering_seconds"] > 0
    assert one["compile_seconds"] > 0


@pytest.mark.usefixtures("tiny")
def test_everything_of_the_suite_gpu():
    cases = {one["case"] for one in gpu_suite.everything(QUICK._replace(models=("mlp",)))}
    assert {"GEMM float32", "GEMM bfloat16", "mlp scan bfloat16 large", "mlp sweep bfloat16", "mlp sampling"} <= cases


@pytest.mark.usefixtures("tiny")
def test_burda_in_the_suite_gpu():
    cases = [one["case"] for one in gpu_suite.everything(QUICK._replace(models=("burda",)))]
    assert cases[-1] == f"burda fit, {QUICK.fit_steps} steps of 256"


def test_gpu_begins_nothing_after_its_minutes(capsys):
    records = list(gpu_suite.everything(QUICK._replace(minutes=0.0)))
    assert all(one["case"].startswith("GEMM") for one in records)
    assert "parts left out: mlp" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "planar", "vq_vae", "gated_pixelcnn"])
def test_torch_beside(model):
    pytest.importorskip("torch")
    with_torch = Torch(QUICK)
    eager = f"torch {model} eager"
    try:
        measures = with_torch.measures(model)
        assert eager in measures
        seconds = {f"{model} scan": np.array([1.0])} | alternate({eager: measures[eager]}, 1)
        *loops, comparison = with_torch.records("train_step", model, f"{model} scan", seconds)
    finally:
        with_torch.close()
    assert loops[0]["images_per_second"] > 0
    assert comparison["case"] == f"{model} scan / torch"
    assert comparison["speedup"] == pytest.approx(seconds[eager][0], rel=1e-4)


# ---------- parts


def test_flops_of_mlp_by_hand():
    flops = make_model("mlp").flops
    kernels = [784 * 400, 400 * 40, 20 * 400, 400 * 784]
    assert flops.encoding == 2 * sum(kernels[:2])
    assert flops.decoding == 2 * sum(kernels[2:])
    assert flops.training == 3_280_000  # 2 x (3 x 651,200 - 313,600): images need no gradient


def test_flops_of_convolutions_do_not_depend_on_their_implementation():
    flops = make_model("conv").flops
    first, second = 14 * 14 * 32 * 16, 7 * 7 * 64 * 16 * 32  # the same two maps on the way back
    assert flops.encoding == 2 * (first + second + 3136 * 32)
    assert flops.decoding == 2 * (16 * 3136 + second + first)
    assert make_model("conv_lax").flops == flops


def test_flops_of_a_pixelcnn_by_hand():
    flops = make_model("gated_pixelcnn").flops
    first = 10 * 64 * 128 + 2 * 64 * 128 + 128 * 128 + 64 * 64
    others = 6 * 64 * 128 + 2 * 64 * 128 + 128 * 128 + 64 * 64
    assert flops.decoding == 2 * 49 * (first + 5 * others + 64 * 512)
    assert flops.training == 3 * flops.decoding


def test_flops_of_a_vq_vae_by_hand():
    flops = make_model("vq_vae").flops
    halving, second, window = 14 * 14 * 32 * 16, 7 * 7 * 64 * 16 * 32, 7 * 7 * 9 * 64 * 64
    lookup = 7 * 7 * 512 * 64
    assert flops.encoding == 2 * (halving + second + window + lookup)
    assert flops.decoding == 2 * (window + second + halving)
    assert flops.training == 3 * (flops.encoding + flops.decoding) - 2 * halving - 2 * 2 * lookup


def test_models_have_the_parameters_of_their_papers():
    biases = 400 + 40 + 400 + 784
    assert num_params(make_model("mlp")) == 651_200 + biases
    assert num_params(make_model("planar")) == num_params(make_model("mlp")) + 10 * (20 + 20 + 1)
    assert num_params(make_model("conv")) == num_params(make_model("conv_lax"))


def test_bf16_leaves_parameters_alone():
    for name in MODELS:
        assert num_params(make_model(name, jax.numpy.bfloat16)) == num_params(make_model(name))


def test_bumps_are_images():
    images = bumps(50)
    assert images.shape == (50, 28, 28, 1)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert 0.05 < images.mean() < 0.5
    np.testing.assert_array_equal(images[:3], bumps(50)[:3])
    assert np.any(images != bumps(50, seed=1))


def test_alternate_measures_in_turns_and_turns_around():
    calls = []

    def one(name):
        calls.append(name)
        return float(len(calls))

    seconds = alternate({"a": lambda: one("a"), "b": lambda: one("b")}, 4, seconds=0.0)
    assert calls == ["a", "b", "a", "b", "b", "a", "a", "b"]  # warm-up, then three turns: time is out
    np.testing.assert_array_equal(seconds["a"], [3, 6, 7])


def test_spread_is_of_the_middle_half():
    assert spread(np.arange(5.0)) == Spread(2.0, (1.0, 3.0))


# ---------- records and tables


def test_table_shows_the_newest_of_each_case(tmp_path, capsys):
    rates = {"old": 1.0, "quick": 2.0, "new": 3000.0}
    with (tmp_path / "train_step.jsonl").open("w") as file:
        for name, rate in rates.items():
            one = record("train_step", "mlp", images_per_second=Spread(rate, (rate, rate)), quick=name == "quick")
            file.write(json.dumps(one) + "\n")
    assert [one["images_per_second"] for one in newest(tmp_path)] == [3000.0]
    assert main(["--table", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "| mlp | 3,000 (3,000 - 3,000) |" in printed
    assert "compilation" not in printed


def test_tables_are_one_for_each_suite_and_device():
    records = [record("a", "x", seconds=1.0), record("b", "y", seconds=2.0)]
    records.append({**records[0], "device": "other"})
    assert tables(records).count("| --- | ---: |") == 3


def test_table_of_an_empty_folder_says_so(tmp_path, capsys):
    assert main(["--table", "--out", str(tmp_path)]) == 0
    assert "There are no results" in capsys.readouterr().out


# ---------- mistakes


def test_unknown_suite(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train_steps"])
    assert stop.value.code == 2
    assert "there is no suite train_steps: expected one of train_step, layouts," in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["train_step", "--table"], ["sampling", "--peer", "torch"]])
def test_arguments_that_do_not_go_together(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_gpu_that_is_not_there(tmp_path, capsys):
    assert main(["gpu", "--out", str(tmp_path)]) == 1
    assert "error: The suite gpu needs a GPU" in capsys.readouterr().err


def test_torch_that_is_not_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"PyTorch is not installed.*pip install 'jaxvae\[peers\]'"):
        Torch(QUICK)


def test_model_that_a_suite_does_not_have(tmp_path, capsys):
    assert main(["sampling", "--quick", "--models", "burda", "--out", str(tmp_path)]) == 1
    assert "has the models mlp, conv, resnet, gated_pixelcnn" in capsys.readouterr().err


def test_numbers_below_one(tmp_path, capsys):
    assert main(["evaluation", "--nll-images", "0", "--out", str(tmp_path)]) == 1
    assert "--nll-images is 0, expected at least 1" in capsys.readouterr().err
