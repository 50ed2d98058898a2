"""Images of a source for a model that is trained: in their order, in its size and values."""

import os
from collections.abc import Sequence

import numpy as np

from jaxvae.data.classes import UNKNOWN
from jaxvae.data.folder import read_all
from jaxvae.data.notices import counted, listed, notice
from jaxvae.data.parts import PARTS, check_part, cut_missing
from jaxvae.data.places import located, shortened
from jaxvae.data.resize import rare_value, resize_dataset
from jaxvae.data.source import read_parts
from jaxvae.data.survey import Model, survey
from jaxvae.data.values import settle, to_one_type
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec


def load_for(
    spec: DataSpec,
    source: str,
    *,
    part: str | None = None,
    resize: bool = False,
    noisy: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load the images that a source names, as a trained model takes them.

    They are read as in training, where the set decides less: a model of 256 values takes images of two values as they
    are stored, and one of images in colour takes grey ones.

    Args:
      spec: of the data that the model was trained on.
      source: see `jaxvae.data.load`.
      part: train, valid or test; None takes all images, in the order of these parts and of their files.
      resize: whether images of another size are brought to that of the model, as `jaxvae.data.resize` says.
      noisy: whether a model of black and white images takes grey ones too, as floats: noise makes such of them.
      cache_dir: as of `jaxvae.data.load`.

    Returns:
      Images [N, H, W, C], labels [N] of the model's classes, or None, and names: paths in the folder, or numbers.

    Raises:
      UserError: as `jaxvae.data.load`; if the images are of another size or kind.
    """
    model = _model_of(spec, resize=resize)
    found, classes = read_parts(source, model=model, cache_dir=cache_dir)
    name = shortened(source)
    parts = {one: check_part(data, f"{name}: {one}") for one, data in found.items()}
    if part is not None and "train" in parts:
        parts = cut_missing(parts, name)
    if part is not None and part not in parts:
        raise UserError(f"{name} has no {part} images, it has {' and '.join(parts)}.")
    images = _values([data.x for data in parts.values()], spec, name, noisy=noisy)
    parts = {
        one: Dataset(x, _labels(data.labels, classes, spec, name), data.names)
        for (one, data), x in zip(parts.items(), images, strict=True)
    }
    chosen = [parts[one] for one in PARTS if one in parts and part in (None, one)]
    return _joined([_in_size(_in_colour(data, spec, name), spec, name, resize=resize) for data in chosen])


def load_files(spec: DataSpec, paths: Sequence[str | os.PathLike[str]], *, resize: bool = False) -> Dataset:
    """Load image files, as a trained model takes them; they are read as those of a folder.

    Args:
      spec: of the data that the model was trained on.
      paths: of the files.
      resize: as of `load_for`.

    Returns:
      Images [N, H, W, C] and their paths.

    Raises:
      UserError: if one is missing, no image, or of another size or kind.
    """
    model, places = _model_of(spec, resize=resize), [located(path, "image") for path in paths]
    if missing := [place for place in places if not place.is_file()]:
        raise UserError(f"There is no image {missing[0]}: expected the path of an image file.")
    name = " and ".join(map(str, places))
    (x,) = _values([read_all(places, survey(places, None, model), "images")], spec, name, noisy=False)
    return _in_colour(Dataset(x, None, np.array([str(place) for place in places])), spec, name)


def check_takes_images(spec: DataSpec) -> None:
    """Raise a `UserError` unless a model is of images.

    Args:
      spec: of the data that the model was trained on.
    """
    if len(spec.shape) != 3:
        raise UserError(f"The model is of rows of {spec.shape[0]} numbers, not of images: it takes none.")


# ---------- private


def _model_of(spec: DataSpec, *, resize: bool) -> Model:
    check_takes_images(spec)
    height, width, channels = spec.shape
    return Model((height, width, channels), spec.num_values == 2, resize)


def _values(images: Sequence[np.ndarray], spec: DataSpec, name: str, *, noisy: bool) -> list[np.ndarray]:
    """Zeros and ones of binary images, bytes or floats in [0, 1] of others."""
    if spec.num_values == 2:
        settled, num_values = settle({str(i): x for i, x in enumerate(images)}, name)
        if num_values != 2 and noisy:
            return [x / np.float32(255) if x.dtype == np.uint8 else x for x in settled]
        if num_values != 2:
            raise UserError(
                f"{name} has grey images, expected black and white ones: store them with two values, as PNG."
            )
        return settled
    settled = to_one_type(images)
    if settled[0].dtype == np.uint8 and max(int(x.max()) for x in settled) == 1:
        notice(f"{name}: all pixels are 0 or 1, which are taken for black and white.")
        return [x * np.uint8(spec.num_values - 1) for x in settled]
    return settled


def _in_colour(data: Dataset, spec: DataSpec, name: str) -> Dataset:
    channels = data.x.shape[-1]
    if channels == spec.shape[-1]:
        return data
    if channels > 1:
        raise UserError(f"{name} has images in colour, the model is of grey ones: make them grey.")
    notice(f"{name}: the images are grey, and are given to a model of images in colour.")
    return Dataset(np.broadcast_to(data.x, (*data.x.shape[:3], spec.shape[-1])), data.labels, data.names)


def _in_size(data: Dataset, spec: DataSpec, name: str, *, resize: bool) -> Dataset:
    (height, width), size = data.x.shape[1:3], (spec.shape[0], spec.shape[1])
    if (height, width) == size:
        return data
    if not resize:
        raise UserError(
            f"{name} has images of {width}x{height} pixels, the model is of {size[1]}x{size[0]}: pass --resize to "
            "bring all images there."
        )
    return resize_dataset(data, size, rare_value([data.x]) if spec.num_values == 2 else None)


def _labels(labels: np.ndarray | None, classes: Sequence[str], spec: DataSpec, name: str) -> np.ndarray | None:
    """Labels of the classes of the model: by their names where both have names."""
    if labels is None or not (classes and spec.classes) or tuple(classes) == tuple(spec.classes):
        return labels
    others = [one for one in classes if one not in spec.classes]
    if others:
        notice(f"{name}: {counted(len(others), 'class is', 'classes are')} none of the model's: {listed(others)}.")
    numbers = [spec.classes.index(one) if one in spec.classes else UNKNOWN for one in classes]
    return np.where(labels == UNKNOWN, UNKNOWN, np.array(numbers, np.int32)[labels])


def _joined(parts: Sequence[Dataset]) -> Dataset:
    """All images in one set, those without names by their numbers."""
    x = np.concatenate([data.x for data in parts]) if len(parts) > 1 else parts[0].x
    labels = [data.labels for data in parts]
    known = None if any(one is None for one in labels) else np.concatenate(labels)
    if all(data.names is not None for data in parts):
        return Dataset(x, known, np.concatenate([data.names for data in parts]))
    width = len(str(len(x) - 1))
    return Dataset(x, known, np.array([f"{i:0{width}}" for i in range(len(x))]))
