"""How likely images are under a trained system: methods of `Trained`."""

from typing import Any

import numpy as np

from jaxvae.applications import amortization, completion, likelihood, scoring
from jaxvae.capabilities import Scores, ScoresCompletions, ScoresExactly, require, require_any
from jaxvae.data.arrays import as_mask
from jaxvae.runs.seeds import SCORING, key_of
from jaxvae.runs.trained_model import TrainedModel
from jaxvae.types import Dataset


class TrainedLikelihood(TrainedModel):
    """A trained system with the methods that score images; see `Trained`."""

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

    def refit_posterior(
        self, images: Any, *, labels: Any = None, steps: int = 300, seed: int = 0
    ) -> amortization.Refitted:
        """Return Gaussian posteriors fitted to each image, and the ELBO before and after: the amortisation gap.

        Args:
          images: as of `log_likelihood`.
          labels: the same.
          steps: of gradient ascent.
          seed: of the draws.

        Raises:
          UserError: if this kind of system has no Gaussian posterior of one group of latents.
        """
        return amortization.refit_posterior(*self._model, self._examples(images, labels), steps, key_of(seed, SCORING))

    def conditional_log_likelihood(
        self, images: Any, mask: Any, *, labels: Any = None, num_samples: int = 1_000, seed: int = 0
    ) -> np.ndarray:
        """Return log p(pixels of the mask | all others) of whole images, [N] nats: how likely they were completed so.

        Exact, or by importance sampling: see `jaxvae.applications.completion.log_unknown`.

        Args:
          images: see `Trained`.
          mask: as of `complete`.
          labels: classes [N], where the model is conditional on these.
          num_samples: importance samples for every image, where it is not exact.
          seed: of the draws.

        Raises:
          UserError: if this kind of system has no such density, or images or mask are of another shape.
        """
        require(self.system, ScoresCompletions)
        dataset = self._examples(images, labels)
        unknown = as_mask(mask, len(dataset.x), self.spec)
        return completion.log_unknown(*self._model, dataset, unknown, key_of(seed, SCORING), num_samples)

    def _scored(self, images: Any, labels: Any) -> Dataset:
        require_any(self.system, (ScoresExactly, Scores), "likelihood of images")
        return self._examples(images, labels)
