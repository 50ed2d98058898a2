"""Report of a VQ-VAE: reconstructions, rate and codebook usage."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import viz
from jaxvae.applications.coding import Coded, count_codes, encode_as_codes
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.capabilities import Codes, require
from jaxvae.evaluation import reconstruction_metrics
from jaxvae.quantizers import code_usage
from jaxvae.reports.figures import NUM_RECONSTRUCTIONS, figures_of, save_curves, shuffled
from jaxvae.reports.values import negative_log_px
from jaxvae.runs.trained import Trained
from jaxvae.types import Splits

PATCHES_AT_A_TIME = 64


def evaluate_vqvae(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of a VQ-VAE, and a function that draws its figures.

    The rate is that of codes as they are, log2 K bits each; a prior over the grids needs fewer.

    Args:
      trained: the model.
      splits: its data.
    """
    capability, pixels = require(trained.system, Codes), math.prod(trained.spec.shape)
    num_codes = capability.num_codes
    coded = encode_as_codes(trained.system, trained.params, trained.model_state, splits.test)
    counts = [count_codes(grid, num) for grid, num in zip(coded.codes, num_codes, strict=True)]
    nats = float(np.mean(negative_log_px(trained, coded.x)))
    bits = sum(grid[0].size * math.log2(num) for grid, num in zip(coded.codes, num_codes, strict=True))
    metrics: dict[str, Any] = {
        "reconstruction": nats,
        **({"reconstruction_bits_per_dim": nats * bits_per_nat(trained.spec)} if capability.discrete else {}),
        "rate_bits_per_dim": bits / pixels,
        **reconstruction_metrics(coded.x, coded.reconstructions),
    }
    for level, of_grid in enumerate(counts):
        ending, usage = _ending(level, counts), code_usage(jnp.asarray(of_grid))
        metrics[f"num_codes{ending}"] = of_grid.size
        metrics[f"used_codes{ending}"] = int(np.count_nonzero(of_grid))
        metrics[f"dead_codes{ending}"] = int(np.sum(usage.dead))
        metrics[f"perplexity{ending}"] = float(np.mean(usage.perplexity))
    return metrics, lambda: draw_vqvae(trained, coded, counts)


def draw_vqvae(trained: Trained, coded: Coded, counts: Sequence[np.ndarray]) -> None:
    """Draw reconstructions, codes of test images, codebook usage, decoded codes and training curves.

    Args:
      trained: the model.
      coded: test images.
      counts: of their codes, [K] or [G, K] of every grid.
    """
    folder, num_codes = figures_of(trained), require(trained.system, Codes).num_codes
    shown = shuffled(trained, len(coded.x))[:NUM_RECONSTRUCTIONS]
    pair = coded.x[shown], coded.reconstructions[shown]
    viz.save_reconstructions(folder / "reconstructions.png", *pair, "Test images and their reconstructions")
    for level, (grid, of_grid) in enumerate(zip(coded.codes, counts, strict=True)):
        ending = _ending(level, counts)
        viz.save_code_usage(folder / f"usage{ending}.png", of_grid, "Codebook usage on test images")
        first = grid if grid.ndim == 3 else grid[..., 0]  # of several codes a place
        title = "Test images and their codes"
        viz.save_code_maps(folder / f"codes{ending}.png", coded.x[shown], first[shown], num_codes[level], title)
        patches = code_patches(trained, coded.codes, counts, level)
        viz.save_grid(folder / f"codebook{ending}.png", patches, title="Decoded codes, most used first")
    save_curves(trained)


def code_patches(trained: Trained, codes: Sequence[np.ndarray], counts: Sequence[np.ndarray], level: int) -> np.ndarray:
    """Decode every code of one grid at all positions, with the most frequent codes in the other grids.

    Args:
      trained: the model.
      codes: grids of images, for their shapes.
      counts: of the codes of every grid.
      level: of the grid.

    Returns:
      The middles of the images, one place of the grid each, [K, h, w, C]: the most used code first.
    """
    order = np.argsort(-counts[level].reshape(-1, counts[level].shape[-1])[0], kind="stable")
    decode = jax.jit(require(trained.system, Codes).decode)
    patches = []
    for start in range(0, len(order), PATCHES_AT_A_TIME):
        some = np.resize(order[start : start + PATCHES_AT_A_TIME], PATCHES_AT_A_TIME)
        grids = []
        for other, (grid, of_grid) in enumerate(zip(codes, counts, strict=True)):
            usual = np.argmax(of_grid, axis=-1)
            filled = np.broadcast_to(usual, (PATCHES_AT_A_TIME, *grid.shape[1:])).copy()
            if other == level:
                chosen = filled if grid.ndim == 3 else filled[..., 0]
                chosen[...] = some[:, None, None]
            grids.append(jnp.asarray(filled, jnp.int32))
        x = np.asarray(decode(trained.params, trained.model_state, tuple(grids)))
        side = [-(-n // m) for n, m in zip(x.shape[1:3], codes[level].shape[1:3], strict=True)]
        top, left = (x.shape[1] - side[0]) // 2, (x.shape[2] - side[1]) // 2
        patches.append(x[:, top : top + side[0], left : left + side[1]])
    return np.concatenate(patches)[: len(order)]


# ---------- private


def _ending(level: int, grids: Sequence[Any]) -> str:
    """The suffix of the names of one of several grids."""
    return f"_{level}" if len(grids) > 1 else ""
