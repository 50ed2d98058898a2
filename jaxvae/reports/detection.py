"""Scores of the test images of a protocol of anomaly detection, by one trained model, kept in its folder.

Scores are fitted to training images, and to what is rare among normal images by validation images, which the model was
not trained on. Test images choose nothing.
"""

import json
import zipfile
from pathlib import Path

import jax
import numpy as np

from jaxvae.applications.anomaly.combination import RANKS, combine, default_score, each_score, parts_of
from jaxvae.applications.anomaly.floors import FITTED, FLOORS, evenly
from jaxvae.applications.anomaly.scores import SCORES
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.data.digest import dataset_digest
from jaxvae.data.parts import take
from jaxvae.evaluation.protocols import Asked, Protocol
from jaxvae.runs.files import writing
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.seeds import key_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Splits, System

FILE = "scores.npz"  # in the folder of a model
MOST_FITTED = 5_000  # training images that scores are fitted to, at even distances
DEFAULT = "default"
SLOW = ("regret",)
DETECTING = 0x64657465  # folded into the key of a seed
TRAIN, VALID, TEST = range(3)  # folded into that


def score_names(system: System, *, slow: bool = False) -> tuple[str, ...]:
    """Return the names of the scores that a system has, those of its default first.

    Args:
      system: whose they are.
      slow: whether those that take minutes are among them.
    """
    default = parts_of(default_score(system), system)
    able = [name for name, score in SCORES.items() if score.applies(system) and not score.needs_background]
    return (*default, *(name for name in able if name not in default and (slow or name not in SLOW)))


class Scorer:
    """Scores the test images of a protocol by one model after another; models of the same images share their floors."""

    def __init__(self, protocol: Protocol, splits: Splits, num_samples: int, *, slow: bool = False) -> None:
        """Take what all models have in common.

        Args:
          protocol: whose test images are scored.
          splits: the data.
          num_samples: importance samples of log p(x).
          slow: see `score_names`.
        """
        self._protocol, self._splits, self._num_samples, self._slow = protocol, splits, num_samples, slow
        self._test_digest = dataset_digest(protocol.test)
        self._floors: dict[str, dict[str, np.ndarray]] = {}
        self._test: Seen | None = None  # which floors are of, and no model's scores: it keeps what was computed

    def stored(self, trained: Trained, one: Asked) -> dict[str, np.ndarray]:
        """Load the scores in the model's folder if they are of this model and these images, else compute and keep them.

        Args:
          trained: the model, with its folder.
          one: what it learnt from.

        Returns:
          Scores [N] float64 by their names: `DEFAULT`, its parts, other ones, floors.
        """
        assert trained.folder is not None
        names, splits = score_names(trained.system, slow=self._slow), self._splits
        normal = dataset_digest(splits.train, one.rows), dataset_digest(splits.valid, one.valid_rows)
        mark = json.dumps([fingerprint(trained), *normal, self._test_digest, self._num_samples, MOST_FITTED, *names])
        path = trained.folder / FILE
        if (found := _read(path, mark)) is None:
            if normal[0] not in self._floors:
                self._floors[normal[0]] = self._floor_scores(trained, one)
            of_model = model_scores(trained, one, self._protocol, splits, self._num_samples, names)
            found = {**of_model, **self._floors[normal[0]]}
            with writing(path.parent):
                np.savez_compressed(path, mark=mark, **found)  # type: ignore[arg-type]
        return found

    def _floor_scores(self, trained: Trained, one: Asked) -> dict[str, np.ndarray]:
        """Scores without a model, fitted to the same training images, [N] float64."""
        train = rows_of(self._splits.train, one.rows)
        fitting = _seen(trained, take(train, evenly(len(train.x), FITTED)), TRAIN, 1)
        if self._test is None:
            self._test = _seen(trained, self._protocol.test, TEST, 1)
        return {
            name: np.asarray(floor.of(floor.fit(fitting), self._test), np.float64) for name, floor in FLOORS.items()
        }


def model_scores(
    trained: Trained, one: Asked, protocol: Protocol, splits: Splits, num_samples: int, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the scores of the test images by a model, [N] float64.

    Args:
      trained: the model.
      one: what it learnt from.
      protocol: whose test images are scored.
      splits: the data.
      num_samples: importance samples of log p(x).
      names: of the scores, see `score_names`.

    Returns:
      The default score, and those of the names.
    """
    train, valid = rows_of(splits.train, one.rows), rows_of(splits.valid, one.valid_rows)
    fitting = _seen(trained, take(train, evenly(len(train.x), MOST_FITTED)), TRAIN, num_samples)
    held, test = (_seen(trained, *part, num_samples) for part in ((valid, VALID), (protocol.test, TEST)))
    fitted = {f"{name}/{key}": np.asarray(of) for name in names for key, of in SCORES[name].fit(fitting).items()}
    default = parts_of(default_score(trained.system), trained.system)
    ranks = {f"{part}/{RANKS}": np.sort(of) for part, of in each_score(default, fitted, held).items()}
    each = each_score(names, fitted, test)
    return {DEFAULT: combine({part: each[part] for part in default}, ranks), **each}


def rows_of(dataset: Dataset, rows: np.ndarray | None) -> Dataset:
    """Return some images, all where rows are None, without labels: nobody said that a new image has one."""
    return Dataset(dataset.x if rows is None else dataset.x[rows], None)


# ---------- private


def _seen(trained: Trained, images: Dataset, noise: int, num_samples: int) -> Seen:
    key = jax.random.fold_in(key_of(trained.config["seed"], DETECTING), noise)
    return Seen(Model(trained.system, trained.params, trained.model_state), images, key, None, num_samples)


def _read(path: Path, mark: str) -> dict[str, np.ndarray] | None:
    """What is stored, unless it is of another model, or damaged."""
    try:
        with np.load(path) as stored:
            if str(stored["mark"]) != mark:
                return None
            return {name: stored[name] for name in stored.files if name != "mark"}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None
