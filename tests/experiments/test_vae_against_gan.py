"""Runs of several models on the same images: all of them in the table, and what cannot be compared in a sentence."""

import json

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.reports.sample_comparison import medians
from tests.experiments.conftest import run_command
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC

ZEROS = {"frechet_distance": 0.0, "precision": 0.0, "recall": 0.0, "density": 0.0}


def test_medians_and_the_worst_of_all_runs():
    rows = [
        {"model": "a", **ZEROS, "frechet_distance": 3.0, "coverage": 0.5, "sharpness": 1.5},
        {"model": "b", **ZEROS, "coverage": 0.1, "sharpness": 1.0},
        {"model": "a", **ZEROS, "frechet_distance": 1.0, "coverage": 0.9, "sharpness": 0.2},
        {"model": "a", **ZEROS, "frechet_distance": 2.0, "coverage": 0.8, "sharpness": 1.0},
    ]
    a, b = medians(rows)
    assert (a["runs"], b["runs"]) == (3, 1)
    assert (a["coverage"], a["worst_coverage"]) == (0.8, 0.5)
    assert (a["frechet_distance"], a["worst_frechet_distance"]) == (2.0, 3.0)
    assert (a["sharpness"], a["worst_sharpness"]) == (1.0, 0.2)  # the farthest from 1
    assert b["worst_coverage"] == 0.1


@pytest.mark.slow
def test_every_run_is_measured_against_the_same_images(tmp_path):
    np.savez(tmp_path / "squares.npz", x=IMAGES // 255)
    data = ("--data", f"npz:{tmp_path / 'squares.npz'}", "--steps", "4", "--eval-every", "4", "--batch-size", "8")
    vaes = run_command("binary_vae", "--sweep", "seed=0,1", *data, "--latent-dim", "2", "--name", "v", out=tmp_path)
    gan = run_command("gan", *data, "--channels", "4", "--hidden", "8", "--name", "g", out=tmp_path)
    words = ("--runs", vaes, gan, "--num-samples", "20")
    folder = run_command("vae_against_gan", *words, out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    assert [(row["model"], row["seed"]) for row in summary["runs"]] == [
        ("binary_vae, v", 0),
        ("binary_vae, v", 1),
        ("gan", 0),
    ]
    assert [row["runs"] for row in summary["medians"]] == [2, 1]
    assert all("nll" in row for row in summary["runs"][:2])
    assert "nll" not in summary["runs"][2]
    assert all(row["seconds"] > 0 and row["num_samples"] == 20 for row in summary["runs"])
    assert 0 <= summary["training_images"]["coverage"] <= 1
    assert {path.name for path in (folder / "figures").iterdir()} == {"measures.png", "samples.png"}
    jv.train(BUILDS["vae"](SPEC), IMAGES[:40], folder=tmp_path / "other", **SIZES)
    with pytest.raises(SystemExit, match="error: --runs are of different data"):
        run_command("vae_against_gan", "--runs", gan, tmp_path / "other", "--name", "b", out=tmp_path)
    with pytest.raises(SystemExit, match="error: There is nothing to compare: pass --runs"):
        run_command("vae_against_gan", "--name", "b", out=tmp_path)
