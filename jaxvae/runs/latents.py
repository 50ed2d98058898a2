"""Statistics of a model's codes in what `config.json` says of it, under `latents`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae.applications.latents import LatentStatistics
from jaxvae.errors import UserError


def latents_record(statistics: LatentStatistics, step: int) -> dict[str, Any]:
    """Return the statistics for JSON, with six digits.

    Args:
      statistics: of the codes.
      step: of the parameters that they are of.
    """
    fields = {name: value for name, value in statistics._asdict().items() if value is not None}
    return {"step": step, **{name: [_rounded(group) for group in value] for name, value in fields.items()}}


def recorded_latents(record: Mapping[str, Any]) -> LatentStatistics | None:
    """Return the statistics of a record, None of one that was written without them.

    Raises:
      UserError: if they are damaged.
    """
    found = record.get("latents")
    if found is None:
        return None
    try:
        mean, std = (tuple(np.array(group, np.float32) for group in found[name]) for name in ("mean", "std"))
        posterior = found.get("posterior_std")
        statistics = LatentStatistics(
            mean, std, posterior and tuple(np.array(group, np.float32) for group in posterior)
        )
        groups = zip(*(part for part in statistics if part is not None), strict=True)
        if all(len({one.shape for one in group}) == 1 and group[0].ndim == 1 for group in groups) and mean:
            return statistics
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise UserError("The statistics of the codes in config.json are damaged: take `latents` out of it, or train again.")


# ---------- private


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
