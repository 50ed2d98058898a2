"""Images with what a model makes of them, which scores are made of: computed when first asked for, and kept."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.amortization import Refitted, refit_posterior
from jaxvae.applications.anomaly.densities import code_penalties, codes_nll, marginal_log_likelihood
from jaxvae.applications.anomaly.pixelwise import perfect_scores, pixel_errors, pixel_scores
from jaxvae.applications.compression.formats import compressed_nats
from jaxvae.applications.features import features
from jaxvae.applications.likelihood import estimate_likelihood
from jaxvae.applications.prepared import prepared_images
from jaxvae.capabilities import Scores, ScoresExactly, ScoresPixels, find
from jaxvae.data import to_unit
from jaxvae.data.parts import take
from jaxvae.errors import UserError
from jaxvae.evaluation.likelihood import LikelihoodEstimate
from jaxvae.types import Dataset, ModelState, Params, PRNGKey, System

BOUND_SAMPLES = 16  # latents for every image in bounds, reconstruction terms and maps
REFIT_STEPS = 100  # of the likelihood regret, as in its paper


def unit_rows(x: Any, num_values: int) -> np.ndarray:
    """Return images as the data set has them as rows of pixels in [0, 1], [N, H W C] float32."""
    return np.asarray(to_unit(jnp.asarray(x), num_values)).reshape(len(x), -1)


class Model(NamedTuple):
    """A trained system."""

    system: System
    params: Params
    model_state: ModelState


@dataclass(frozen=True, eq=False)
class Seen:
    """Images with what a model makes of them.

    Attributes:
      model: that sees them.
      dataset: N images as the data set has them, and their labels where classes of normal images are told apart.
      key: of all noise.
      background: another model of images of the same shape, for likelihood ratios.
      num_samples: importance samples of log p(x), of a model without an exact one.
    """

    model: Model
    dataset: Dataset
    key: PRNGKey
    background: Model | None = None
    num_samples: int = 100
    _whole: "tuple[Seen, np.ndarray] | None" = None
    _kept: dict[str, Any] = field(default_factory=dict)

    def rows(self, rows: Any) -> "Seen":
        """Return some of the images, of which nothing is computed anew."""
        part = take(self.dataset, rows)
        return Seen(self.model, part, self.key, self.background, self.num_samples, (self, np.asarray(rows)))

    def __len__(self) -> int:
        return len(self.dataset.x)

    @property
    def pixels(self) -> np.ndarray:
        """Pixels in [0, 1] as the data set has them, [N, H W C] float32."""
        return self._view("pixels", lambda: unit_rows(self.dataset.x, self.model.system.spec.num_values))

    @property
    def compressed(self) -> np.ndarray:
        """Nats of the images compressed by `compression.CODEC`, [N]."""
        return self._view("compressed", lambda: compressed_nats(self.dataset.x))

    @property
    def compressed_as_modelled(self) -> np.ndarray:
        """The same of the images that log p(x) is of, which may be binarised, [N]."""
        prepared = lambda: prepared_images(*self.model, self._images, self.key)  # noqa: E731
        return self._view("compressed_as_modelled", lambda: compressed_nats(prepared()))

    @property
    def codes(self) -> np.ndarray:
        """Posterior means of all latents, or vectors of the codes of a grid, [N, F]."""
        return self._view("codes", lambda: np.asarray(features(*self.model, self.dataset)))

    @property
    def bound(self) -> LikelihoodEstimate:
        """ELBO, its reconstruction term and its KL, of `BOUND_SAMPLES` latents."""
        return self._view("bound", lambda: estimate_likelihood(*self.model, self._images, BOUND_SAMPLES, self.key))

    @property
    def log_px(self) -> np.ndarray:
        """Log-likelihoods [N], exact or by importance sampling; of a model of classes that of all of them together."""
        system = self.model.system
        if find(system, ScoresExactly) is not None and find(system, ScoresPixels) is not None:
            return -_sums(self.pixel_nll)  # which maps need too
        return self._view("log_px", lambda: self._log_likelihood(self.model))

    @property
    def background_log_px(self) -> np.ndarray:
        """Log-likelihoods of the background model, [N]."""

        def compute() -> np.ndarray:
            if self.background is None:
                raise UserError("A likelihood ratio needs a background model, another one of the same images.")
            return self._log_likelihood(self.background)

        return self._view("background_log_px", compute)

    @property
    def pixel_nll(self) -> np.ndarray:
        """-log p of every pixel, [N, H, W]: see `pixelwise.pixel_scores`."""
        num = BOUND_SAMPLES if find(self.model.system, Scores) is not None else 1  # of others there is no draw
        return self._view("pixel_nll", lambda: pixel_scores(*self.model, self._images, num, self.key))

    @property
    def perfect_pixel_nll(self) -> np.ndarray:
        """The same of a perfect reconstruction, [N, H, W]."""
        return self._view("perfect_pixel_nll", lambda: perfect_scores(self.model.system, self._images, self.key))

    @property
    def reconstruction(self) -> np.ndarray:
        """-log p(x | z), the mean over latents, or that of the codes, [N]."""
        if find(self.model.system, Scores) is not None:
            return self.bound.reconstruction  # type: ignore[return-value]
        return _sums(self.pixel_nll)

    @property
    def perfect(self) -> np.ndarray:
        """The least -log p(x | z) that there is, [N]: zeros where it is the same for all images."""
        if find(self.model.system, ScoresPixels) is None:
            return np.zeros(len(self))
        return _sums(self.perfect_pixel_nll)

    @property
    def errors(self) -> np.ndarray:
        """Squared errors of the reconstructions, [N, H, W]."""
        return self._view("errors", lambda: pixel_errors(*self.model, self._images, self.key))

    @property
    def refitted(self) -> Refitted:
        """ELBO of the encoder's q(z | x), and of the one that is fitted to every image."""
        return self._view("refitted", lambda: refit_posterior(*self.model, self._images, REFIT_STEPS, self.key))

    @property
    def penalty(self) -> np.ndarray:
        """What the quantizers of a VQ-VAE charge, [N]."""
        return self._view("penalty", lambda: code_penalties(*self.model, self._images, self.key))

    @property
    def codes_nll(self) -> np.ndarray:
        """-log p(codes) of a VQ-VAE with a prior, [N] nats."""
        return self._view("codes_nll", lambda: codes_nll(*self.model, self._images, self.key))

    # ---------- private

    @property
    def _images(self) -> Dataset:
        return self.dataset._replace(labels=None)

    def _log_likelihood(self, model: Model) -> np.ndarray:
        return marginal_log_likelihood(*model, self._images, self.num_samples, self.key)

    def _view(self, name: str, compute: Callable[[], Any]) -> Any:
        if name not in self._kept:
            if self._whole is None:
                self._kept[name] = compute()
            else:
                whole, rows = self._whole
                self._kept[name] = jax.tree.map(lambda leaf: leaf[rows], getattr(whole, name))
        return self._kept[name]


# ---------- private


def _sums(of_pixels: np.ndarray) -> np.ndarray:
    """[N, H, W] -> [N] float64."""
    sums: np.ndarray = of_pixels.sum(axis=(1, 2), dtype=np.float64)
    return sums
