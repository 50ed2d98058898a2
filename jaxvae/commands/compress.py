"""Compress images to a file from which decompress gives them back: pixel for pixel, or with loss by some models."""

import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.entropy import check_constriction
from jaxvae.applications.compression.formats import Size, sizes
from jaxvae.applications.compression.lossy_formats import lossy_sizes, mean_psnr
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.commands.given import load_images, load_model, rate
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.pictures import numbered
from jaxvae.commands.verb_flags import CompressFlags
from jaxvae.data.notices import counted
from jaxvae.errors import UserError
from jaxvae.runs.compressed_file import SUFFIX, unpack
from jaxvae.runs.compressor import binarized, checksum, coded_spec, coder_of, values_of, written
from jaxvae.runs.trained import Trained

LEAST_BOUND = 1e-3  # bits/dim of which a share is said
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
    coder = coder_of(trained, lossless=flags.lossless, rate=flags.rate)
    values, names, how = _images(flags, trained, coder)
    begun = time.perf_counter()
    data = written(trained, coder, values, names=names, binarized=how)
    encoding = time.perf_counter() - begun
    decoded, decoding = None, None
    with writing(place) as path:
        path.write_bytes(data)
        if flags.verify or not coder.lossless:
            begun = time.perf_counter()
            decoded = _decoded(coder, path.read_bytes(), flags.out)
            decoding = time.perf_counter() - begun
    _say_rate(trained, coder, values, data, place)
    quality = None if coder.lossless or decoded is None else _say_quality(flags, trained, coder, values, decoded)
    _say_speed(coder, len(values), encoding, decoding)
    own = place.name, len(data) - unpack(data).names_bytes, len(values)
    others = sizes if quality is None else functools.partial(lossy_sizes, least=quality)
    _say_others(own, values, others(values, coder.num_values))


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
                "threshold or --binarize sample they become such, and come back as such; a model that was trained with "
                "--likelihood logistic_mixture codes greys."
            )
        x = binarized(x, how, flags.seed)
        print(f"The images are binarised, {HOW[how]}: these are coded, and come back.")
    elif how is not None:
        print(f"note: {flags.data} is black and white already: --binarize changes nothing.", file=sys.stderr)
        how = None
    names = list(map(str, dataset.names))
    return values_of(x, spec), None if names == numbered(len(names)) else names, how or ""


def _decoded(coder: ImageCoder, data: bytes, place: Path) -> np.ndarray:
    """The images that a file which was just written gives back; a `UserError` if they are others."""
    found = unpack(data, str(place)).compressed
    values = coder.decode(found.stream, found.num_images)
    if found.lossless and checksum(values) != found.checksum:
        raise UserError(f"{place} does not decode to its images, and is not written: report it, with the model.")
    return values


def _say_rate(trained: Trained, coder: ImageCoder, values: np.ndarray, data: bytes, place: Path) -> None:
    found = unpack(data)
    num_bytes = len(data) - found.names_bytes
    per_dim = 8 * num_bytes / values.size
    less = f", without {found.names_bytes:,} bytes for the names of files" if found.names_bytes else ""
    print(f"{counted(len(values), 'image')} in {place}: {len(data):,} bytes, {per_dim:.4f} bits/dim{less}.")
    if coder.lossless:
        bound = float(coder.bound(values).mean()) * bits_per_nat(trained.spec)
        above = per_dim - bound
        much = f", {abs(above) / bound:.2%}" if bound > LEAST_BOUND and abs(above) < bound else ""
        how = "above" if above >= 0 else "below"
        print(f"That is {abs(above):.4f} bits/dim{much} {how} the model's bound, {bound:.4f}.")
    share = found.compressed.stream.initial_bits / (8 * num_bytes)
    if share > MUCH:
        print(
            f"{found.compressed.stream.initial_bits:,} bits to begin with, {share:.0%} of the file, hold no image: "
            "thousands in one file pay no more."
        )


def _say_quality(
    flags: CompressFlags, trained: Trained, coder: ImageCoder, values: np.ndarray, decoded: np.ndarray
) -> float:
    """Say, and return, the PSNR of what comes back."""
    quality = mean_psnr(values, decoded, coder.num_values)
    aim = "" if flags.rate is None else f", where {flags.rate:g} was aimed at"
    taken = float(coder.bound(values).mean()) * bits_per_nat(trained.spec)
    print(f"With loss: what comes back has a PSNR of {quality:.2f} dB, for {taken:.4f} bits/dim{aim}.")
    return quality


def _say_speed(coder: ImageCoder, num: int, encoding: float, decoding: float | None) -> None:
    checked = "Not checked: --verify decodes and compares."
    if decoding is not None:
        checked = f"Decoded{', the same pixel for pixel' * coder.lossless}: {rate(num, decoding)}."
    print(f"Encoded: {rate(num, encoding)}, compiling included. {checked}")


def _say_others(own: tuple[str, int, int], values: np.ndarray, others: Sequence[Size]) -> None:
    """A table of the file and what other formats take."""
    rows = [own, *others]
    width = max(len(name) for name, *_ in rows)
    print(f"\n  {'':<{width}} {'bytes':>12} {'an image':>9} {'bits/dim':>9}")
    for name, size, measured in rows:
        about = "" if measured == len(values) else f"  estimated from {measured:,} images"
        print(f"  {name:<{width}} {size:>12,} {size / len(values):>9,.1f} {8 * size / values.size:>9.4f}{about}")
    smaller = [name for name, size, _ in others if size < own[1]]
    if smaller:
        print(f"Smaller without a model: {', '.join(smaller)}. A model pays for many images of the kind that it knows.")
