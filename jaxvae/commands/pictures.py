"""Images as PNG files, and contact sheets."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.capabilities import GeneratesClasses, find
from jaxvae.commands.output import SHEET, ending, image_names, writing
from jaxvae.errors import UserError
from jaxvae.progress import progress
from jaxvae.runs.trained import Trained

MOST = 100  # images on a contact sheet
MOST_COLUMNS = 20  # of classes beside each other


def write_pictures(
    place: Path,
    images: np.ndarray,
    names: Sequence[str] | None,
    draw: Callable[[Path, int | None], None],
    *,
    sheet: bool = True,
) -> str:
    """Write images as NAME.npz, as one picture NAME.png, or into a folder, by default with a contact sheet.

    Args:
      place: as `check_place` gives it.
      images: [N, H, W, C] in [0, 1].
      names: of their sources; None of images that have none.
      draw: (path, number) draws a picture of so many of the first images, of all where that is None.
      sheet: whether there is a contact sheet in a folder.

    Returns:
      Where they are, for a sentence.

    Raises:
      UserError: if a place cannot be written, or a name is none of a file.
    """
    files = image_names(names if names is not None else numbered(len(images)), sheet=sheet)
    with writing(place) as path:
        if ending(place) == ".npz":
            paths: dict[str, Any] = {} if names is None else {"paths": np.asarray(names)}
            np.savez_compressed(path, images=as_bytes(images), **paths)
        elif ending(place) == ".png":
            draw(path, None)
        else:
            write_images(path, files, images)
            if sheet:
                draw(path / SHEET, MOST)
    if ending(place) in (".npz", ".png") or not sheet:
        return str(place)
    return f"{place}, with {SHEET}"


def write_images(folder: Path, names: Sequence[str], images: np.ndarray) -> None:
    """Write images as PNG files of 8 bits.

    Args:
      folder: that is there.
      names: of the files, with sub-folders, which are made.
      images: [N, H, W, C] in [0, 1], C 1 or 3.

    Raises:
      UserError: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError(
            'Writing image files needs Pillow, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    for inner in {(folder / name).parent for name in names}:
        inner.mkdir(parents=True, exist_ok=True)
    for name, image in progress(list(zip(names, as_bytes(images), strict=True)), "writing images"):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(folder / name)


def columns_of(trained: Trained) -> int | None:
    """Return how many samples stand in a row: one of each class, of a model that draws the classes in turn."""
    classes = trained.spec.num_classes if find(trained.system, GeneratesClasses) else 0
    return classes if 0 < classes <= MOST_COLUMNS else None


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Return images in [0, 1] as uint8, to the nearest value."""
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def numbered(num: int) -> list[str]:
    """Return names of numbers of one length: 00, 01, ..."""
    width = len(str(num - 1))
    return [f"{i:0{width}}" for i in range(num)]
