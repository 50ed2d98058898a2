"""Models of images whose likelihood is exact: no latents, every pixel given those before it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.common.vae import Prepare, split_each
from jaxvae import sampling
from jaxvae.data import from_blocks, to_blocks, to_unit
from jaxvae.errors import UserError
from jaxvae.nets import AutoregressiveDecoder, PixelCNN, PixelRNN, Transformer
from jaxvae.nets.gemm import Pair
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Experiment,
    Likelihood,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    Samples,
    StepInput,
)

NetName = Literal["pixelcnn", "pixelrnn", "transformer"]


class Tokens(NamedTuple):
    """What a model takes for the pixels of images, one after another."""

    shape: tuple[int, ...]  # (H, W, C) of pixels, (h, w) of codes
    num_codes: int  # 0 of pixels
    encode: Callable[[Array], Array]  # images [B, H, W, C] -> tokens [B, *shape]
    decode: Callable[[Array], Array]


def pixel_tokens(spec: DataSpec) -> Tokens:
    """Return the pixels themselves, in [0, 1]."""
    return Tokens(spec.shape, 0, lambda x: x, lambda x: x)


def block_tokens(spec: DataSpec, size: int) -> Tokens:
    """Return the blocks of size x size pixels of binary images as codes.

    Raises:
      UserError: if blocks do not divide the images.
    """
    height, width, channels = spec.shape
    if height % size or width % size:
        raise UserError(f"--block is {size}, which does not divide images of {height}x{width}: choose 1.")
    return Tokens(
        (height // size, width // size),
        2 ** (size * size * channels),
        lambda x: to_blocks(x, size),
        lambda codes: from_blocks(codes, size, channels),
    )


def code_tokens(shape: tuple[int, ...], num_codes: int) -> Tokens:
    """Return grids of codes, which are tokens as they are."""
    return Tokens(shape, num_codes, lambda x: x, lambda codes: codes)


def autoregressive_net(
    name: NetName, in_features: int, size: Pair, features: int, num_layers: int, num_heads: int, dtype: Any = None
) -> nn.Module:
    """Return a network over pixels or codes.

    Args:
      name: which.
      in_features: channels of its inputs.
      size: (H, W) of the images or grids.
      features: channels of its layers.
      num_layers: of them.
      num_heads: of a transformer's attention.
      dtype: of the computation.
    """
    if name == "pixelcnn":
        return PixelCNN(in_features, features, num_layers, dtype=dtype)
    if name == "pixelrnn":
        return PixelRNN(in_features, features, num_layers, dtype=dtype)
    return Transformer(in_features, size, features, num_layers, num_heads, dtype)


def image_model_experiment(
    *,
    name: str,
    spec: DataSpec,
    decoder: AutoregressiveDecoder,
    likelihood: Likelihood,
    tokens: Tokens,
    prepare: Prepare,
    optimizer: optax.GradientTransformation,
) -> Experiment:
    """Return the experiment that maximises the likelihood of images.

    Args:
      name: of the experiment.
      spec: of the data.
      decoder: of tokens; its context, if it has one, is made of the labels.
      likelihood: of the tokens.
      tokens: what the decoder takes for pixels.
      prepare: makes the images that are modelled of those of the data.
      optimizer: of the negative log-likelihood.
    """
    conditional = decoder.context is not None
    bits = 1.0 / (np.log(2.0) * np.prod(spec.shape))

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        params_key, noise = jax.random.split(key)
        x = tokens.encode(prepare(jax.random.split(noise, len(batch.mask)), batch.x))
        z = jnp.zeros(len(batch.mask), jnp.int32) if conditional else None
        params = decoder.init(params_key, z, x)["params"]
        if likelihood.init_bias is not None and not tokens.num_codes:
            mean = jnp.average(to_unit(batch.x, spec.num_values), axis=0, weights=batch.mask)
            params = {**params, "bias": likelihood.init_bias(mean)}
        return params, {}

    def nll(params: Params, x: Array, labels: Array | None) -> Array:
        coded = tokens.encode(x)
        of_x = decoder.apply({"params": params}, labels if conditional else None, coded)
        return -jax.vmap(likelihood.log_prob)(of_x, coded)

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, _ = split_each(inputs.keys.examples)
        mean = jnp.mean(nll(params, prepare(noise, inputs.batch.x), inputs.batch.labels))
        return mean, (model_state, {"nll": mean, "bits_per_dim": mean * bits})

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        noise, _ = split_each(keys)
        values = nll(params, prepare(noise, batch.x), batch.labels)
        return {"loss": values, "nll": values, "bits_per_dim": values * bits}

    def sample(key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        labels = jnp.arange(num) % spec.num_classes if conditional else None
        keys = jax.random.split(key, num)
        x = sampling.autoregressive(decoder, params, keys, likelihood.sample, labels)
        return Samples(tokens.decode(x), None)

    def complete(
        params: Params, model_state: ModelState, keys: PRNGKey, x: Array, labels: Array | None, known: Array
    ) -> Array:
        given = tokens.encode(x)
        side = known.shape[0] // given.shape[1]
        of_tokens = known.reshape(given.shape[1], side, given.shape[2], side).all((1, 3))
        labels = labels if conditional else None
        drawn = sampling.autoregressive(decoder, params, keys, likelihood.sample, labels, given=given, known=of_tokens)
        return tokens.decode(drawn)

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        sample=sample,
        prepare=prepare,
        complete=complete,
    )
