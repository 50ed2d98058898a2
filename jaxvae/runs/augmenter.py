"""Adds generated images to a labelled data set, with the manners of imbalanced-learn's samplers."""

from typing import Any

import numpy as np

from jaxvae.applications.augmentation import Method, NewImages, check_method, new_images, new_per_class
from jaxvae.data.arrays import as_array, as_examples
from jaxvae.data.classes import UNKNOWN
from jaxvae.errors import UserError, whole_number
from jaxvae.runs.seeds import key_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

AUGMENTING = 0x61756772  # folded into the key of a seed


class Augmenter:
    """Makes new images for each class of a data set, by a trained model.

    A classifier that is trained on them is compared fairly with one that is trained on shifted and mirrored images, and
    if the model has seen no other images than the classifier.

    Attributes:
      trained: the model.
      method: `variants` of images, `interpolation` within classes, or `samples` of classes; see
        `jaxvae.applications.augmentation.new_images`.
      num: new images of every class; by default as many as it has.
      balance: whether every class gets those that it lacks to the largest one instead.
      seed: of all draws.
    """

    def __init__(
        self,
        trained: Trained,
        method: Method = "variants",
        *,
        num: int | None = None,
        balance: bool = False,
        seed: int = 0,
    ) -> None:
        """Choose how images are made: see the class.

        Raises:
          UserError: if the model cannot, or an argument makes no sense.
        """
        check_method(trained.system, method)
        if balance and num is not None:
            raise UserError("num and balance are both given: expected one of them, or neither.")
        self.num = None if num is None else whole_number("num", num)
        self.trained, self.method, self.balance, self.seed = trained, method, bool(balance), seed
        self._key = key_of(seed, AUGMENTING)

    def new(self, images: Any, labels: Any) -> NewImages:
        """Return new images alone, [M, H, W, C] in [0, 1], with their classes and the rows they were made of.

        Args:
          images: as those of `Trained`, [N, H, W] or [N, H, W, C].
          labels: their classes, [N] integers from 0.

        Raises:
          UserError: if the images are none of the model, or there is no label for each.
        """
        trained, x = self.trained, as_examples(images, self.trained.spec)
        y = as_array(labels, "labels")
        if y.shape != (len(x),) or y.dtype.kind not in "ui" or (y <= UNKNOWN).any():
            raise UserError(
                f"The labels are {y.dtype} of shape {list(y.shape)}, expected a class, from 0, for each of {len(x)} "
                "images."
            )
        per_class = new_per_class(y, self.num, balance=self.balance)
        model = trained.system, trained.params, trained.model_state
        return new_images(*model, Dataset(x, y.astype(np.int32)), self._key, per_class, self.method)

    def fit_resample(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803
        """Return images and labels, those that are given first and then the new ones, of the type of the given ones.

        Args:
          X: images, [N, H, W] or [N, H, W, C], uint8 or floats in [0, 1].
          y: their classes, [N] integers from 0.

        Raises:
          UserError: as `new`.
        """
        found, given = self.new(X, y), np.asarray(X)
        new = found.x.reshape(len(found.x), *given.shape[1:])
        if given.dtype.kind != "f":
            new = np.rint(new * (self.trained.spec.num_values - 1))
        together = np.concatenate([given, new.astype(given.dtype)])
        return together, np.concatenate([np.asarray(y), found.labels.astype(np.asarray(y).dtype)])
