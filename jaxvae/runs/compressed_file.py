"""The file of compressed images, `.jvz`: about thirty bytes that say what it is, and the words of an entropy coder.

  JVZ, format       3 + 1 bytes
  coder             whole number, 16 * (place of the coder in CODERS) + its version
  constriction      whole number, its leading version number: 2 * minor of 0.minor, 2 * major + 1 of others
  jaxvae            whole number, 1024 * major + 32 * minor + patch
  flags             whole number, bit 0: there are names; bit 1: lossy; bits 2 and 3: how the images were binarised
  model             4 bytes, the first ones of its hash
  shape             3 whole numbers, height, width and channels
  values            1 byte, the largest one of a pixel: 1 of binary images
  images            whole number, how many
  initial bits      whole number, those of the words that hold no image
  settings          whole numbers, those of the coder in their order, 0 of one that is not there
  names             only with bit 0: whole number of bytes, and the names, with zeros between, by deflate
  words             whole number of bytes, and words of 32 bits, the lowest byte first, without zeros at the end
  check sums        4 bytes unless lossy, CRC-32 of the decoded values, and 4 bytes, of all that stands before them

A whole number has seven bits a byte, the lowest first; all bytes but its last have the highest bit.
"""

import math
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvae.applications.compression import autoregressive, bits_back, rounded
from jaxvae.applications.compression.coder import Stream
from jaxvae.data.limits import MAX_UNPACKED, check_memory, check_packed
from jaxvae.data.places import located
from jaxvae.errors import UserError
from jaxvae.runs.byte_reader import ByteReader, CutShort, varint
from jaxvae.runs.version_numbers import leading_number, leading_text, version_number, version_text

MAGIC, FORMAT, SUFFIX = b"JVZ", 1, ".jvz"
HASH_DIGITS = 8  # of a model's hash, that a file has
BINARIZED = ("", "sample", "threshold")
LONGEST_NAME = 4096  # bytes of the path of one image
HAS_NAMES, IS_LOSSY = 1, 2
WRITTEN_BY = "expected what `python -m jaxvae compress` or `Trained.compress` writes"


class CoderFormat(NamedTuple):
    """How a coder writes: another version of it, or of its settings, is another number."""

    version: int  # below 16
    settings: tuple[str, ...]


# By their names, each with its number by its place: what is here once stays.
CODERS: dict[str, CoderFormat] = {
    "bits back": CoderFormat(1, bits_back.SETTINGS),
    "autoregressive": CoderFormat(1, autoregressive.SETTINGS[:2]),  # no pixels are behind its tokens
    "codes": CoderFormat(1, autoregressive.SETTINGS),
    "rounded latents": CoderFormat(1, rounded.SETTINGS),
}


class Compressed(NamedTuple):
    """What a file says."""

    coder: str
    stream: Stream
    model: str  # the first digits of its hash
    shape: tuple[int, int, int]  # (H, W, C)
    num_values: int  # that a pixel takes
    num_images: int  # N
    # CRC-32 of the decoded values, [N, H, W, C] uint8; None of a lossy file, whose pixels come from a network: another
    # device may round them otherwise.
    checksum: int | None
    names: tuple[str, ...] | None = None  # of the images' files, where they have names
    binarized: str = ""  # how grey images became zeros and ones: BINARIZED
    constriction: str = ""  # leading version number of what wrote the words
    jaxvae: str = ""  # version of what wrote the file

    @property
    def lossless(self) -> bool:
        """Whether the images that come back are those that went in."""
        return self.checksum is not None


class Unpacked(NamedTuple):
    """What a file says, and how long its parts are."""

    compressed: Compressed
    names_bytes: int
    words_bytes: int


def pack(compressed: Compressed) -> bytes:
    """Return the contents of a file; versions are those that are installed.

    Args:
      compressed: what it says, without versions.
    """
    coder, stream = CODERS[compressed.coder], compressed.stream
    unknown = set(stream.settings) - set(coder.settings)
    if unknown:
        raise ValueError(f"The coder {compressed.coder} has the settings {coder.settings}, got also {sorted(unknown)}.")
    names = b"" if compressed.names is None else _deflated(compressed.names)
    flags = HAS_NAMES * bool(names) | IS_LOSSY * (not compressed.lossless) | BINARIZED.index(compressed.binarized) << 2
    words = np.asarray(stream.words, "<u4").tobytes()
    words = words[: len(words) - min(3, len(words) - len(words.rstrip(b"\0")))]
    contents = b"".join(
        [
            MAGIC,
            bytes([FORMAT]),
            varint(16 * list(CODERS).index(compressed.coder) + coder.version),
            varint(leading_number(version("constriction"))),
            varint(version_number(version("jaxvae"))),
            varint(flags),
            bytes.fromhex(compressed.model[:HASH_DIGITS]),
            *map(varint, compressed.shape),
            bytes([compressed.num_values - 1]),
            varint(compressed.num_images),
            varint(stream.initial_bits),
            *(varint(stream.settings.get(name, 0)) for name in coder.settings),
            *([varint(len(names)), names] if names else []),
            varint(len(words)),
            words,
            b"" if compressed.checksum is None else compressed.checksum.to_bytes(4, "little"),
        ]
    )
    return contents + zlib.crc32(contents).to_bytes(4, "little")


