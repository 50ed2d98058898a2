"""What images can be coded by, as capabilities of a trained system: see `jaxvae.capabilities`.

Letters in the shapes: B images, D latent dimensions, V values, C numbers at a place.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from jaxvae.types import Array, ELBOTerms, GaussianParams, Likelihood, ModelState, Params, PRNGKey


class AffineLayers(NamedTuple):
    """A flow from N(0, I) in layers that scale and move: all dimensions by constants, then some given the others.

    y = reverse(exp(s) e + t),  y_b = exp(s'(y_a)) y_b + t'(y_a),  y_a the first D // 2 dimensions
    """

    num_layers: int  # K
    constants: Callable[[Params, ModelState], tuple[Array, Array]]  # s and t of every layer, [K, D]
    # (params, model_state, layer [], y_a [B, D // 2]) -> s' and t', [B, D - D // 2]
    conditioner: Callable[[Params, ModelState, Array, Array], tuple[Array, Array]]


class ChainStep(NamedTuple):
    """A step of coding an image with its latents: its pixels given these, or one group of latents."""

    kind: Literal["infer", "pixels", "generate"]
    group: int = 0
    # (params, model_state, prepared x, latents of all groups [B, D_l], of which those that come first are read) -> q or
    # p of the group, [B, D_l]; None of N(0, I)
    gaussian: Callable[[Params, ModelState, Array, tuple[Array, ...]], GaussianParams] | None = None
    flow: AffineLayers | None = None  # from N(0, I) to the group


class PixelsGiven(NamedTuple):
    """Discrete pixels that are independent given something, and the channels of one given each other."""

    likelihood: Likelihood  # of an image
    parameters: Callable[[Params, ModelState, Any], Any]  # (params, model_state, what is given [B, ...]) -> its own


class TokenSteps(NamedTuple):
    """Tokens one by one in raster order, each given those before it: see `jaxvae.nets.AutoregressiveDecoder`.

    A token is C numbers of V values: the channels of a pixel, or a code.
    """

    shape: tuple[int, int, int]  # (h, w, C)
    num_values: int  # V
    # (parameters of tokens, their numbers [B, C], c) -> log p(number c | those before it), [B, V]
    log_pmf: Callable[[Any, Array, int], Array]
    start: Callable[[Params, ModelState, Any], Any]  # (params, model_state, what is given [B, ...]) -> the cache
    start_row: Callable[[Params, ModelState, Any, Array], Any]  # (params, model_state, cache, i) -> cache
    # (params, model_state, cache, i, j) -> parameters of a token [B, ...], cache
    read: Callable[[Params, ModelState, Any, Array, Array], tuple[Any, Any]]
    # (params, model_state, cache, numbers [B, C], i, j) -> cache
    write: Callable[[Params, ModelState, Any, Array, Array, Array], Any]


class HasLatentChain(NamedTuple):
    """Has groups of latents that are Gaussian one after another, of which images of discrete pixels are made."""

    sizes: tuple[int, ...]  # D_l of every group
    steps: tuple[ChainStep, ...]  # in the order in which bits back codes
    pixels: PixelsGiven | TokenSteps  # given the latents of all groups, a tuple of [B, D_l]
    # (params, model_state, keys [B], prepared x) -> terms of the bound that is coded to: of a prior that was refitted,
    # which is a mixture, the one before
    terms: Callable[[Params, ModelState, PRNGKey, Array], ELBOTerms]

    verb = "be coded by bits back"
    kinds = "VAEs of discrete pixels with a Gaussian posterior and the prior N(0, I) or RealNVP"


class HasTokens(NamedTuple):
    """Has grids of tokens, of which images are made, with exact probabilities of one token after another."""

    num_values: int  # that a pixel of an image takes
    grids: tuple[TokenSteps, ...]  # each given the numbers of the one before, the first given classes [B]
    # (params, model_state, prepared x) -> numbers of every grid, [B, h, w, C]
    encode: Callable[[Params, ModelState, Array], tuple[Array, ...]]
    decode: Callable[[Params, ModelState, tuple[Array, ...]], Array]  # numbers -> images in [0, 1]
    # (params, model_state, classes [B], numbers) -> log p(numbers | class), [B] nats; classes say nothing where K is 0
    log_prob: Callable[[Params, ModelState, Array, tuple[Array, ...]], Array]
    lossless: bool = True  # whether images that are encoded come back
    rest: PixelsGiven | None = None  # what numbers that are not lossless leave open, where pixels are discrete
    num_classes: int = 0  # K, of what is conditional on classes

    verb = "be coded token by token"
    kinds = "autoregressive models of discrete pixels, and priors over codes"


class HasRoundedLatents(NamedTuple):
    """Has latents that were trained with the noise of rounding, and can be coded as whole numbers."""

    mean: Callable[[Params, ModelState, Array], Array]  # prepared x -> what is rounded, [B, D]
    # (params, model_state) -> the mixtures of logistics of every latent: logits, means, log-scales, [D, K] each
    mixture: Callable[[Params, ModelState], tuple[Array, Array, Array]]

    verb = "be coded by rounded latents"
    kinds = "lossy VAEs"
