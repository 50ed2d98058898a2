"""Noise taken out of images by trained models, against the level of the noise, beside a median and a non-local filter.

An image goes through the model as it is, noise and all: a denoising autoencoder has learnt to undo it, another model
gives back what it can say. The filters are scikit-image's, with the settings that are best on validation images.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.autoencoder import NOISES, NoiseName
from experiments.common.folder import drawing, progress_bar, run_record
from experiments.common.inspection import similarity
from experiments.common.loading import load_coders
from experiments.common.report import with_earlier, write_summary
from experiments.common.sweep import table
from experiments.common.training import begin, evaluation_batch
from experiments.common.vae import split_each
from experiments.run import Finished, Options, at_least, main, refuse, require, run_folder
from jaxvae import data, viz
from jaxvae.errors import UserError
from jaxvae.training import distributed, evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Codec, Dataset, DataSpec, ModelState, Params, PRNGKey, Splits

NUM_SHOWN = 16
MEDIAN_SIDES = (3, 5)
NON_LOCAL_WIDTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the kernel over differences of patches


@dataclass(frozen=True)
class Config:
    """What shapes a run."""

    runs: tuple[str, ...] = ()
    """folders of finished runs"""
    data: str = "digits"
    """their images"""
    image_size: int | None = None
    """resize a folder's images to this height and width"""
    noise: NoiseName = "gaussian"
    """what corrupts the images"""
    levels: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.7)
    """its standard deviations, or probabilities that a pixel is changed"""
    num_images: int = 1_000
    """test images, drawn at random, and as many of the validation part for the settings of the filters"""
    seed: int = 0
    """of the draw and the noise"""

    def __post_init__(self) -> None:
        at_least(self, 1, "num_images")
        highest = 1.0 if self.noise != "gaussian" else float("inf")
        sound = 0 < len(self.levels) == len(set(self.levels)) and 0 <= min(self.levels) <= max(self.levels) <= highest
        require("levels", self.levels, sound, "different ones of at least 0, and at most 1 where it is a probability")
        require("noise", self.noise, self.noise in ("gaussian", "masking", "salt_and_pepper"), "a noise of images")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, levels=(0.2, 0.5), num_images=100)


def denoise(finished: Finished, x: np.ndarray) -> np.ndarray:
    """Return what a model makes of images, which may be noisy.

    Args:
      finished: an autoencoder, a VAE or a VQ-VAE.
      x: [N, H, W, C] floats, of images in [0, 1].

    Returns:
      E[x | code] of the code, or of the posterior mean, of every image, [N, H, W, C].
    """
    experiment = finished.experiment
    functions = experiment.codec or experiment.encode, experiment.decode
    size = min(evaluation_batch(experiment.spec), len(x))

    def one(start: int, batch: Batch) -> Array:
        return _through(*functions, finished.params, finished.model_state, evaluation_keys(start, size), batch.x)

    return np.clip(in_batches(one, Dataset(np.float32(x), None), size), 0.0, 1.0)


