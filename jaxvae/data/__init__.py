"""Images: where they come from, which of them make a batch, and what is done to them inside a step."""

from jaxvae.data.batches import batch_indices, padded_batches, subset, subset_rows
from jaxvae.data.codes import CodeGrids, encode_dataset, load_codes, split_grids
from jaxvae.data.corruptions import gaussian_noise, masking_noise, salt_and_pepper
from jaxvae.data.for_model import load_files, load_for
from jaxvae.data.source import load
from jaxvae.data.transforms import binarize, dequantize, flip, from_blocks, shift, to_blocks, to_unit

__all__ = [
    "CodeGrids",
    "batch_indices",
    "binarize",
    "dequantize",
    "encode_dataset",
    "flip",
    "from_blocks",
    "gaussian_noise",
    "load",
    "load_codes",
    "load_files",
    "load_for",
    "masking_noise",
    "padded_batches",
    "salt_and_pepper",
    "shift",
    "split_grids",
    "subset",
    "subset_rows",
    "to_blocks",
    "to_unit",
]
