"""A detector of anomalies with the manners of scikit-learn: `fit`, `score_samples`, `predict`; and its file."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.applications.anomaly.combination import default_score, parts_of
from jaxvae.applications.anomaly.detector import (
    ANOMALY,
    NORMAL,
    SCORE,
    Detector,
    detect,
    fit_detector,
    p_values,
    verdicts,
)
from jaxvae.applications.anomaly.maps import Box, anomaly_maps, worst_box
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.applications.anomaly.thresholds import check_alpha, smallest_calibration, threshold
from jaxvae.data.arrays import as_array, as_examples
from jaxvae.data.classes import UNKNOWN
from jaxvae.errors import UserError, whole_number
from jaxvae.runs.detector_file import Saved, read_detector, write_detector
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.load import require_images
from jaxvae.runs.seeds import key_of
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

DETECTING = 0x616E6F6D  # folded into the key of a seed
FITTING, CALIBRATING, NEW = range(3)  # folded into that: no image has the noise of another for being in its place
FEWEST, FITTED = 4, 10  # normal images in all; those that a score is fitted to, before more calibrate than a half


class Detected(NamedTuple):
    """What there is to say of N images."""

    scores: dict[str, np.ndarray]  # [N]: the "score", larger is stranger, and its floors by their names
    p: dict[str, np.ndarray]  # [N]: how rare these are among normal images
    verdicts: np.ndarray  # [N]: "normal", "anomaly", or "undecided" where too few images calibrate
    maps: np.ndarray  # [N, H, W]: where they are strange, on one scale
    boxes: list[Box]  # round the worst region of each


class AnomalyDetector:
    """Finds images that do not belong to normal ones, by a trained model.

    After `fit`, at most a share `alpha` of new normal images is called anomalous, on average over sets of normal images
    and whatever the score: see `jaxvae.applications.anomaly.thresholds`. Images are as those of `Trained`.

    Attributes:
      trained: the model.
      score: names of scores, see `jaxvae.applications.anomaly.scores`, with `+` between several.
      alpha: largest share of false alarms.
    """

    def __init__(
        self,
        trained: Trained,
        score: str | None = None,
        *,
        alpha: float = 0.05,
        background: Trained | None = None,
        num_samples: int = 100,
        seed: int = 0,
    ) -> None:
        """Choose how to detect.

        Args:
          trained: the model, best of normal images alone.
          score: as above; by default that of its kind, `combination.default_score`.
          alpha: largest share of false alarms among normal images.
          background: another model of images of the same shape, for the score `ratio`.
          num_samples: importance samples of log p(x), of a model without an exact one.
          seed: of all that is drawn, and of how normal images are split.

        Raises:
          UserError: if the model has no such score, or an argument makes no sense.
        """
        check_alpha(alpha)
        if background is not None:
            require_images("The background model", background.system, trained.spec)
        self.trained, self.alpha, self.background, self.seed = trained, float(alpha), background, seed
        self.score = default_score(trained.system) if score is None else score
        self._parts = parts_of(self.score, trained.system, has_background=background is not None)
        self._num_samples, self._key = whole_number("num_samples", num_samples), key_of(seed, DETECTING)
        self._fitted: Detector | None = None
        self.num_fitted_ = 0

    def fit(self, images: Any, y: Any = None, *, calibration: Any = None) -> "AnomalyDetector":
        """Fit the score to one half of normal images and find the threshold by the other.

        Args:
          images: normal ones. The promise holds if the half that calibrates was not trained on.
          y: their classes [N], where the nearest class is to count; or None.
          calibration: other normal images, which were not trained on, to find the threshold by; `images` are then all
            fitted to.

        Returns:
          The detector itself.

        Raises:
          UserError: if there are too few images, or they are none of the model.
        """
        x, labels = as_examples(images, self.trained.spec), None if y is None else as_array(y, "labels")
        if labels is not None and labels.shape != (len(x),):
            raise UserError(f"The labels have shape {list(labels.shape)}, expected one for each of {len(x)} images.")
        if len(x) < FEWEST:
            raise UserError(f"{len(x)} normal images are too few: expected at least {FEWEST}, better hundreds.")
        labels = None if labels is None or (labels == UNKNOWN).any() else labels
        if calibration is None:
            fitting, calibrating = split_rows(len(x), self.alpha, self.seed)
            held = x[calibrating]
        else:
            fitting, held = np.arange(len(x)), as_examples(calibration, self.trained.spec)
        known = Dataset(x[fitting], None if labels is None else labels[fitting])
        seen = self._seen(known, FITTING), self._seen(Dataset(held, None), CALIBRATING)
        self._fitted, self.num_fitted_ = fit_detector(self._parts, *seen), len(fitting)
        return self

    def detect(self, images: Any) -> Detected:
        """Return scores, p-values, verdicts, maps and boxes of images."""
        seen, fitted = self._seen(Dataset(as_examples(images, self.trained.spec), None), NEW), self._detector
        scores = detect(fitted, seen)
        p, maps = p_values(fitted, scores), anomaly_maps(seen)
        return Detected(
            scores, p, verdicts(fitted, p[SCORE], self.alpha), maps, [worst_box(one, fitted.level) for one in maps]
        )

    def score_samples(self, images: Any) -> np.ndarray:
        """Return how normal images are, [N]: larger is more normal, as in scikit-learn."""
        seen = self._seen(Dataset(as_examples(images, self.trained.spec), None), NEW)
        return -detect(self._detector, seen)[SCORE]

    def decision_function(self, images: Any) -> np.ndarray:
        """Return how far images are on the normal side of the threshold, [N]: negative ones are anomalies.

        Raises:
          UserError: if too few images calibrate for a threshold.
        """
        return self.score_samples(images) + self.threshold_

    def p_values(self, images: Any) -> np.ndarray:
        """Return the share of normal images that are as strange, [N]: at most alpha of an anomaly."""
        return p_values(self._detector, {SCORE: -self.score_samples(images)})[SCORE]

    def predict(self, images: Any) -> np.ndarray:
        """Return 1 for normal images and -1 for anomalies, [N], as in scikit-learn.

        Raises:
          UserError: if too few images calibrate for a verdict.
        """
        self._check_decides()
        found = verdicts(self._detector, self.p_values(images), self.alpha)
        return np.select([found == NORMAL, found == ANOMALY], [1, -1])

    @property
    def threshold_(self) -> float:
        """The score above which an image is anomalous; it raises a `UserError` where too few images calibrate."""
        self._check_decides()
        found = threshold(self._detector.calibration[SCORE], self.alpha)
        assert found is not None
        return found

    @property
    def calibration_(self) -> dict[str, np.ndarray]:
        """Scores of the normal images that calibrate, sorted by nothing, [n]: the "score" and its floors."""
        return dict(self._detector.calibration)

    @property
    def map_level_(self) -> float:
        """The value of maps that the worst pixel of 95 % of normal images is below."""
        return self._detector.level

    @property
    def decides(self) -> bool:
        """Whether enough images calibrate for a verdict at this alpha."""
        return len(self._detector.calibration[SCORE]) >= smallest_calibration(self.alpha)

    def save(self, place: str | Path, *, overwrite: bool = False) -> Path:
        """Write the detector, with its threshold and without the model, to a file NAME.npz.

        Args:
          place: of the file.
          overwrite: whether to replace what is there.

        Returns:
          The place.

        Raises:
          UserError: if there is something already, or it cannot be written.
        """
        saved = Saved(
            self._detector,
            fingerprint(self.trained),
            None if self.background is None else fingerprint(self.background),
            self.trained.system.name,
            self.alpha,
            self._num_samples,
            self.seed,
            self.num_fitted_,
        )
        return write_detector(Path(place), saved, overwrite)

    @classmethod
    def load(
        cls,
        place: str | Path,
        trained: Trained,
        *,
        background: Trained | None = None,
        alpha: float | None = None,
    ) -> "AnomalyDetector":
        """Read a detector that `save` wrote.

        Args:
          place: of the file.
          trained: the model that it was fitted with.
          background: the background model, where it has one.
          alpha: another level; by default that of the file.

        Raises:
          UserError: if it is damaged, or of another model.
        """
        saved = read_detector(Path(place))
        _check_same(place, saved.name, saved.model, trained)
        if saved.background is not None and background is not None:
            _check_same(place, "background", saved.background, background)
        found = cls(
            trained,
            "+".join(saved.detector.parts),
            alpha=saved.alpha if alpha is None else alpha,
            background=background,
            num_samples=saved.num_samples,
            seed=saved.seed,
        )
        found._fitted, found.num_fitted_ = saved.detector, saved.num_fitted
        return found

    # ---------- private

    @property
    def _detector(self) -> Detector:
        if self._fitted is None:
            raise UserError("The detector knows no normal images yet: call fit(images) first.")
        return self._fitted

    def _check_decides(self) -> None:
        if not self.decides:
            num, need = len(self._detector.calibration[SCORE]), smallest_calibration(self.alpha)
            raise UserError(
                f"{num} normal images calibrate, too few for alpha {self.alpha:g}: expected {need} or more."
            )

    def _seen(self, dataset: Dataset, noise: int) -> Seen:
        background = None if self.background is None else _model(self.background)
        key = jax.random.fold_in(self._key, noise)
        return Seen(_model(self.trained), dataset, key, background, self._num_samples)


def split_rows(num: int, alpha: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of normal images that are fitted to, and those that calibrate: halves, by a seed.

    Of few images as many more calibrate as a verdict needs, while enough are left to fit to.

    Args:
      num: of images.
      alpha: level of the verdict.
      seed: of the split.
    """
    held = max(num // 2, min(smallest_calibration(alpha), num - FITTED))
    order = np.random.default_rng(seed).permutation(num)
    return np.sort(order[held:]), np.sort(order[:held])


# ---------- private


def _model(trained: Trained) -> Model:
    return Model(trained.system, trained.params, trained.model_state)


def _check_same(place: str | Path, name: str, expected: str, trained: Trained) -> None:
    if (found := fingerprint(trained)) != expected:
        raise UserError(
            f"{place} is a detector of another model, {name} of hash {expected}, not {trained.system.name} of hash "
            f"{found}: give that model, or fit a detector to this one."
        )
