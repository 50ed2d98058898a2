"""A folder of image files, with classes and parts as sub-folders where there are any."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvae.data.files import NAMES, find_files
from jaxvae.data.notices import counted, listed, notice
from jaxvae.data.part_names import SETS, part_of
from jaxvae.data.parts import PARTS
from jaxvae.data.places import located
from jaxvae.data.resize import resize
from jaxvae.data.survey import SMALL, Model, Survey, read, survey
from jaxvae.errors import UserError
from jaxvae.progress import progress
from jaxvae.types import Dataset


class _Part(NamedTuple):
    root: Path
    paths: list[Path]  # of its images


def load(
    folder: str | Path, image_size: int | None = None, model: Model | None = None, default_size: int = SMALL
) -> tuple[dict[str, Dataset], tuple[str, ...]]:
    """Read PNG, JPEG, TIFF, WebP, BMP, GIF and PNM files, whatever their names end in.

    Other files are named and counted on the standard error output; hidden ones are passed over. Of several frames or
    pages the first one is read.

    - **Parts.** Sub-folders `train`, `valid` and `test` (or `training`, `val`, `validation`, `dev`, `testing`, in any
      case of letters) are the parts; other sub-folders with images beside them are refused. What is missing of `valid`
      and `test` is cut from the training images by a fixed seed, a tenth each, by class where there are classes.
    - **Classes.** Images in sub-folders are labelled by the sub-folder's place among the sorted names; images that lie
      directly in the folder have no labels. A single folder around all of this is passed through.
    - **Size.** With `image_size` every image becomes that square, as `jaxvae.data.resize.resize` says: padded with the
      colour of its border, never cut. Without it all must share one size; up to 64 pixels it is kept, larger ones
      become squares of the default size.
    - **Colour.** Images are grey [N, H, W, 1] if no file has a colour, whatever its mode, else RGB; transparent pixels
      are put on white (`jaxvae.data.decode.pixels`).
    - **Depth.** Images of 16 bits are brought to 8, divided by 257; if none has a value above 255 they are taken as
      they are. Floats are from 0 to 1, or from 0 to 255.
    - **Masks.** If no more than two colours occur in all the files together, the images are binary: the darker one is
      0, the brighter 1, and they stay binary in any size. So they are where each file has 0 and one kind of white, 1,
      255 or 65535. JPEG smears its edges: store masks as PNG.

    Args:
      folder: the folder.
      image_size: side in pixels, or None.
      model: that is to take the images, in place of a size; the training images may then be missing.
      default_size: side in pixels of images larger than 64.

    Returns:
      "train" and, where they have sub-folders, "valid" and "test": images [N, H, W, C] uint8, sorted by path, with the
      paths in the folder as names; and the names of the classes.

    Raises:
      UserError: if the folder or its images are missing, damaged or too large, sizes differ without `image_size`,
        sub-folders can be parts or classes, or Pillow is not installed.
    """
    folder = located(folder, "folder:")
    if not folder.is_dir():
        raise UserError(f"folder:{folder} is not a folder; give one that holds image files.")
    files = find_files(folder)
    if files.others:
        others = listed([path.relative_to(folder) for path in files.others])
        notice(f"{counted(len(files.others), 'file is', 'files are')} none of {NAMES}, and left out: {others}.")
    if not files.images:
        raise UserError(f"{folder} has no {NAMES} files in it; give a folder of images.")
    parts = _parts(folder, files.images, whole=model is None)
    labels, classes = _labels(parts)
    found = survey([path for part in parts.values() for path in part.paths], image_size, model, default_size)
    datasets = {}
    for name, part in parts.items():
        names = np.array([path.relative_to(folder).as_posix() for path in part.paths])
        datasets[name] = Dataset(read_all(part.paths, found, name), labels[name], names)
    return datasets, classes


def read_all(paths: Sequence[Path], found: Survey, part: str) -> np.ndarray:
    """Read images in their final size.

    Args:
      paths: of the images.
      found: how they are to be read.
      part: what they are, beside the bar.

    Returns:
      [N, H, W, C] uint8.

    Raises:
      UserError: if one is damaged.
    """
    num_channels = 1 if found.census.grey or found.binary else 3
    x = np.empty((len(paths), *found.size, num_channels), np.uint8)
    for i, path in enumerate(progress(paths, f"reading {part}")):
        image = read(path, found)
        if image.shape[:2] != found.size:
            image = resize(image, found.size, found.binary.ink if found.binary else None)
        x[i] = image
    return x


# ---------- private


def _parts(folder: Path, images: list[Path], *, whole: bool) -> dict[str, _Part]:
    """The images of each part, in the order train, valid, test; of a whole set, train among them."""
    root, inside, beside = _unwrapped(folder, images)
    found: dict[str, str] = {}
    for part in PARTS:
        names = [name for name in sorted(inside) if part_of(name) == part]
        if len(names) > 1:
            raise UserError(f"{root} has two folders for {SETS[part]} images, {names[0]} and {names[1]}: keep one.")
        if names:
            found[part] = names[0]
    _check_empty_folders(root, inside)
    if not found:
        _check_inner_parts(root, images)
        return {"train": _Part(root, images)}
    if others := [name for name in sorted(inside) if name not in found.values()]:
        named = next(iter(found.values()))
        raise UserError(
            f"{root} has the folders {listed(others)} beside {' and '.join(found.values())}: if these are classes, "
            f"rename {named}; if they are parts, keep nothing but train, valid and test there."
        )
    if whole and "train" not in found:
        raise UserError(f"{root} has images in {' and '.join(found.values())} and none in train, which it needs.")
    if beside:
        notice(
            f"{counted(len(beside), 'image lies', 'images lie')} beside {' and '.join(found.values())}, and "
            f"{'is' if len(beside) == 1 else 'are'} left out: {listed([path.name for path in beside])}."
        )
    return {
        part: _Part(root / found[part], [path for path in images if path.relative_to(root).parts[0] == found[part]])
        for part in found
    }


def _check_empty_folders(root: Path, inside: Counter[str]) -> None:
    """Raise a `UserError` if a part has no images, and name other sub-folders that have none."""
    empty = [path.name for path in sorted(root.iterdir()) if path.is_dir() and path.name not in inside]
    empty = [name for name in empty if not name.startswith(".")]
    if parts := [name for name in empty if part_of(name)]:
        raise UserError(f"{root / parts[0]} has no {NAMES} files in it: fill it with images, or remove it.")
    if empty:
        notice(f"{counted(len(empty), 'sub-folder has', 'sub-folders have')} no images: {listed(empty)}.")


def _check_inner_parts(root: Path, images: list[Path]) -> None:
    """Raise a `UserError` if there are parts inside of classes, which would be trained on alike."""
    inner = sorted({name for path in images for name in path.relative_to(root).parts[1:-1] if part_of(name)})
    if len({part_of(name) for name in inner}) > 1:
        raise UserError(
            f"{root} has folders called {listed(inner)} inside of others: put these outside and the classes inside, as "
            "train/cat, test/cat."
        )


def _unwrapped(folder: Path, images: list[Path]) -> tuple[Path, Counter[str], list[Path]]:
    """The folder that all images share, the images in each of its sub-folders, and those beside these."""
    root = folder
    while True:
        names = [path.relative_to(root).parts for path in images]
        inside = Counter(name[0] for name in names if len(name) > 1)
        beside = [path for path, name in zip(images, names, strict=True) if len(name) == 1]
        outer = next(iter(inside)) if len(inside) == 1 and not beside else None
        if outer is None or part_of(outer) or any(len(name) == 2 for name in names):
            break
        root = root / outer
    if root != folder:
        notice(f"all images lie in {root.relative_to(folder)}, whose sub-folders are taken for parts or classes.")
    return root, inside, beside


def _labels(parts: dict[str, _Part]) -> tuple[dict[str, np.ndarray | None], tuple[str, ...]]:
    """[N] int32 a part, numbered over all parts together, None of a part without class folders; and their names."""
    names: dict[str, list[str] | None] = {}
    for name, part in parts.items():
        relative = [path.relative_to(part.root).parts for path in part.paths]
        num_inside = sum(len(path) > 1 for path in relative)
        if 0 < num_inside < len(relative):
            raise UserError(
                f"{part.root} has {num_inside} images in sub-folders and {len(relative) - num_inside} beside them; put "
                "all in sub-folders named after classes, or none."
            )
        names[name] = [path[0] for path in relative] if num_inside else None
    classes = sorted({label for part_names in names.values() for label in part_names or ()})
    number = {label: i for i, label in enumerate(classes)}
    labels = {
        name: None if found is None else np.array([number[label] for label in found], np.int32)
        for name, found in names.items()
    }
    return labels, tuple(classes)
