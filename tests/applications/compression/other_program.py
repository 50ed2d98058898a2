"""Codes or decodes images of some models in a process of its own: other threads and devices, another compilation.

python -m tests.applications.compression.other_program encode|decode FOLDER [one]
"""

import os
import sys
from pathlib import Path

if "one" in sys.argv and hasattr(os, "sched_setaffinity"):  # before XLA counts the processors
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np

from jaxvae.applications.compression.coder import Stream
from tests.applications.compression import models
from tests.applications.compression.models import COLOUR, GREY, DataSpec

LARGER = DataSpec((12, 12, 1), 2, 0)
NUM = 500  # of the images of each
MODELS = {
    "VAE": lambda: models.vae(LARGER, dim=8),
    "mixture": lambda: models.vae(GREY, "logistic_mixture"),
    "pixel by pixel": lambda: models.pixel_vae(LARGER),
    "blocks": lambda: models.autoregressive(LARGER, block=2),
    "transformer": lambda: models.autoregressive(LARGER, net="transformer", block=2),
    "colours": lambda: models.autoregressive(COLOUR, "logistic_mixture"),
    "codes": models.codes_and_prior,
    "codes and pixels": models.codes_and_prior,
}


def coder_of(name, model=None):
    return (model or MODELS[name]()).coder(lossless=name == "codes and pixels")


def images(name, coder):
    """Bright squares on noise."""
    shape = {"colours": COLOUR, "mixture": GREY, "codes": GREY, "codes and pixels": GREY}.get(name, LARGER).shape
    generator = np.random.default_rng(0)
    x = generator.random((NUM, *shape)) ** 3
    for image, row, column in zip(x, *generator.integers(0, 3, (2, NUM)), strict=True):
        image[row : row + 4, column : column + 3] **= 0.2
    return np.rint(x * (coder.num_values - 1)).astype(np.uint8)


def encode(folder):
    for name in MODELS:
        coder = coder_of(name)
        stream = coder.encode(images(name, coder))
        np.savez(folder / f"{name}.npz", words=stream.words, **stream.settings)


def decode(folder):
    for name in MODELS:
        np.save(folder / f"{name}.npy", coder_of(name).decode(read(folder, name), NUM))


def read(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        settings = {key: int(file[key]) for key in file.files if key != "words"}
        return Stream(file["words"], settings, 0)


if __name__ == "__main__":
    {"encode": encode, "decode": decode}[sys.argv[1]](Path(sys.argv[2]))
