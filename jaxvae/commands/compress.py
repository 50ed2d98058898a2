"""Compress images to a file from which decompress gives them back, pixel for pixel."""

import sys
import time
from pathlib import Path

import jax
import numpy as np

from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.entropy import check_constriction
from jaxvae.applications.compression.formats import sizes
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.commands.given import load_images, load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.pictures import numbered
from jaxvae.commands.verb_flags import CompressFlags
from jaxvae.data.notices import counted
from jaxvae.data.transforms import binarize
from jaxvae.errors import UserError
from jaxvae.runs.compressed_file import SUFFIX, unpack
from jaxvae.runs.compressor import checksum, coded_spec, coder_of, values_of, written
from jaxvae.runs.trained import Trained, key_of
from jaxvae.training.evaluate import evaluation_keys, in_batches
from jaxvae.types import Batch, Dataset

BINARIZING = 0x62696E61  # folded into the key of a seed
BATCH = 500  # images that are binarised at a time
MUCH = 0.05  # of a file, of bits that hold no image
HOW = {
    "sample": "every pixel is drawn, white with its grey as the probability",
    "threshold": "every pixel above one half is white",
}


def needed(trained: Trained) -> ImageCoder:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return coder_of(trained)


def run(flags: CompressFlags) -> None:
    """Compress images and write the file."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(SUFFIX,), folder=False)
    check_constriction()
    trained = load_model(flags)
    coder = needed(trained)
    values, names, binarized = _images(flags, trained, coder)
    begun = time.perf_counter()
    data = written(trained, coder, values, names=names, binarized=binarized)
    encoding = time.perf_counter() - begun
    decoding = None
    with writing(place) as path:
        path.write_bytes(data)
        if flags.verify:
            begun = time.perf_counter()
            _check(coder, path.read_bytes(), flags.out)
            decoding = time.perf_counter() - begun
    _say_rate(trained, coder, values, data, place)
    _say_speed(len(values), encoding, decoding)
    _say_others(values, coder.num_values, place, len(data) - unpack(data).names_bytes)


# ---------- private


def _images(flags: CompressFlags, trained: Trained, coder: ImageCoder) -> tuple[np.ndarray, list[str] | None, str]:
    """Values of pixels, names of files or None, and how grey images were binarised."""
    spec = coded_spec(trained, coder)
    is_binary = spec.num_values == 2
    if flags.binarize is not None and not is_binary:
        raise UserError(
            f"--binarize is for models of black and white images, {trained.system.name} is of {spec.num_values} "
            "values: leave it out."
        )
    dataset = load_images(flags, trained, noisy=is_binary, spec=spec)
    x, how = dataset.x, flags.binarize
    if is_binary and x.dtype == np.float32:
        if how is None:
            raise UserError(
                f"{flags.data} has grey images, {trained.system.name} codes black and white ones: with --binarize "
                "threshold or --binarize sample they become such, and come back as such."
            )
        x = _drawn(x, flags.seed) if how == "sample" else (x > 0.5).astype(np.uint8)
        print(f"The images are binarised, {HOW[how]}: these are coded, and come back.")
    elif how is not None:
        print(f"note: {flags.data} is black and white already: --binarize changes nothing.", file=sys.stderr)
        how = None
    names = list(map(str, dataset.names))
    return values_of(x, spec), None if names == numbered(len(names)) else names, how or ""


def _drawn(x: np.ndarray, seed: int) -> np.ndarray:
    """Zeros and ones, each one with its grey as the probability: those of an image depend on its place alone."""
    key = key_of(seed, BINARIZING)

    @jax.jit
    def draw(start: jax.Array, batch: Batch) -> jax.Array:
        return binarize(evaluation_keys(start, len(batch.x), key), batch.x)

    drawn: np.ndarray = in_batches(draw, Dataset(x, None), min(BATCH, len(x)))
    return drawn.astype(np.uint8)


def _check(coder: ImageCoder, data: bytes, place: Path) -> None:
    """Raise a `UserError` unless a file that was just written gives its images back."""
    found = unpack(data, str(place)).compressed
    if checksum(coder.decode(found.stream, found.num_images)) != found.checksum:
        raise UserError(f"{place} does not decode to its images, and is not written: report it, with the model.")


def _say_rate(trained: Trained, coder: ImageCoder, values: np.ndarray, data: bytes, place: Path) -> None:
    found = unpack(data)
    num_bytes = len(data) - found.names_bytes
    rate = 8 * num_bytes / values.size
    less = f", without {found.names_bytes:,} bytes for the names of files" if found.names_bytes else ""
    print(f"{counted(len(values), 'image')} in {place}: {len(data):,} bytes, {rate:.4f} bits/dim{less}.")
    if coder.lossless:
        bound = float(coder.bound(values).mean()) * bits_per_nat(trained.spec)
        above = 100 * (rate / bound - 1)
        much = f"{abs(above):.2f}" if abs(above) < 10 else f"{abs(above):,.0f}"
        print(f"That is {much} % {'above' if above >= 0 else 'below'} the model's bound, {bound:.4f} bits/dim.")
    share = found.compressed.stream.initial_bits / (8 * num_bytes)
    if share > MUCH:
        print(
            f"{found.compressed.stream.initial_bits:,} bits to begin with, {share:.0%} of the file, hold no image: "
            "thousands in one file pay no more."
        )


def _say_speed(num: int, encoding: float, decoding: float | None) -> None:
    checked = "Not checked: --verify decodes and compares."
    if decoding is not None:
        checked = f"Decoded, the same pixel for pixel: {num / decoding:,.0f} images/s."
    print(f"Encoded: {num / encoding:,.0f} images/s, compiling included. {checked}")


def _say_others(values: np.ndarray, num_values: int, place: Path, num_bytes: int) -> None:
    """A table of the file and what other formats take."""
    others = sizes(values, num_values)
    rows = [(place.name, num_bytes, len(values)), *others]
    width = max(len(name) for name, *_ in rows)
    print(f"\n  {'':<{width}} {'bytes':>12} {'bits/dim':>9}")
    for name, size, measured in rows:
        about = "" if measured == len(values) else f"  estimated from {measured:,} images"
        print(f"  {name:<{width}} {size:>12,} {8 * size / values.size:>9.4f}{about}")
