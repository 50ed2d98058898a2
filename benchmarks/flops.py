"""Arithmetic of a model, counted from its layers: what must be computed, whatever a program makes of it.

Only the products of dense layers and convolutions count, two operations for a multiplication and an addition, with the
zeros of the padding as in any count of the kind. Compilers' own counts are not used: some of them count the body of a
loop once, and the multiplications by zero of one implementation of a convolution and not of the other.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.models import VAE, VQVAE
from jaxvae.nets import AutoregressiveDecoder, Conv, ConvTranspose
from jaxvae.nets.causal import CausalConv


class Flops(NamedTuple):
    """Floating-point operations for one image."""

    encoding: int  # to the statistics of the posterior
    decoding: int  # one latent
    training: int  # one step: values, gradients of all kernels and of all layers' inputs but the image


def of_vae(vae: VAE, shape: tuple[int, ...]) -> Flops:
    """Count a VAE with one sample an image, of images of a shape (H, W, C)."""
    keys, x = jax.random.split(jax.random.key(0), 1), jnp.zeros((1, *shape))
    params = jax.eval_shape(vae.init, keys[0], keys, x)
    z = jnp.zeros((1, vae.posterior.latent_dim))
    encoding = _of_layers(lambda params: vae.apply(params, x, method="encode"), params)
    decoding = _of_layers(lambda params: vae.apply(params, z, method="decode"), params)
    return Flops(sum(encoding), sum(decoding), 3 * sum(encoding + decoding) - encoding[0])


def of_codec(model: VQVAE, shape: tuple[int, ...]) -> Flops:
    """Count a model through codes; looking the nearest ones up takes no gradient."""
    x = jnp.zeros((1, *shape))
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((model.quantizer.num_codes, *shape)))
    codes = jax.eval_shape(lambda params: model.apply(params, x, method="encode"), params)
    encoding = _of_layers(lambda params: model.apply(params, x, method="encode"), params)
    grids = tuple(jnp.zeros(grid.shape, jnp.int32) for grid in codes)
    decoding = _of_layers(lambda params: model.apply(params, grids, method="decode"), params)
    lookup = 2 * sum(grid.size for grid in grids) * model.quantizer.num_codes * model.quantizer.dim
    training = 3 * sum(encoding + decoding) - encoding[0] + lookup
    return Flops(sum(encoding) + lookup, sum(decoding), training)


def of_decoder(decoder: AutoregressiveDecoder, shape: tuple[int, ...]) -> Flops:
    """Count a model of images or codes of a shape that draws pixel by pixel; its cache repeats nothing."""
    x = jnp.zeros((1, *shape))
    layers = _of_layers(lambda x: decoder.init(jax.random.key(0), None, x), x)
    # Pixels take no gradient from the two convolutions that read them; vectors of codes are learned, and do.
    first = 0 if decoder.num_codes else sum(layers[:2])
    return Flops(0, sum(layers), 3 * sum(layers) - first)


def _of_layers(function: Callable, argument: Any) -> list[int]:
    """The operations of every layer that a function calls, in order."""
    layers: list[int] = []

    def count(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        y = call(*args, **kwargs)
        if context.method_name == "__call__":
            layers.extend(_of_layer(context.module, args[0], y))
        return y

    with nn.intercept_methods(count):
        jax.eval_shape(function, argument)
    return layers


def _of_layer(module: nn.Module, x: Any, y: Any) -> list[int]:
    if isinstance(module, nn.Dense):
        return [2 * x.size * module.features]
    if isinstance(module, CausalConv | Conv | nn.Conv):
        return [2 * y.size * math.prod(module.kernel_size) * x.shape[-1]]
    if isinstance(module, ConvTranspose | nn.ConvTranspose):
        return [2 * x.size * math.prod(module.kernel_size) * module.features]
    return []
