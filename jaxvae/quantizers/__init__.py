"""Quantizers: maps of vectors to maps of codes and back, one file each.

Every quantizer is a Linen module, `quantizer(z, keys, *, train, axis_name=None) -> QuantizerOutput`, and has
`lookup(codes) -> z_q`, `num_codes` of a position and `code_shape(size)`.
"""

from jaxvae.quantizers.codebook import CodebookState, code_sums, ema_update, nearest, restart, start_codebook
from jaxvae.quantizers.fsq import FSQ, fsq_bound, fsq_codes, fsq_values
from jaxvae.quantizers.gumbel import GumbelQuantizer, gumbel_softmax
from jaxvae.quantizers.kmeans import kmeans
from jaxvae.quantizers.lfq import LFQ, bits_entropy, mean_code_probs
from jaxvae.quantizers.residual import GroupedQuantizer, ResidualQuantizer
from jaxvae.quantizers.straight_through import commitment, rotation_trick, straight_through
from jaxvae.quantizers.usage import CodeUsage, QuantizerOutput, code_counts, code_usage
from jaxvae.quantizers.vq import VectorQuantizer

__all__ = [
    "FSQ",
    "LFQ",
    "CodeUsage",
    "CodebookState",
    "GroupedQuantizer",
    "GumbelQuantizer",
    "QuantizerOutput",
    "ResidualQuantizer",
    "VectorQuantizer",
    "bits_entropy",
    "code_counts",
    "code_sums",
    "code_usage",
    "commitment",
    "ema_update",
    "fsq_bound",
    "fsq_codes",
    "fsq_values",
    "gumbel_softmax",
    "kmeans",
    "mean_code_probs",
    "nearest",
    "restart",
    "rotation_trick",
    "start_codebook",
    "straight_through",
]
