"""Phases: each learns its pair alone, from the parameters of the one before."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments.stacked_autoencoder import Config, run, stages
from jaxvae.errors import UserError
from jaxvae.runs.load import load
from jaxvae.runs.options import Options
from tests.experiments.conftest import module_and_config

pytestmark = pytest.mark.usefixtures("images")


def test_stages_are_phases_of_growing_depth_the_whole_and_its_rival():
    config = Config(hidden=(50, 20), latent_dim=5, phase_steps=7, steps=11, sparsity="l1")
    parts = stages(config)
    assert list(parts) == ["phase_1", "phase_2", "phase_3", "together", "end_to_end"]
    assert [part.hidden for part in parts.values()] == [(50,), (50, 20), (50, 20), (50, 20), (50, 20)]
    assert [part.latent_dim for part in parts.values()] == [0, 0, 5, 5, 5]
    assert [part.last_alone for part in parts.values()] == [False, True, True, False, False]
    assert [part.steps for part in parts.values()] == [7, 7, 7, 11, 32]
    assert [part.sparsity for part in parts.values()] == ["none", "none", "l1", "l1", "l1"]  # a penalty of the code
    assert list(stages(replace(config, latent_dim=0, end_to_end=False))) == ["phase_1", "phase_2", "together"]


@pytest.mark.slow
def test_stages_hand_their_parameters_on_and_resume(tmp_path):
    _, config = module_and_config("stacked_autoencoder", hidden=(6,), phase_steps=2, end_to_end=False)
    folder = run(config, Options(name="a", out=tmp_path))
    rows = json.loads((folder / "summary.json").read_text())["stages"]
    assert [row["stage"] for row in rows] == ["phase_1", "phase_2", "together"]
    assert [row["steps"] for row in rows] == [2, 2, 2]
    assert (folder / "figures" / "stages.png").exists()
    first, second, together = (load(folder / name).params for name in ("phase_1", "phase_2", "together"))
    jax.tree.map(np.testing.assert_array_equal, first["pairs_0"], second["pairs_0"])
    assert not np.array_equal(second["pairs_0"]["kernel"], together["pairs_0"]["kernel"])
    assert np.allclose(second["pairs_0"]["kernel"], together["pairs_0"]["kernel"], atol=0.01)  # where it started

    with pytest.raises(UserError, match="load one of its parts, phase_1, phase_2, together"):
        load(folder)

    before = (folder / "phase_1" / "metrics.jsonl").read_text()
    run(replace(config, steps=3), Options(name="a", out=tmp_path, resume=True))
    assert (folder / "phase_1" / "metrics.jsonl").read_text() == before
    rows = json.loads((folder / "summary.json").read_text())["stages"]
    assert [row["steps"] for row in rows] == [2, 2, 3]


def test_what_every_phase_does_is_no_flag():
    with pytest.raises(UserError, match="--last-alone is what every phase does"):
        Config(last_alone=True)
