import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.nets import GatedConvDecoder, GatedConvEncoder
from jaxvae.nets.gated import gated


def shapes_of(module, x):
    found = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    return {name: leaf["kernel"].shape for name, leaf in found.items()}


def test_gates_by_hand():
    np.testing.assert_allclose(gated(jnp.array([2.0, -3.0, 0.0, np.log(3.0)])), [1.0, -2.25], rtol=1e-6)


def test_layers_are_those_of_the_paper():
    assert shapes_of(GatedConvEncoder(), jnp.zeros((1, 28, 28, 1))) == {
        "conv_0": (5, 5, 1, 64),
        "conv_1": (5, 5, 32, 64),
        "conv_2": (5, 5, 32, 128),
        "conv_3": (5, 5, 64, 128),
        "conv_4": (5, 5, 64, 128),
        "dense": (7 * 7 * 64, 512),
    }
    assert shapes_of(GatedConvDecoder((28, 28, 1)), jnp.zeros((1, 64))) == {
        "dense": (64, 2 * 7 * 7 * 64),
        "conv_0": (5, 5, 64, 128),
        "double_0": (5, 5, 64, 64),
        "conv_1": (5, 5, 32, 64),
        "double_1": (5, 5, 32, 64),
        "conv_2": (5, 5, 32, 64),
    }


@pytest.mark.parametrize("size", [(28, 28), (9, 14)])
def test_maps_of_any_size(size):
    decoder = GatedConvDecoder((*size, 1), (6, 4), 3)
    h = jax.eval_shape(lambda z: decoder.init_with_output(jax.random.key(0), z)[0], jnp.zeros((3, 2, 5)))
    assert h.shape == (3, 2, *size, 4)
    with pytest.raises(UserError, match="cannot be halved 3 times"):
        jax.eval_shape(GatedConvEncoder((4, 4, 4)).init, jax.random.key(0), jnp.zeros((1, 4, 9, 1)))
