"""Fill in a part of images, several times, with the mean and the spread of what is filled in."""

import csv
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from jaxvae.applications.completion import is_exact
from jaxvae.capabilities import Completes, require
from jaxvae.commands.given import in_unit, labels_given, load_images, load_model
from jaxvae.commands.output import check_place, ending, image_names, writing
from jaxvae.commands.pictures import as_bytes, numbered, write_pictures
from jaxvae.commands.verb_flags import CompleteFlags
from jaxvae.data.files import find_files
from jaxvae.data.for_model import load_files
from jaxvae.data.masks import named_mask
from jaxvae.errors import UserError
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, DataSpec
from jaxvae.viz import save_rows

SHOWN = 12  # images of the picture
GREY = 0.5  # of unknown pixels in it


def needed(trained: Trained) -> Completes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require(trained.system, Completes)


def run(flags: CompleteFlags) -> None:
    """Complete images and write them."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    scores = None if flags.scores is None else check_scores(flags)
    trained = load_model(flags)
    needed(trained)
    dataset = load_images(flags, trained)
    unknown = load_mask(flags.mask, dataset.names, trained.spec, resize=flags.resize)
    labels = labels_given(trained, dataset.labels, flags.label, len(dataset.x))
    images = trained.complete(dataset.x, unknown, num=flags.num, labels=labels, drawn=not flags.means, seed=flags.seed)
    given = np.where(unknown[..., None], np.float32(GREY), in_unit(dataset, trained.spec))
    kinds = {number: images[:, i] for i, number in enumerate(numbered(flags.num))}
    if flags.num > 1:  # of values in [0, 1] a standard deviation is 0.5 at most
        kinds |= {"mean": images.mean(axis=1), "spread": 2 * images.std(axis=1)}
    how = "exact draws" if is_exact(trained.system, unknown) else "approximate draws"
    what = f"{flags.num} completions of {len(images):,} images, {'means' if flags.means else how},"
    if scores is not None:
        write_scores(scores, flags, trained, dataset, unknown, labels)
    if ending(place) == ".npz":
        with writing(place) as path:
            np.savez_compressed(path, images=as_bytes(images), paths=np.asarray(dataset.names))
        print(f"{what} in {place}.")
        return

    def draw(path: Path, num: int | None) -> None:
        del num  # of several rows, fewer images
        save_rows(path, {name: row[:SHOWN] for name, row in {"given": given, **kinds}.items()})

    names = [f"{name.removesuffix('.png')}/{kind}" for name in image_names(dataset.names) for kind in kinds]
    rows = np.stack(list(kinds.values()), axis=1)
    print(f"{what} in {write_pictures(place, rows.reshape(-1, *rows.shape[2:]), names, draw)}.")


def check_scores(flags: CompleteFlags) -> Path:
    """Return where the scores are written, before anything is computed."""
    assert flags.scores is not None
    return check_place(flags.scores, overwrite=flags.overwrite, endings=(".csv",), folder=False)


def write_scores(
    place: Path, flags: CompleteFlags, trained: Trained, dataset: Dataset, unknown: np.ndarray, labels: Any
) -> None:
    """Write log p(what is filled in | the rest) of whole images, and say its mean.

    Args:
      place: NAME.csv.
      flags: of the verb.
      trained: the model.
      dataset: the images.
      unknown: which pixels are filled in, [H, W] or [N, H, W].
      labels: of a model that is conditional on classes, or None.
    """
    options: dict[str, Any] = {"labels": labels, "num_samples": flags.num_samples, "seed": flags.seed}
    nats = trained.conditional_log_likelihood(dataset.x, unknown, **options)
    with writing(place) as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "log_p_unknown_given_known"])
        writer.writerows([name, f"{value:.7g}"] for name, value in zip(dataset.names, nats, strict=True))
    how = "exact" if is_exact(trained.system, unknown) else f"estimated by {flags.num_samples:,} importance samples"
    print(f"log p(unknown | known) of {len(nats):,} images in {place}, {how}. Mean: {nats.mean():.5g} nats.")


def load_mask(given: str, names: np.ndarray, spec: DataSpec, *, resize: bool) -> np.ndarray:
    """Return which pixels are filled in, [H, W], or [N, H, W] of a mask for every image.

    Args:
      given: the name of a mask, see `jaxvae.data.masks`; or the place of an image, or of a folder of images with the
        names of the others, whatever these end in.
      names: of the images.
      spec: of the images.
      resize: whether a mask of another size is brought to theirs.

    Raises:
      UserError: if a mask is missing, grey, of another size, or has nothing that is white.
    """
    mask = Path(given).expanduser()
    if not mask.exists() and not mask.suffix and len(mask.parts) == 1:
        return named_mask(given, *spec.shape[:2])
    binary = DataSpec((*spec.shape[:2], 1), 2, 0)
    if mask.is_dir():
        there = {_without_ending(path.relative_to(mask).as_posix()): path for path in find_files(mask).images}
        if missing := [name for name in names if _without_ending(name) not in there]:
            raise UserError(f"{mask} has no mask for {missing[0]}: expected one for each image, of the same name.")
        x = load_files(binary, [there[_without_ending(name)] for name in names], resize=resize).x[..., 0]
    else:
        x = load_files(binary, [mask], resize=resize).x[0, ..., 0]
    if not x.any():
        raise UserError(f"{mask} has no white pixels, which are those that are filled in.")
    return x.astype(bool)


# ---------- private


def _without_ending(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
