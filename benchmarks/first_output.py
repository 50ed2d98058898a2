"""How long it takes from nothing to the first images of a shipped model: processes that begin without any cache."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.options import Options
from benchmarks.records import Record, record
from benchmarks.timing import Measure, alternate, spread
from jaxvae.errors import UserError
from jaxvae.runs.pretrained import shipped

NUM = 16  # images
BOUND = 4.0  # seconds
PROGRAM = "import jaxvae as jv; jv.load({name!r}).sample({num})"


def first_outputs(options: Options) -> Iterator[Record]:
    """Measure a process that draws from Python, and a command that writes a picture, for every shipped model."""
    drawing = [name for name, place in shipped().items() if (place / "samples.png").exists()]
    names = drawing[:1] if options.quick else drawing
    with tempfile.TemporaryDirectory() as folder:
        sheet = str(Path(folder) / "sheet.png")
        for name in names:
            commands = {
                f"{name}, {NUM} samples from Python": ["-c", PROGRAM.format(name=name, num=NUM)],
                f"{name}, {NUM} samples as a picture": [
                    *("-m", "jaxvae", "sample", name, "--num", str(NUM), "--out", sheet, "--overwrite")
                ],
            }
            measures = {case: cold(words, Path(folder) / "cache") for case, words in commands.items()}
            taken = alternate(measures, options.repetitions, options.seconds, warm_up=False)
            for case, seconds in taken.items():
                yield record(
                    "applications",
                    f"cold: {case}",
                    seconds=spread(seconds),
                    seconds_quickest=float(np.min(seconds)),
                    bound=BOUND,
                    repetitions=len(seconds),
                    quick=options.quick,
                )


def cold(words: list[str], cache: Path) -> Measure:
    """Return the measure of a Python process from its start to its end, whose compiled programs are not there yet.

    Args:
      words: of the command, after that of Python.
      cache: which is made new for each process.
    """

    def measure() -> float:
        with tempfile.TemporaryDirectory(prefix=cache.name, dir=cache.parent) as empty:
            environment = {**os.environ, "JAXVAE_CACHE": empty, "JAX_COMPILATION_CACHE_DIR": f"{empty}/compiled"}
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
            seconds = time.perf_counter() - began
        if done.returncode:
            why = (done.stderr.splitlines() or [f"status {done.returncode}"])[-1]
            raise UserError(f"The command {' '.join(words)} failed: {why}")
        return seconds

    return measure
