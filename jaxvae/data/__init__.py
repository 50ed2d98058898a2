"""Images: where they come from, which of them make a batch, and what is done to them inside a step."""

from jaxvae.data.batches import batch_indices, padded_batches, subset, subset_rows
from jaxvae.data.source import load
from jaxvae.data.transforms import binarize, dequantize, flip, from_blocks, to_blocks, to_unit

__all__ = [
    "batch_indices",
    "binarize",
    "dequantize",
    "flip",
    "from_blocks",
    "load",
    "padded_batches",
    "subset",
    "subset_rows",
    "to_blocks",
    "to_unit",
]
