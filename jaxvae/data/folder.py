"""A folder of image files, with classes and parts as sub-folders where there are any."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvae.data.decode import header, pixels
from jaxvae.data.npz import NAMES
from jaxvae.data.resize import resize
from jaxvae.errors import UserError
from jaxvae.progress import progress
from jaxvae.types import Dataset

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
LARGEST_KEPT, DEFAULT_SIZE = 64, 28  # pixels


class _Survey(NamedTuple):
    """What must be known of all images before the first is made small."""

    size: tuple[int, int] | None  # (H, W) that all share; None where they differ
    grey: bool  # no file has a colour
    values: tuple[int, ...]  # the one or two pixel values of binary images; () for all others
    ink: int  # of binary images: the rarer one of 0 and 1


def load(folder: str | Path, image_size: int | None = None) -> dict[str, Dataset]:
    """Read PNG, JPEG, BMP and GIF files; hidden files and other names are passed over.

    - **Parts.** With a sub-folder `train`, the sub-folders `train`, `valid` (or `val`, `validation`) and `test` are the
      parts and anything beside them is ignored. What is missing of `valid` and `test` is cut from the training images
      by a fixed seed, a tenth each.
    - **Classes.** Images in sub-folders are labelled by the sub-folder's place among the sorted names; images that lie
      directly in the folder have no labels.
    - **Size.** With `image_size` every image becomes that square, as `jaxvae.data.resize.resize` says: padded with the
      colour of its border, never cut. Without it all must share one size; up to 64 pixels it is kept, larger ones
      become 28x28.
    - **Colour.** Images are grey [N, H, W, 1] if no file has a colour, whatever its mode, else RGB; transparent pixels
      are put on white (`jaxvae.data.decode.pixels`).
    - **Masks.** If no more than two grey values occur in all the files together, the images are binary: the lower value
      is 0, the higher 1, and they stay binary in any size. JPEG smears its edges: store masks as PNG.

    Args:
      folder: the folder.
      image_size: side in pixels, or None.

    Returns:
      "train" and, where they have sub-folders, "valid" and "test": images [N, H, W, C] uint8, sorted by path.

    Raises:
      UserError: if the folder or its images are missing or broken, sizes differ without `image_size`, or Pillow is not
        installed.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"folder:{folder} is not a folder; give one that holds image files.")
    roots = {"train": folder}
    if (folder / "train").is_dir():
        roots = {part: folder / name for part, names in NAMES.items() for name in names if (folder / name).is_dir()}
    files = {part: _image_files(root) for part, root in roots.items()}
    survey = _survey([path for paths in files.values() for path in paths], image_size)
    if image_size is None and survey.size is not None:
        image_size = None if max(survey.size) <= LARGEST_KEPT else DEFAULT_SIZE
    labels = _labels(files, roots)
    return {
        part: Dataset(
            np.stack([_read(path, survey, image_size) for path in progress(paths, f"reading {part}")]), labels[part]
        )
        for part, paths in files.items()
    }


def _image_files(root: Path) -> list[Path]:
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not any(name.startswith(".") for name in path.relative_to(root).parts)
    ]
    if not paths:
        raise UserError(f"{root} has no PNG, JPEG, BMP or GIF files in it; give a folder of images.")
    return paths


def _labels(files: dict[str, list[Path]], roots: dict[str, Path]) -> dict[str, np.ndarray | None]:
    """[N] int32 a part, numbered over all parts together; None for all where images lie outside class folders."""
    names = {part: [path.relative_to(roots[part]).parts for path in paths] for part, paths in files.items()}
    inside = {part: [len(name) > 1 for name in part_names] for part, part_names in names.items()}
    for part, part_inside in inside.items():
        if any(part_inside) and not all(part_inside):
            raise UserError(
                f"{roots[part]} has {sum(part_inside)} images in sub-folders and {len(part_inside) - sum(part_inside)} "
                "beside them; put all in sub-folders named after classes, or none."
            )
    if not all(part_inside[0] for part_inside in inside.values()):
        return dict.fromkeys(files)
    number = {
        name: i for i, name in enumerate(sorted({name[0] for part_names in names.values() for name in part_names}))
    }
    return {part: np.array([number[name[0]] for name in part_names], np.int32) for part, part_names in names.items()}


def _survey(paths: list[Path], image_size: int | None) -> _Survey:
    """Look at the headers of all files, and at the pixels for as long as all may be grey or binary."""
    sizes: dict[tuple[int, int], Path] = {}
    grey, binary, counts = True, True, np.zeros(256, np.int64)
    for path in progress(paths, "looking at images"):
        size, mode = header(path)
        sizes.setdefault(size, path)
        if image_size is None and len(sizes) > 1:
            (h1, w1), (h2, w2) = sizes
            first, other = sizes.values()
            raise UserError(
                f"{first} is {w1}x{h1} pixels and {other} is {w2}x{h2}; pass --image-size N to bring all to NxN."
            )
        if not grey or (not binary and mode in ("1", "L")):
            continue
        x = pixels(path)
        grey = x.shape[-1] == 1
        counts += np.bincount(x[..., 0].ravel(), minlength=256)
        binary = grey and binary and int((counts > 0).sum()) <= 2
    values = tuple(int(v) for v in np.flatnonzero(counts)) if binary else ()
    ink = 0 if values and 2 * counts[values[-1]] > counts.sum() else 1
    return _Survey(next(iter(sizes)) if len(sizes) == 1 else None, grey, values, ink)


def _read(path: Path, survey: _Survey, image_size: int | None) -> np.ndarray:
    """One image [H, W, C] uint8, in its final size."""
    x = pixels(path)
    if not survey.grey:
        x = np.broadcast_to(x, (*x.shape[:2], 3))
    if survey.values:
        # A single value says nothing of the other one: then dark is 0 and bright 1.
        x = (x > (sum(survey.values) / 2 if len(survey.values) == 2 else 127)).astype(np.uint8)
    return x if image_size is None else resize(x, image_size, survey.ink if survey.values else None)
