import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.nets import ImageDecoder, MapDecoder, MapEncoder
from jaxvae.nets.conv import convolve
from jaxvae.nets.resnet import ResidualBlock


@pytest.mark.parametrize("num_blocks", [0, 1])
@pytest.mark.parametrize(("channels", "size"), [((6, 8), (3, 4)), ((6,), (5, 7))])
def test_maps_of_images_and_back(channels, size, num_blocks, random_like, random_params):
    x = random_like(jnp.zeros((2, 3, 9, 14, 2)))
    encoder = MapEncoder(5, channels, num_blocks)
    variables = random_params(encoder, x)
    z = jax.jit(encoder.apply)(variables, x)
    assert z.shape == (2, 3, *size, 5)
    np.testing.assert_allclose(z[1, 2], jax.jit(encoder.apply)(variables, x[1, 2]), rtol=1e-4, atol=1e-5)
    shapes = {"mean": jax.ShapeDtypeStruct((9, 14, 2), jnp.float32), "scale": jax.ShapeDtypeStruct((), jnp.float32)}
    decoder = ImageDecoder(MapDecoder((9, 14, 2), channels[::-1], num_blocks), shapes, latent_axes=3)
    variables = random_params(decoder, z)
    y = jax.jit(decoder.apply)(variables, z)
    assert jax.tree.map(jnp.shape, y) == {"mean": (2, 3, 9, 14, 2), "scale": (2, 3)}
    alone = jax.jit(decoder.apply)(variables, z[1, 2])
    np.testing.assert_allclose(y["mean"][1, 2], alone["mean"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y["scale"][1, 2], alone["scale"], rtol=1e-4, atol=1e-4)


def test_encoders_are_their_layers_one_after_another(random_like, random_params):
    x = random_like(jnp.zeros((2, 9, 14, 2)))
    encoder = MapEncoder(5, (6, 8), num_blocks=1)
    p = random_params(encoder, x)["params"]
    same = lambda layer, h: convolve(h, p[layer]["kernel"]) + p[layer]["bias"].reshape(1, 1, 1, -1)  # noqa: E731
    h = x
    for layer in ("conv_0", "conv_1"):
        h = jax.nn.relu(convolve(h, p[layer]["kernel"], (2, 2)) + p[layer]["bias"].reshape(1, 1, 1, -1))
    h = ResidualBlock(jax.nn.relu).apply({"params": p["block_0"]}, h)
    assert np.any(h < 0)  # the block is a sum, after which there is no relu
    np.testing.assert_allclose(encoder.apply({"params": p}, x), same("readout", h), rtol=1e-4, atol=1e-5)


def test_every_vector_of_a_map_is_of_its_own_place(random_like, random_params):
    x = random_like(jnp.zeros((1, 48, 48, 1)))
    pixels = jax.ShapeDtypeStruct((48, 48, 1), jnp.float32)
    encoder, decoder = MapEncoder(5, (6, 8)), ImageDecoder(MapDecoder((48, 48, 1), (8, 6)), pixels, latent_axes=3)
    of_x = random_params(encoder, x)
    reach = jax.jit(jax.grad(lambda x: jnp.sum(encoder.apply(of_x, x)[0, 0, 0])))(x)[0, :, :, 0]
    assert np.all(reach[:8, :8] != 0.0)
    assert not np.any(reach[16:])
    assert not np.any(reach[:, 16:])
    z = random_like(jnp.zeros((1, 12, 12, 5)))
    of_z = random_params(decoder, z)
    reach = jax.jit(jax.grad(lambda z: jnp.sum(decoder.apply(of_z, z)[0, 0, 0])))(z)[0, :, :, 0]
    assert reach[0, 0] != 0.0
    assert not np.any(reach[4:])
    assert not np.any(reach[:, 4:])


def test_images_that_cannot_be_halved_are_named():
    with pytest.raises(UserError, match="An image of 3x8 pixels cannot be halved 3 times"):
        jax.eval_shape(MapEncoder(4, (2, 2, 2)).init, jax.random.key(0), jnp.zeros((1, 3, 8, 1)))
