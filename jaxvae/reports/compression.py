"""Trained models as compressors: the files of images that they write, decoded and compared, beside other formats."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvae.applications.compression.formats import sizes
from jaxvae.applications.compression.lossy_formats import mean_psnr, quality_of_formats
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.capabilities import find
from jaxvae.codable import HasRoundedLatents
from jaxvae.errors import UserError
from jaxvae.runs.compressed_file import unpack
from jaxvae.runs.compressor import coder_of, read, written
from jaxvae.runs.trained import Trained

RATES = (0.1, 0.2, 0.4, 0.8, 1.6)  # bits per pixel value that a lossy VAE is brought to
QUALITIES = (1, 10, 30, 50, 70, 80, 90, 95, 100)  # of JPEG and WebP


def compression_row(name: str, trained: Trained, values: np.ndarray, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a file of images, which is written, decoded and compared.

    Args:
      name: of the model.
      trained: the model.
      values: of the images, [N, H, W, C] uint8.
      options: of `coder_of`: what comes back, and at which rate.

    Returns:
      Bytes, bits/dim, the bound in bits/dim and how much the file is above it, images a second both ways without
      compilation, and the PSNR where images come back with loss.

    Raises:
      UserError: if other images come back than the file says.
    """
    coder = coder_of(trained, **options)
    half = written(trained, coder, values[: len(values) // 2 + 1])  # so that nothing is compiled any more
    read(trained, unpack(half).compressed, name)
    begun = time.perf_counter()
    data = written(trained, coder, values)
    encoded = time.perf_counter()
    found = unpack(data).compressed
    back = read(trained, found, name)
    decoded = time.perf_counter()
    if coder.lossless and not np.array_equal(back, values):
        raise UserError(f"Other images come back of {name} than went in: the model cannot be used to compress.")
    bound = float(coder.bound(values).mean()) * bits_per_nat(trained.spec)
    rate = 8 * len(data) / values.size
    row = {
        "model": name,
        "coder": coder.name,
        "images": len(values),
        "bytes": len(data),
        "bits_per_dim": round(rate, 5),
        "bound_bits_per_dim": round(bound, 5),
        "above_bound_percent": round(100 * (rate / bound - 1), 3) if bound > 0 else None,
        "initial_bits": found.stream.initial_bits,
        "encoded_per_second": round(len(values) / (encoded - begun), 1),
        "decoded_per_second": round(len(values) / (decoded - encoded), 1),
    }
    if coder.lossless:
        return row
    return row | {"psnr": round(mean_psnr(values, back, coder.num_values), 3)}


def file_row(name: str, trained: Trained, values: np.ndarray, options: Mapping[str, Any], num: int) -> dict[str, Any]:
    """Return the mean bytes of files of one image each, of some images at even distances.

    Args:
      name: of the model.
      trained: the model.
      values: of the images.
      options: as of `compression_row`.
      num: of images.
    """
    coder = coder_of(trained, **options)
    rows = np.unique(np.linspace(0, len(values) - 1, num).astype(int))
    num_bytes = [len(written(trained, coder, values[row : row + 1])) for row in rows]
    return {"files": len(rows), "bytes_of_one": round(float(np.mean(num_bytes)), 2)}


def quality_curves(models: Mapping[str, Trained], values: np.ndarray) -> dict[str, tuple[list[float], list[float]]]:
    """Return bytes of an image and PSNR of models with loss, and of formats with loss, a file for each image.

    Args:
      models: by their names; a lossy VAE at several rates, others at their own.
      values: of some images, [N, H, W, C] uint8.
    """
    curves: dict[str, tuple[list[float], list[float]]] = {}
    most = 1
    for name, trained in models.items():
        by_rate = find(trained.system, HasRoundedLatents) is not None
        for rate in RATES if by_rate else (None,):
            coder = coder_of(trained, rate=rate)
            most = coder.num_values - 1
            files = [written(trained, coder, values[i : i + 1]) for i in range(len(values))]
            back = np.concatenate([read(trained, unpack(one).compressed, name) for one in files])
            _add(curves, name, float(np.mean([len(one) for one in files])), mean_psnr(values, back, coder.num_values))
    for name, found in quality_of_formats(values * np.uint8(255 // most), QUALITIES).items():
        for num_bytes, quality in found:
            _add(curves, name, num_bytes, quality)
    return curves


def format_rows(values: np.ndarray, num_values: int) -> list[dict[str, Any]]:
    """Return rows of what the images take in formats without a model.

    Args:
      values: of the images, [N, H, W, C] uint8.
      num_values: that a pixel takes.
    """
    return [
        {
            "model": size.name,
            "images": size.num_measured,
            "bytes": size.num_bytes,
            "bits_per_dim": round(8 * size.num_bytes / values.size, 5),
        }
        for size in sizes(values, num_values)
    ]


# ---------- private


def _add(curves: dict[str, tuple[list[float], list[float]]], name: str, num_bytes: float, quality: float) -> None:
    of_bytes, of_quality = curves.setdefault(name, ([], []))
    of_bytes.append(num_bytes)
    of_quality.append(quality)
