"""Figures of groups of latents: what each decides, and samples at several temperatures."""

from pathlib import Path

import jax
import numpy as np

from jaxvae import viz
from jaxvae.applications.encoding import decode
from jaxvae.applications.generation import sample
from jaxvae.applications.groups import draw_latents, resample
from jaxvae.capabilities import GeneratesTempered, HasGroups, find, require
from jaxvae.runs.trained import Trained
from jaxvae.types import PRNGKey

TEMPERATURES = (0.4, 0.6, 0.8, 1.0)
COLUMNS = 14
BASES = 2  # samples of which groups are drawn anew


def draw_groups(trained: Trained, folder: Path, key: PRNGKey) -> None:
    """Draw what each group of latents decides, and the same samples at several temperatures.

    Args:
      trained: of a system with groups of latents.
      folder: of the figures.
      key: of the samples.
    """
    model = trained.system, trained.params, trained.model_state
    bases = draw_latents(*model, key, BASES)
    kept, rows = decode(*model, bases, key, same_noise=True), {}
    for group, (height, width, latents) in enumerate(require(trained.system, HasGroups).shapes):
        anew = jax.random.fold_in(key, group)
        drawn = [resample(*model, anew, base, group, COLUMNS // BASES - 1) for base in bases]
        halves = [np.concatenate([image[None], images]) for image, images in zip(kept, drawn, strict=True)]
        rows[f"{group + 1}: {height}x{width}x{latents}"] = np.concatenate(halves)
    viz.save_rows(folder / "groups.png", rows, "Two samples, and in every row another group of latents drawn anew")
    if find(trained.system, GeneratesTempered) is not None:
        means = {f"{t:g}": sample(*model, key, COLUMNS, temperature=t, only="mean").mean for t in TEMPERATURES}
        viz.save_rows(folder / "temperatures.png", means, "Pixel means of samples at several temperatures")
