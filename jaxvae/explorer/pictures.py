"""Pictures for the page: many images in one PNG, written without any other package."""

import base64
import math
import struct
import zlib

import numpy as np

GREY, COLOUR = 0, 2  # colour types of PNG


def sheet(images: np.ndarray) -> tuple[bytes, int]:
    """Return images side by side as one PNG, exact to the last bit.

    Args:
      images: [N, H, W, C] in [0, 1], C 1 or 3; of images of zeros and ones a pixel is one bit.

    Returns:
      The file, and how many images are in a row.
    """
    num, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(num))
    rows = -(-num // columns)
    tiles = np.zeros((rows * columns, height, width, channels), images.dtype)
    tiles[:num] = images
    picture = tiles.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return png(picture.reshape(rows * height, columns * width, channels)), columns


def png(picture: np.ndarray) -> bytes:
    """Return a picture [H, W, C] in [0, 1] as a PNG file, C 1 or 3."""
    height, width, channels = picture.shape
    if channels == 1 and np.isin(picture, (0, 1)).all():
        depth, lines, step = 1, np.packbits(picture[..., 0].astype(bool), axis=1), 1
    else:
        depth, lines, step = 8, np.round(picture * 255).astype(np.uint8).reshape(height, -1), channels
    pixels = min((zlib.compress(filtered, 9) for filtered in _filters(lines, step)), key=len)
    header = struct.pack(">IIBBBBB", width, height, depth, GREY if channels == 1 else COLOUR, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def data_url(file: bytes) -> str:
    """Return a PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(file).decode()


# ---------- private


def _filters(lines: np.ndarray, step: int) -> list[bytes]:
    """Bytes as they are, and their differences from those to the left, above, and the mean of both."""
    left, above = np.zeros_like(lines), np.zeros_like(lines)
    left[:, step:], above[1:] = lines[:, :-step], lines[:-1]
    mean = ((left.astype(np.uint16) + above) // 2).astype(np.uint8)
    guesses = {0: np.zeros_like(lines), 1: left, 2: above, 3: mean}
    return [
        np.concatenate([np.full((len(lines), 1), kind, np.uint8), lines - guess], axis=1).tobytes()
        for kind, guess in guesses.items()
    ]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
