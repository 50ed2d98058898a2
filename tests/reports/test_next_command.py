"""What a run prints to type next works when it is pasted, for every kind of system."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxvae as jv
from jaxvae import capabilities
from jaxvae.codable import HasRoundedLatents
from jaxvae.reports.next_command import next_command, python_command
from jaxvae.runs.files import FORMAT
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import FitsDensity
from jaxvae.types import DataSpec, System, Trainable

CODER = (capabilities.Encodes(None), capabilities.Decodes(None))
TEST = ["--data", "folder:my photos", "--part", "test", "--resize"]
KINDS = {
    "generative": ((capabilities.Generates(None), *CODER), ["sample", "runs/a", "--out", "samples.png"]),
    "autoencoder": (CODER, ["reconstruct", "runs/a", *TEST, "--out", "reconstructions.png"]),
    "vqvae": (
        (capabilities.Codes((4,), *[None] * 5),),
        ["reconstruct", "runs/a", *TEST, "--out", "reconstructions.png"],
    ),
    "classifier": ((capabilities.Classifies(None),), ["classify", "runs/a", *TEST, "--out", "classes.csv"]),
    "m2": (
        (capabilities.Classifies(None), capabilities.Generates(None)),
        ["sample", "runs/a", "--num", "30", "--out", "samples.png"],
    ),
    "flow": (
        (capabilities.Generates(None), FitsDensity(None, None, None)),
        ["sample", "runs/a", "--out", "points.npz"],
    ),
    "exact": ((capabilities.ScoresExactly(None),), ["score", "runs/a", *TEST, "--out", "scores.csv"]),
    "lossy": (
        (capabilities.Generates(None), HasRoundedLatents(None, None)),
        ["compress", "runs/a", *TEST, "--out", "images.jvz"],
    ),
    "other": ((), ["info", "runs/a"]),
}


def trained(use, parts=None, config=None, folder="runs/a"):
    system = System("toy", DataSpec((8, 8, 1), 256, 3), None, Trainable(None, (), None, {}), use)
    config = {"data": "folder:my photos", "image_size": 8} if config is None else config
    record = {"config": config, "system": {"name": "toy", "parts": parts or {"class": "jaxvae.systems.vae_parts.A"}}}
    return Trained(system, None, None, record, Path(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_something(kind):
    use, expected = KINDS[kind]
    words = shlex.split(next_command(trained(use)))
    assert words[1:3] == ["-m", "jaxvae"]
    assert words[3:] == expected


def test_means_are_shown_where_draws_have_noise(tmp_path):
    model = trained(KINDS["generative"][0], folder=tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "sample_means.png").touch()
    assert "--means" not in next_command(model)
    (tmp_path / "config.json").write_text(json.dumps({"format": FORMAT, "config": {}}))
    (tmp_path / "summary.json").write_text(json.dumps({"metrics": {"bits_per_dim": 3.0}}))
    assert shlex.split(next_command(model))[-3:] == ["--means", "--out", "samples.png"]


@pytest.mark.parametrize(("data", "image_size", "resized"), [("digits", None, False), ("digits", 8, True)])
def test_images_are_resized_where_they_were_in_training(data, image_size, resized):
    line = next_command(trained(CODER, config={"data": data, "image_size": image_size}))
    assert ("--resize" in line) is resized


def test_folders_are_quoted_and_a_study_stands_for_its_best_run():
    assert 'runs/it\'s "mine"' in shlex.split(next_command(trained(CODER, folder='runs/it\'s "mine"')))
    assert "runs/study" in shlex.split(next_command(trained(CODER), place=Path("runs/study")))


def test_modules_of_ones_own_are_imported_by_name():
    parts = {"class": "nets.Parts", "net": {"class": "nets.inner.Net"}, "act": {"function": "jax.numpy.tanh"}}
    assert shlex.split(next_command(trained(CODER, parts)))[-3:] == ["--import", "nets", "nets.inner"]


def test_what_cannot_be_loaded_from_its_folder_has_no_command():
    assert next_command(trained(CODER, {"class": "__main__.Net"})) is None  # of a notebook
    undescribed = trained(CODER)
    undescribed.record["system"].pop("parts")
    assert next_command(undescribed) is None


def test_without_a_source_of_data_the_model_says_what_it_is():
    assert next_command(trained(CODER, config={})).endswith("-m jaxvae info runs/a")


def test_python_is_called_as_this_one_is(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name: str(Path(sys.executable).with_name("python")))
    assert python_command() == "python"
    monkeypatch.setattr("shutil.which", lambda name: "/elsewhere/python")
    monkeypatch.chdir(tmp_path)
    assert python_command() == sys.executable
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert python_command() == f"bin/{Path(sys.executable).name}"


SMALL = ["--data", "npz:images.npz", "--steps", "2", "--eval-every", "2", "--batch-size", "8", "--name", "a"]
COMMANDS = {
    "binary_vae": (["--net", "mlp", "--nll-samples", "2"], "samples.png"),
    "vqvae": (["--num-codes", "4", "--code-dim", "2", "--channels", "2"], "reconstructions.png"),
    "semi_supervised": (["--sweep", "none", "--method", "ladder", "--labels", "4", "--ladder", "4"], "classes.csv"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_the_printed_line_works_when_pasted(name, tmp_path, request, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags, written = COMMANDS[name]
    x = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=x, y_train=np.arange(60) % 2)
    environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath)}
    options = {"capture_output": True, "text": True, "cwd": tmp_path, "env": environment, "timeout": 300}
    run = subprocess.run([sys.executable, "-m", f"experiments.{name}", *SMALL, *flags], check=False, **options)
    assert run.returncode == 0, run.stderr
    if name == "semi_supervised":  # which prints a line for every method
        line = next_command(jv.load(Path("runs") / name / "a"))
    else:
        (line,) = [line for line in run.stdout.splitlines() if line.startswith("Use it:")]
    pasted = subprocess.run(line.removeprefix("Use it:"), shell=True, check=False, **options)
    assert pasted.returncode == 0, pasted.stderr
    assert (tmp_path / written).stat().st_size > 0
