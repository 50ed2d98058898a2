"""Runs whose folder cannot be written to."""

import json
import os
import resource

import pytest

from jaxvae.errors import UserError
from jaxvae.runs import recorder as recorders
from jaxvae.runs.folder import open_folder, write_json
from jaxvae.runs.recorder import Recorder, read_records


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_json_on_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "summary.json", {"a": 1})
    (tmp_path / "summary.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\): make room"):
        write_json(tmp_path / "summary.json", {"a": 2})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"a": 1}


@pytest.fixture
def largest_file(monkeypatch):
    """Return a function that limits the size of files, as a full disk or a quota does."""
    monkeypatch.setattr(recorders, "_event_writer", lambda *_: None)  # it has a thread that would be hit as well
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_metrics_that_cannot_be_written_are_named_and_what_was_written_is_kept(tmp_path, largest_file):
    with Recorder(tmp_path, done=0, steps=2, bar=False) as recorder:
        recorder(1, "train", {"loss": 1.0})
        largest_file(recorder.path.stat().st_size + 20)
        with pytest.raises(UserError, match=r"cannot be written \(File too large\): make room"):
            recorder(2, "train", {"loss": 2.0})
    assert read_records(tmp_path) == [{"step": 1, "part": "train", "loss": 1.0}]


def test_a_folder_that_was_only_begun_can_be_begun_again(tmp_path):
    record = {"experiment": "a", "config": {}}
    open_folder(tmp_path / "run", record, resume=False)
    open_folder(tmp_path / "run", record, resume=False)
    (tmp_path / "run" / "checkpoints").mkdir()
    with pytest.raises(UserError, match="exists already"):
        open_folder(tmp_path / "run", record, resume=False)


def test_settings_of_stages_are_compared_one_by_one(tmp_path):
    record = {"config": {"steps": 2, "seed": 0}, "stage": {"config": {"eval_every": 2, "num_codes": 8}}}
    open_folder(tmp_path / "run", record, resume=False)
    write_json(tmp_path / "run" / "config.json", record)
    open_folder(tmp_path / "run", record | {"stage": {"config": {"eval_every": 9, "num_codes": 8}}}, resume=True)
    with pytest.raises(UserError, match="was started with --num-codes 8, now it is 4"):
        open_folder(tmp_path / "run", record | {"stage": {"config": {"eval_every": 2, "num_codes": 4}}}, resume=True)
