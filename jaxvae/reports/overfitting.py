"""Overfitting in words: where validation was best, what came after, and the flags that help."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxvae.runs.files import read_records
from jaxvae.runs.trained import Trained

SHARE = 0.02  # of the best validation loss, by which the last one has to be worse
EARLY = 0.8  # of the steps: a best step after these is the end of the training
CURES = {"patience": "--patience 3", "hidden": "a smaller --hidden", "net": "a smaller --net", "steps": "fewer --steps"}


def overfitting(trained: Trained) -> str | None:
    """Return what to say of a run that overfits, None of one that does not.

    A run overfits if its validation loss was best well before the end and has risen by more than two per cent since,
    while its training loss has fallen.
    """
    return None if trained.folder is None else diagnose(read_records(trained.folder), trained.config)


def diagnose(records: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str | None:
    """Return what to say of the records of a training: see `overfitting`.

    Args:
      records: lines of `metrics.jsonl`.
      config: of the run, whose settings are named.
    """
    valid, train = ([r for r in records if r.get("part") == part and "loss" in r] for part in ("valid", "train"))
    if len(valid) < 2 or len(train) < 2:
        return None
    best = min(valid, key=lambda r: r["loss"])
    last = valid[-1]
    at_best = min(train, key=lambda r: abs(r["step"] - best["step"]))
    rises = last["loss"] - best["loss"] > SHARE * abs(best["loss"])
    if best["step"] > EARLY * last["step"] or not rises or train[-1]["loss"] >= at_best["loss"]:
        return None
    flags = [text for name, text in CURES.items() if name in config]
    helps = f" Try more images{''.join(f', {flag}' for flag in flags)}." if flags else ""
    return (
        f"Overfitting: the validation loss was best at step {best['step']:,} ({best['loss']:.4g}) and is "
        f"{last['loss']:.4g} at step {last['step']:,}, while the training loss fell on. The model of step "
        f"{best['step']:,} is the one that is kept.{helps}"
    )
