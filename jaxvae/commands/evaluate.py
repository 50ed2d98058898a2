"""Measure samples against real images: Frechet distance, precision and recall, density and coverage."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae import data
from jaxvae.capabilities import Generates, require
from jaxvae.commands.compare import print_table
from jaxvae.commands.flags import ImageFlags
from jaxvae.commands.given import load_images, load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.run_flags import EvaluateFlags
from jaxvae.errors import UserError, whole_number
from jaxvae.evaluation.samples import NEIGHBOURS
from jaxvae.reports.samples import (
    MOST_IMAGES,
    check_enough,
    evaluate_samples,
    features_for,
    own_images,
    prepared,
    samples_of,
)
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Splits

MOST_SAMPLES = 100_000  # of which modes are counted; the measures are of the first MOST_IMAGES
FEW = 100  # real images, of which shares of 0 and 1 have intervals without a width
SPLIT = 0  # seed of the two halves of images that are given
ROWS = {  # name -> what it is, and which of two values is better
    "frechet_distance": ("Frechet distance", "lower"),
    "precision": ("precision", "higher"),
    "recall": ("recall", "higher"),
    "density": ("density", "higher"),
    "coverage": ("coverage", "higher"),
}


def needed(trained: Trained) -> Generates:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    if len(trained.spec.shape) != 3:
        raise UserError(f"{trained.system.name} is not of images: expected a model that draws some.")
    return require(trained.system, Generates)


def run(flags: EvaluateFlags) -> None:
    """Print a table of the measures, and write them where that is asked for."""
    place = flags.out and check_place(flags.out, overwrite=flags.overwrite, endings=(".json",), folder=False)
    num = None if flags.num is None else whole_number("num", flags.num, NEIGHBOURS + 1, MOST_SAMPLES)
    trained = load_model(flags)
    needed(trained)
    real, others, train, beside = _images(flags, trained, num)
    check_enough(len(real), "real images")
    check_enough(len(others), beside)
    features = features_for(trained, train, None if flags.classifier is None else str(flags.classifier))
    samples = samples_of(trained, num or len(real), means=flags.means, seed=flags.seed)
    found, of_others = (evaluate_samples(features, x, real, seed=flags.seed) for x in (samples, others))
    print(f"{len(samples):,} samples against {len(real):,} real images, in {features.name}.")
    print_table([("", ("samples", "95 % interval", beside, "95 % interval", "better")), *_rows(found, of_others)])
    for sentence in _sentences(found, of_others, beside):
        print(sentence)
    if place is not None:
        with writing(place) as path:
            numbers = {"features": features.name, **found, "other_real_images": of_others}
            path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
        print(f"Numbers in {place}.")


# ---------- private


def _images(flags: EvaluateFlags, trained: Trained, num: int | None) -> tuple[np.ndarray, np.ndarray, Dataset, str]:
    """Real images, others beside them, those that features may be fitted to, and what the others are."""
    if flags.data is not None:
        dataset = load_images(ImageFlags(data=flags.data, part=flags.part, resize=flags.resize), trained)
        rows = np.random.default_rng(SPLIT).permutation(len(dataset.x))[: 2 * MOST_IMAGES]
        halves = [Dataset(dataset.x[np.sort(some)], None) for some in np.array_split(rows, 2)]
        return prepared(trained, halves[0]), prepared(trained, halves[1]), halves[1], "other half"
    splits = _own_splits(trained)
    return *own_images(trained, splits, num), splits.train, "training images"


def _own_splits(trained: Trained) -> Splits:
    source = trained.config.get("data")
    if not isinstance(source, str):
        raise UserError(f"{trained.system.name} does not say which data it was trained on: give --data SOURCE.")
    try:
        splits, spec = data.load(source, image_size=trained.config.get("image_size"))
    except UserError as error:
        raise UserError(f"{error} Or give --data SOURCE, where real images are now.") from error
    if (spec.shape, spec.num_values) != (trained.spec.shape, trained.spec.num_values):
        raise UserError(f"{source} has other images now than the run was trained on: give --data SOURCE.")
    return splits


def _rows(found: Mapping[str, Any], of_others: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    def cells(name: str, measured: Mapping[str, Any]) -> tuple[str, str]:
        low, high = measured[f"{name}_interval"]
        return f"{measured[name]:.4g}", f"{low:.3g} to {high:.3g}"

    return [(words, (*cells(name, found), *cells(name, of_others), better)) for name, (words, better) in ROWS.items()]


def _sentences(found: Mapping[str, Any], of_others: Mapping[str, Any], beside: str) -> list[str]:
    said = [f"Power at high frequencies over that of real images, below 1 of blurred ones: {found['sharpness']:.2f}."]
    if found["num_real"] < FEW:
        said.append(f"{found['num_real']} real images are few: shares of them tell little, whatever their intervals.")
    if "modes" in found:
        each = (
            f"{one['modes']:,} among {one['num_samples']:,} {words}, {one['modes_kl']:.3g} nats"
            for one, words in ((found, "samples"), (of_others, f"of the {beside}"))
        )
        said.append(f"Combinations of classes, and their KL to an even mixture: {'; '.join(each)}.")
    if "recognised_samples" in found:
        said.append(
            f"The classifier is sure of {found['recognised_samples']:.1%} of the samples, and of "
            f"{of_others['recognised_samples']:.1%} of the {beside}."
        )
    return said
