"""What `train` and `load` return, with what is done to latents: paths between images, traversals, attributes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvae.applications import attributes, encoding, interpolation, traversal
from jaxvae.capabilities import Encodes, require
from jaxvae.runs.seeds import DECODING, ENCODING, key_of
from jaxvae.runs.trained_likelihood import TrainedLikelihood
from jaxvae.types import Dataset


class TrainedLatents(TrainedLikelihood):
    """A trained system with methods on the latents of images, as `Trained` is."""

    def interpolate(
        self, a: Any, b: Any, num: int = 9, *, path: interpolation.Path = "slerp", labels: Any = None, seed: int = 0
    ) -> np.ndarray:
        """Return images from one image to another, [num, H, W, C] in [0, 1]: decoded points between their codes.

        Args:
          a: the first image, [H, W] or [H, W, C].
          b: the last one.
          num: of images, the reconstructions of both included.
          path: `slerp`, `linear`, `norm` or `geodesic`, see `jaxvae.applications.interpolation`.
          labels: classes of both, [2], where the model is conditional on these.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system encodes no images as vectors, or an argument makes no sense.
        """
        require(self.system, Encodes)
        classes = interpolation.labels_of_ends(self.system, labels)
        start, end = (self._code(*one, seed) for one in zip((a, b), classes, strict=True))
        options: dict[str, Any] = {"path": path, "labels": labels}
        return interpolation.interpolate(*self._model, key_of(seed, DECODING), start, end, num, **options)

    def traverse(
        self, image: Any = None, *, dims: Sequence[int] | None = None, num: int = 9, label: Any = None, seed: int = 0
    ) -> np.ndarray:
        """Return images in which one latent goes through its range, [D, num, H, W, C] in [0, 1], a row a latent.

        The range is that from the 5 % to the 95 % quantile of the prior; see `jaxvae.applications.traversal`, which
        gives the values of the latents too.

        Args:
          image: [H, W] or [H, W, C], at whose code the other latents are held; by default the mean code.
          dims: numbers of the latents; by default all, those that vary most over the training images first.
          num: of images in a row.
          label: class of all images, where the model is conditional on classes.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system encodes no images as vectors, or an argument makes no sense.
        """
        require(self.system, Encodes)
        code = None if image is None else self._code(image, label, seed)
        options: dict[str, Any] = {"dims": dims, "num": num, "statistics": self.latents, "label": label}
        return traversal.traverse(*self._model, key_of(seed, DECODING), code, **options).images

    def attribute(
        self, images: Any, has: Any, *, method: attributes.Method = "means", labels: Any = None, seed: int = 0
    ) -> attributes.Attribute:
        """Return the direction of an attribute among the codes of images: see `jaxvae.applications.attributes`.

        Args:
          images: some that have the attribute and some that do not, [N, H, W] or [N, H, W, C].
          has: which have it, booleans [N].
          method: `means`, the difference of the mean codes, or `classifier`, the normal of a linear classifier.
          labels: classes [N], where the model is conditional on these.
          seed: of the samples where a posterior's mean has no closed form.

        Raises:
          UserError: if this kind of system encodes no images as vectors, or all or none of the images have it.
        """
        require(self.system, Encodes)
        return attributes.find_attribute(self._codes(self._examples(images, labels), seed), has, method)

    def move(
        self,
        images: Any,
        attribute: attributes.Attribute,
        strengths: Sequence[float] = (-2, -1, 0, 1, 2),
        *,
        labels: Any = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Return images with more or less of an attribute, [N, S, H, W, C] in [0, 1].

        Args:
          images: [N, H, W] or [N, H, W, C].
          attribute: of the method `attribute`.
          strengths: S of them: 0 is the reconstruction, 1 as far as images with and without it are apart in the mean.
          labels: classes [N], where the model is conditional on these.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system encodes no images as vectors, or an argument makes no sense.
        """
        require(self.system, Encodes)
        dataset = self._examples(images, labels)
        codes, key = self._codes(dataset, seed), key_of(seed, DECODING)
        return attributes.move_along(*self._model, key, codes, attribute.direction, strengths, labels=dataset.labels)

    def _codes(self, dataset: Dataset, seed: int) -> np.ndarray:
        """Of the group of latents that is decoded."""
        return encoding.encode(*self._model, dataset, key_of(seed, ENCODING))[0]

    def _code(self, image: Any, label: Any, seed: int) -> np.ndarray:
        """The code of one image, [D]."""
        return self._codes(self._example(image, None if label is None else [label]), seed)[0]
