"""The table of a protocol of anomaly detection: measures of every score, means over classes and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.evaluation.protocols import Asked, Protocol, Question
from jaxvae.evaluation.resampling import Measures, draw_counts, measures
from jaxvae.progress import progress_bar
from jaxvae.reports.detection import DEFAULT

LONGEST = 20  # letters of a variant in print, the end of a longer one
LEVEL = 0.95  # of intervals
NAMES = ("auroc", "average_precision", "fpr_at_95_tpr")  # of the fields of `Measures`


class Scored(NamedTuple):
    """A model with its scores of the test images."""

    one: Asked
    scores: Mapping[str, np.ndarray]  # [N] by their names


def table_rows(protocol: Protocol, scored: Sequence[Scored], default: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for every variant and score.

    `auroc`, `average_precision` and `fpr_at_95_tpr` are means over cases and seeds; `_sd` is the standard deviation
    between seeds of the mean over cases; `_low` and `_high` are the interval of the mean when test images are drawn
    anew, the same ones for all models. `lost` is the AUROC at the smallest share of contamination less this one.

    Args:
      protocol: what was asked.
      scored: models with their scores.
      default: the parts of the default score.
    """
    counts = draw_counts(protocol.groups)
    names, variants = list(scored[0].scores), dict.fromkeys(question.variant for _, question in questions_of(scored))
    rows: list[dict[str, Any]] = []
    with progress_bar(total=len(names) * len(list(questions_of(scored))), unit="score", desc="intervals") as bar:
        for variant in variants:
            asked = [(model, question) for model, question in questions_of(scored) if question.variant == variant]
            for name in names:
                found = []
                for model, question in asked:
                    found.append(_measured(protocol, question, model.scores[name], counts))
                    bar.update()
                row = {"variant": variant, "score": name, "kind": _kind(name, default)}
                rows.append({**row, "share": asked[0][0].one.share, **_summarized(asked, found)})
    return _with_losses(rows)


def questions_of(scored: Sequence[Scored]) -> Iterator[tuple[Scored, Question]]:
    """Go through all models and what each is asked."""
    return ((model, question) for model in scored for question in model.one.questions)


def chosen_rows(protocol: Protocol, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the test images that a question is of, and whether each is an anomaly."""
    strange = np.isin(protocol.groups, question.strange)
    rows = np.flatnonzero(strange | (protocol.groups == question.normal))
    return rows, strange[rows]


def printed_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what a person reads of the rows: four digits."""
    names = ("auroc", "auroc_sd", "auroc_low", "auroc_high", "average_precision", "fpr_at_95_tpr", "lost")
    return [
        {
            "variant": row["variant"] if len(row["variant"]) <= LONGEST else f"...{row['variant'][3 - LONGEST :]}",
            "score": row["score"],
            "kind": row["kind"],
            **{name: f"{row[name]:.4f}" for name in names if name in row},
        }
        for row in rows
    ]


# ---------- private


def _measured(protocol: Protocol, question: Question, scores: np.ndarray, counts: np.ndarray) -> Measures:
    rows, strange = chosen_rows(protocol, question)
    return measures(scores[rows], strange, counts[:, rows])


def _kind(name: str, default: Sequence[str]) -> str:
    if name == DEFAULT:
        return "default"
    return "floor" if name in FLOORS else "part" if name in default else "other"


def _summarized(asked: Sequence[tuple[Scored, Question]], found: Sequence[Measures]) -> dict[str, Any]:
    seeds = np.array([model.one.seed for model, _ in asked])
    cases = np.array([question.case for _, question in asked])
    summary: dict[str, Any] = {}
    for field, name in zip(Measures._fields, NAMES, strict=True):
        values = np.stack([getattr(one, field) for one in found])  # [models, 1 + R]
        low, high = np.quantile(values[:, 1:].mean(axis=0), [0.5 * (1 - LEVEL), 0.5 * (1 + LEVEL)])
        of_seeds = {int(seed): float(values[seeds == seed, 0].mean()) for seed in np.unique(seeds)}
        summary[name] = float(np.mean(list(of_seeds.values())))
        if len(of_seeds) > 1:
            summary[f"{name}_sd"] = float(np.std(list(of_seeds.values()), ddof=1))
        summary |= {f"{name}_low": float(low), f"{name}_high": float(high), f"{name}_seeds": of_seeds}
        if len(found) > len(of_seeds):
            of_cases = {case: float(values[cases == case, 0].mean()) for case in dict.fromkeys(cases.tolist())}
            summary[f"{name}_cases"] = of_cases
    return summary


def _with_losses(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with what the AUROC loses by contamination, where there are several shares."""
    least = min(row["share"] for row in rows)
    clean = {row["score"]: row["auroc"] for row in rows if row["share"] == least}
    if all(row["share"] == least for row in rows):
        return list(rows)
    return [{**row, "lost": clean[row["score"]] - row["auroc"]} for row in rows]
