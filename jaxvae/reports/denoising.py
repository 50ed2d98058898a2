"""Comparison of denoising methods: trained systems and filters, at several noise levels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvae import viz
from jaxvae.applications.denoising import corrupt, denoise, fitted_filters
from jaxvae.evaluation import reconstruction_metrics
from jaxvae.progress import progress_bar
from jaxvae.runs.trained import Trained
from jaxvae.systems.corruption import NoiseName

NUM_SHOWN = 16


def compare_denoising(
    models: Mapping[str, Trained],
    valid: np.ndarray,
    test: np.ndarray,
    noise: NoiseName,
    levels: Sequence[float],
    seed: int,
) -> tuple[list[dict[str, Any]], dict[float, dict[str, np.ndarray]]]:
    """Corrupt test images at every noise level and compare the denoising methods.

    Args:
      models: trained systems by name.
      valid: images [N, H, W, C] in [0, 1] that choose the settings of the filters.
      test: images that are restored.
      noise: kind of corruption.
      levels: its standard deviations or probabilities; the noise is the same at every level, scaled.
      seed: of the noise.

    Returns:
      A row for each level and method, and the images by level and method.
    """
    rows: list[dict[str, Any]] = []
    shown: dict[float, dict[str, np.ndarray]] = {}
    with progress_bar(total=len(levels) * (2 + len(models)), unit="method", desc="denoising") as bar:
        for level in levels:
            noisy = {
                name: corrupt(x, noise, level, jax.random.fold_in(jax.random.key(seed), part))
                for part, (name, x) in enumerate((("valid", valid), ("test", test)))
            }
            restored = {"noisy": np.clip(noisy["test"], 0, 1)}
            for name, method in fitted_filters(valid, noisy["valid"]).items():
                restored[name] = method(noisy["test"])
                bar.update()
            for name, one in models.items():
                restored[name] = denoise(one.system, one.params, one.model_state, noisy["test"])
                bar.update()
            for name, x in restored.items():
                scores = {key: round(value, 4) for key, value in reconstruction_metrics(test, x).items()}
                rows.append({"level": level, "method": name, **scores})
            shown[level] = {"images": test, **restored}
    return rows, shown


def draw_denoising(
    folder: Path,
    noise: NoiseName,
    levels: Sequence[float],
    rows: Sequence[Mapping[str, Any]],
    shown: Mapping[float, Mapping[str, np.ndarray]],
) -> None:
    """Draw PSNR and SSIM of every method against the noise level, and denoised images at every level.

    Args:
      folder: of the figures.
      noise: kind of corruption.
      levels: those of the curves.
      rows: for each level and method, those of an earlier start included.
      shown: images by level and method.
    """
    folder.mkdir(exist_ok=True)
    names = list(dict.fromkeys(row["method"] for row in rows))
    for score, unit in (("psnr", "PSNR [dB]"), ("ssim", "SSIM")):
        found = {(row["method"], row["level"]): row[score] for row in rows if score in row}
        curves = {name: [found.get((name, level), np.nan) for level in levels] for name in names}
        if found:
            viz.save_noise_levels(folder / f"{score}.png", levels, curves, unit, noise)
    for level, images in shown.items():
        some = {name: x[:NUM_SHOWN] for name, x in images.items()}
        viz.save_rows(folder / f"level_{level:g}.png", some, f"Noise: {noise}, {level:g}")
