"""Take noise out of images, with a median filter beside."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.denoising import corrupt, median
from jaxvae.capabilities import Codes, Encodes, require_any
from jaxvae.commands.given import in_unit, labels_given, load_images, load_model
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.commands.verb_flags import DenoiseFlags
from jaxvae.errors import UserError
from jaxvae.evaluation import psnr
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_rows

SIDE = 3  # pixels of the median filter
SHOWN = 12  # images of the picture


def needed(trained: Trained) -> Codes | Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require_any(trained.system, (Codes, Encodes), "codes of images")


def run(flags: DenoiseFlags) -> None:
    """Denoise images and write them."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    if (flags.noise is None) != (flags.level is None):
        raise UserError("--noise and --level belong together: give both, or neither of images that are noisy.")
    trained = load_model(flags)
    needed(trained)
    dataset = load_images(flags, trained, noisy=flags.noise is None)
    given = in_unit(dataset, trained.spec)
    noisy = given
    if flags.noise is not None and flags.level is not None:
        noisy = corrupt(given, flags.noise, flags.level, jax.random.key(flags.seed))
    labels = labels_given(trained, dataset.labels, flags.label, len(dataset.x))
    images = trained.denoise(noisy, labels=labels, num_samples=flags.num_samples, seed=flags.seed)
    rows = {"noisy": np.clip(noisy, 0, 1), f"median {SIDE}x{SIDE}": median(noisy, SIDE), "denoised": images}
    if flags.noise is not None:
        rows = {"original": given, **rows}

    def draw(path: Path, num: int | None) -> None:
        del num  # of several rows, fewer images
        save_rows(path, {name: row[:SHOWN] for name, row in rows.items()})

    print(f"{len(images):,} images in {write_pictures(place, images, dataset.names, draw)}.")
    if flags.noise is not None:
        ratios = {name: float(np.mean(psnr(jnp.asarray(row), jnp.asarray(given)))) for name, row in rows.items()}
        texts = [f"{name} {ratio:.4g}" for name, ratio in ratios.items() if name != "original"]
        print(f"PSNR against the images without the noise, dB: {', '.join(texts)}.")
