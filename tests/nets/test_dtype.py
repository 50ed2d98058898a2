"""The attribute `dtype`: what bfloat16 changes in each network, and what it leaves alone."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.nets import (
    MLP,
    Conv,
    ConvDecoder,
    ConvEncoder,
    ConvTranspose,
    ImageDecoder,
    MLPEncoder,
    ResidualBlock,
    ResNetDecoder,
    ResNetEncoder,
)
from jaxvae.nets.image import DenseMap, Double
from jaxvae.posteriors import GaussianPosterior

IMAGE, LATENT, FEATURE_MAP = (9, 6, 1), (5,), (5, 3, 4)
LIKELIHOOD = bernoulli()
PARAM_SHAPES = LIKELIHOOD.param_shapes(IMAGE)

# Functions from the dtype to a module.
ENCODERS = {
    "mlp": functools.partial(MLPEncoder, (8, 8)),
    "conv": functools.partial(ConvEncoder, (4, 8)),
    "resnet": functools.partial(ResNetEncoder, (4, 8), 1),
}
DECODER_NETS = {
    "mlp": functools.partial(MLP, (8, 8)),
    "conv": functools.partial(ConvDecoder, (8, 4), IMAGE),
    "resnet": functools.partial(ResNetDecoder, IMAGE, (8, 4), 1),
}


def image_decoder(net, dtype, param_shapes=PARAM_SHAPES):
    return ImageDecoder(net(dtype=dtype), param_shapes, dtype)


# The same with the shape of one input.
DECODERS = {f"{name} decoder": (functools.partial(image_decoder, net), LATENT) for name, net in DECODER_NETS.items()}
MAP = jax.ShapeDtypeStruct((5, 3, 1), jnp.float32)  # as large as the net's map: read by another layer
DECODERS["map decoder"] = (functools.partial(image_decoder, DECODER_NETS["conv"], param_shapes=MAP), LATENT)
WHOLE = {f"{name} encoder": (encoder, IMAGE) for name, encoder in ENCODERS.items()} | DECODERS
PARTS = {f"{name} decoder net": (net, LATENT) for name, net in DECODER_NETS.items()} | {
    "conv": (functools.partial(Conv, 8), FEATURE_MAP),
    "conv transpose": (functools.partial(ConvTranspose, 8, (4, 4), (2, 2)), FEATURE_MAP),
    "dense map": (functools.partial(DenseMap, (5, 3), 4), LATENT),
    "double": (functools.partial(Double, 8, (9, 6)), FEATURE_MAP),
    "residual block": (functools.partial(ResidualBlock, gated=True), FEATURE_MAP),
}
ALL = WHOLE | PARTS


def dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


def shapes_of_parameters(module, shape):
    return jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((2, *shape)))


def types_of_factors(function, *args):
    """The types of the arguments of all matrix products and convolutions, as a GPU gets them."""
    program = jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",)).as_text()
    products = re.findall(r"stablehlo\.(?:dot_general|convolution).*: \(tensor<(.*?)>, tensor<(.*?)>\)", program)
    return {factor.rpartition("x")[2] for pair in products for factor in pair}


@pytest.mark.parametrize("name", ALL)
def test_parameters_stay_float32(name):
    module, shape = ALL[name]
    half, single = (shapes_of_parameters(module(dtype=dtype), shape) for dtype in (jnp.bfloat16, None))
    assert half == single
    assert dtypes(half) == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("name", ALL)
def test_products_take_the_type_in_both_directions(name, monkeypatch):
    """Those of the gradients too, with the convolutions that accelerators get."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    module, shape = ALL[name]
    x = jnp.zeros((2, *shape))

    def gradients(dtype):
        loss = lambda v, x: jnp.sum(jnp.sin(module(dtype=dtype).apply(v, x)).astype(jnp.float32))  # noqa: E731
        return jax.grad(loss, (0, 1))

    variables = shapes_of_parameters(module(dtype=None), shape)
    assert types_of_factors(gradients(jnp.bfloat16), variables, x) == {"bf16"}
    assert types_of_factors(gradients(None), variables, x) == {"f32"}


