"""Report of a flow fitted to a two-dimensional density: KL divergence, and a figure of both densities."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.capabilities import require
from jaxvae.evaluation.divergence import DRAWS
from jaxvae.reports.figures import figures_of, save_curves
from jaxvae.reports.introduction import Introduction
from jaxvae.runs.files import read_json
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import FitsDensity, target_of
from jaxvae.targets import on_grid
from jaxvae.types import Splits

PICTURE, GRID = 4.5, 200  # half the width of what is drawn, and its cells a side
NUM_POINTS = 3_000
STAGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the layers after which draws are shown
LABELS = {"reverse_kl": "KL(q || p)", "likelihood": "KL(p || q)"}


def introduce_flow(trained: Trained, splits: Splits) -> Introduction:
    """Return the introduction of a flow, which learns from a density or from draws of it."""
    num_flows, target = int(trained.model_state["num_flows"]), target_of(trained.model_state).name
    layers = f"{num_flows} layer{'s' * (num_flows != 1)}"
    return Introduction(f"a planar flow of {layers} fitted to the density {target}", "Against that density")


def evaluate_flow_density(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the KL divergence of a flow from its target, in nats, and a function that draws both.

    Args:
      trained: the flow.
      splits: of no use, the divergence has draws of its own.
    """
    del splits
    kl, stderr = require(trained.system, FitsDensity).divergence(trained.params, trained.model_state)
    metrics = {"kl_divergence": kl, "kl_divergence_stderr": stderr}
    return metrics, lambda: draw_flow(trained, kl)


def draw_flow(trained: Trained, kl: float) -> None:
    """Draw the target, the density of a flow, its samples, and the same samples after some of its layers."""
    fits, state = require(trained.system, FitsDensity), trained.model_state
    target, num_flows = target_of(state), int(state["num_flows"])
    axis, log_target = on_grid(target, GRID, PICTURE)
    grid = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), axis=-1)
    density = np.exp(jax.jit(fits.log_density)(trained.params, state, grid.reshape(-1, 2))).reshape(GRID, GRID)
    noise, points = jax.random.normal(jax.random.key(DRAWS), (NUM_POINTS, 2)), jax.jit(fits.points)
    after = sorted({round(share * num_flows) for share in STAGES})
    stages = {k: np.asarray(points(trained.params, state, noise, jnp.float32(k))) for k in after}
    row = f"K = {num_flows}: KL {kl:.4f}", density, stages
    peak = np.exp(log_target - log_target.max())
    viz.save_densities(figures_of(trained) / "density.png", target.name, peak, [row], PICTURE)
    save_curves(trained)


def summarize_starts(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return best, median and worst divergence of each kind of flow over its random starts.

    Args:
      rows: the runs of a study, each with the fields that are varied and its `metrics`.
      config: of the study, which has the other fields.

    Returns:
      A row for each target, base and number of layers, nats.
    """
    kinds: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        target, base, num_flows = (row.get(field, config[field]) for field in ("target", "base", "num_flows"))
        kinds.setdefault((target, base, num_flows), []).append(row["metrics"])
    summary = []
    for (target, base, num_flows), found in kinds.items():
        kls = sorted(one["kl_divergence"] for one in found)
        best = min(found, key=lambda one: one["kl_divergence"])
        numbers = {"best": kls[0], "median": float(np.median(kls)), "worst": kls[-1]}
        numbers["stderr_of_best"] = best["kl_divergence_stderr"]
        row = {"target": target, "num_flows": num_flows, "base": base, "restarts": len(kls)}
        summary.append({**row, **{name: round(value, 5) for name, value in numbers.items()}})
    return summary


def draw_study(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw best, median and worst divergence over the random starts, for each target against the number of layers.

    Args:
      folder: of the study.
      rows: of its runs, as of `summarize_starts`.
    """
    config = read_json(folder / "config.json")["config"]
    objective = rows[0].get("objective", config["objective"])
    viz.save_restarts(folder / "figures" / "kl.png", summarize_starts(rows, config), LABELS[objective])