def unpack(data: bytes, name: str = "The data") -> Unpacked:
    """Take the contents of a file apart.

    Args:
      data: as `pack` gives it.
      name: of the file, for messages.

    Raises:
      UserError: if it is something else, cut short, damaged, or of another version.
    """
    if data[: len(MAGIC)] != MAGIC or len(data) == len(MAGIC):
        raise UserError(f"{name} is no {SUFFIX} file: {WRITTEN_BY}.")
    if data[len(MAGIC)] != FORMAT:
        raise UserError(f"{name} is of format {data[len(MAGIC)]}, this jaxvae reads {FORMAT}: take another jaxvae.")
    is_sound = zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    reader = ByteReader(data, len(MAGIC) + 1, len(data) - 4)
    try:
        found = _parsed(reader, name, is_sound)
    except CutShort as error:
        raise UserError(f"{name} is not whole, it ends after {len(data):,} bytes: fetch or write it again.") from error
    except (ValueError, zlib.error) as error:
        if isinstance(error, UserError):
            raise
        is_sound = False
    if not is_sound or reader.position != reader.end:
        raise UserError(f"{name} is damaged, it is not what was written: fetch or write it again.")
    compressed = found.compressed
    check_packed(compressed.num_images * math.prod(compressed.shape), len(data), name)
    return found


def read_compressed(place: Path) -> bytes:
    """Return the contents of a file, of what begins as one.

    Raises:
      UserError: if it is missing, something else, or larger than memory.
    """
    place = located(place)
    if not place.is_file():
        raise UserError(f"{place} does not exist or is not a file: {WRITTEN_BY}.")
    try:
        with place.open("rb") as file:
            if (head := file.read(len(MAGIC))) != MAGIC:
                raise UserError(f"{place} is no {SUFFIX} file: {WRITTEN_BY}.")
            check_memory(place.stat().st_size, str(place))
            return head + file.read()
    except OSError as error:
        raise UserError(f"{place} cannot be read ({error.strerror}): allow it, or fetch it again.") from error


# ---------- private


def _parsed(reader: ByteReader, name: str, is_sound: bool) -> Unpacked:
    """The parts of a file; a ValueError of what no file has."""
    coder, coder_version = divmod(reader.number(), 16)
    constriction, jaxvae, flags = reader.number(), version_text(reader.number()), reader.number()
    if coder >= len(CODERS) or coder_version != list(CODERS.values())[coder].version:
        if not is_sound:
            raise ValueError
        raise UserError(
            f"{name} was written by jaxvae {jaxvae} with the coder {coder} of version {coder_version}, which this "
            f"jaxvae, {version('jaxvae')}, does not have: take that one."
        )
    kind = list(CODERS)[coder]
    model = reader.take(HASH_DIGITS // 2).hex()
    height, width, channels = (reader.number() for _ in range(3))
    num_values, num, initial_bits = reader.take(1)[0] + 1, reader.number(), reader.number()
    settings = {setting: value for setting in CODERS[kind].settings if (value := reader.number())}
    names = reader.take(reader.number()) if flags & HAS_NAMES else b""
    words = reader.take(reader.number())
    checksum = None if flags & IS_LOSSY else int.from_bytes(reader.take(4), "little")
    is_possible = 0 not in (height, width, channels, num) and num_values > 1 and flags >> 2 < len(BINARIZED)
    if not (is_sound and is_possible and initial_bits <= 8 * len(words) + 24):
        raise ValueError
    compressed = Compressed(
        coder=kind,
        stream=Stream(np.frombuffer(words + bytes(-len(words) % 4), "<u4").astype(np.uint32), settings, initial_bits),
        model=model,
        shape=(height, width, channels),
        num_values=num_values,
        num_images=num,
        checksum=checksum,
        names=_inflated(names, num) if names else None,
        binarized=BINARIZED[flags >> 2],
        constriction=leading_text(constriction),
        jaxvae=jaxvae,
    )
    return Unpacked(compressed, len(names), len(words))


def _deflated(names: Sequence[str]) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)  # without a header and a check sum of its own
    return packer.compress("\0".join(names).encode("utf-8", "surrogateescape")) + packer.flush()


def _inflated(packed: bytes, num: int) -> tuple[str, ...]:
    most = min(num * LONGEST_NAME, MAX_UNPACKED)
    unpacker = zlib.decompressobj(wbits=-15)
    names = tuple(unpacker.decompress(packed, most).decode("utf-8", "surrogateescape").split("\0"))
    if len(names) != num or not unpacker.eof or unpacker.unused_data:
        raise ValueError
    return names
