"""Runs listed and compared by their files alone."""

import json

import numpy as np
import pytest

from jaxvae.__main__ import main
from tests.runs.test_state import RECORD, made

METRICS = {"nll": 95.414, "elbo": -99.1, "mse": 0.01}


def record(**config):
    described = {"name": "vae", "hparams": {"beta": 1.0}, "parts": {"class": "A", "spec": {"class": "S"}, "width": 3}}
    return RECORD | {
        "experiment": "experiments.vae",
        "config": RECORD["config"] | config,
        "num_train": 40,
        "data": "abc",
        "spec": {"shape": [8, 8, 1], "num_values": 256},
        "system": described,
    }


@pytest.fixture
def runs(tmp_path):
    """Two runs, one of them unfinished, a study of two, and a damaged one."""
    folder = tmp_path / "runs"
    made(folder / "a", record(data="folder:photos", image_size=28), (100,), [5, 3], {"steps": 100, "metrics": METRICS})
    made(folder / "b", record(), (40,), [5, 4, 6], None)
    study = record(data="digits")
    study.pop("system")
    made(folder / "study", study, summary={"best": "beta=2", "metrics": {"elbo": -7.5}})
    for beta in (1, 2):
        summary = {"steps": 100, "metrics": {"elbo": -8.0 - beta}, "seconds": 2.5}
        made(folder / "study" / f"beta={beta}", record(data="digits", beta=beta), (100,), [7, beta], summary)
    made(folder / "x", "{")
    return folder


def test_list_has_a_line_for_every_run(runs, capsys):
    main(["list", str(runs)])
    head, *lines, problem = capsys.readouterr().out.splitlines()
    cells = {line.split("  ")[0]: [cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines}
    assert head.split()[:3] == ["run", "model", "data"]
    assert list(cells) == ["a", "b", "study", "study/beta=1", "study/beta=2", "x"]
    assert cells["a"][1:5] == ["vae", "folder:photos, 28 pixels", "finished", "nll 95.41 nats per image"]
    assert cells["b"][1:5] == ["vae", "40 images", "unfinished, 40 of 100 steps", "valid loss 4"]
    assert cells["study"][2:5] == ["digits", "finished", "elbo -7.5 nats per image"]
    assert cells["x"][2] == "damaged"
    assert problem.startswith("damaged: ")
    assert "is not JSON" in problem
    assert cells["a"][5].endswith(" B")
    assert len(cells["a"][6]) == len("2026-01-01 00:00")


def test_list_of_nothing_says_how_to_begin(tmp_path, capsys):
    main(["list", str(tmp_path)])
    assert "has no runs: train one, as python -m jaxvae train --data" in capsys.readouterr().out


def test_list_takes_runs_by_default(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs.parent)
    main(["list"])
    assert "study/beta=1" in capsys.readouterr().out


def rows(capsys):
    found = capsys.readouterr()
    return {line.split("  ")[0].strip(): line.split()[-2:] for line in found.out.splitlines()}, found.err


def test_compare_shows_what_differs_and_all_numbers(runs, capsys):
    for name, every in (("a", 10), ("study/beta=1", 20)):  # how often things are written is no difference
        path = runs / name / "config.json"
        written = json.loads(path.read_text())
        written["config"]["eval_every"] = every
        path.write_text(json.dumps(written))
    main(["compare", str(runs / "a"), str(runs / "study" / "beta=1")])
    table, notes = rows(capsys)
    assert table["data"] == ["folder:photos", "digits"]
    assert table["elbo"] == ["-99.1", "-9"]
    assert table["valid loss"] == ["3", "1"]
    assert table["nll"][-1] == "95.414"
    assert "steps" not in table  # the same in both
    assert not {"width", "eval_every"} & set(table)
    assert notes == ""


def test_a_study_stands_for_its_runs_and_curves_are_drawn(runs, tmp_path, capsys):
    main(["compare", str(runs / "study"), "--out", str(tmp_path / "c.png")])
    table, _ = rows(capsys)
    assert table[""] == ["beta=1", "beta=2"]
    assert table["beta"] == ["1", "2"]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="already: choose another place, or pass --overwrite"):
        main(["compare", str(runs / "study"), "--out", str(tmp_path / "c.png")])


def test_parts_are_compared_where_no_setting_says_how_models_differ(runs, capsys):
    other = json.loads((runs / "b" / "config.json").read_text())
    other["system"]["parts"] |= {"width": 4, "net": {"class": "B", "x": 1}}
    made(runs / "c", other, (40,))
    main(["compare", str(runs / "b"), str(runs / "c")])
    table, _ = rows(capsys)
    assert table["width"] == ["3", "4"]
    assert table["net"] == ["null", "B"]
    assert "net.x" not in table


def test_runs_of_other_data_are_said_to_be(runs, capsys):
    other = json.loads((runs / "b" / "config.json").read_text()) | {"data": "other"}
    made(runs / "c", other, (40,))
    main(["compare", str(runs / "b"), str(runs / "c")])
    assert "the runs are of different data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a"], "a to be compared: expected two runs or more"),
        (["a", "nowhere"], "nowhere is no folder of a run"),
        (["a", "x"], "x cannot be compared: .*is not JSON"),
        (["a", "a"], "expected two runs or more"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(names, sentence, runs):
    with pytest.raises(SystemExit, match=sentence):
        main(["compare", *(str(runs / name) for name in names)])


def test_curves_are_of_runs_with_records(tmp_path):
    for name in "ab":
        made(tmp_path / name, record(), (100,))
    with pytest.raises(SystemExit, match=r"None of these runs has a metrics.jsonl"):
        main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c.png")])
    assert not (tmp_path / "c.png").exists()
    assert np.all([path.is_dir() for path in tmp_path.iterdir()])
