"""The records that the pages are made from, with what follows from their numbers."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import Record, newest
from jaxvae.evaluation.statistics import standard_error_of_share
from jaxvae.studies.table import half_interval

TRAIN_IMAGES = {
    "idx": 59_600,
    "binarized_mnist": 50_000,
}  # MNIST's files with 400 images to validate, and the static set
TEST_IMAGES = 10_000  # of MNIST
PIXELS = 28 * 28
WITH_KNOWN = {"m2", "m1m2", "ladder"}  # whose batches have a fraction of images with a known class, which come again


def load_records(folder: Path) -> dict[str, Record]:
    """Return the records of experiments by the name of their file, each with what is derived from it.

    Derived are `epochs`; of comparisons the shortest and the longest training; of classifiers the gain of one method
    over another, draw by draw; of codes the bits an image.

    Args:
      folder: with a JSON file a record.

    Returns:
      Record by name.
    """
    return {path.stem: _with_derived(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))}


def load_timings(folder: Path) -> dict[str, Record]:
    """Return the newest timings by suite and case, as "train_step: mlp scan"."""
    return {f"{one['suite']}: {one['case']}": one for one in newest(folder)}


def _with_derived(record: Record) -> Record:
    config = record["config"]
    derived: dict[str, Any] = {}
    kind = str(config.get("data")).partition(":")[0]
    if kind in TRAIN_IMAGES and "steps" in config:
        fresh = 1.0 - config["known_fraction"] if set(config.get("methods", [])) & WITH_KNOWN else 1.0
        derived["epochs"] = config["steps"] * config["batch_size"] * fresh / TRAIN_IMAGES[kind]
    runs = record.get("runs", [{}])
    if "seconds" in runs[0]:
        seconds = [run["seconds"] for run in runs]
        derived |= {"shortest_run": min(seconds), "longest_run": max(seconds)}
    if "restarts" in runs[0]:
        derived["num_flows_trained"] = sum(run["restarts"] for run in runs)
    if "errors" in record:
        derived["gains"] = _gains(record["errors"])
        if len(record["errors"]) == 1 and record["errors"][0]["draws"] == 1:
            share = record["errors"][0]["error"] / 100.0
            derived["error_stderr"] = 100.0 * standard_error_of_share(share, TEST_IMAGES)
    if "stages" in record:
        derived["stages_seconds"] = sum(one["seconds"] for one in record["stages"] if one["stage"] != "end_to_end")
    if "quantizers" in record:
        derived["bits_an_image"] = record["quantizers"][0]["rate_bits_per_dim"] * PIXELS
    if record["experiment"] == "pixel_vae":
        derived["most_information"] = math.log(record["runs"][0]["metrics"]["mutual_information_images"])
    return record | derived


def _gains(errors: list[Record]) -> list[Record]:
    """What fine-tuning gains over training from scratch, draw by draw, and half of its 95 % interval by Student's t."""
    of = {(row["method"], row["labels"]): row["errors"] for row in errors}
    gains = []
    for labels in sorted({labels for method, labels in of if method == "finetune" and ("scratch", labels) in of}):
        saved = np.array(of["scratch", labels]) - np.array(of["finetune", labels])
        gains.append({"labels": labels, "gain": float(np.mean(saved)), "within": half_interval(saved)})
    return gains
