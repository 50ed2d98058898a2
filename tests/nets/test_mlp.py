import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxvae.nets import MLP, MLPEncoder


def test_mlp_equals_formula(random_like, random_params):
    h = random_like(jnp.zeros((5, 3)))
    mlp = MLP((4, 2), nn.tanh)
    variables = random_params(mlp, h)
    y = mlp.apply(variables, h)
    want = h
    for name in ("dense_0", "dense_1"):
        layer = variables["params"][name]
        want = np.tanh(want @ layer["kernel"] + layer["bias"][None])
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)


def test_mlp_activates_the_last_layer(random_like, random_params):
    h = random_like(jnp.zeros((16, 3)))
    assert jnp.min(MLP((8,)).apply(random_params(MLP((8,)), h), h)) == 0


def test_mlp_keeps_the_scale_through_relus(random_like):
    """Second moments, as in He et al.: E[relu(h)^2] = E[x^2] with variance 2 / fan_in."""
    x = random_like(jnp.zeros((256, 100)))
    y, _ = jax.jit(MLP((200, 200, 200)).init_with_output)(jax.random.key(1), x)
    assert np.mean(np.square(y)) == pytest.approx(1.0, abs=0.25)


def test_mlp_encoder_flattens_the_image_alone(random_like, random_params):
    x = random_like(jnp.zeros((2, 3, 4, 5, 1)))
    variables = random_params(MLPEncoder((6,)), x)
    y = MLPEncoder((6,)).apply(variables, x)
    assert y.shape == (2, 3, 6)
    want = MLP((6,)).apply({"params": variables["params"]["mlp"]}, x[1, 2].reshape(20))
    np.testing.assert_allclose(y[1, 2], want, rtol=1e-5, atol=1e-6)


def test_kernel_init_reaches_every_layer():
    encoder = MLPEncoder((3, 2), kernel_init=nn.initializers.zeros_init())
    variables = jax.jit(encoder.init)(jax.random.key(0), jnp.zeros((2, 2, 1)))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(variables))
