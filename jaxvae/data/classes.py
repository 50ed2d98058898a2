"""Classes of images: checks on the labels, and what a person must know of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxvae.data.limits import MAX_CLASSES
from jaxvae.data.notices import counted, listed, notice
from jaxvae.data.part_names import SETS
from jaxvae.errors import UserError

UNKNOWN = -1  # the label of an image whose class is not known


def check_labels(labels: np.ndarray, num: int, name: str) -> np.ndarray:
    """Return labels [N] int32 of what can be taken for such.

    Args:
      labels: integers, classes from 0, or -1 of an image whose class is not known; [N] or [N, 1].
      num: N, images.
      name: what they are of, for messages.

    Raises:
      UserError: if they are something else.
    """
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise UserError(
            f"{name} labels are {labels.dtype} of shape {list(labels.shape)}, expected one integer an image, [N]."
        )
    if len(labels) != num:
        raise UserError(f"{name} has {num} images and {len(labels)} labels, expected one label an image.")
    if labels.min() < UNKNOWN or labels.max() >= MAX_CLASSES:
        raise UserError(
            f"{name} labels go from {labels.min()} to {labels.max()}, expected class numbers from 0 to "
            f"{MAX_CLASSES - 1}, or -1 of images without a class."
        )
    return labels.astype(np.int32)


def count_classes(labels: Mapping[str, np.ndarray | None], name: str, classes: Sequence[str] = ()) -> int:
    """Count the classes, 0 where some image has none, and say what is unusual about the labels.

    Args:
      labels: of each part, [N] int32, or None.
      name: of the source, for messages.
      classes: their names, where they have some.

    Returns:
      The number of classes, one more than the largest label.
    """
    given = {part: y for part, y in labels.items() if y is not None}
    if not given:
        return 0
    if missing := [SETS[part] for part in labels if part not in given]:
        notice(f"{name}: {' and '.join(missing)} images have no labels: the data count as without classes.")
        return 0
    unknown = sum(int((y == UNKNOWN).sum()) for y in given.values())
    if unknown:
        notice(
            f"{name}: {counted(unknown, 'image has', 'images have')} the label -1, which stands for no class: the data "
            "count as without classes, but for experiments that learn from few labels (--unlabelled -1)."
        )
        return 0
    num = max(int(y.max()) for y in given.values()) + 1
    present = {part: np.unique(y) for part, y in given.items()}
    shown: Sequence[object] = classes or range(num)
    absent = np.setdiff1d(np.arange(num), np.concatenate(list(present.values())))
    if len(absent):
        found = f"{counted(len(absent), 'class has', 'classes have')} no image: {listed([shown[i] for i in absent])}"
        notice(f"{name}: labels are counted from 0, go up to {num - 1}, and {found}.")
    if len(unseen := np.setdiff1d(np.setdiff1d(np.arange(num), present["train"]), absent)):
        notice(
            f"{name}: {counted(len(unseen), 'class has', 'classes have')} no training image: "
            f"{listed([shown[i] for i in unseen])}."
        )
    if num - len(absent) == 1:
        notice(f"{name}: all images are of one class, {shown[int(present['train'][0])]}.")
    return num
