"""Command lines that nobody means, in this process and as processes: one sentence, or a training.

No traceback, no hang, no gigabytes, and no folder of what was refused.
"""

import itertools
import os
import re
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.runs import training
from tests.experiments.hostile import EXPERIMENTS, command_line
from tests.runs.small import BUILDS, SIZES

pytestmark = pytest.mark.slow

LINES = 26  # of each experiment
PROCESSES = 24
LONGEST = 100_000  # characters of a word; Linux takes no process with a word of 128 KiB
SECONDS, GIGABYTES = 10, 1
SAID = re.compile(r"error: [^\n]{10,1500}")
NOTE = re.compile(r"(note|warning): .*|")


class Accepted(BaseException):
    """A training would begin."""


class Ended(NamedTuple):
    """How a command line ended."""

    code: object  # what it exits with: a status, or a sentence; None of one that was accepted
    stderr: str
    seconds: float


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Small images, what is none, and trained models."""
    folder = tmp_path_factory.mktemp("inputs")
    labels = np.arange(60, dtype=np.int32) % 3
    x = np.zeros((60, 8, 8), np.uint8)
    for image, label in zip(x, labels, strict=True):
        image[2 * label : 2 * label + 3, 2:5] = 230
    np.savez(folder / "bare.npz", images=x)
    np.savez(folder / "labelled.npz", images=x, labels=labels)
    np.savez(folder / "colour.npz", images=np.stack([x, x // 2, x], -1))
    (folder / "text.npz").write_text("no images")
    os.mkfifo(folder / "pipe.npz")
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("no image")
    (folder / "empty").mkdir()
    spec = jv.data.load(x)[1]
    for name in ("vae", "vqvae"):
        jv.train(BUILDS[name](spec), x, folder=folder / "runs" / name, **SIZES)
    images = [f"npz:{folder / name}.npz" for name in ("labelled", "labelled", "bare", "colour")]
    broken = [f"npz:{folder / name}" for name in ("text.npz", "pipe.npz", "empty", "none.npz")]
    broken += [f"{kind}:{folder / name}" for kind in ("folder", "idx") for name in ("empty", "texts", "bare.npz")]
    runs = [str(folder / "runs" / name) for name in ("vae", "vqvae", "none", ".")]
    return {"data": images, "broken": broken, "runs": [*runs, str(folder)]}


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Return a function that runs a command line in this process, up to where its training would begin."""

    def accept(*_, **__):
        raise Accepted

    def too_long(*_):
        raise TimeoutError

    def ended(name, words):
        monkeypatch.setattr(sys, "argv", [f"experiments.{name}", *words])
        start, code = time.monotonic(), 0
        signal.setitimer(signal.ITIMER_REAL, 3 * SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*found in sys.modules")
                runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as exit:
            code = exit.code
        except Accepted:
            code = None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return Ended(code, capfd.readouterr().err, time.monotonic() - start)

    monkeypatch.chdir(tmp_path)
    for name in ("fit", "fit_sweep"):
        monkeypatch.setattr(training, name, accept)
    before = signal.signal(signal.SIGALRM, too_long)
    yield ended
    signal.signal(signal.SIGALRM, before)


def check(found, words, left):
    """Assert that a line was accepted, or refused in one sentence that leaves nothing behind."""
    if isinstance(found.code, str):
        assert SAID.fullmatch(found.code), words
        assert found.code.isprintable(), words
        lines = found.stderr.splitlines()
        assert all(NOTE.fullmatch(line) for line in lines), (words, found.stderr[-500:])
    elif found.code == 2:
        assert found.stderr.lstrip().startswith("╭"), (words, found.stderr[-500:])  # tyro's
    else:
        assert found.code in (None, 0), (words, found)
    if found.code:
        assert left == [], words
    assert found.seconds < SECONDS, words


def emptied(folder):
    """Return what lies in a folder, and remove it."""
    left = [path.name for path in Path(folder).iterdir()]
    for path in Path(folder).iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return left


def lines_of(name, inputs):
    rng = np.random.default_rng([20, zlib.crc32(name.encode())])  # another experiment changes no line of this one
    while True:
        yield command_line(name, inputs, rng)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_lines_end_in_one_sentence_or_in_a_training(name, inputs, run, tmp_path):
    before, refused = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for words in itertools.islice(lines_of(name, inputs), LINES):
        found = run(name, words)
        check(found, words, emptied(tmp_path))
        refused += bool(found.code)
    assert refused > LINES // 3
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6 < GIGABYTES


def test_lines_that_are_refused_are_refused_alike_as_processes(inputs, run, tmp_path, request):
    root, number = request.config.rootpath, 0
    for i in range(4 * PROCESSES):
        name = EXPERIMENTS[i % len(EXPERIMENTS)]
        words = command_line(name, inputs, np.random.default_rng([21, i]))
        found = run(name, words)
        emptied(tmp_path)
        if not found.code or any("\0" in word or len(word) > LONGEST for word in words):
            continue
        environment = os.environ | {"PYTHONPATH": str(root)}
        line = [sys.executable, "-m", f"experiments.{name}", *words]
        ended = subprocess.run(
            line, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120, check=False
        )
        assert emptied(tmp_path) == [], words
        lines = ended.stderr.splitlines()
        if isinstance(found.code, str):
            assert (ended.returncode, lines[-1]) == (1, found.code), words
            assert all(NOTE.fullmatch(line) for line in lines[:-1]), (words, ended.stderr[-500:])
        else:
            assert ended.returncode == 2, (words, ended.stderr[-500:])
        number += 1
        if number == PROCESSES:
            return
    pytest.fail(f"{number} lines were refused")


@pytest.mark.parametrize("name", ["mixture_bernoulli", "autoencoder", "planar_density"])
def test_lines_that_are_accepted_train(name, inputs, run, tmp_path, monkeypatch):
    alone = (words for words in itertools.islice(lines_of(name, inputs), 10 * LINES) if "none" in words)
    for words in alone:
        with monkeypatch.context() as patch:
            patch.setattr(training, "fit", jv.training.fit)
            patch.setattr(training, "fit_sweep", jv.training.fit_sweep)
            code = run(name, words).code
        if code == 0:
            assert list(tmp_path.rglob("summary.json")), words
            return
        assert emptied(tmp_path) == [], words  # of what is refused, as a batch of a million that there is no room for
    pytest.fail("no line has trained")
