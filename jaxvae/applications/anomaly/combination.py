"""Several scores as one: by how rare each is among normal images, so that no unit counts for more than another.

  s(x) = sum_k -log P_k(S >= s_k(x)),    P_k: the tail of score k over normal images

Up to their 90 % quantile the tail is that of the ranks, and beyond it exponential, of the mean excess: images that are
all stranger than every normal one still have an order.

References:
  Li et al., "COPOD: copula-based outlier detection", 2020, arXiv:2009.09463: the sum of the tails.
  Pickands, "Statistical inference using extreme order statistics", 1975: excesses over a high quantile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxvae.applications.anomaly.floors import Fitted
from jaxvae.applications.anomaly.scores import SCORES
from jaxvae.applications.anomaly.seen import Seen
from jaxvae.capabilities import GivenClasses, find
from jaxvae.errors import UserError
from jaxvae.types import System

FOLDS = 5  # of the normal images: none is compared with a score that was fitted to it
TAIL = 0.1  # of the normal images, beyond which the tail is exponential
RANKS = "ranks"


def default_score(system: System) -> str:
    """Return the score of a system where none is named: all of its cheap ones that say different things.

    Raises:
      UserError: if none applies.
    """
    _check_needs_no_classes(system)
    names = [name for name, score in SCORES.items() if score.applies(system) and score.by_default(system)]
    if not names:
        kinds = "a VAE, a VQ-VAE, an autoencoder or an autoregressive model"
        raise UserError(f"{system.name} has no score of how strange images are: expected one of {kinds}.")
    return "+".join(names)


def parts_of(name: str, system: System, *, has_background: bool = False) -> tuple[str, ...]:
    """Return the names of the scores that a name is made of.

    Args:
      name: a score, or several with `+` between them.
      system: whose score it is to be.
      has_background: whether there is a background model.

    Raises:
      UserError: if there is no such score, or the system has not what it needs.
    """
    _check_needs_no_classes(system)
    parts = tuple(name.split("+"))
    able = [known for known, score in SCORES.items() if score.applies(system)]
    for part in parts:
        if part not in SCORES:
            raise UserError(
                f"There is no score {part!r}: expected one of {', '.join(able)}, or several with + between."
            )
        if part not in able:
            raise UserError(f"{system.name} has no score {part!r}: expected one of {', '.join(able)}.")
        if SCORES[part].needs_background and not has_background:
            raise UserError(f"The score {part!r} needs a background model: pass --background RUN, or background=.")
    if len(set(parts)) < len(parts):
        raise UserError(f"The score {name!r} names a part twice: name each once.")
    return parts


def fit_score(parts: Sequence[str], seen: Seen) -> Fitted:
    """Fit a score, or several and the tails that combine them, to normal images.

    Args:
      parts: names of scores.
      seen: normal images.

    Returns:
      Arrays by name.
    """
    fitted = {f"{part}/{name}": np.asarray(array) for part in parts for name, array in SCORES[part].fit(seen).items()}
    if len(parts) == 1:
        return fitted
    return fitted | {f"{part}/{RANKS}": np.sort(_held_out(part, seen)) for part in parts}


def score_images(parts: Sequence[str], fitted: Fitted, seen: Seen) -> np.ndarray:
    """Return the score of images, [N] float64, larger is stranger.

    Args:
      parts: names of scores.
      fitted: of `fit_score` of the same ones.
      seen: images.
    """
    return combine(each_score(parts, fitted, seen), fitted)


def each_score(parts: Sequence[str], fitted: Fitted, seen: Seen) -> dict[str, np.ndarray]:
    """Return the scores of images by their names, [N] float64 each, as `score_images` combines them."""
    return {part: _float64(SCORES[part].of(_own(part, fitted), seen)) for part in parts}


def combine(each: Mapping[str, np.ndarray], fitted: Fitted) -> np.ndarray:
    """Return one score of several: the sum of -log of their tails; of one, it as it is.

    Args:
      each: scores by name, [N].
      fitted: with sorted scores of normal images, "NAME/ranks" [n], where there are several.
    """
    if len(each) == 1:
        return next(iter(each.values()))
    return np.sum([rarity(scores, fitted[f"{part}/{RANKS}"]) for part, scores in each.items()], axis=0)


def rarity(scores: Any, normal: Any) -> np.ndarray:
    """Return -log of the share of normal images that are as strange, [N] -> [N], continuous and rising.

    Args:
      scores: [N].
      normal: those of normal images, sorted, [n].
    """
    scores, normal = np.asarray(scores, np.float64), np.asarray(normal, np.float64)
    normal = normal[np.isfinite(normal)]
    if not len(normal):
        return np.zeros_like(scores)
    count = max(1, int(TAIL * len(normal)))
    start, excess = normal[-count], np.mean(normal[-count:] - normal[-count])
    spread = excess or np.std(normal) or max(abs(start), 1.0) * 1e-3
    known, first = np.unique(normal[normal <= start], return_index=True)
    heights = -np.log((1.0 + len(normal) - first) / (len(normal) + 1.0))
    beyond = np.maximum(scores - start, 0.0) / spread
    return np.interp(scores, known, heights) + beyond


# ---------- private


def _check_needs_no_classes(system: System) -> None:
    if find(system, GivenClasses) is not None:
        raise UserError(
            f"{system.name} is conditional on classes, and nobody knows that of a strange image: expected a model that "
            "was trained without them."
        )


def _own(part: str, fitted: Fitted) -> Fitted:
    """What one score was fitted to."""
    return {name.removeprefix(f"{part}/"): array for name, array in fitted.items() if name.startswith(f"{part}/")}


def _held_out(part: str, seen: Seen) -> np.ndarray:
    """Scores of normal images, of each by what was fitted to others, [N]."""
    score, num = SCORES[part], len(seen)
    if not score.fit(seen.rows([0])):  # nothing is fitted
        return _float64(score.of({}, seen))
    scores, fold = np.empty(num), np.arange(num) % min(FOLDS, num)
    for number in range(fold.max() + 1):
        held = fold == number
        others = seen.rows(np.flatnonzero(~held)) if (~held).any() else seen
        scores[held] = _float64(score.of(score.fit(others), seen.rows(np.flatnonzero(held))))
    return scores


def _float64(scores: Any) -> np.ndarray:
    return np.asarray(scores, np.float64)
