"""Interrupts at any moment: none is lost, and none is a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxvae import exits


class Interrupted:
    """An object whose end is interrupted, which Python only prints."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            time.sleep(0.001)


def test_an_interrupt_where_no_exception_can_leave_comes_again():
    before, lost = sys.unraisablehook, []

    def interrupted():
        Interrupted()
        lost.append("at first")
        time.sleep(10)

    with exits.no_interrupt_lost(), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert lost
    assert sys.unraisablehook is before


def test_other_errors_there_are_passed_on(monkeypatch):
    passed = []
    monkeypatch.setattr(sys, "unraisablehook", passed.append)
    with exits.no_interrupt_lost():
        sys.unraisablehook(type("Unraisable", (), {"exc_value": ValueError("x")}))
    assert len(passed) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs to see what a process has imported")
@pytest.mark.parametrize("line", ["experiments.binary_vae", "jaxvae sample digits-vae --out {folder}/x.png"])
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1, 0.3])
def test_an_interrupt_of_the_imports_is_one_sentence(line, delay, request, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", *line.format(folder=tmp_path).split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=request.config.rootpath,
    )
    until = time.monotonic() + 60
    while "jaxlib" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        assert time.monotonic() < until
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "", "error: interrupted before anything began.\n")


def test_interrupts_raise_again_after_the_imports():
    exits.leave_at_interrupts()
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    with exits.ending("x", "y"):
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    exits.leave_at_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, before)
