"""The rate-distortion curve of a study over beta."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae import viz


def draw_rate_distortion(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the KL of runs against their distortion, `figures/rate_distortion.png`, where beta varies.

    Args:
      folder: of the study.
      rows: of its runs, with their beta and their metrics of the test set.
    """
    if len({row.get("beta") for row in rows}) > 1:
        rates, distortions = (np.array([row["metrics"][name] for row in rows]) for name in ("kl", "reconstruction"))
        labels = [f"\N{GREEK SMALL LETTER BETA} = {row['beta']:g}" for row in rows]
        viz.save_rate_distortion(folder / "figures" / "rate_distortion.png", rates, distortions, labels)
