"""The summary that a study prints at its end: its table with a legend, and where its files are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvae.runs.measures import MAIN
from jaxvae.studies.table import table

COLUMNS = {
    "runs": "trainings over which means are taken",
    "sd": "standard deviation of the first number between them",
    "gain": "improvement of the first number over the first value, run by run",
    "gain_within": "half of the 95 % interval of the gain (Student's t)",
    "kl_saved": "KL that the first value has more",
    "kl_saved_within": "half of its 95 % interval",
    "seconds": "of training, all of these trainings together",
}


def print_study(
    name: str,
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    variants: Sequence[Mapping[str, Any]],
    units: Sequence[str],
) -> None:
    """Print the table of a study with the meaning of its columns.

    Args:
      name: of the experiment.
      folder: of the study.
      rows: of all runs.
      variants: rows of the table.
      units: fields over which means are taken.
    """
    failed = [row for row in rows if "metrics" not in row]
    over = f", means over {' and '.join(units)}" if units else ""
    print(f"\n{name}: {len(rows)} trainings, numbers of the test set{over}:\n")
    print(table([dict(row) for row in variants]))
    print()
    for column in dict.fromkeys(key for row in variants for key in row):
        if column in MAIN:
            meaning = MAIN[column]
            better = f"{meaning.better} is better" if meaning.better else ""
            print(f"  {column}: " + ", ".join(part for part in (meaning.name, meaning.unit, better) if part))
        elif column in COLUMNS:
            print(f"  {column}: {COLUMNS[column]}")
    for row in failed:
        print(f"warning: a training diverged and is in no mean: {row.get('failure')}")
    print(f"Figures:  {folder}/figures/ (begin with study.png)")
    print(f"Numbers:  {folder}/summary.json")
