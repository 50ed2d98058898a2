"""How a command ends: one line and a status for everything that can end it."""

import os
import signal
import subprocess
import sys

import pytest

from jaxvae.errors import UserError
from jaxvae.exits import ending, ending_by_signal


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("x is 0."), "error: x is 0."),
        (KeyboardInterrupt(), "error: interrupted; all is well."),
        (MemoryError("of 1 GB"), "error: out of memory (of 1 GB): make the images smaller."),
    ],
)
def test_what_ends_a_command_is_one_sentence(error, sentence):
    with pytest.raises(SystemExit) as ended, ending("all is well.", "the images"):
        raise error
    assert ended.value.code == sentence


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), ending("", ""):
        raise ZeroDivisionError


def test_a_request_to_end_lets_files_be_removed_and_is_heard_no_longer_afterwards():
    before, removed = signal.getsignal(signal.SIGTERM), []

    def write():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            removed.append(True)

    with pytest.raises(SystemExit) as ended, ending_by_signal():
        write()
    assert ended.value.code == 143
    assert removed
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("arguments", [["jaxvae", "--help"], ["jaxvae", "--version"], ["experiments"]])
def test_what_is_listed_may_be_read_in_part(arguments):
    """The reader has gone before the first line: no traceback, and the status of success."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run([sys.executable, "-m", *arguments], stdout=out, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
