"""What a file of compressed images says of itself, without its model."""

from collections.abc import Iterator
from pathlib import Path

from jaxvae.commands.given import said
from jaxvae.data.notices import counted, listed
from jaxvae.runs.compressed_file import CODERS, FORMAT, MAGIC, SUFFIX, Unpacked, read_compressed, unpack
from jaxvae.types import DataSpec


def is_compressed(place: Path) -> bool:
    """Return whether a place is that of a file of compressed images, by its ending or its first bytes."""
    if place.suffix.lower() == SUFFIX:
        return True
    try:
        with place.expanduser().open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError, RuntimeError):  # a folder, a name, or what is said when a model is looked for there
        return False


def print_compressed(place: Path) -> None:
    """Print what a file says.

    Raises:
      UserError: if it is none, or damaged.
    """
    data = read_compressed(place)
    lines = list(about(unpack(data, str(place)), len(data)))
    print(f"{place}: {len(data):,} bytes")
    for name, text in lines:
        print(f"  {name:<12} {text}")


def about(found: Unpacked, num_bytes: int) -> Iterator[tuple[str, str]]:
    """Yield what there is to know of a file, a name and a text each."""
    one = found.compressed
    spec = DataSpec(one.shape, one.num_values, 0)
    dims = one.num_images * one.shape[0] * one.shape[1] * one.shape[2]
    num_others = num_bytes - found.names_bytes - found.words_bytes
    binarized = f", binarised by {one.binarized}" if one.binarized else ""
    yield "of", f"{counted(one.num_images, 'image')} of {said(spec)}, {one.num_values} values{binarized}"
    yield "rate", f"{8 * (num_bytes - found.names_bytes) / dims:.4f} bits/dim" + (", without names" * bool(one.names))
    yield "lossless", "yes" if one.lossless else "no"
    yield "model", f"hash {one.model}"
    yield "coder", f"{one.coder}, version {CODERS[one.coder].version}, constriction {one.constriction}"
    if one.stream.settings:
        yield "settings", ", ".join(f"{name} {value:,}" for name, value in one.stream.settings.items())
    first = one.stream.initial_bits
    yield "words", f"{found.words_bytes:,} bytes" + (f", of which {first:,} bits hold no image" if first else "")
    names = "" if one.names is None else f", names {found.names_bytes:,} bytes: {listed(one.names)}"
    yield "the rest", f"{num_others:,} bytes{names}"
    if one.checksum is not None:
        yield "check sum", f"{one.checksum:08x} of the decoded pixels"
    yield "written by", f"jaxvae {one.jaxvae}, format {FORMAT}"
