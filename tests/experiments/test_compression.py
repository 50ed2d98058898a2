"""The comparison of trained models as compressors: its table, its figures, and what it refuses."""

import json

import numpy as np
import pytest

import jaxvae as jv
from tests.experiments.conftest import run_command
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC

GREY = np.random.default_rng(0).integers(0, 256, (60, 8, 8)).astype(np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs of two models of squares, and files of squares and of grey noise."""
    place = tmp_path_factory.mktemp("compression")
    np.savez(place / "squares.npz", x=IMAGES // 255)
    np.savez(place / "grey.npz", x=GREY)
    for name in ("vae", "autoregressive"):
        jv.train(BUILDS[name](SPEC), IMAGES, folder=place / name, **SIZES)
    return place


@pytest.mark.slow
def test_files_are_decoded_and_compared(place, tmp_path):
    runs = [str(place / name) for name in ("vae", "autoregressive")]
    folder = run_command("compression", "--runs", *runs, "--data", f"npz:{place / 'squares.npz'}", out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["coder"] for row in summary["models"]] == ["bits back", "autoregressive"]
    for row in summary["models"]:
        assert row["bits_per_dim"] > row["bound_bits_per_dim"] > 0
        assert row["bytes"] == pytest.approx(row["bits_per_dim"] * row["images"] * 64 / 8, rel=1e-3)
        assert row["bytes_of_one"] < row["bytes"]
    assert {"PNG", "lzma of all together"} <= {row["model"] for row in summary["formats"]}
    assert (folder / "figures" / "rates.png").exists()


@pytest.mark.slow
def test_a_lossy_model_has_a_curve(place, tmp_path):
    data = ("--data", f"npz:{place / 'grey.npz'}")
    lossy = run_command("lossy_vae", "--sweep", "none", *data, "--latent-dim", "4", out=tmp_path)
    folder = run_command("compression", "--runs", lossy, *data, "--num-files", "2", "--name", "b", out=tmp_path)
    (row,) = json.loads((folder / "summary.json").read_text())["models"]
    assert row["coder"] == "rounded latents"
    assert 0 < row["psnr"] < 60
    assert (folder / "figures" / "quality.png").exists()


@pytest.mark.slow
def test_what_cannot_be_compared_is_one_sentence(place, tmp_path):
    for flags, sentence in [
        ((), "pass --runs RUN"),
        (("--runs", place / "vae", "--data", f"npz:{place / 'grey.npz'}"), "pass --binarize"),
    ]:
        with pytest.raises(SystemExit, match=f"error: .*{sentence}"):
            run_command("compression", *flags, out=tmp_path)
    assert not list(tmp_path.iterdir())
