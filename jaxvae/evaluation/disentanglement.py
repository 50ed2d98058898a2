"""Whether each latent variable stands for one factor of the images, where the factors are known.

Codes are [N, D], one number a latent variable, and factors [N, K], whole numbers from 0. All scores are from 0 to 1,
larger is better, and none of them asks which latent stands for which factor. What a factor's images do not show no code
can have, so that 1 may be out of reach: score a code made of the factors themselves to see how far one can get.

References:
  Locatello et al., "Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations", 2019,
  arXiv:1811.12359: the same definitions side by side, 20 bins.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvae.errors import UserError, check_shape
from jaxvae.evaluation.needs import check_finite, sklearn_module

NUM_BINS = 20
SCORES = "Scores of disentanglement"
TREES, MOST_LEVELS = 20, 12  # of a forest
INACTIVE = 0.05  # variance of a latent over all images, in that of the prior, below which it says nothing


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness."""

    disentanglement: float  # whether a latent is important for one factor
    completeness: float  # whether for a factor one latent is important
    informativeness: float  # how well the factors are predicted: accuracy, or explained variance of ordered ones


def mutual_information_gaps(codes: np.ndarray, factors: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """Return by how much more the most telling latent says of each factor than the second; the mean is the MIG.

      1/H(v_k) (I(z_1; v_k) - I(z_2; v_k)),    z_1 and z_2 the latents with the largest mutual information

    Args:
      codes: [N, D], two latents at least.
      factors: [N, K].
      num_bins: of equal width between the least and the largest value of a latent.

    Returns:
      [K].

    Raises:
      UserError: if there is one latent, a factor does not vary, codes are not finite, or scikit-learn is not installed.

    References:
      Chen et al. 2018, arXiv:1802.04942, eq. 6.
    """
    _check(codes, factors)
    information = sklearn_module("metrics", SCORES).mutual_info_score  # nats
    binned = [_binned(code, num_bins) for code in codes.T]
    gaps = []
    for factor in factors.T:
        known = np.sort([information(code, factor) for code in binned])
        gaps.append((known[-1] - known[-2]) / information(factor, factor))
    return np.array(gaps)


def separated_attribute_gaps(codes: np.ndarray, factors: np.ndarray, ordered: Sequence[bool]) -> np.ndarray:
    """Return by how much better the best latent predicts each factor by a straight line than the second; mean: SAP.

    Of ordered factors the score is the explained variance, of others the accuracy of a linear classifier on the second
    half of the codes.

    Args:
      codes: [N, D], two latents at least.
      factors: [N, K].
      ordered: whether neighbouring values of a factor look alike, [K].

    Returns:
      [K].

    Raises:
      UserError: as `mutual_information_gaps`.

    References:
      Kumar, Sattigeri & Balakrishnan, "Variational Inference of Disentangled Latent Concepts from Unlabeled
      Observations", 2018, arXiv:1711.00848, sec. 3.
    """
    _check(codes, factors)
    gaps = []
    for factor, has_order in zip(factors.T, ordered, strict=True):
        score = _explained_variance if has_order else _linear_accuracy
        scores = np.sort([score(code, factor) for code in codes.T])
        gaps.append(scores[-1] - scores[-2])
    return np.array(gaps)


def dci(codes: np.ndarray, factors: np.ndarray, ordered: Sequence[bool], seed: int = 0) -> DCI:
    """Predict each factor by a random forest and see which latents are important for it.

    Forests are fitted to the first half of the codes, which gives the importances, and predict the second.

    Args:
      codes: [N, D], two latents at least.
      factors: [N, K].
      ordered: as of `separated_attribute_gaps`.
      seed: of the forests.

    Returns:
      The scores.

    Raises:
      UserError: as `separated_attribute_gaps`.

    References:
      Eastwood & Williams, "A Framework for the Quantitative Evaluation of Disentangled Representations", 2018.
    """
    _check(codes, factors)
    ensemble, half = sklearn_module("ensemble", SCORES), len(codes) // 2
    importances, predicted = [], []
    for factor, has_order in zip(factors.T, ordered, strict=True):
        kind = ensemble.RandomForestRegressor if has_order else ensemble.RandomForestClassifier
        forest = kind(TREES, max_depth=MOST_LEVELS, random_state=seed, n_jobs=-1).fit(codes[:half], factor[:half])
        importances.append(forest.feature_importances_)
        predicted.append(max(0.0, forest.score(codes[half:], factor[half:])))
    matrix = np.stack(importances, axis=1)  # [D, K]
    weights = matrix.sum(axis=1) / max(matrix.sum(), 1e-12)
    return DCI(
        disentanglement=float(np.sum(weights * _peakedness(matrix))),
        completeness=float(np.mean(_peakedness(matrix.T))),
        informativeness=float(np.mean(predicted)),
    )


def factor_vae_score(groups: np.ndarray, fixed: np.ndarray, variances: np.ndarray) -> float:
    """Return how often the latent that varies least among images of one value of a factor says which factor it is.

    The first half of the groups says for which factor each latent stands, the second half is judged by that.

    Args:
      groups: codes of images that have one factor in common, [V, L, D].
      fixed: which factor, [V].
      variances: of the latents over all images, [D]; those below 0.05 take no part.

    Returns:
      The accuracy, 0 where no latent takes part.

    References:
      Kim & Mnih, "Disentangling by Factorising", 2018, arXiv:1802.05983, sec. 4.
    """
    check_shape("variances", variances, (groups.shape[-1],))
    active = variances >= INACTIVE
    if not active.any():
        return 0.0
    least = np.argmin(groups[..., active].var(axis=1) / variances[active], axis=1)  # [V]
    votes, half = np.zeros((int(active.sum()), int(fixed.max()) + 1), np.int64), len(fixed) // 2
    np.add.at(votes, (least[:half], fixed[:half]), 1)
    return float(np.mean(votes.argmax(axis=1)[least[half:]] == fixed[half:]))


# ---------- private


def _check(codes: np.ndarray, factors: np.ndarray) -> None:
    check_shape("codes", codes, (None, None))
    check_shape("factors", factors, (len(codes), None))
    check_finite("Disentanglement", codes)
    if codes.shape[1] < 2:
        raise UserError("Disentanglement compares latent variables, the model has one: take more of them.")
    if len(constant := np.flatnonzero((factors == factors[:1]).all(axis=0))):
        raise UserError(
            f"Factor {constant[0]} has the same value in all images: take images in which all factors vary."
        )


def _binned(code: np.ndarray, num_bins: int) -> np.ndarray:
    edges = np.histogram_bin_edges(code, num_bins)
    return np.clip(np.digitize(code, edges[1:-1]), 0, num_bins - 1)


def _explained_variance(code: np.ndarray, factor: np.ndarray) -> float:
    return 0.0 if np.std(code) < 1e-8 else float(np.corrcoef(code, factor)[0, 1] ** 2)


def _linear_accuracy(code: np.ndarray, factor: np.ndarray) -> float:
    svm, half = sklearn_module("svm", SCORES), len(code) // 2
    scaled = ((code - code.mean()) / max(code.std(), 1e-8))[:, None]
    model = svm.LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(scaled[:half], factor[:half])
    return float(model.score(scaled[half:], factor[half:]))


def _peakedness(matrix: np.ndarray) -> np.ndarray:
    """1 minus the entropy of every row, in units of that of equal entries, [R, C] -> [R]; 0 of an empty row."""
    total = matrix.sum(axis=1, keepdims=True)
    p = np.where(total > 0, matrix / np.where(total > 0, total, 1.0), 1.0 / matrix.shape[1])
    entropy = -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=1)
    return 1.0 - entropy / np.log(matrix.shape[1])