def run(config: Config, options: Options) -> Path:
    """Corrupt test images at every level and compare what takes the noise out."""
    refuse(options, "a comparison of finished runs", "sweep", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    finished = load_coders(config.runs, spec)
    folder = run_folder("denoising", options)
    record = run_record("denoising", config, spec, len(splits.train.x))
    begin(folder, record, options.resume, frozenset({"runs", "levels"}))
    if distributed.is_primary():
        _judge(config, folder, splits, spec, finished)
    return folder


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1))
def _through(coder: Any, decode: Callable, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
    if isinstance(coder, Codec):
        return coder.decode(params, model_state, coder.encode(params, model_state, x))
    latents, pixels = split_each(keys)
    return decode(params, model_state, pixels, coder(params, model_state, latents, x)[0])


def _judge(config: Config, folder: Path, splits: Splits, spec: DataSpec, finished: dict[str, Finished]) -> None:
    whole = {name: _drawn(part, config, spec) for name, part in (("valid", splits.valid), ("test", splits.test))}
    bar = progress_bar(total=len(config.levels) * (2 + len(finished)), unit="method")
    rows: list[dict[str, Any]] = []
    shown: dict[float, dict[str, np.ndarray]] = {}
    for level in config.levels:
        noisy = {name: _corrupted(x, config, level, part) for part, (name, x) in enumerate(whole.items())}
        restored = {"noisy": np.clip(noisy["test"], 0, 1)}
        for name, method in _methods(whole["valid"], noisy["valid"], finished).items():
            restored[name] = method(noisy["test"])
            if bar is not None:
                bar.update()
        rows += [
            {"level": level, "method": name, **{key: round(v, 4) for key, v in similarity(whole["test"], x).items()}}
            for name, x in restored.items()
        ]
        shown[level] = {"images": whole["test"], **restored}
    if bar is not None:
        bar.close()
    print(table(rows))
    rows = with_earlier(folder, "methods", rows, ("level", "method"))
    write_summary(folder, "denoising", {}, {"images": len(whole["test"])}, methods=rows)
    with drawing(folder):
        _draw(folder / "figures", config, rows, shown)


def _drawn(part: Dataset, config: Config, spec: DataSpec) -> np.ndarray:
    chosen = np.random.default_rng(config.seed).permutation(len(part.x))[: config.num_images]
    return np.asarray(data.to_unit(jnp.asarray(part.x[chosen]), spec.num_values))


def _corrupted(x: np.ndarray, config: Config, level: float, part: int) -> np.ndarray:
    """The same noise at every level, scaled; another one in every part."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), part), len(x))
    return np.asarray(NOISES[config.noise](keys, jnp.asarray(x), level))


def _methods(
    valid: np.ndarray, noisy: np.ndarray, finished: dict[str, Finished]
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What takes noise out, the filters with the settings of the least error on validation images."""
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name, one, settings in (("median", _median, MEDIAN_SIDES), ("non-local means", _non_local, NON_LOCAL_WIDTHS)):
        errors = {setting: np.mean(np.square(one(noisy, setting) - valid)) for setting in settings}
        best = min(errors, key=errors.__getitem__)
        methods[name] = lambda x, one=one, best=best: one(x, best)  # type: ignore[misc]
    for name, model in finished.items():
        methods[name] = lambda x, model=model: denoise(model, x)  # type: ignore[misc]
    return methods


def _median(x: np.ndarray, side: int) -> np.ndarray:
    from scipy.ndimage import median_filter

    return np.clip(median_filter(x, size=(1, side, side, 1)), 0, 1)


def _non_local(x: np.ndarray, width: float) -> np.ndarray:
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError as error:
        raise UserError(
            'The filters need scikit-image, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    options = {"h": width, "patch_size": 5, "patch_distance": 6, "channel_axis": -1}
    return np.clip(np.stack([denoise_nl_means(one, **options) for one in x]).reshape(x.shape), 0, 1)


def _draw(folder: Path, config: Config, rows: list[dict[str, Any]], shown: dict[float, dict[str, np.ndarray]]) -> None:
    folder.mkdir(exist_ok=True)
    names = list(dict.fromkeys(row["method"] for row in rows))
    for score, unit in (("psnr", "PSNR [dB]"), ("ssim", "SSIM")):
        found = {(row["method"], row["level"]): row[score] for row in rows if score in row}
        curves = {name: [found.get((name, level), np.nan) for level in config.levels] for name in names}
        if found:
            viz.save_noise_levels(folder / f"{score}.png", config.levels, curves, unit, config.noise)
    for level, images in shown.items():
        some = {name: x[:NUM_SHOWN] for name, x in images.items()}
        viz.save_rows(folder / f"level_{level:g}.png", some, f"Noise: {config.noise}, {level:g}")


if __name__ == "__main__":
    main(Config, run, __doc__)
