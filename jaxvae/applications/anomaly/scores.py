"""How strange images are under a model: each score is fitted to normal images and then a function of images.

A larger score is stranger. What a score is fitted to are arrays by name, so that it can be kept in a file. Scores that
have a `+` between them are one: see `combination`.

References:
  Xiao, Yan & Amit, "Likelihood regret: an out-of-distribution detection score for variational auto-encoder", 2020,
  arXiv:2003.02977.
  Ren et al., "Likelihood ratios for out-of-distribution detection", 2019, arXiv:1906.02845.
  Serrà et al., "Input complexity and out-of-distribution detection with likelihood-based generative models", 2020,
  arXiv:1909.11480.
  Nalisnick et al., "Detecting out-of-distribution inputs to deep generative models using typicality", 2019,
  arXiv:1906.02994.
  Chauhan et al., "Robust outlier detection by de-biasing VAE likelihoods", 2022, arXiv:2108.08760: the correction by a
  perfect reconstruction.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.applications.anomaly.distances import fit_gaussians, mahalanobis, nearest_distances
from jaxvae.applications.anomaly.floors import Fitted, evenly
from jaxvae.applications.anomaly.maps import anomaly_maps
from jaxvae.applications.anomaly.seen import Seen
from jaxvae.capabilities import Codes, Encodes, HasJoint, Infers, Scores, ScoresExactly, ScoresPixels, find
from jaxvae.systems.two_stages import HasStages
from jaxvae.types import System

NEIGHBOURS = 5
REFERENCES = 10_000  # normal codes that the nearest ones are looked for among


class Score(NamedTuple):
    """How strange images are; larger is stranger."""

    words: str  # what it is
    applies: Callable[[System], bool]
    of: Callable[[Fitted, Seen], Any]  # -> [N]
    fit: Callable[[Seen], Fitted] = lambda seen: {}  # of normal images
    by_default: Callable[[System], bool] = lambda system: False  # whether it is a part of a system's default score
    needs_background: bool = False


# ---------- to what they apply


def _has(*kinds: type[Any]) -> Callable[[System], bool]:
    return lambda system: all(find(system, kind) is not None for kind in kinds)


def _has_any(*kinds: type[Any]) -> Callable[[System], bool]:
    return lambda system: any(find(system, kind) is not None for kind in kinds)


def _always(system: System) -> bool:
    return True


def _reconstructs(system: System) -> bool:
    """Whether there is a p(x | z): of pixels given those before it there is none."""
    return find(system, ScoresExactly) is None and _has_any(Scores, ScoresPixels)(system)


# ---------- of the likelihood


def _corrected(fitted: Fitted, seen: Seen) -> np.ndarray:
    bounded = find(seen.model.system, Scores) is not None
    return (-np.asarray(seen.bound.elbo, np.float64) if bounded else seen.reconstruction) - seen.perfect


def _ratio(fitted: Fitted, seen: Seen) -> np.ndarray:
    return np.asarray(seen.background_log_px, np.float64) - seen.log_px


def _regret(fitted: Fitted, seen: Seen) -> np.ndarray:
    return np.asarray(seen.refitted.refitted_elbo, np.float64) - seen.refitted.elbo


def _fit_typicality(seen: Seen) -> Fitted:
    return {"mean": np.asarray(np.mean(seen.log_px, dtype=np.float64))}


def _typicality(fitted: Fitted, seen: Seen) -> np.ndarray:
    return np.abs(seen.log_px - fitted["mean"])


# ---------- of the codes


def _fit_mahalanobis(seen: Seen) -> Fitted:
    return fit_gaussians(seen.codes, seen.dataset.labels)


def _mahalanobis(fitted: Fitted, seen: Seen) -> np.ndarray:
    return mahalanobis(seen.codes, fitted["means"], fitted["whiten"])


def _fit_neighbours(seen: Seen) -> Fitted:
    return {"codes": np.asarray(seen.codes[evenly(len(seen), REFERENCES, seen.codes.shape[1])], np.float32)}


def _neighbours(fitted: Fitted, seen: Seen) -> np.ndarray:
    return nearest_distances(seen.codes, fitted["codes"], NEIGHBOURS)


_BOUNDED, _LIKELY, _CODED = _has(Scores), _has_any(Scores, ScoresExactly), _has_any(Codes, Encodes)
_EXACT = _has(ScoresExactly)
SCORES: dict[str, Score] = {
    "negative_elbo": Score("-ELBO, nats", _BOUNDED, lambda _, seen: -seen.bound.elbo),
    "reconstruction": Score("-log p(x | z), nats", _reconstructs, lambda _, seen: seen.reconstruction),
    "corrected": Score(
        "-ELBO, or -log p(x | codes), less that of a perfect reconstruction, nats",
        _reconstructs,
        _corrected,
        by_default=_always,
    ),
    "worst_pixel": Score(
        "the largest value of the map: of a small defect the sum over all pixels says little",
        _has_any(ScoresPixels, Encodes),
        lambda _, seen: np.max(anomaly_maps(seen), axis=(1, 2)),
        by_default=_always,
    ),
    "likelihood": Score("-log p(x), nats", _LIKELY, lambda _, seen: -seen.log_px, by_default=_EXACT),
    "ratio": Score(
        "log p(x) of the background model less that of the model, nats", _LIKELY, _ratio, needs_background=True
    ),
    "regret": Score(
        "likelihood regret: what a q fitted to the image adds to the ELBO, nats", _has(HasJoint, Infers), _regret
    ),
    "complexity": Score(
        "-log p(x) less the compressed size, nats",
        _LIKELY,
        lambda _, seen: -seen.log_px - seen.compressed_as_modelled,
        by_default=_EXACT,
    ),
    "typicality": Score(
        "distance of log p(x) to its mean over normal images, nats", _LIKELY, _typicality, _fit_typicality
    ),
    "kl": Score("KL of q(z | x) to the prior, nats", _BOUNDED, lambda _, seen: seen.bound.kl),
    "mahalanobis": Score(
        "Mahalanobis distance of the code to normal ones, of the nearest class",
        _CODED,
        _mahalanobis,
        _fit_mahalanobis,
        by_default=_always,
    ),
    "neighbours": Score(
        f"mean distance of the code to the {NEIGHBOURS} nearest normal ones",
        _CODED,
        _neighbours,
        _fit_neighbours,
        by_default=_always,
    ),
    "codes": Score("-log p(codes), nats", _has(HasStages), lambda _, seen: seen.codes_nll, by_default=_always),
    "quantization": Score(
        "what the quantizers charge: the squared distance to the codes",
        _has(Codes),
        lambda _, seen: seen.penalty,
        by_default=_always,
    ),
}
