from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.nets import MLP, ConvDecoder, ConvEncoder, ImageDecoder, MLPEncoder, ResNetDecoder, ResNetEncoder
from jaxvae.nets.image import halved_sizes

ENCODERS = {
    "mlp": lambda: MLPEncoder((8,)),
    "conv": lambda: ConvEncoder((4, 8)),
    "resnet": lambda: ResNetEncoder((4, 8), num_blocks=1),
}
DECODER_NETS = {
    "mlp": lambda shape: MLP((8,)),
    "conv": lambda shape: ConvDecoder((8, 4), shape),
    "resnet": lambda shape: ResNetDecoder(shape, (8, 4), num_blocks=1),
}
LATENT_DIM = 5


class Mixture(NamedTuple):
    logits: object
    means: object
    scale: object


def leaf(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def mixture(shape):
    return Mixture(leaf(10), leaf(*shape, 3), leaf())


def shapes(tree):
    return jax.tree.map(lambda a: a.shape, tree)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_gives_features(name, random_like, random_params):
    x = random_like(jnp.zeros((2, 3, 9, 6, 2)))
    encoder = ENCODERS[name]()
    variables = random_params(encoder, x)
    features = jax.jit(encoder.apply)(variables, x)
    assert features.shape == (2, 3, 8 if name == "mlp" else 3 * 2 * 8)
    # leading axes are examples, one image needs none, and jit changes nothing
    np.testing.assert_allclose(features[1, 2], encoder.apply(variables, x[1, 2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 28, 3), (105, 105, 1), (7, 7, 2)])
@pytest.mark.parametrize("name", DECODER_NETS)
def test_decoder_gives_the_shapes_asked_for(name, shape):
    z = jnp.zeros((2, 3, LATENT_DIM))
    for param_shapes in (leaf(*shape), mixture(shape), {"mean": leaf(*shape), "log_var": leaf()}):
        decoder = ImageDecoder(DECODER_NETS[name](shape), param_shapes)
        variables = jax.eval_shape(decoder.init, jax.random.key(0), z)
        out = jax.eval_shape(decoder.apply, variables, z)
        bias = variables["params"]["bias"]
        assert jax.tree.structure(out) == jax.tree.structure(bias) == jax.tree.structure(param_shapes)
        assert shapes(out) == jax.tree.map(lambda s: (2, 3, *s.shape), param_shapes)
        assert shapes(bias) == shapes(param_shapes)


@pytest.mark.parametrize("name", DECODER_NETS)
def test_decoder_leading_axes_and_jit(name, random_like, random_params):
    shape = (9, 6, 1)
    decoder = ImageDecoder(DECODER_NETS[name](shape), mixture(shape))
    z = random_like(jnp.zeros((2, 3, LATENT_DIM)))
    variables = random_params(decoder, z)
    out, flat = jax.jit(lambda v: (decoder.apply(v, z), decoder.apply(v, z.reshape(6, LATENT_DIM))))(variables)
    without_jit = decoder.apply(variables, z, jnp.ones((3, *shape)))  # a factorised decoder does not look at x
    for a, b, c in zip(*map(jax.tree.leaves, (out, flat, without_jit)), strict=True):
        assert np.std(a) > 0
        np.testing.assert_allclose(a, b.reshape(a.shape), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a, c, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DECODER_NETS)
def test_bias_is_the_output_where_readouts_are_zero(name, random_like, random_params):
    shape = (9, 6, 1)
    decoder = ImageDecoder(DECODER_NETS[name](shape), mixture(shape))
    z = random_like(jnp.zeros((2, LATENT_DIM)))
    params = random_params(decoder, z)["params"]
    readouts = {name for name in params if name.startswith("readout")}
    assert readouts == {"readout_logits", "readout_means", "readout_scale"}
    zeroed = {name: jax.tree.map(jnp.zeros_like, params[name]) for name in readouts}
    out = jax.jit(decoder.apply)({"params": {**params, **zeroed}}, z)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, np.broadcast_to(b, a.shape)), out, params["bias"])


def test_bias_is_zero_at_first():
    decoder = ImageDecoder(MLP((2,)), mixture((2, 2, 1)))
    bias = jax.jit(decoder.init)(jax.random.key(0), jnp.zeros((1, LATENT_DIM)))["params"]["bias"]
    assert isinstance(bias, Mixture)
    assert not any(np.any(a) for a in jax.tree.leaves(bias))


def test_conv_nets_are_the_architecture_of_the_reference():
    """32 and 64 channels of 4x4 kernels down to 7x7, and back."""
    encoder, decoder = ConvEncoder(), ImageDecoder(ConvDecoder((64, 32), (28, 28, 1)), leaf(28, 28, 1))
    params = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))["params"]
    assert shapes(params) == {
        "conv_0": {"kernel": (4, 4, 1, 32), "bias": (32,)},
        "conv_1": {"kernel": (4, 4, 32, 64), "bias": (64,)},
    }
    params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((1, 16)))["params"]
    assert shapes(params) == {
        "net": {
            "dense": {"kernel": (16, 3136), "bias": (3136,)},
            "conv_0": {"kernel": (4, 4, 64, 32), "bias": (32,)},
        },
        "readout": {"kernel": (4, 4, 32, 1)},
        "bias": (28, 28, 1),
    }


def test_readout_at_the_size_of_the_map():
    decoder = ImageDecoder(ConvDecoder((8, 4), (10, 10)), leaf(5, 5, 2))
    params = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((1, LATENT_DIM)))["params"]
    assert params["readout"]["kernel"].shape == (3, 3, 4, 2)


def test_halved_sizes_round_up():
    assert halved_sizes((105, 28, 1), 3) == [(105, 28), (53, 14), (27, 7), (14, 4)]


@pytest.mark.parametrize(
    ("module", "argument"),
    [
        (ConvEncoder((4, 4, 4)), jnp.zeros((2, 4, 9, 1))),
        (ResNetEncoder((4, 4, 4)), jnp.zeros((2, 4, 9, 1))),
        (ConvDecoder((4, 4, 4), (4, 9, 1)), jnp.zeros((2, LATENT_DIM))),
        (ResNetDecoder((4, 9, 1), (4, 4, 4)), jnp.zeros((2, LATENT_DIM))),
    ],
)
def test_too_small_image_is_a_user_error(module, argument):
    with pytest.raises(UserError, match="An image of 4x9 pixels cannot be halved 3 times, .*: take larger images or"):
        jax.eval_shape(module.init, jax.random.key(0), argument)


def test_image_of_another_size_than_the_map_is_an_error():
    decoder = ImageDecoder(ConvDecoder((8, 4), (28, 28, 1)), leaf(32, 32, 1))
    with pytest.raises(ValueError, match=r"shape \[32, 32, 1\] cannot be read from a map of 14x14"):
        jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((2, LATENT_DIM)))
