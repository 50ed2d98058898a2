"""What a person sees who types a command: flags, errors of one sentence, exit codes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest


def command(*arguments, cwd):
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    line = [sys.executable, "-m", *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


@pytest.fixture
def images(tmp_path):
    x = (np.random.default_rng(0).random((30, 8, 8)) * 255).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=x)
    return f"npz:{tmp_path / 'images.npz'}"


def test_experiments_are_listed(root):
    result = command("experiments", cwd=root)
    assert result.returncode == 0
    assert "binary_vae" in result.stdout
    assert "iwae" in result.stdout


def test_unknown_flag_names_the_right_ones(root):
    result = command("experiments.binary_vae", "--latnt-dim", "3", cwd=root)
    assert result.returncode == 2
    assert "--latent-dim" in result.stdout + result.stderr


def test_wrong_type_is_named(root):
    result = command("experiments.binary_vae", "--steps", "many", cwd=root)
    assert result.returncode == 2
    assert "many" in result.stdout + result.stderr


def test_impossible_value_is_named(root):
    result = command("experiments.binary_vae", "--steps", "0", cwd=root)
    assert result.returncode == 1
    assert result.stderr == "error: --steps is 0, expected at least 1.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nonsense:x"], "nonsense"),
        (["--data", "npz:/nowhere/images.npz"], "/nowhere/images.npz"),
        (["--resume"], "--resume needs the --name"),
        (["--init-from", "/nowhere"], "/nowhere"),
    ],
)
def test_mistakes_end_with_one_sentence(root, tmp_path, images, arguments, sentence):
    source = [] if "--data" in arguments else ["--data", images]
    result = command("experiments.binary_vae", "--quick", "--out", str(tmp_path), *source, *arguments, cwd=root)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert sentence in line


@pytest.mark.slow
def test_run(root, tmp_path, images):
    """Those that go on are in test_survival."""
    flags = ["--quick", "--net", "mlp", "--data", images, "--out", str(tmp_path), "--name", "a", "--nll-samples", "2"]
    first = command("experiments.binary_vae", *flags, "--steps", "6", cwd=root)
    assert first.returncode == 0, first.stderr
    summary = json.loads((tmp_path / "binary_vae" / "a" / "summary.json").read_text())
    assert summary["steps"] == 6
    again = command("experiments.binary_vae", *flags, "--steps", "6", cwd=root)
    assert again.returncode == 1
    assert "exists already: continue it with" in again.stderr
