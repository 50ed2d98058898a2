"""Report of a VAE of sprites: that of any VAE, and whether each latent stands for one factor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae import viz
from jaxvae.applications.features import features
from jaxvae.applications.traversal import traverse
from jaxvae.data import sprites
from jaxvae.evaluation.disentanglement import (
    dci,
    factor_vae_score,
    mutual_information_gaps,
    separated_attribute_gaps,
)
from jaxvae.reports.figures import figures_of, sample_key
from jaxvae.reports.report import Evaluation
from jaxvae.reports.vae import evaluate_vae
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, Splits

NUM_IMAGES = 10_000  # that the scores are of, drawn anew from all of them
NUM_GROUPS, GROUP_SIZE = 1_600, 64  # of the FactorVAE score
SCORING_SEED = 0  # of their draws, the same for all runs
SHOWN = sprites.index_of(np.array([[2, 5, 3, 16, 16]]))  # a large heart, whose latents are varied
NUM_VALUES = 11

Encode = Callable[[np.ndarray], np.ndarray]  # numbers of sprites [N] -> codes [N, D]


def evaluate_disentangled(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of a VAE with the scores of disentanglement beside, and a function that draws its figures."""
    metrics, draw_figures = evaluate_vae(trained, splits)
    found = disentanglement_metrics(lambda indices: _codes(trained, indices))
    most = disentanglement_metrics(lambda indices: sprites.perfect_code(sprites.factors_of(indices)))
    seen = trained.training.get("steps", 0) * trained.config.get("batch_size", 0)
    ceilings = {f"{name}_ceiling": value for name, value in most.items()}
    metrics = {**metrics, **found, **ceilings, "images_seen": seen}

    def draw() -> None:
        draw_figures()
        _draw_traversals(trained, np.array(metrics["kl_per_dimension"]))

    return metrics, draw


EVALUATION = Evaluation(evaluate_disentangled)


def disentanglement_metrics(encode: Encode) -> dict[str, float]:
    """Return the scores of codes of sprites, 0 to 1.

    Args:
      encode: numbers of images [N] -> codes [N, D].
    """
    rng = np.random.default_rng(SCORING_SEED)
    indices = rng.integers(0, sprites.NUM, NUM_IMAGES)
    factors, codes = sprites.factors_of(indices), encode(indices)
    ordered = [factor.ordered for factor in sprites.FACTORS]
    gaps, forest = mutual_information_gaps(codes, factors), dci(codes, factors, ordered)
    fixed = rng.integers(0, len(sprites.FACTORS), NUM_GROUPS)
    of_groups = np.stack([rng.integers(0, num, (NUM_GROUPS, GROUP_SIZE)) for num in sprites.SIZES], axis=-1)
    groups = np.arange(NUM_GROUPS)
    of_groups[groups, :, fixed] = of_groups[groups, :1, fixed]
    in_groups = encode(sprites.index_of(of_groups.reshape(-1, len(sprites.FACTORS))))
    votes = factor_vae_score(in_groups.reshape(NUM_GROUPS, GROUP_SIZE, -1), fixed, codes.var(axis=0))
    return {
        "mig": float(gaps.mean()),
        **{f"mig_{factor.name}": float(gap) for factor, gap in zip(sprites.FACTORS, gaps, strict=True)},
        "sap": float(separated_attribute_gaps(codes, factors, ordered).mean()),
        "dci_disentanglement": forest.disentanglement,
        "dci_completeness": forest.completeness,
        "dci_informativeness": forest.informativeness,
        "factor_vae_score": votes,
    }


def draw_disentanglement(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Print the median and the worst MIG of every method and weight over seeds, beside what a perfect code has.

    Args:
      folder: of the study.
      rows: of its runs, with the swept fields.
    """
    groups: dict[str, list[float]] = {}
    for row in rows:
        name = ", ".join(f"{field} {row[field]}" for field in ("method", "weight") if field in row)
        groups.setdefault(name, []).append(row["metrics"]["mig"])
    first = rows[0]["metrics"]
    print(f"MIG of {first['images_seen']:,} images seen, of a perfect code {first['mig_ceiling']:.3f}:")
    for name, values in groups.items():
        of = f"{name}: " if name else ""
        print(f"  {of}median {np.median(values):.3f}, worst {min(values):.3f} of {len(values)} runs")


# ---------- private


def _codes(trained: Trained, indices: np.ndarray) -> np.ndarray:
    images = sprites.render(indices, trained.spec.shape[0])
    return np.asarray(features(trained.system, trained.params, trained.model_state, Dataset(images, None)))


def _draw_traversals(trained: Trained, kl: np.ndarray) -> None:
    """Every latent through the range of its prior, those with the most KL first."""
    model, order = (trained.system, trained.params, trained.model_state), np.argsort(-kl, kind="stable")
    found = traverse(*model, sample_key(trained), _codes(trained, SHOWN)[0], dims=order.tolist(), num=NUM_VALUES)
    rows = {f"z{dim}, {kl[dim]:.2f} nats": row for dim, row in zip(order, found.images, strict=True)}
    viz.save_rows(figures_of(trained) / "traversals.png", rows, "Each latent through its prior, by its KL")
