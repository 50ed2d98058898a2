"""Image sets of tensorflow-datasets, prepared on first use and read without tensorflow's pipelines."""

import os
import re
from typing import Any

import numpy as np

from jaxvae.data.cache import cache_folder, cached
from jaxvae.data.limits import check_memory
from jaxvae.data.part_names import PART_NAMES
from jaxvae.data.parts import PARTS, check_images
from jaxvae.data.resize import resize
from jaxvae.errors import UserError
from jaxvae.progress import progress
from jaxvae.types import Dataset

Size = int | tuple[int, int] | None  # side of a square, or height and width

LARGEST_RAW = 64  # pixels; larger images are made small one by one, so that the set fits in memory


def load(
    name: str, image_size: Size = None, cache_dir: str | os.PathLike[str] | None = None
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """Read the features `image` and `label` of a set, from the cache after the first time.

    The first time the set is downloaded and prepared in tensorflow-datasets' own folder ($TFDS_DATA_DIR or
    `~/tensorflow_datasets`), as array_record files, and decoded once. Its own splits are kept: `train`, `validation`
    and `test`; what is missing of the last two is cut from `train` by a fixed seed, a tenth each.

    Args:
      name: the set's name as tensorflow-datasets knows it, with config and version if wanted: `mnist`,
        `emnist/letters`.
      image_size: images larger than 64 pixels, and all if their sizes differ, are brought to this square, or to a
        height and width, as grey or colour images, also where they are masks; smaller ones keep their size here.
      cache_dir: where the decoded arrays are kept.

    Returns:
      "train" and, where the set has them, "valid" and "test", images [N, H, W, C] uint8 or float32 and labels [N] or
      None; and the names of the classes, where the set has some.

    Raises:
      UserError: if the package is missing, the set is unknown, cannot be prepared or has no images, or sizes differ
        without `image_size`.
    """
    size = "x".join(map(str, image_size)) if isinstance(image_size, tuple) else image_size
    file = re.sub(r"[^\w.-]+", "-", name) + (f"-{size}" if size else "") + ".npz"
    arrays = cached(cache_folder(cache_dir) / "tfds" / file, lambda: _decode(name, image_size), "x_train")
    parts = {part: Dataset(arrays[f"x_{part}"], arrays.get(f"y_{part}")) for part in PARTS if f"x_{part}" in arrays}
    return parts, tuple(arrays["classes"].tolist() if "classes" in arrays else ())


def _decode(name: str, image_size: Size) -> dict[str, np.ndarray]:
    builder = _prepared(name)
    arrays: dict[str, np.ndarray] = {}
    splits = list(builder.info.splits)
    for part, spellings in PART_NAMES.items():
        split = next((s for s in spellings if s in splits), None)
        if split is None and part == "train":
            raise UserError(f"tfds:{name} has the splits {', '.join(splits)}, expected train among them.")
        if split is not None:
            x, y = _decode_split(builder.as_data_source(split=split), f"tfds:{name} {split}", image_size)
            arrays |= {f"x_{part}": x} if y is None else {f"x_{part}": x, f"y_{part}": y}
    if classes := _class_names(builder):
        arrays["classes"] = np.array(classes)
    return arrays


def _class_names(builder: Any) -> list[str]:
    """The names of a set's classes, [] of one without."""
    try:
        return list(builder.info.features["label"].names)
    except (AttributeError, KeyError, TypeError):
        return []


def _prepared(name: str) -> Any:
    """The builder of a set whose array_record files are there."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UserError(
            'tfds: needs tensorflow-datasets, which is not installed; pip install "jaxvae[tfds]".'
        ) from error
    try:
        builder = tensorflow_datasets.builder(name, file_format="array_record")
        builder.download_and_prepare()
    except ImportError as error:  # a prepared set is read without tensorflow, preparing needs it
        raise UserError(f'Preparing tfds:{name} needs {error.name}; pip install "jaxvae[tfds]".') from error
    except Exception as error:  # the network, a full disk, an unknown name: each has its own class there
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"tensorflow-datasets cannot prepare '{name}': {reason}") from error
    return builder


def _decode_split(items: Any, name: str, image_size: Size) -> tuple[np.ndarray, np.ndarray | None]:
    images, labels = [], []
    num_bytes = 0
    for i in progress(range(len(items)), name):
        item = items[i]
        if "image" not in item:
            raise UserError(f"{name} has the features {', '.join(item)}, expected image (and label).")
        image = check_images(np.asarray(item["image"])[None], name)[0]
        if image_size is not None and max(image.shape[:2]) > LARGEST_RAW:
            image = resize(image, image_size)
        images.append(image)
        check_memory(num_bytes := num_bytes + image.nbytes, name)
        if "label" in item:
            labels.append(item["label"])
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) > 1 and image_size is not None:
        images = [resize(image, image_size) for image in images]
    elif len(sizes) > 1:
        (h1, w1), (h2, w2) = sizes[0], sizes[-1]
        raise UserError(
            f"{name} has images from {w1}x{h1} to {w2}x{h2} pixels; pass --image-size N to bring all to NxN."
        )
    if 0 < len(labels) < len(images):
        raise UserError(f"{name} has {len(images)} images and {len(labels)} labels, expected one label an image.")
    return np.stack(images), np.array(labels) if labels else None
