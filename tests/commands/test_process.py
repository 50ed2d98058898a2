"""One command of every verb as a process, in a folder where `experiments` cannot be imported."""

import os
import subprocess
import sys

import numpy as np
import pytest

from jaxvae.__main__ import VERBS, main
from tests.commands.kinds import SPEC

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, request):
    """(words) -> the finished process, in a folder beside the repository with a link to the library alone."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "jaxvae").symlink_to(request.config.rootpath / "jaxvae")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "path"), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}

    def process(*words):
        line = [sys.executable, "-m", "jaxvae", *words]
        return subprocess.run(
            line, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
        )

    return process


DATA = ["--data", "folder:photos"]
PATHS = [f"photos/{SPEC.classes[0]}/0.png", f"photos/{SPEC.classes[1]}/1.png"]
COMMANDS = {
    "train": ("", [*DATA, "--net", "mlp", "--steps", "2", "--nll-samples", "2", "--out", "run"], "run/summary.json"),
    "list": ("", ["."], None),
    "info": ("vae", [], None),
    "report": ("vae", [], "of runs"),
    "verify": ("vae", [], "of runs"),
    "compare": ("vae", [], "of runs"),
    "export": ("vae", ["--out", "given"], "given/card.md"),
    "sample": ("vae", ["--out", "samples.png"], "samples.png"),
    "reconstruct": ("vae", [*DATA, "--out", "out"], "out/left/0.png.png"),
    "interpolate": ("vae", [*PATHS, "--out", "out.png"], "out.png"),
    "traverse": ("vae", ["--image", PATHS[0], "--out", "out.png"], "out.png"),
    "attribute": ("vae", [*DATA, "--name", SPEC.classes[0], "--out", "out.png"], "out.png"),
    "complete": ("vae", [*DATA, "--mask", "hole.png", "--out", "out"], "out/left/0.png/0.png"),
    "denoise": ("vae", [*DATA, "--out", "out"], "out/sheet.png"),
    "encode": ("vae", [*DATA, "--out", "codes.csv"], "codes.csv"),
    "decode": ("vae", ["codes.csv", "--out", "out"], "out/0.png"),
    "compress": ("vae", [*DATA, "--binarize", "sample", "--out", "images.jvz"], "images.jvz"),
    "decompress": ("vae", ["images.jvz", "--out", "out"], "out/left/0.png.png"),
    "score": ("vae", [*DATA, "--num-samples", "2", "--out", "scores.csv"], "scores.csv"),
    "explore": ("vae", [*DATA, "--out", "explorer.html"], "explorer.html"),
    "anomaly": ("vae", ["--normal", "folder:photos", *DATA, "--out", "out"], "out/summary.json"),
    "evaluate": ("vae", ["--data", "npz:many.npz", "--num", "6", "--out", "a.json"], "a.json"),
    "augment": ("vae", [*DATA, "--num", "2", "--out", "new"], "new/labels.csv"),
    "classify": ("m2", [*DATA, "--out", "classes.csv"], "classes.csv"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_command(verb, run, model, photos, tmp_path):
    kind, flags, written = COMMANDS[verb]
    (tmp_path / "codes.csv").write_text("z0,z1,z2\n0,1,2\n") if verb == "decode" else None
    if verb == "evaluate":
        np.savez(tmp_path / "many.npz", x=np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8))
    if verb == "decompress":
        main(["compress", model(kind), "--data", photos, "--binarize", "sample", "--out", f"{tmp_path}/images.jvz"])
    found = run(verb, *([model(kind)] if kind else []), *flags)
    if written == "of runs":  # of which this is none
        assert found.returncode == 1
        assert found.stderr.startswith("error: ")
        assert "Traceback" not in found.stderr
        return
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout
    assert written is None or (tmp_path / written).exists()
