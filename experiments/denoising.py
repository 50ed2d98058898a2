"""Denoising: trained models against a median filter and non-local means, at several noise levels.

A model denoises an image by reconstructing it: denoising autoencoders were trained to, other models were not. The
filters are SciPy's and scikit-image's, with the settings that are best on validation images.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxvae import data
from jaxvae.reports.denoising import compare_denoising, draw_denoising
from jaxvae.reports.summary import with_earlier, write_summary
from jaxvae.runs.config import at_least, require
from jaxvae.runs.folder import drawing
from jaxvae.runs.load import load_coders
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.table import table
from jaxvae.systems.corruption import NoiseName
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec


@dataclass(frozen=True)
class Config:
    """Configuration of the comparison."""

    runs: tuple[str, ...] = ()
    """folders of finished runs"""
    data: str = "digits"
    """data source of these runs"""
    image_size: int | None = None
    """side in pixels to resize a folder's images to"""
    noise: NoiseName = "gaussian"
    """type of noise"""
    levels: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.7)
    """noise levels: standard deviations, or probabilities that a pixel is corrupted"""
    num_images: int = 1_000
    """number of test images, and of validation images on which the filters are tuned"""
    seed: int = 0
    """random seed of the choice of images and of the noise"""

    def __post_init__(self) -> None:
        at_least(self, 1, "num_images")
        highest = 1.0 if self.noise != "gaussian" else float("inf")
        sound = 0 < len(self.levels) == len(set(self.levels)) and 0 <= min(self.levels) <= max(self.levels) <= highest
        require("levels", self.levels, sound, "different ones of at least 0, and at most 1 where it is a probability")
        require("noise", self.noise, self.noise in ("gaussian", "masking", "salt_and_pepper"), "a noise of images")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, levels=(0.2, 0.5), num_images=100)


def run(config: Config, options: Options) -> Path:
    """Corrupt test images at every noise level and compare the denoising methods."""
    refuse(options, "a comparison of finished runs", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    models = load_coders(config.runs, spec)
    folder = run_folder("denoising", options)
    record = {**header(experiment_module(run), spec, config), "num_train": len(splits.train.x)}
    begin(folder, record, options.resume, frozenset({"runs", "levels"}))
    if distributed.is_primary():
        valid, test = (some_images(part, config, spec) for part in (splits.valid, splits.test))
        rows, shown = compare_denoising(models, valid, test, config.noise, config.levels, config.seed)
        print(table(rows))
        rows = with_earlier(folder, "methods", rows, ("level", "method"))
        write_summary(folder, {}, {"images": len(test)}, methods=rows)
        with drawing(folder):
            draw_denoising(folder / "figures", config.noise, config.levels, rows, shown)
    return folder


def some_images(part: Dataset, config: Config, spec: DataSpec) -> np.ndarray:
    """Return random images of a data set, [N, H, W, C] in [0, 1]."""
    chosen = np.random.default_rng(config.seed).permutation(len(part.x))[: config.num_images]
    return np.asarray(data.to_unit(jnp.asarray(part.x[chosen]), spec.num_values))


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
