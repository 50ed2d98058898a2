"""PyTorch beside this library: a process of its own that computes only while it is asked to."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.options import Options
from benchmarks.records import Record, num_cores, record
from benchmarks.timing import Measure, spread
from jaxvae.errors import UserError

PEER_MODELS = (
    "mlp",
    "planar",
    "conv",
    "vq_vae",
    "gated_pixelcnn",
)  # of `benchmarks.models`, that `benchmarks.torch_peer` has too


class Torch:
    """PyTorch's training loops of the same models, each compiled and run when it is asked for.

    Args:
      options: batch, images and steps of a chunk.

    Raises:
      UserError: if PyTorch is not installed, or its process ends.
    """

    def __init__(self, options: Options) -> None:
        if importlib.util.find_spec("torch") is None:
            raise UserError("PyTorch is not installed, and --peer torch needs it: pip install 'jaxvae[peers]'.")
        self._options = options
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torch_peer"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._version = self._ask(
            threads=num_cores(),
            device="cuda" if jax.default_backend() == "gpu" else "cpu",
            num_images=options.num_images,
            batch_size=options.batch_size,
        )["version"]

    def measures(self, model: str) -> dict[str, Measure]:
        """Prepare all loops of a model and return their measures by name, "torch mlp eager"; what fails is left out."""
        measures = {}
        for variant in self._ask(variants_of=model)["variants"]:
            reply = self._ask(prepare=variant, model=model)
            if "error" in reply:
                print(f"warning: PyTorch's {model} {variant} is left out: {reply['error']}", file=sys.stderr)
            else:
                measures[f"torch {model} {variant}"] = self._measure(model, variant)
        return measures

    def records(self, suite: str, model: str, ours: str, seconds: Mapping[str, np.ndarray]) -> Iterator[Record]:
        """Return a record of each loop, and of `ours` against the fastest of them."""
        options = self._options
        loops = [name for name in seconds if name.startswith(f"torch {model} ")]
        num_images = options.batch_size * options.num_steps
        for name in loops:
            rate = spread(num_images / seconds[name])
            yield record(suite, name, images_per_second=rate, **self._common(seconds[name]))
        if loops:
            best = min(loops, key=lambda name: float(np.median(seconds[name])))
            ratio = spread(seconds[best] / seconds[ours])
            yield record(suite, f"{ours} / torch", against=best, speedup=ratio, **self._common(seconds[ours]))

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _measure(self, model: str, variant: str) -> Measure:
        return lambda: float(self._ask(run=variant, model=model, num_steps=self._options.num_steps)["seconds"])

    def _common(self, seconds: np.ndarray) -> dict[str, Any]:
        quick = self._options.quick
        return {"repetitions": len(seconds), "torch_version": self._version, "quick": quick}

    def _ask(self, **request: Any) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            reply = self._process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            raise UserError(f"PyTorch's process ended with status {self._process.wait()} when asked for {request}.")
        return json.loads(reply)
