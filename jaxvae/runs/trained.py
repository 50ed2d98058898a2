"""A trained system with methods on arrays of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxvae.applications import (
    classification,
    completion,
    denoising,
    encoding,
    generation,
    posterior,
)
from jaxvae.capabilities import Classifies, Codes, Completes, Encodes, require, require_any
from jaxvae.choices import DENOISING_SAMPLES
from jaxvae.data.arrays import as_mask, as_noisy_examples
from jaxvae.runs import compressor
from jaxvae.runs.seeds import CLASSIFYING, COMPLETING, DECODING, DENOISING, ENCODING, SAMPLING, key_of
from jaxvae.runs.trained_latents import TrainedLatents


@dataclass(frozen=True)
class Trained(TrainedLatents):
    """A trained system with the best of its parameters on the validation set, as `train` and `load` return it.

    Images are uint8, bool, or floats in [0, 1], of shape [N, H, W] or [N, H, W, C]. A result does not depend on how
    many images are given at once, and the same `seed` gives the same result.
    """

    def sample(
        self,
        num: int = 16,
        *,
        label: Any = None,
        temperature: float | Sequence[float] = 1.0,
        means: bool = False,
        seed: int = 0,
    ) -> np.ndarray:
        """Return new images, [num, H, W, C] in [0, 1]; fewer are the first ones of more.

        Args:
          num: of images.
          label: class of a model that knows classes, its number or its name, or one for each image; by default they
            are drawn in turn.
          temperature: below 1 images are more likely and less various, see `jaxvae.applications.generation`; of
            several groups of latents, one number or one for each.
          means: whether to return E[x | z] in place of draws.
          seed: of the draws.

        Raises:
          UserError: if this kind of system cannot draw images, or not so, or an argument makes no sense.
        """
        options: dict[str, Any] = {"label": label, "temperature": temperature, "only": "mean" if means else "x"}
        drawn = generation.sample(*self._model, key_of(seed, SAMPLING), num, **options)
        return np.asarray(drawn.mean if means else drawn.x)

    def encode(self, images: Any, *, labels: Any = None, seed: int = 0) -> Any:
        """Return the codes of images: posterior means [N, D], or a grid of codes [N, h, w]; a tuple of several.

        Grey images of a binary model are taken as they are, not binarised.

        Args:
          images: see the class.
          labels: classes [N], where the model is conditional on these.
          seed: of the samples where a posterior's mean has no closed form.

        Raises:
          UserError: if this kind of system has no codes, or the images are of another shape.
        """
        require_any(self.system, (Codes, Encodes), "codes of images")
        return _single(encoding.encode(*self._model, self._examples(images, labels), key_of(seed, ENCODING)))

    def posterior(self, images: Any, *, labels: Any = None, seed: int = 0) -> tuple[Any, Any]:
        """Return means and standard deviations of q(z | x), [N, D] each; tuples of several groups of latents.

        Grey images of a binary model are taken as they are, not binarised.

        Args:
          images: see the class.
          labels: classes [N], where the model is conditional on these.
          seed: of the draws where the moments have no closed form.

        Raises:
          UserError: if this kind of system has no q(z | x), or the images are of another shape.
        """
        found = posterior.posterior(*self._model, self._examples(images, labels), key_of(seed, ENCODING))
        return _single(found.mean), _single(found.std)

    def decode(self, codes: Any, *, labels: Any = None, seed: int = 0) -> np.ndarray:
        """Return the images [N, H, W, C] in [0, 1] of what `encode` gives.

        Args:
          codes: vectors [N, D], or grids of codes; a tuple of several.
          labels: classes [N], where the model is conditional on these.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system decodes nothing, or these are no codes of its images.
        """
        return encoding.decode(*self._model, codes, key_of(seed, DECODING), labels=labels)

    def reconstruct(self, images: Any, *, labels: Any = None, seed: int = 0) -> np.ndarray:
        """Return reconstructions of images, [N, H, W, C] in [0, 1]: `decode` of `encode`."""
        return self.decode(self.encode(images, labels=labels, seed=seed), labels=labels, seed=seed)

    def complete(
        self, images: Any, mask: Any, *, num: int = 4, labels: Any = None, drawn: bool = True, seed: int = 0
    ) -> np.ndarray:
        """Return images with some pixels filled in, several times each, [N, num, H, W, C] in [0, 1].

        The other pixels are those of the images, bit for bit (x / 255 of 8-bit ones); see
        `jaxvae.applications.completion`.

        Args:
          images: see the class. The values of pixels that are filled in do not matter.
          mask: which pixels are, [H, W] or [N, H, W]: True or white; or a name as `left-half`, see `data.masks`.
          num: of completions of each image.
          labels: classes [N], where the model is conditional on these.
          drawn: whether pixels are drawn, or are the means E[x | z].
          seed: of the draws.

        Raises:
          UserError: if this kind of system cannot complete images, or has no means, or images or mask are of another
            shape.
        """
        require(self.system, Completes)
        dataset = self._examples(images, labels)
        unknown = as_mask(mask, len(dataset.x), self.spec)
        return completion.complete(*self._model, dataset, unknown, key_of(seed, COMPLETING), num, drawn=drawn)

    def denoise(
        self, images: Any, *, labels: Any = None, num_samples: int = DENOISING_SAMPLES, seed: int = 0
    ) -> np.ndarray:
        """Return noisy images without the noise, [N, H, W, C] in [0, 1]: see `jaxvae.applications.denoising`.

        Args:
          images: see the class; floats may be outside of [0, 1], and those of a binary model may be grey.
          labels: classes [N], where the model is conditional on these.
          num_samples: latents for every image, of a VAE, whose decoded images are averaged.
          seed: of the draws.

        Raises:
          UserError: if this kind of system has no codes, or the images are of another shape.
        """
        require_any(self.system, (Codes, Encodes), "codes of images")
        x, classes = as_noisy_examples(images, self.spec), self._labels(labels)
        return denoising.denoise(*self._model, x, key_of(seed, DENOISING), num_samples, labels=classes)

    def classify(self, images: Any, *, seed: int = 0) -> np.ndarray:
        """Return the probabilities of the classes of images, [N, K].

        Args:
          images: see the class; grey ones of a binary model are binarised at random by the seed.
          seed: of the draws.

        Raises:
          UserError: if this kind of system does not classify, or the images are of another shape.
        """
        require(self.system, Classifies)
        return classification.classify(*self._model, self._examples(images), key_of(seed, CLASSIFYING))

    def compress(self, images: Any, *, lossless: bool = False, rate: float | None = None) -> bytes:
        """Return images in few bytes, the contents of a `.jvz` file: see `jaxvae.runs.compressed_file`.

        Args:
          images: see the class; a model of binarised images takes black and white ones.
          lossless: whether a VQ-VAE with a prior codes also what its codes leave open, so that the images come back.
          rate: of a lossy VAE, bits per pixel value that are aimed at; by default those of its training.

        Raises:
          UserError: if this kind of system cannot, the images are others, or constriction is not installed.
        """
        return compressor.compress(self, images, lossless=lossless, rate=rate)

    def decompress(self, data: bytes) -> np.ndarray:
        """Return the images of what `compress` gave, [N, H, W, C] uint8; black and white ones as zeros and ones.

        Args:
          data: the contents of a `.jvz` file.

        Raises:
          UserError: if they are damaged, or of another model or version.
        """
        return compressor.decompress(self, data)


# ---------- private


def _single(parts: tuple[Any, ...]) -> Any:
    return parts[0] if len(parts) == 1 else parts
