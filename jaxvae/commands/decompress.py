"""Decompress images that compress has written: pixel for pixel, or with loss by some models."""

import time

import numpy as np

from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.entropy import check_constriction
from jaxvae.commands.given import load_model, rate
from jaxvae.commands.output import check_place
from jaxvae.commands.pictures import write_pictures
from jaxvae.commands.verb_flags import DecompressFlags
from jaxvae.data.notices import counted
from jaxvae.runs.compressed_file import read_compressed, unpack
from jaxvae.runs.compressor import coder_of, read
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_grid


def needed(trained: Trained) -> ImageCoder:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return coder_of(trained)


def run(flags: DecompressFlags) -> None:
    """Decompress a file and write the images."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".png", ".npz"), folder=True)
    check_constriction()
    compressed = unpack(read_compressed(flags.file), str(flags.file)).compressed
    trained = load_model(flags)
    begun = time.perf_counter()
    values = read(trained, compressed, str(flags.file))
    seconds = time.perf_counter() - begun
    images = values / np.float32(compressed.num_values - 1)
    draw = lambda path, num: save_grid(path, images[:num])  # noqa: E731
    where = write_pictures(place, images, compressed.names, draw, sheet=False)
    how = "the same pixel for pixel: the check sum holds" if compressed.lossless else "with loss"
    print(f"{counted(len(images), 'image')} in {where}, {how}. {rate(len(images), seconds)}.")
