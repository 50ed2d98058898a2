"""A trained system with methods on arrays of images."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvae.applications import encoding, generation, likelihood
from jaxvae.capabilities import Codes, Encodes, Scores, ScoresExactly, require_any
from jaxvae.data.arrays import as_array, as_examples
from jaxvae.errors import MOST_SEED, UserError, whole_number
from jaxvae.runs.export import save_model
from jaxvae.types import Dataset, DataSpec, ModelState, Params, PRNGKey, System

# Folded into the key of a seed, so that no method has the noise of another, nor that of a training of the same seed.
SAMPLING, ENCODING, DECODING, SCORING = 0x73616D70, 0x656E636F, 0x6465636F, 0x73636F72


@dataclass(frozen=True)
class Trained:
    """A trained system with the best of its parameters on the validation set, as `train` and `load` return it.

    Images are uint8, bool, or floats in [0, 1], of shape [N, H, W] or [N, H, W, C]. A result does not depend on how
    many images are given at once, and the same `seed` gives the same result.

    Attributes:
      system: what was trained.
      params: its parameters.
      model_state: its other variables.
      record: what `config.json` says of it.
      folder: of the run, None where there is none.
      training: steps, seconds, images_per_second, ...; {} after `load`.
    """

    system: System
    params: Params
    model_state: ModelState
    record: Mapping[str, Any]
    folder: Path | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the run, as JSON has it."""
        return self.record["config"]

    @property
    def spec(self) -> DataSpec:
        """Shape and values of its images."""
        return self.system.spec

    def sample(self, num: int = 16, *, seed: int = 0) -> np.ndarray:
        """Return new images, [num, H, W, C] in [0, 1]; fewer are the first ones of more.

        Raises:
          UserError: if this kind of system cannot draw images, or `num` is no number of them.
        """
        return np.asarray(generation.sample(*self._model, _key(seed, SAMPLING), num).x)

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
        return _single(encoding.encode(*self._model, self._examples(images), _key(seed, ENCODING)))

    def decode(self, codes: Any, *, seed: int = 0) -> np.ndarray:
        """Return the images [N, H, W, C] in [0, 1] of what `encode` gives.

        Args:
          codes: vectors [N, D], or grids of codes; a tuple of several.
          seed: of the draw where pixels depend on each other.

        Raises:
          UserError: if this kind of system decodes nothing, or these are no codes of its images.
        """
        return encoding.decode(*self._model, codes, _key(seed, DECODING))

    def reconstruct(self, images: Any, *, seed: int = 0) -> np.ndarray:
        """Return reconstructions of images, [N, H, W, C] in [0, 1]: `decode` of `encode`."""
        return self.decode(self.encode(images, seed=seed), seed=seed)

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
        scores = require_any(self.system, (ScoresExactly, Scores), "likelihood of images")
        if labels is not None and not getattr(scores, "num_classes", 0):
            raise UserError(f"{self.system.name} gives log p(x), whatever the class: leave the labels out.")
        given = None if labels is None else as_array(labels, "labels")
        dataset = self._examples(images)._replace(labels=given)
        return likelihood.log_likelihood(*self._model, dataset, num_samples, _key(seed, SCORING))

    def save(self, place: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model where `load` finds it: a folder, or one file if the name ends in `.safetensors`.

        Args:
          place: new folder or file.
          overwrite: whether to replace what is there.

        Returns:
          The place.

        Raises:
          UserError: if there is something already, or it cannot be written.
        """
        return save_model(place, dict(self.record), self.params, self.model_state, overwrite=overwrite)

    @property
    def _model(self) -> tuple[System, Params, ModelState]:
        return self.system, self.params, self.model_state

    def _examples(self, images: Any) -> Dataset:
        if len(self.spec.shape) != 3:
            raise UserError(
                f"{self.system.name} is a model of rows of {self.spec.shape[0]} numbers, not of images: it takes none."
            )
        return Dataset(as_examples(images, self.spec), None)


def fingerprint(trained: Trained) -> str:
    """Return a hash of the parameters and the state of a trained model: codes of another one mean other images."""
    leaves = jax.tree_util.tree_leaves_with_path((trained.params, trained.model_state))
    digest = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves):
        digest.update(f"{path} {leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return digest.hexdigest()[:16]


# ---------- private


def _key(seed: int, method: int) -> PRNGKey:
    return jax.random.fold_in(jax.random.key(whole_number("seed", seed, 0, MOST_SEED)), method)


def _single(parts: tuple[Any, ...]) -> Any:
    return parts[0] if len(parts) == 1 else parts
