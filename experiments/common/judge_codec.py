"""What a model of images through codes is judged by, and its figures."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.folder import read_records
from experiments.common.inspection import similarity
from experiments.common.loading import Finished
from experiments.common.training import evaluation_batch
from experiments.common.vae import split_each
from jaxvae import viz
from jaxvae.quantizers import code_usage
from jaxvae.training import evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Codec, Dataset, Splits

NUM_SHOWN = 30


def judge_codec(
    finished: Finished, splits: Splits, per_image: dict[str, np.ndarray]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the numbers of a codec and what draws its figures, from what `evaluate` gives of the test images.

    The rate is that of codes as they are, log2 K bits each; a prior over the grids needs fewer.
    """
    codec, pixels = finished.experiment.codec, math.prod(finished.experiment.spec.shape)
    if codec is None:
        raise ValueError(f"{finished.experiment.name} has no codes.")
    x, codes, reconstructions = coded(finished, splits.test)
    counts = [count_codes(grid, num) for grid, num in zip(codes, codec.num_codes, strict=True)]
    nats = float(np.mean(per_image["reconstruction"], dtype=np.float64))
    bits = sum(grid[0].size * math.log2(num) for grid, num in zip(codes, codec.num_codes, strict=True))
    metrics: dict[str, Any] = {
        "reconstruction": nats,
        **({"reconstruction_bits_per_dim": nats / (pixels * math.log(2.0))} if of_pixels(finished) else {}),
        "rate_bits_per_dim": bits / pixels,
        **similarity(x, reconstructions),
    }
    for level, of_grid in enumerate(counts):
        ending = f"_{level}" if len(counts) > 1 else ""
        usage = code_usage(jnp.asarray(of_grid))
        metrics[f"num_codes{ending}"] = of_grid.size
        metrics[f"used_codes{ending}"] = int(np.count_nonzero(of_grid))
        metrics[f"dead_codes{ending}"] = int(np.sum(usage.dead))
        metrics[f"perplexity{ending}"] = float(np.mean(usage.perplexity))

    def draw() -> None:
        folder = finished.folder / "figures"
        shown = np.random.default_rng(finished.config.seed).permutation(len(x))[:NUM_SHOWN]
        viz.save_reconstructions(
            folder / "reconstructions.png", x[shown], reconstructions[shown], "Test images over reconstructions"
        )
        for level, (grid, of_grid) in enumerate(zip(codes, counts, strict=True)):
            ending = f"_{level}" if len(counts) > 1 else ""
            viz.save_code_usage(folder / f"usage{ending}.png", of_grid, "Use of the codes by test images")
            first = grid if grid.ndim == 3 else grid[..., 0]  # of several codes a place
            title = "Test images over their codes"
            viz.save_code_maps(folder / f"codes{ending}.png", x[shown], first[shown], codec.num_codes[level], title)
            patches = _patches(finished, codes, counts, level)
            viz.save_grid(folder / f"codebook{ending}.png", patches, title="What the codes stand for, most used first")
        viz.save_curves(folder / "curves.png", read_records(finished.folder))

    return metrics, draw


def of_pixels(finished: Finished) -> bool:
    """Whether log p(x | codes) is of pixels' values; a density's nats are no bits, and no others may stand beside."""
    return finished.config.likelihood != "gaussian"


def coded(finished: Finished, dataset: Dataset) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
    """Return the images of a data set as the codec sees them, [N, H, W, C], their grids of codes, what these decode to.

    Noise is that of the evaluation: binarised images are the same ones.
    """
    experiment, size = finished.experiment, min(evaluation_batch(finished.experiment.spec), len(dataset.x))

    def one(start: int, batch: Batch) -> Any:
        keys = evaluation_keys(start, size)
        return _coded(experiment.prepare, experiment.codec, finished.params, finished.model_state, keys, batch.x)

    return in_batches(one, dataset, size)


def count_codes(grid: np.ndarray, num_codes: int) -> np.ndarray:
    """Count codes: grids [N, h, w] -> [K], or [N, h, w, G] -> [G, K]."""
    if grid.ndim == 3:
        return np.bincount(grid.ravel(), minlength=num_codes).astype(np.float32)
    return np.stack([count_codes(grid[..., group], num_codes) for group in range(grid.shape[-1])])


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1))
def _coded(prepare: Callable, codec: Codec, params: Any, model_state: Any, keys: Array, x: Array) -> Any:
    noise, _ = split_each(keys)  # the same binarisation as in `evaluate`
    prepared = prepare(noise, x)
    codes = codec.encode(params, model_state, prepared)
    return prepared, codes, codec.decode(params, model_state, codes)


def _patches(finished: Finished, codes: tuple[np.ndarray, ...], counts: list[np.ndarray], level: int) -> np.ndarray:
    """The middles of images that are one code everywhere, the most used first; other codes are the most used ones."""
    codec = finished.experiment.codec
    first = counts[level].reshape(-1, counts[level].shape[-1])[0]
    order = np.argsort(-first, kind="stable")
    decode = jax.jit(codec.decode)
    patches = []
    for start in range(0, len(order), 64):
        some = np.resize(order[start : start + 64], 64)
        grids = []
        for other, (grid, of_grid) in enumerate(zip(codes, counts, strict=True)):
            usual = np.argmax(of_grid, axis=-1)
            filled = np.broadcast_to(usual, (64, *grid.shape[1:])).copy()
            if other == level:
                chosen = filled if grid.ndim == 3 else filled[..., 0]
                chosen[...] = some[:, None, None]
            grids.append(jnp.asarray(filled, jnp.int32))
        x = np.asarray(decode(finished.params, finished.model_state, tuple(grids)))
        side = [-(-n // m) for n, m in zip(x.shape[1:3], codes[level].shape[1:3], strict=True)]
        top, left = (x.shape[1] - side[0]) // 2, (x.shape[2] - side[1]) // 2
        patches.append(x[:, top : top + side[0], left : left + side[1]])
    return np.concatenate(patches)[: len(order)]