@pytest.mark.parametrize("name", ALL)
def test_products_of_the_cpu_take_the_type(name):
    module, shape = ALL[name]
    module = module(dtype=jnp.bfloat16)
    assert types_of_factors(module.apply, shapes_of_parameters(module, shape), jnp.zeros((2, *shape))) == {"bf16"}


@pytest.mark.parametrize("name", ALL)
def test_outputs_take_the_type_but_those_of_decoders_are_float32(name):
    module, shape = ALL[name]
    for dtype in (jnp.bfloat16, None):
        y, _ = jax.eval_shape(module(dtype=dtype).init_with_output, jax.random.key(0), jnp.zeros(shape))
        assert y.dtype == (jnp.float32 if name in DECODERS or dtype is None else dtype)


@pytest.mark.parametrize("name", WHOLE)
def test_bfloat16_is_close_to_float32(name, random_like, random_params):
    """Values and gradients, up to roundings to 8 bits in a few layers."""
    module, shape = ALL[name]
    x = random_like(jnp.zeros((4, *shape)))
    variables = random_params(module(dtype=None), x)
    weights = random_like(jax.eval_shape(module(dtype=None).apply, variables, x))

    def output_and_gradients(dtype):
        y, pullback = jax.vjp(lambda v: module(dtype=dtype).apply(v, x), variables)
        return y.astype(jnp.float32), pullback(weights.astype(y.dtype))[0]

    got, want = jax.jit(lambda: (output_and_gradients(jnp.bfloat16), output_and_gradients(None)))()
    assert dtypes(got) == {jnp.dtype(jnp.float32)}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=0.05 * np.max(np.abs(b))), got, want)


@pytest.mark.parametrize("name", DECODER_NETS)
def test_readout_without_a_type_is_float32(name):
    """The product of a bfloat16 net's features too."""
    decoder = ImageDecoder(DECODER_NETS[name](dtype=jnp.bfloat16), PARAM_SHAPES)
    z = jnp.zeros((2, *LATENT))
    variables = shapes_of_parameters(decoder, LATENT)
    assert jax.eval_shape(decoder.apply, variables, z).dtype == jnp.float32
    assert types_of_factors(decoder.apply, variables, z) == {"bf16", "f32"}


def test_parameters_of_the_likelihood_have_the_types_asked_for():
    param_shapes = {"mean": jax.ShapeDtypeStruct(IMAGE, jnp.float32), "scale": jax.ShapeDtypeStruct((), jnp.float16)}
    decoder = image_decoder(DECODER_NETS["mlp"], jnp.bfloat16, param_shapes)
    out, _ = jax.eval_shape(decoder.init_with_output, jax.random.key(0), jnp.zeros(LATENT))
    assert jax.tree.map(lambda leaf: leaf.dtype, out) == {"mean": jnp.float32, "scale": jnp.float16}


@pytest.mark.parametrize("name", DECODER_NETS)
def test_readout_does_not_round_the_bias(name, random_params):
    decoder = image_decoder(DECODER_NETS[name], jnp.bfloat16)
    z = jnp.zeros((2, *LATENT))
    params = random_params(decoder, z)["params"]
    out = jax.jit(decoder.apply)({"params": params | {"readout": jax.tree.map(jnp.zeros_like, params["readout"])}}, z)
    np.testing.assert_array_equal(out, np.broadcast_to(params["bias"], out.shape))


@pytest.mark.parametrize("name", ENCODERS)
def test_densities_of_bfloat16_nets_are_float32(name):
    """The posterior's kernels are float32, and so is what meets them."""
    decoder = image_decoder(DECODER_NETS[name], jnp.bfloat16)
    model = VAE(ENCODERS[name](dtype=jnp.bfloat16), GaussianPosterior(3), decoder, LIKELIHOOD)
    keys, x = jax.random.split(jax.random.key(0), 4), jnp.zeros((4, *IMAGE))

    def results(keys, x):
        variables = model.init(keys[0], keys, x)
        terms, stats = model.apply(variables, keys, x, method="terms_and_stats")
        z = model.apply(variables, keys, x, 2, method="draw")
        log_q = model.apply(variables, x, z, method="log_posterior")
        return terms, stats, z, log_q, model.apply(variables, z, method="decode")

    assert dtypes(jax.eval_shape(results, keys, x)) == {jnp.dtype(jnp.float32)}
