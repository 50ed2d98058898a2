"""The state of a run by its files alone: finished, unfinished, in training, exported, damaged."""

import json
import subprocess
import sys

import pytest

from jaxvae.errors import UserError
from jaxvae.runs.lock import lock
from jaxvae.runs.state import find_runs, state_of

RECORD = {"format": 2, "experiment": "vae", "config": {"steps": 100, "patience": 0}, "system": {}}


def made(folder, record=RECORD, steps=(), losses=(), summary=None):
    """A run's folder with checkpoints and validation losses at every ten steps."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(record if isinstance(record, str) else json.dumps(record))
    if steps:
        for step in steps:
            (folder / "checkpoints" / str(step)).mkdir(parents=True)
        (folder / "checkpoints" / "110.orbax-checkpoint-tmp").mkdir()
    lines = [{"step": 10 * (i + 1), "part": "valid", "loss": loss} for i, loss in enumerate(losses)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def patient(number):
    return RECORD | {"config": {"steps": 100, "patience": number}}


def test_a_run_is_finished_at_its_last_step_or_where_its_summary_says_so(tmp_path):
    assert state_of(made(tmp_path / "a", steps=(90, 100))).kind == "finished"
    assert state_of(made(tmp_path / "b", steps=(90,), summary={"steps": 90})).kind == "finished"
    state = state_of(made(tmp_path / "c", steps=(80, 90), losses=[5, 3, 4], summary={"steps": 50}))
    assert (state.kind, state.steps, state.asked, state.best["step"]) == ("unfinished", 90, 100, 20)
    assert str(state) == "unfinished, 90 of 100 steps"
    assert str(state_of(made(tmp_path / "d"))) == "unfinished, 0 of 100 steps"


@pytest.mark.parametrize(
    ("losses", "patience", "kind"),
    [
        ([5, 3, 4, 4], 2, "finished"),
        ([5, 3, 4, 2], 2, "unfinished"),
        ([5, 3, 4], 2, "unfinished"),
        ([5, 6], 2, "unfinished"),
        ([5, 3, 4, 4], 0, "unfinished"),
    ],
)
def test_a_run_that_was_patient_enough_is_finished(losses, patience, kind, tmp_path):
    assert state_of(made(tmp_path / "a", patient(patience), (40,), losses)).kind == kind


def test_a_run_that_another_process_trains_is_in_training(tmp_path):
    folder = made(tmp_path / "a", steps=(10,), losses=[5])
    held = lock(folder)
    program = (
        f"from pathlib import Path; from jaxvae.runs.state import state_of; print(state_of(Path({str(folder)!r})))"
    )
    try:
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    finally:
        held.release()
    assert found.stdout == "in training, 10 of 100 steps\n"
    assert state_of(folder).kind == "unfinished"


def test_a_study_and_an_export_have_no_steps(tmp_path):
    study = {key: value for key, value in RECORD.items() if key != "system"}
    assert str(state_of(made(tmp_path / "a", study))) == "unfinished"
    assert str(state_of(made(tmp_path / "b", study, summary={"best": "seed=0"}))) == "finished"
    (made(tmp_path / "c") / "model.safetensors").touch()
    assert str(state_of(tmp_path / "c")) == "exported"


@pytest.mark.parametrize(
    ("record", "problem"),
    [("{", "is not JSON"), ("[]", "is no record of a run"), ({"config": {}}, "of format jaxvae 0.1, expected 2")],
)
def test_a_damaged_run_says_why(record, problem, tmp_path):
    state = state_of(made(tmp_path / "a", record))
    assert str(state) == "damaged"
    assert problem in state.problem


def test_a_damaged_summary_is_none(tmp_path):
    folder = made(tmp_path / "a", steps=(100,))
    for text in ("{", "[]"):
        (folder / "summary.json").write_text(text)
        assert state_of(folder).summary == {}


def test_runs_are_found_in_all_folders_but_those_of_their_files(tmp_path):
    for name in ("b/run", "a", "a/codec", "a/checkpoints/1", ".hidden/run"):
        made(tmp_path / name) if not (tmp_path / name).exists() else None
    assert [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)] == ["a", "a/codec", "b/run"]
    with pytest.raises(UserError, match="is no folder"):
        find_runs(tmp_path / "nowhere")
