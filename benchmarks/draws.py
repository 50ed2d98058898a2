"""The suite `draws`: draws of the known classes as one program, against a command for each, from start to end."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.options import Options
from benchmarks.records import Record, record
from benchmarks.timing import alternate, spread, timed
from jaxvae.errors import UserError

METHODS = ("scratch", "m2")  # a convolutional classifier; the semi-supervised VAE


def draws(options: Options) -> Iterator[Record]:
    """Measure `experiments.semi_supervised` on the embedded digits, everything that a command does included."""
    for method in METHODS:

        def run(groups: list[list[int]], method: str = method) -> None:
            # Each side starts with nothing compiled; the commands of a side find what the ones before have compiled.
            with tempfile.TemporaryDirectory() as folder:
                for seeds in groups:
                    _command(Path(folder), method, seeds, options)

        seeds = list(range(options.num_draws))
        measures = {
            "together": timed(lambda run=run, seeds=seeds: run([seeds])),
            "separate": timed(lambda run=run, seeds=seeds: run([[seed] for seed in seeds])),
        }
        seconds = alternate(measures, 1, warm_up=False)  # minutes each
        yield record(
            "draws",
            f"{method}, {options.num_draws} draws of 100 labels",
            seconds=spread(seconds["together"]),
            separate_seconds=spread(seconds["separate"]),
            against=f"{options.num_draws} commands one after another",
            speedup=spread(seconds["separate"] / seconds["together"]),
            steps=options.draw_steps,
            batch_size=options.batch_size,
            repetitions=len(seconds["together"]),
            quick=options.quick,
        )


# ---------- private


def _command(folder: Path, method: str, seeds: list[int], options: Options) -> None:
    arguments = {
        "method": method,
        "sweep": f"seed={','.join(map(str, seeds))}",
        "steps": options.draw_steps,
        "eval-every": options.draw_steps,
        "batch-size": options.batch_size,
        "out": folder,
        "name": f"{method}-{seeds[0]}",
    }
    flags = [str(word) for name, value in arguments.items() for word in (f"--{name}", value)]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.semi_supervised", *flags],
        env={**os.environ, "JAXVAE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"experiments.semi_supervised ended with status {done.returncode}: {last}")
