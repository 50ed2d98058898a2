"""Models by their names, and what is said of names that mean two things, or none."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.errors import UserError
from jaxvae.runs import pretrained
from jaxvae.runs.pretrained import model_at, shipped
from jaxvae.runs.records import run_record
from jaxvae.runs.trained import Trained
from jaxvae.systems.first_stage import abstract_variables
from tests.drawn import normal_like
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC, assert_same_parameters


def model(seed=0.1):
    system = BUILDS["vae"](SPEC)
    params, state = (normal_like(tree, seed) for tree in abstract_variables(system))
    return Trained(system, params, state, run_record(system, {}, 40))


@pytest.fixture
def squares_vae(tmp_path, monkeypatch):
    """A model that is shipped, and an empty working directory."""
    model().save(tmp_path / "shipped" / "squares-vae")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shipped")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "shipped" / "squares-vae"


def test_a_name_is_that_of_a_shipped_model(squares_vae, capsys):
    assert shipped() == {"squares-vae": squares_vae}
    assert model_at("squares-vae") == model_at(Path("squares-vae")) == squares_vae
    assert_same_parameters(jv.load("squares-vae"), model())
    assert jv.load("squares-vae").folder is None
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.slow
def test_a_training_starts_from_a_shipped_model(squares_vae):
    settings = SIZES | {"steps": 1, "eval_every": 1}
    trained = jv.train(BUILDS["vae"](SPEC), IMAGES, init_from="squares-vae", **settings)
    assert trained.record["init_from"] == "squares-vae"
    start = model().params["decoder"]["net"]["dense_0"]["kernel"]
    moved = np.abs(trained.params["decoder"]["net"]["dense_0"]["kernel"] - start)
    assert 0 < moved.max() < 0.02  # one step of Adam


def test_what_is_here_by_that_name_is_meant_and_that_is_said(squares_vae, capsys):
    model(0.3).save("squares-vae")
    assert_same_parameters(jv.load("squares-vae"), model(0.3))
    assert f"note: squares-vae is what is here in {os.getcwd()}, not the shipped model" in capsys.readouterr().err
    assert model_at(squares_vae) == squares_vae  # a path is no name
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "squares-vea",
            "no run or model squares-vea: did you mean squares-vae\\? Shipped models are squares-vae",
        ),
        ("nothing", "There is no run or model nothing: expected a path, or a shipped model: squares-vae"),
        ("runs/nothing", "runs/nothing/config.json cannot be read"),
        ("squares-vae.safetensors", "There is no model squares-vae.safetensors"),
    ],
)
def test_what_is_neither_here_nor_shipped(name, sentence, squares_vae):
    with pytest.raises(UserError, match=sentence):
        jv.load(name)


def test_half_the_bits_are_half_the_size_and_load_as_float32(tmp_path):
    whole = model()
    summary = {"metrics": {"nll": 1.5}, "steps": 3, "config": {}}
    for name, half in (("whole", False), ("half", True)):
        (tmp_path / name).mkdir()
        Trained(*whole._model, {**whole.record, "summary": summary}).save(tmp_path / name, half=half)
    sizes = {name: (tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")}
    assert sizes["half"] < 0.6 * sizes["whole"]
    found = jv.load(tmp_path / "half")
    kernel, rounded = (one.params["decoder"]["net"]["dense_0"]["kernel"] for one in (whole, found))
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, kernel.astype(np.float16).astype(np.float32))
    assert (rounded != kernel).any()
    assert found.summary == {"metrics": {"nll": 1.5}, "steps": 3}
    assert json.loads((tmp_path / "half" / "config.json").read_text())["summary"]["metrics"] == {"nll": 1.5}
    found.save(tmp_path / "again", half=True)  # rounded once and no more
    assert_same_parameters(jv.load(tmp_path / "again"), found)


def test_numbers_that_16_bits_do_not_hold_are_refused(tmp_path):
    large = model()
    large.params["decoder"]["net"]["dense_0"]["kernel"][0, 0] = 7e4
    with pytest.raises(UserError, match="decoder/net/dense_0/kernel has numbers that 16 bits do not hold"):
        large.save(tmp_path / "large", half=True)
    assert not (tmp_path / "large").exists()
