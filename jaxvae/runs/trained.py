"""A trained system with methods on arrays of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxvae.applications import (
    amortization,
    classification,
    completion,
    denoising,
    encoding,
    generation,
    interpolation,
    likelihood,
    posterior,
    scoring,
    traversal,
)
from jaxvae.capabilities import Classifies, Codes, Completes, Encodes, Scores, ScoresExactly, require, require_any
from jaxvae.choices import DENOISING_SAMPLES
from jaxvae.data.arrays import as_array, as_mask, as_noisy_examples
from jaxvae.errors import MOST_SEED, UserError, whole_number
from jaxvae.runs import compressor
from jaxvae.runs.trained_model import TrainedModel
from jaxvae.types import Dataset, PRNGKey

# Folded into the key of a seed, so that no method has the noise of another, nor that of a training of the same seed.
SAMPLING, ENCODING, DECODING, SCORING = 0x73616D70, 0x656E636F, 0x6465636F, 0x73636F72
CLASSIFYING, DENOISING, COMPLETING = 0x636C6173, 0x64656E6F, 0x636F6D70


@dataclass(frozen=True)
class Trained(TrainedModel):
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

    def encode(self, images: Any, *, seed: int = 0) -> Any:
        """Return the codes of images: posterior means [N, D], or a grid of codes [N, h, w]; a tuple of several.

        Grey images of a binary model are taken as they are, not binarised.

        Args:
          images: see the class.
          seed: of the samples where a posterior's mean has no closed form.

        Raises:
          UserError: if this kind of system has no codes, or the images are of another shape.
        """
        require_any(self.system, (Codes, Encodes), "codes of images")
        return _single(encoding.encode(*self._model, self._examples(images), key_of(seed, ENCODING)))

    def posterior(self, images: Any, *, seed: int = 0) -> tuple[Any, Any]:
        """Return means and standard deviations of q(z | x), [N, D] each; tuples of several groups of latents.

        Grey images of a binary model are taken as they are, not binarised.

        Args:
          images: see the class.
          seed: of the draws where the moments have no closed form.

        Raises:
          UserError: if this kind of system has no q(z | x), or the images are of another shape.
        """
        found = posterior.posterior(*self._model, self._examples(images), key_of(seed, ENCODING))
        return _single(found.mean), _single(found.std)

    def decode(self, codes: Any, *, seed: int = 0) -> np.ndarray:
        """Return the images [N, H, W, C] in [0, 1] of what `encode` gives.

        Args:
          codes: vectors [N, D], or grids of codes; a tuple of several.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system decodes nothing, or these are no codes of its images.
        """
        return encoding.decode(*self._model, codes, key_of(seed, DECODING))

    def reconstruct(self, images: Any, *, seed: int = 0) -> np.ndarray:
        """Return reconstructions of images, [N, H, W, C] in [0, 1]: `decode` of `encode`."""
        return self.decode(self.encode(images, seed=seed), seed=seed)

    def interpolate(
        self, a: Any, b: Any, num: int = 9, *, path: interpolation.Path = "slerp", seed: int = 0
    ) -> np.ndarray:
        """Return images from one image to another, [num, H, W, C] in [0, 1]: decoded points between their codes.

        Args:
          a: the first image, [H, W] or [H, W, C].
          b: the last one.
          num: of images, the reconstructions of both included.
          path: `slerp`, `linear` or `norm`, see `jaxvae.applications.interpolation`.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system encodes no images as vectors, or an argument makes no sense.
        """
        require(self.system, Encodes)
        start, end = (encoding.encode(*self._model, self._example(one), key_of(seed, ENCODING))[0][0] for one in (a, b))
        return interpolation.interpolate(*self._model, key_of(seed, DECODING), start, end, num, path)

    def traverse(
        self, image: Any = None, *, dims: Sequence[int] | None = None, num: int = 9, seed: int = 0
    ) -> np.ndarray:
        """Return images in which one latent goes through its range, [D, num, H, W, C] in [0, 1], a row a latent.

        The range is that from the 5 % to the 95 % quantile of the prior; see `jaxvae.applications.traversal`, which
        gives the values of the latents too.

        Args:
          image: [H, W] or [H, W, C], at whose code the other latents are held; by default the mean code.
          dims: numbers of the latents; by default all, those that vary most over the training images first.
          num: of images in a row.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system encodes no images as vectors, or an argument makes no sense.
        """
        require(self.system, Encodes)
        code = None
        if image is not None:
            code = encoding.encode(*self._model, self._example(image), key_of(seed, ENCODING))[0][0]
        options: dict[str, Any] = {"dims": dims, "num": num, "statistics": self.latents}
        return traversal.traverse(*self._model, key_of(seed, DECODING), code, **options).images

    def complete(
        self, images: Any, mask: Any, *, num: int = 4, labels: Any = None, drawn: bool = True, seed: int = 0
    ) -> np.ndarray:
        """Return images with some pixels filled in, several times each, [N, num, H, W, C] in [0, 1].

        The other pixels are those of the images, bit for bit (x / 255 of 8-bit ones); see
        `jaxvae.applications.completion`.

        Args:
          images: see the class. The values of pixels that are filled in do not matter.
          mask: which pixels are, [H, W] or [N, H, W]: True or white.
          num: of completions of each image.
          labels: classes [N], where the model is conditional on these.
          drawn: whether pixels are drawn, or are the means E[x | z].
          seed: of the draws.

        Raises:
          UserError: if this kind of system cannot complete images, or has no means, or images or mask are of another
            shape.
        """
        able = require(self.system, Completes)
        dataset = self._examples(images)._replace(labels=self._labels(labels, able.num_classes))
        unknown = as_mask(mask, len(dataset.x), self.spec)
        return completion.complete(*self._model, dataset, unknown, key_of(seed, COMPLETING), num, drawn=drawn)

    def denoise(self, images: Any, *, num_samples: int = DENOISING_SAMPLES, seed: int = 0) -> np.ndarray:
        """Return noisy images without the noise, [N, H, W, C] in [0, 1]: see `jaxvae.applications.denoising`.

        Args:
          images: see the class; floats may be outside of [0, 1], and those of a binary model may be grey.
          num_samples: latents for every image, of a VAE, whose decoded images are averaged.
          seed: of the draws.

        Raises:
          UserError: if this kind of system has no codes, or the images are of another shape.
        """
        require_any(self.system, (Codes, Encodes), "codes of images")
        x = as_noisy_examples(images, self.spec)
        return denoising.denoise(*self._model, x, key_of(seed, DENOISING), num_samples)

    def log_likelihood(self, images: Any, *, labels: Any = None, num_samples: int = 500, seed: int = 0) -> np.ndarray:
        """Return log p(x) of images, [N] nats: exact, or by importance sampling.

        Grey images of a binary model are binarised at random by the seed.

        Args:
          images: see the class.
          labels: classes [N], where the model is conditional on these: the result is log p(x | class).
          num_samples: importance samples for every image; more raise the estimate, a lower bound in expectation.
          seed: of the draws.

        Raises:
          UserError: if this kind of system has no likelihood of images, or labels are missing, or given to a model that
            knows no classes.
        """
        return likelihood.log_likelihood(*self._model, self._scored(images, labels), num_samples, key_of(seed, SCORING))

    def score(self, images: Any, *, labels: Any = None, num_samples: int = 500, seed: int = 0) -> scoring.Scores:
        """Return log p(x) of images with all that is known of it: ELBO, standard error, bits per dimension.

        Args:
          images: as of `log_likelihood`, whose values these are.
          labels: the same.
          num_samples: the same.
          seed: the same.

        Raises:
          UserError: as `log_likelihood`.
        """
        return scoring.score(*self._model, self._scored(images, labels), num_samples, key_of(seed, SCORING))

    def refit_posterior(self, images: Any, *, steps: int = 300, seed: int = 0) -> amortization.Refitted:
        """Return Gaussian posteriors fitted to each image, and the ELBO before and after: the amortisation gap.

        Args:
          images: as of `log_likelihood`.
          steps: of gradient ascent.
          seed: of the draws.

        Raises:
          UserError: if this kind of system has no Gaussian posterior of one group of latents.
        """
        return amortization.refit_posterior(*self._model, self._examples(images), steps, key_of(seed, SCORING))

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

    def _scored(self, images: Any, labels: Any) -> Dataset:
        able = require_any(self.system, (ScoresExactly, Scores), "likelihood of images")
        return self._examples(images)._replace(labels=self._labels(labels, getattr(able, "num_classes", 0)))

    def _labels(self, labels: Any, num_classes: int) -> np.ndarray | None:
        if labels is not None and not num_classes:
            raise UserError(f"{self.system.name} knows no classes: leave the labels out.")
        return None if labels is None else as_array(labels, "labels")


def key_of(seed: int, method: int) -> PRNGKey:
    """Return the key of a seed that a person gives, for one method; a `UserError` if it is no seed."""
    return jax.random.fold_in(jax.random.key(whole_number("seed", seed, 0, MOST_SEED)), method)


# ---------- private


def _single(parts: tuple[Any, ...]) -> Any:
    return parts[0] if len(parts) == 1 else parts
