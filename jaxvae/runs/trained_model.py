"""What `train` and `load` return, without its methods on images: a system with its parameters and its record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.applications.given_classes import num_classes_of
from jaxvae.applications.latents import LatentStatistics
from jaxvae.data.arrays import as_array, as_examples
from jaxvae.errors import UserError
from jaxvae.runs.export import save_model
from jaxvae.runs.latents import recorded_latents
from jaxvae.runs.notebook import html_of
from jaxvae.runs.state import state_of
from jaxvae.types import Dataset, DataSpec, ModelState, Params, System


@dataclass(frozen=True)
class TrainedModel:
    """A trained system with the best of its parameters on the validation set, as `Trained` is.

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

    @property
    def data_hash(self) -> str | None:
        """Hash of the images that it was trained on, see `jaxvae.data.digest`; of a second stage those of the first."""
        return self.record.get("stage", self.record).get("data")

    @property
    def latents(self) -> LatentStatistics | None:
        """Mean and standard deviation of the codes of the training images, a group of latents each.

        None of a model that does not encode images as vectors, or was saved by a version that kept none.
        """
        return recorded_latents(self.record)

    @property
    def summary(self) -> Mapping[str, Any]:
        """Numbers of the test set, versions, ...: `summary.json` of a run, or what `save` kept of it; {} of others."""
        return dict(self.record.get("summary", {})) if self.folder is None else state_of(self.folder).summary

    def save(self, place: str | Path, *, overwrite: bool = False, half: bool = False) -> Path:
        """Write the model where `load` finds it: a folder, or one file if the name ends in `.safetensors`.

        Args:
          place: new folder or file.
          overwrite: whether to replace what is there.
          half: whether to round numbers to 16 bits, three digits, for half the size; `load` gives float32 again.

        Returns:
          The place.

        Raises:
          UserError: if there is something already, numbers are too large for 16 bits, or it cannot be written.
        """
        kept = {name: value for name, value in self.summary.items() if name not in ("experiment", "config", "figures")}
        record = {**self.record, **({"summary": kept} if kept else {})}
        return save_model(place, record, self.params, self.model_state, overwrite=overwrite, half=half)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        return html_of(self)

    @property
    def _model(self) -> tuple[System, Params, ModelState]:
        return self.system, self.params, self.model_state

    def _examples(self, images: Any, labels: Any = None) -> Dataset:
        if len(self.spec.shape) != 3:
            raise UserError(
                f"{self.system.name} is a model of rows of {self.spec.shape[0]} numbers, not of images: it takes none."
            )
        return Dataset(as_examples(images, self.spec), self._labels(labels))

    def _labels(self, labels: Any) -> np.ndarray | None:
        if labels is None:
            return None
        if not num_classes_of(self.system):
            raise UserError(f"{self.system.name} knows no classes: leave the labels out.")
        return as_array(labels, "labels")

    def _example(self, image: Any, labels: Any = None) -> Dataset:
        """One image, [H, W] or [H, W, C], as a data set."""
        given = as_array(image, "image")
        if given.ndim not in (2, 3):
            raise UserError(f"The image has shape {list(given.shape)}, expected [H, W] or [H, W, C].")
        return self._examples(given[None], labels)
