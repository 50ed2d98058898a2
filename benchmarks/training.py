"""The suites `train_step` and `layouts`: images a second of training."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax
import numpy as np

from benchmarks.data import bumps
from benchmarks.models import Model, make_model
from benchmarks.options import Options
from benchmarks.peers import PEER_MODELS, Torch
from benchmarks.records import Record, compared, record
from benchmarks.steps import Steps, training_record
from benchmarks.timing import alternate, gemm_ceiling, spread, timed
from jaxvae.training import Checkpoints, Settings, fit, make_layout, shard_large
from jaxvae.training.parallel import Kind
from jaxvae.types import Dataset, Splits

# What is measured in one sitting: models and how their steps are run.
COMPARED: dict[str, list[tuple[str, Kind]]] = {
    "mlp": [("mlp", "step"), ("mlp", "scan")],
    "planar": [("planar", "scan")],
    "conv": [("conv", "step"), ("conv", "scan"), ("conv_lax", "step")],
    "resnet": [("resnet", "scan")],
    "resvae": [("resvae", "scan"), ("gated", "scan")],
    "vq_vae": [("vq_vae", "step"), ("vq_vae", "scan")],
    "gated_pixelcnn": [("gated_pixelcnn", "scan")],
}
SAVED = {"mlp": (1, 6), "conv": (1,)}  # programs from one checkpoint to the next: 10,000 images, and MNIST's 60,000
ALONE = ("step", "scan")  # layouts of one device


def train_step(options: Options) -> Iterator[Record]:
    """Measure the default layouts of each model, `fit` beside the bare program, and PyTorch where it is asked for."""
    torch = Torch(options) if options.peer == "torch" else None
    ceiling = gemm_ceiling(quick=options.quick)
    try:
        for group in options.chosen(tuple(COMPARED)):
            sizes = options.num_images, options.batch_size, options.num_steps
            runs = {
                f"{name} {kind}": Steps(make_model(name), make_layout(kind), *sizes) for name, kind in COMPARED[group]
            }
            measures = {name: timed(steps) for name, steps in runs.items()}
            if torch and group in PEER_MODELS:
                measures |= torch.measures(group)
            seconds = alternate(measures, options.repetitions, options.seconds)
            for name, steps in runs.items():
                yield training_record("train_step", name, steps, seconds[name], ceiling, options.quick)
            yield from _comparisons(f"{group} scan", seconds, options)
            if torch and group in PEER_MODELS:
                yield from torch.records("train_step", group, f"{group} scan", seconds)
            saved = SAVED.get(group, ())
            for programs in saved[:1] if options.quick else saved:
                yield fit_overhead(runs[f"{group} scan"], programs, options)
    finally:
        if torch:
            torch.close()


def layouts(options: Options) -> Iterator[Record]:
    """Measure every layout, with the same global batch: those for several devices on all that there are."""
    ceiling = gemm_ceiling(quick=options.quick)
    there = min(2, jax.device_count()) if options.quick else jax.device_count()
    all_layouts = {f"{kind} 1": make_layout(kind, 1) for kind in options.layouts if there == 1 or kind in ALONE}
    if there > 1:
        together = [kind for kind in options.layouts if kind not in ALONE]
        all_layouts |= {f"{kind} {there}": make_layout(kind, there) for kind in together}
        all_layouts[f"sharded parameters {there}"] = make_layout("sharded", there, shard_large(there))
    for name in options.chosen(("mlp", "conv")):
        model = make_model(name)
        runs = {
            f"{name} {case}": Steps(model, layout, options.num_images, options.batch_size, options.num_steps)
            for case, layout in all_layouts.items()
        }
        measures = {case: timed(steps) for case, steps in runs.items()}
        seconds = alternate(measures, options.repetitions, options.seconds)
        reference = f"{name} scan 1"
        for case, steps in runs.items():
            ratio = {} if case == reference else compared(reference, seconds[reference] / seconds[case])
            yield training_record("layouts", case, steps, seconds[case], ceiling, options.quick, **ratio)


def fit_overhead(steps: Steps, programs: int, options: Options) -> Record:
    """Compare `fit`, with a line of metrics after every program and a checkpoint after some, to the programs alone.

    Compilation, the first checkpoint, which sets up the saver, and the evaluation at the end are not counted.

    Args:
      steps: a program alone.
      programs: from one checkpoint to the next.
      options: sizes.

    Returns:
      The record.
    """
    splits = Splits(*[Dataset(bumps(options.num_images), None)] * 3)
    num_checkpoints = max(1, options.checkpoints // programs)

    def bare() -> float:
        return sum(timed(steps)() for _ in range(num_checkpoints * programs))

    def fitted() -> float:
        times = _report_times(steps.model, splits, (num_checkpoints + 1) * programs + 1, programs, options)
        return times[-1] - times[programs]

    seconds = alternate({"fit": fitted, "bare": bare}, min(options.repetitions, 5), options.seconds, warm_up=False)
    num_images = num_checkpoints * programs * steps.num_images
    return record(
        "train_step",
        f"{steps.model.name} fit, {programs * options.num_steps} steps a checkpoint",
        images_per_second=spread(num_images / seconds["fit"]),
        bare_images_per_second=spread(num_images / seconds["bare"]),
        overhead=spread(seconds["fit"] / seconds["bare"] - 1.0),
        checkpoints=num_checkpoints,
        repetitions=len(seconds["fit"]),
        quick=options.quick,
    )


# ---------- private


def _comparisons(case: str, seconds: Mapping[str, np.ndarray], options: Options) -> Iterator[Record]:
    for other in seconds:
        if other != case and not other.startswith("torch"):
            ratio = compared(other, seconds[other] / seconds[case])
            yield record("train_step", f"{case} / {other}", **ratio, quick=options.quick)


def _report_times(model: Model, splits: Splits, num_programs: int, programs: int, options: Options) -> list[float]:
    """When `fit` reported the end of each of its programs; a checkpoint follows every so many reports."""
    settings = Settings(
        steps=num_programs * options.num_steps,
        batch_size=options.batch_size,
        eval_every=num_programs * options.num_steps,
        log_every=options.num_steps,
        save_every=programs * options.num_steps,
    )
    times = []
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "metrics.jsonl").open("w") as log:

        def report(step: int, part: str, metrics: dict[str, float]) -> None:
            log.write(json.dumps({"step": step, "part": part, **metrics}) + "\n")
            log.flush()
            if part == "train":
                times.append(time.perf_counter())

        with Checkpoints(Path(folder) / "checkpoints") as checkpoints:
            layout = make_layout("scan")
            fit(model.system, splits, settings, checkpoints=checkpoints, report=report, layout=layout)
    return times
