"""Images of a trained model to the contents of a `.jvz` file, and back."""

import zlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import jax
import numpy as np

from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.coders import image_coder
from jaxvae.applications.compression.entropy import check_constriction
from jaxvae.data.arrays import as_examples
from jaxvae.data.for_model import check_takes_images
from jaxvae.data.transforms import binarize
from jaxvae.errors import MOST_SEED, UserError, whole_number
from jaxvae.runs.compressed_file import HASH_DIGITS, Compressed, pack, unpack
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.trained_model import TrainedModel
from jaxvae.runs.version_numbers import leading_number, leading_text
from jaxvae.training.evaluate import evaluation_keys, in_batches
from jaxvae.types import Batch, Dataset, DataSpec

ROUNDING = 1e-4  # of float32 images
BINARIZING = 0x62696E61  # folded into the key of a seed
BATCH = 500  # images that are binarised at a time

Binarize = Literal["sample", "threshold"]


def compress(trained: TrainedModel, images: Any, *, lossless: bool = False, rate: float | None = None) -> bytes:
    """Return images as the contents of a `.jvz` file; `Trained.compress` has it.

    Args:
      trained: the model.
      images: as `Trained` takes them.
      lossless: as of `coder_of`.
      rate: the same.

    Raises:
      UserError: if the model cannot, these are none of its images, or constriction is not installed.
    """
    check_constriction()
    coder = coder_of(trained, lossless=lossless, rate=rate)
    return written(trained, coder, values_of(images, coded_spec(trained, coder)))


def decompress(trained: TrainedModel, data: bytes) -> np.ndarray:
    """Return the images of a `.jvz` file's contents, [N, H, W, C] uint8; `Trained.decompress` has it.

    Args:
      trained: the model.
      data: as `compress` gives it.

    Raises:
      UserError: if it is damaged, of another model or version, or constriction is not installed.
    """
    check_constriction()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UserError(f"The data are of type {type(data).__name__}, expected the bytes that compress gives.")
    return read(trained, unpack(bytes(data)).compressed)


def coder_of(trained: TrainedModel, *, lossless: bool = False, rate: float | None = None) -> ImageCoder:
    """Return what codes the images of a model; a `UserError` if nothing can.

    Args:
      trained: the model.
      lossless: as of `jaxvae.applications.compression.coders.image_coder`.
      rate: the same.
    """
    check_takes_images(trained.spec)
    return image_coder(trained.system, trained.params, trained.model_state, lossless=lossless, rate=rate)


def coded_spec(trained: TrainedModel, coder: ImageCoder) -> DataSpec:
    """Return what images a coder takes: a model of binarised images may have been trained on grey ones."""
    return trained.spec._replace(num_values=coder.num_values)


def values_of(images: Any, spec: DataSpec) -> np.ndarray:
    """Return images as whole numbers, [N, H, W, C] uint8, 0 to num_values - 1.

    Args:
      images: as `Trained` takes them; floats are multiples of 1 / (num_values - 1).
      spec: as `coded_spec` gives it.

    Raises:
      UserError: if they are between these values, or none of the model.
    """
    x = as_examples(images, spec)
    if x.dtype == np.uint8:
        return x
    scaled = x * np.float32(spec.num_values - 1)
    levels = np.rint(scaled)
    if np.abs(scaled - levels).max() > ROUNDING:
        raise UserError(
            f"The images are floats between the {spec.num_values} values of the model's pixels: round them, as "
            f"np.rint(x * {spec.num_values - 1}).astype(np.uint8)."
        )
    return levels.astype(np.uint8)


def binarized(x: np.ndarray, how: Binarize, seed: int = 0) -> np.ndarray:
    """Return grey images as zeros and ones.

    Args:
      x: floats in [0, 1], [N, H, W, C].
      how: `sample` draws every pixel with its grey as the probability, `threshold` takes those above one half.
      seed: of the draws; those of an image depend on its place alone.
    """
    if how == "threshold":
        return (x > 0.5).astype(np.uint8)
    key = jax.random.fold_in(jax.random.key(whole_number("seed", seed, 0, MOST_SEED)), BINARIZING)

    @jax.jit
    def draw(start: jax.Array, batch: Batch) -> jax.Array:
        return binarize(evaluation_keys(start, len(batch.x), key), batch.x)

    drawn: np.ndarray = in_batches(draw, Dataset(x, None), min(BATCH, len(x)))
    return drawn.astype(np.uint8)


def written(
    trained: TrainedModel,
    coder: ImageCoder,
    values: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    binarized: str = "",
) -> bytes:
    """Return the contents of a file.

    Args:
      trained: the model.
      coder: as `coder_of` gives it.
      values: as `values_of` gives them.
      names: paths of the images in their folder, to be kept.
      binarized: how they became zeros and ones, see `compressed_file.BINARIZED`.
    """
    stream = coder.encode(values)
    height, width, channels = values.shape[1:]
    return pack(
        Compressed(
            coder=coder.name,
            stream=stream,
            model=fingerprint(trained),
            shape=(height, width, channels),
            num_values=coder.num_values,
            num_images=len(values),
            checksum=checksum(values) if coder.lossless else None,
            names=None if names is None else tuple(names),
            binarized=binarized,
        )
    )


def read(trained: TrainedModel, compressed: Compressed, name: str = "The data") -> np.ndarray:
    """Return the images of a file, [N, H, W, C] uint8, 0 to num_values - 1.

    Args:
      trained: the model.
      compressed: as `compressed_file.unpack` gives it.
      name: of the file, for messages.

    Raises:
      UserError: if it is of another model or version, or other images come out than went in.
    """
    coder = coder_of(trained)
    _check_same(trained, coded_spec(trained, coder), compressed, name)
    differs = (
        f"{name} does not decode to what was coded: this device, or its version of JAX, computes too differently; "
        "decode where it was written."
    )
    try:
        values = coder.decode(compressed.stream, compressed.num_images)
    except UserError as error:  # the file is sound, by its check sum, and of this model
        raise UserError(differs) from error
    if compressed.lossless and checksum(values) != compressed.checksum:
        raise UserError(differs)
    return values


def checksum(values: np.ndarray) -> int:
    """Return the CRC-32 of values of pixels, by which a file knows that its images came back."""
    return zlib.crc32(np.ascontiguousarray(values, np.uint8).tobytes())


# ---------- private


def _check_same(trained: TrainedModel, spec: DataSpec, compressed: Compressed, name: str) -> None:
    """Raise a `UserError` unless a file is of a model, and of this version of constriction."""
    found = leading_text(leading_number(version("constriction")))
    if found != compressed.constriction:
        raise UserError(
            f"{name} was written with constriction {compressed.constriction}, whose words constriction "
            f'{found}, which is installed, does not read: pip install "constriction=={compressed.constriction}.*".'
        )
    of, expected = (
        f"{width}x{height} pixels, {channels} channel{'s' * (channels != 1)} and {num_values} values"
        for (height, width, channels), num_values in (
            (compressed.shape, compressed.num_values),
            (spec.shape, spec.num_values),
        )
    )
    if of != expected:
        raise UserError(f"{name} has images of {of}, the model's are of {expected}: give the model that wrote it.")
    own = fingerprint(trained)[:HASH_DIGITS]
    if own != compressed.model:
        raise UserError(
            f"{name} was written with another model, of hash {compressed.model}, not with {trained.system.name} of "
            f"hash {own}: give that model."
        )
