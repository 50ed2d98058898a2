"""Runs' folders: how they begin, what a resumed one has to have in common, what is read of damaged files."""

import json
import os
import resource
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.runs.comparison import require_same
from jaxvae.runs.files import read_json, write_json
from jaxvae.runs.folder import FREE_FIELDS, claim, discard_empty, open_folder, reserve_folder
from jaxvae.runs.lock import release_locks
from jaxvae.runs.recorder import Recorder, read_records
from jaxvae.runs.train import begin


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_json_on_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "summary.json", {"a": 1})
    (tmp_path / "summary.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\): make room"):
        write_json(tmp_path / "summary.json", {"a": 2})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"a": 1}


@pytest.fixture
def largest_file():
    """Return a function that limits the size of files, as a full disk or a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_events_are_written_for_tensorboard(tmp_path):
    with Recorder(tmp_path, done=0, steps=2, bar=False) as recorder:
        recorder(1, "train", {"loss": 1.0})
    (events,) = (tmp_path / "events").iterdir()
    assert b"train/loss" in events.read_bytes()


def test_metrics_that_cannot_be_written_are_named_and_what_was_written_is_kept(tmp_path, largest_file):
    with Recorder(tmp_path, done=0, steps=2, bar=False) as recorder:
        recorder(1, "train", {"loss": 1.0})
        largest_file((tmp_path / "metrics.jsonl").stat().st_size + 20)
        with pytest.raises(UserError, match=r"cannot be written \(File too large\): make room"):
            recorder(2, "train", {"loss": 2.0})
        for step in range(1000):  # what goes to TensorBoard beside it says nothing more
            recorder._events.add_scalar("train/loss", 1.0, step)
    assert read_records(tmp_path) == [{"step": 1, "part": "train", "loss": 1.0}]


def test_a_folder_that_was_only_begun_can_be_begun_again(tmp_path):
    record = {"experiment": "a", "config": {}}
    open_folder(tmp_path / "run", record, resume=False)
    open_folder(tmp_path / "run", record, resume=False)
    (tmp_path / "run" / "checkpoints").mkdir()  # a process was ended while it began
    open_folder(tmp_path / "run", record, resume=False)
    (tmp_path / "run" / "checkpoints" / "7").mkdir()
    with pytest.raises(UserError, match="has checkpoints and no config.json"):
        open_folder(tmp_path / "run", record, resume=False)
    write_json(tmp_path / "run" / "config.json", record)
    with pytest.raises(UserError, match="exists already: continue it with resume=True or --resume"):
        open_folder(tmp_path / "run", record, resume=False)


def test_settings_of_stages_are_compared_one_by_one(tmp_path):
    record = {"config": {"steps": 2, "seed": 0}, "stage": {"config": {"eval_every": 2, "num_codes": 8}}}
    open_folder(tmp_path / "run", record, resume=False)
    write_json(tmp_path / "run" / "config.json", record)
    open_folder(tmp_path / "run", record | {"stage": {"config": {"eval_every": 9, "num_codes": 8}}}, resume=True)
    with pytest.raises(UserError, match="was started with num_codes 8, now it is 4"):
        open_folder(tmp_path / "run", record | {"stage": {"config": {"eval_every": 2, "num_codes": 4}}}, resume=True)


# ---------- how runs begin


def test_of_several_runs_without_a_name_each_has_its_folder(tmp_path):
    """Whenever another process makes the same one first."""
    made = []
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: reserve_folder(tmp_path / "runs", "now"), range(8)))
    assert sorted(path.name for path in made) == ["now", *(f"now-{i}" for i in range(2, 9))]
    for folder in made[:7]:
        discard_empty(folder)
    claim(made[7], {"config": {}}, resume=False).release()
    discard_empty(made[7])
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [made[7].name]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        reserve_folder(tmp_path / "file", "now")


def test_of_two_processes_that_begin_the_same_run_one_is_refused(tmp_path):
    """Between the check and the lock."""
    record, found = {"config": {"steps": 1}}, []

    def begun(_):
        try:
            found.append(claim(tmp_path / "a", record, resume=False))
        except UserError as error:
            found.append(str(error))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begun, range(4)))
    taken = [one for one in found if not isinstance(one, str)]
    assert len(taken) == 1
    assert all("another process" in one or "exists already" in one for one in found if isinstance(one, str))
    assert read_json(tmp_path / "a" / "config.json") == record


def test_a_run_of_several_trainings_is_locked_until_its_end(tmp_path):
    begin(tmp_path / "a", {"config": {}}, resume=False)
    begin(tmp_path / "a", {"config": {}, "more": 1}, resume=True)  # by the process itself
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(UserError, match="is being trained by another process"):
            pool.submit(claim, tmp_path / "a", {}, True).result()
        release_locks()
        pool.submit(lambda: claim(tmp_path / "a", {}, True).release()).result()
    assert read_json(tmp_path / "a" / "config.json") == {"config": {}, "more": 1}


# ---------- what a resumed run is compared by

STARTED = {
    "jaxvae": "0.2.0",
    "experiment": "experiments.a",
    "config": {"steps": 2, "seed": 0, "channels": [4, 8], "data": "digits"},
    "spec": {"shape": [8, 8, 1], "num_values": 2},
    "num_train": 40,
    "data": "0123456789abcdef",
    "init_from": None,
    "system": {
        "name": "a",
        "hparams": {"beta": 1.0},
        "parts": {"class": "A", "vae": {"layers": [{"class": "B", "width": 3}, {"class": "C"}]}},
    },
}


def with_value(record, path, value):
    first, *rest = path
    return record | {first: with_value(record[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("experiment",), "experiments.b", "the experiment experiments.a, now it is experiments.b"),
        (("config", "seed"), 1, "seed 0, now it is 1: resume it with the old value"),
        (("config", "channels"), [4, 9], r"channels \[4, 8\], now it is \[4, 9\]"),
        (("config", "data"), "npz:a", "data digits, now it is npz:a"),
        (("spec", "shape"), [9, 8, 1], r"data of shape \[8, 8, 1\], now it is \[9, 8, 1\]"),
        (("num_train",), 41, "training images numbering 40, now it is 41"),
        (("data",), "f", "other images, as many of the same shape: resume it with those"),
        (("init_from",), "x", "init_from null, now it is x"),
        (("system", "name"), "b", "another model, name was a and is b now: resume it with the old model"),
        (("system", "hparams", "beta"), 2.0, r"another model, hparams\.beta was 1\.0 and is 2\.0 now"),
        (
            ("system", "parts", "vae", "layers"),
            [{"class": "B", "width": 4}, {"class": "C"}],
            r"another model, parts\.vae\.layers\.0\.width was 3 and is 4 now",
        ),
        (("system", "parts", "new"), 3, None),  # what was not written is not compared
        (("system", "parts", "vae"), {"ref": "x" * 99}, r'another model, parts\.vae was {"layers": .*"xxx.*\.\.\. now'),
        (("config", "steps"), 9, None),
        (("jaxvae",), "0.3.0", None),
        (("system", "reason"), "because", None),
    ],
)
def test_a_difference_is_said_by_its_place(path, value, message, tmp_path):
    now = with_value(STARTED, path, value)
    if message is None:
        require_same(tmp_path, STARTED, now, FREE_FIELDS)
        return
    with pytest.raises(UserError, match=f"was started with {message}") as error:
        require_same(tmp_path, STARTED, now, FREE_FIELDS)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_fields_that_are_free_are_those_of_configurations_and_hyper_parameters(tmp_path):
    now = with_value(with_value(STARTED, ("config", "seed"), 1), ("system", "hparams", "beta"), 2.0)
    require_same(tmp_path, STARTED, now, {"seed", "beta"})
    with pytest.raises(UserError, match="name was a and is b"):
        require_same(tmp_path, STARTED, with_value(now, ("system", "name"), "b"), {"seed", "beta", "name"})


# ---------- damaged files


def test_a_broken_line_loses_that_line_alone(tmp_path):
    with Recorder(tmp_path, done=0, steps=9, bar=False) as recorder:
        for step in range(1, 7):
            recorder(step, "train", {"loss": float(step)})
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines()
    lines[1], lines[2], lines[3] = b'{"step": 2, "pa', b"\xff\xfe\x00", b'[1, {"step": 3}]'
    path.write_bytes(
        b"\n".join([*lines, b'{"step": "x", "part": "train"}', b'{"step": 7, "part": "train", "loss": "a"}', b"{"])
    )
    assert [record["step"] for record in read_records(tmp_path)] == [1, 5, 6]
    with Recorder(tmp_path, done=5, steps=9, bar=False) as recorder:
        recorder(6, "train", {"loss": 0.0})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 5, 6]
    path.unlink()
    with Recorder(tmp_path, done=5, steps=9, bar=False):
        assert read_records(tmp_path) == []


def test_numbers_that_are_not_finite_are_json_and_come_back(tmp_path):
    with Recorder(tmp_path, done=0, steps=2, bar=False) as recorder:
        recorder(1, "train", {"loss": float("inf"), "grad_norm": float("nan")})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {
        "step": 1,
        "part": "train",
        "loss": None,
        "grad_norm": None,
    }
    (record,) = read_records(tmp_path)
    assert np.isnan(record["loss"])
    write_json(tmp_path / "summary.json", {"metrics": {"a": float("-inf"), "b": [1.5, float("nan")]}})
    assert read_json(tmp_path / "summary.json") == {"metrics": {"a": None, "b": [1.5, None]}}
