"""Images: where they come from, which of them make a batch, and what is done to them inside a step."""

from jaxvae.data.batches import batch_indices, padded_batches, subset, subset_rows
from jaxvae.data.codes import CodeGrids, encode_dataset, load_codes, split_grids
from jaxvae.data.source import load
from jaxvae.data.transforms import binarize, dequantize, flip, from_blocks, to_blocks, to_unit

__all__ = [
    "CodeGrids",
    "batch_indices",
    "binarize",
    "dequantize",
    "encode_dataset",
    "flip",
    "from_blocks",
    "load",
    "load_codes",
    "padded_batches",
    "split_grids",
    "subset",
    "subset_rows",
    "to_blocks",
    "to_unit",
]
