import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.nets import Conv, ResidualBlock, ResNetDecoder, ResNetEncoder

# Maps of 6x4 and 3x2 pixels, of 4 and 8 channels, and the shape of one input.
NETS = {
    "encoder": (functools.partial(ResNetEncoder, (4, 8)), (12, 8, 1)),
    "decoder": (functools.partial(ResNetDecoder, (12, 8, 1), (8, 4)), (5,)),
}


@pytest.mark.parametrize("gated", [False, True])
def test_block_starts_as_the_identity_and_learns(gated, random_like):
    x = random_like(jnp.zeros((2, 5, 4, 3)))
    block = ResidualBlock(gated=gated)
    variables = jax.jit(block.init)(jax.random.key(1), x)
    np.testing.assert_array_equal(jax.jit(block.apply)(variables, x), x)
    gradient = jax.jit(jax.grad(lambda v: jnp.sum(jnp.sin(block.apply(v, x)))))(variables)["params"]
    assert np.any(gradient["conv_1"]["kernel"])


@pytest.mark.parametrize("gated", [False, True])
def test_block_equals_formula(gated, random_like, random_params):
    x = random_like(jnp.zeros((5, 4, 3)))
    block = ResidualBlock(jnp.tanh, gated)
    params = random_params(block, x)["params"]

    @jax.jit
    def formula(params):
        h = Conv(3).apply({"params": params["conv_0"]}, jnp.tanh(x))
        h = Conv(6 if gated else 3).apply({"params": params["conv_1"]}, jnp.tanh(h))
        return x + (h[..., :3] / (1 + jnp.exp(-h[..., 3:])) if gated else h)

    np.testing.assert_allclose(jax.jit(block.apply)({"params": params}, x), formula(params), rtol=1e-5, atol=1e-5)


def test_stages_and_blocks():
    params = jax.eval_shape(
        ResNetEncoder((4, 8), num_blocks=2, gated=True).init, jax.random.key(0), jnp.zeros((28, 28, 1))
    )["params"]
    assert sorted(params) == ["block_0_0", "block_0_1", "block_1_0", "block_1_1", "conv_0", "conv_1"]
    assert params["conv_1"]["kernel"].shape == (4, 4, 4, 8)
    assert params["block_1_0"]["conv_1"]["kernel"].shape == (3, 3, 8, 16)


def test_decoder_mirrors_the_encoder():
    z = jnp.zeros((2, 5))
    y, variables = jax.eval_shape(ResNetDecoder((28, 20, 1), (8, 4), 1).init_with_output, jax.random.key(0), z)
    assert y.shape == (2, 14, 10, 4)
    assert variables["params"]["dense"]["kernel"].shape == (5, 7 * 5 * 8)
    assert sorted(variables["params"]) == ["block_0_0", "block_1_0", "conv_1", "dense"]


@pytest.mark.parametrize("name", NETS)
def test_remat_changes_neither_parameters_nor_results(name, random_like, random_params):
    net, shape = NETS[name]
    x = random_like(jnp.zeros((2, *shape)))
    plain, remat = net(num_blocks=1), net(num_blocks=1, remat=True)
    initial = jax.jit(lambda key: [module.init(key, x) for module in (plain, remat)])(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, *initial)
    variables = random_params(plain, x)
    weights = random_like(jax.eval_shape(plain.apply, variables, x))

    def output_and_gradient(module):
        y, pullback = jax.vjp(lambda v: module.apply(v, x), variables)
        return y, pullback(weights)

    got, want = jax.jit(lambda: (output_and_gradient(remat), output_and_gradient(plain)))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)


@pytest.mark.parametrize("name", NETS)
def test_remat_keeps_a_map_and_the_parameters_of_a_block(name):
    """What one block more in each stage leaves to the backward pass: everything else is computed again there."""
    net, shape = NETS[name]
    x = jnp.zeros((64, *shape))

    def kept(**options):
        module = net(**options)
        variables = jax.eval_shape(module.init, jax.random.key(0), x)
        pullback = jax.eval_shape(lambda v: jax.vjp(lambda v: module.apply(v, x), v)[1], variables)
        return sum(leaf.size for leaf in jax.tree.leaves(pullback))

    maps = 64 * (6 * 4 * 4 + 3 * 2 * 8)
    parameters = 2 * (9 * 4 * 4 + 4) + 2 * (9 * 8 * 8 + 8)
    assert kept(num_blocks=2, remat=True) - kept(num_blocks=1, remat=True) <= maps + parameters
    assert kept(num_blocks=2) - kept(num_blocks=1) > 4 * maps


def test_signal_keeps_its_scale(random_like):
    """Blocks are the identity and the convolutions between them keep the variance, up to the borders' zeros."""
    x = random_like(jnp.zeros((4, 28, 28, 1)))
    encoder = ResNetEncoder((32, 64), num_blocks=1, activation=lambda h: h)
    variables = jax.jit(encoder.init)(jax.random.key(1), x)
    features = jax.jit(encoder.apply)(variables, x)
    assert 0.5 < np.var(features) < 1.3


def test_stages_of_different_numbers_of_blocks():
    params = jax.eval_shape(ResNetEncoder((4, 6), (0, 2)).init, jax.random.key(0), jnp.zeros((8, 8, 1)))["params"]
    assert sorted(params) == ["block_1_0", "block_1_1", "conv_0", "conv_1"]
    with pytest.raises(UserError, match="num_blocks has 3 numbers for 2 stages"):
        jax.eval_shape(ResNetEncoder((4, 6), (0, 2, 1)).init, jax.random.key(0), jnp.zeros((8, 8, 1)))
