"""Figures of several kinds of systems: samples, reconstructions, codes and training curves."""

from pathlib import Path

import jax
import numpy as np

from jaxvae import viz
from jaxvae.applications.generation import sample
from jaxvae.applications.reconstruction import Reconstructed
from jaxvae.reports.page_curves import by_player
from jaxvae.runs.files import read_records
from jaxvae.runs.trained import Trained
from jaxvae.types import Samples, Splits

SAMPLES = 0x73616D70  # folded into the seed's key, so that samples share no key with the training
NUM_SAMPLES = 100
NUM_RECONSTRUCTIONS = 30
NUM_POINTS = 5_000


def figures_of(trained: Trained) -> Path:
    """Return the folder of a run's figures."""
    assert trained.folder is not None
    return trained.folder / "figures"


def sample_key(trained: Trained) -> jax.Array:
    """Return the random key of a run's samples."""
    return jax.random.fold_in(jax.random.key(trained.config.get("seed", 0)), SAMPLES)


def draw_samples(trained: Trained, num: int) -> Samples:
    """Return a run's samples, [num, H, W, C] in [0, 1], and their means where there are."""
    return sample(trained.system, trained.params, trained.model_state, sample_key(trained), num)


def save_samples(trained: Trained, samples: Samples, title: str) -> None:
    """Draw a grid of samples, and of their pixel means if there are."""
    folder = figures_of(trained)
    viz.save_grid(folder / "samples.png", samples.x, title=title)
    if samples.mean is not None and (samples.mean != samples.x).any():
        viz.save_grid(folder / "sample_means.png", samples.mean, title="Pixel means of the same samples")


def save_codes(trained: Trained, splits: Splits, found: Reconstructed, title: str) -> np.ndarray:
    """Draw reconstructions and codes of test images in random order, which is returned."""
    folder, some = figures_of(trained), shuffled(trained, len(found.x))
    shown, points = some[:NUM_RECONSTRUCTIONS], some[:NUM_POINTS]
    pair = found.x[shown], found.reconstructions[shown]
    viz.save_reconstructions(folder / "reconstructions.png", *pair, title="Test images and their reconstructions")
    labels = None if splits.test.labels is None else np.asarray(splits.test.labels)[points]
    viz.save_latents(folder / "latents.png", found.means[0][points], labels, title=title)
    return some


def save_curves(trained: Trained) -> None:
    """Draw the training curves: metrics against steps."""
    assert trained.folder is not None
    viz.save_curves(figures_of(trained) / "curves.png", by_player(read_records(trained.folder)))


def shuffled(trained: Trained, num: int) -> np.ndarray:
    """Return the rows of images in a random order by the run's seed."""
    return np.random.default_rng(trained.config.get("seed", 0)).permutation(num)
