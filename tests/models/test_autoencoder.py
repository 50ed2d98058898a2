import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.likelihoods import bernoulli
from jaxvae.models import Autoencoder, ConvPair, DensePair, with_mean_image
from tests.drawn import normal_like

PAIRS = {
    "dense": DensePair((5, 4, 2), 6),
    "conv, even": ConvPair((6, 8, 2), 3),
    "conv, odd": ConvPair((7, 5, 2), 3),
}


def identity(h):
    return h


def variables_of(pair):
    shapes = jax.eval_shape(lambda: pair.init(jax.random.key(0), jnp.zeros((1, *pair.shape)), method="up"))
    return normal_like(shapes)


@pytest.mark.parametrize("name", PAIRS)
def test_tied_layer_down_is_the_transpose_of_that_up(name):
    """<up x, h> = <x, down h> without biases and activations."""
    pair = PAIRS[name].clone(tied=True, activation=identity)
    variables = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * (path[-1].key == "kernel"), variables_of(pair)
    )
    x, h = normal_like((jnp.zeros((2, *pair.shape)), jnp.zeros((2, *pair.code_shape))), seed=1)
    up = pair.apply(variables, x, method="up")
    assert up.shape == h.shape
    assert np.vdot(up, h) == pytest.approx(np.vdot(x, pair.apply(variables, h, method="down")), rel=1e-4)


@pytest.mark.parametrize("name", PAIRS)
def test_gradient_of_tied_weights_is_the_sum_of_both(name):
    pair = PAIRS[name].clone(activation=nn.tanh)
    tied = pair.clone(tied=True)
    params = variables_of(tied)["params"]
    transposed = jnp.transpose if name == "dense" else lambda kernel: kernel[::-1, ::-1].swapaxes(2, 3)
    (x,) = normal_like((jnp.zeros((2, *pair.shape)),), seed=1)

    def loss(module, params):
        h = module.apply({"params": params}, x, method="up")
        return jnp.mean(jnp.square(module.apply({"params": params}, h, method="down") - x))

    both = {**params, "down_kernel": transposed(params["kernel"])}
    value, gradient = jax.value_and_grad(lambda params: loss(tied, params))(params)
    untied_value, untied = jax.value_and_grad(lambda params: loss(pair, params))(both)
    assert value == pytest.approx(float(untied_value), rel=1e-6)
    want = untied["kernel"] + transposed(untied["down_kernel"])
    np.testing.assert_allclose(gradient["kernel"], want, rtol=1e-4, atol=1e-6)


def test_dense_autoencoder_equals_numpy():
    pairs = [DensePair((2, 3, 1), 5, nn.sigmoid), DensePair((5,), 4, nn.tanh), DensePair((4,), 2, identity)]
    model = Autoencoder(pairs, bernoulli())
    (x,) = normal_like((jnp.zeros((7, 2, 3, 1)),), seed=1)
    params = normal_like(jax.eval_shape(model.init, jax.random.key(0), x), seed=2)["params"]
    p = [jax.tree.map(np.asarray, params[f"pairs_{i}"]) for i in range(3)]
    sigmoid = lambda h: 1 / (1 + np.exp(-h))  # noqa: E731
    h = [np.asarray(x).reshape(7, 6)]
    for q, activation in zip(p, (sigmoid, np.tanh, identity), strict=True):
        h.append(activation(h[-1] @ q["kernel"] + q["bias"]))
    g = np.tanh(h[3] @ p[2]["down_kernel"] + p[2]["down_bias"])
    g = sigmoid(g @ p[1]["down_kernel"] + p[1]["down_bias"])
    want = (g @ p[0]["down_kernel"]).reshape(7, 2, 3, 1) + p[0]["down_bias"]
    np.testing.assert_allclose(model.apply({"params": params}, x), want, rtol=1e-4, atol=1e-5)
    encoded = model.apply({"params": params}, x, method="encode")
    np.testing.assert_allclose(encoded, h[3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.apply({"params": params}, x, 2, method="encode"), h[2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.apply({"params": params}, h[1], 1, method="encode_from"), h[3], rtol=1e-4, atol=1e-5
    )


def test_last_pair_alone_needs_no_other():
    model = Autoencoder([DensePair((2, 2, 1), 3), DensePair((3,), 2, nn.tanh)], bernoulli())
    (h,) = normal_like((jnp.zeros((4, 3)),), seed=1)
    params = normal_like(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 2, 2, 1))), seed=2)["params"]
    p = params["pairs_1"]
    code = model.apply({"params": {"pairs_1": p}}, h, 1, method="encode_from")
    np.testing.assert_allclose(code, jnp.tanh(h @ p["kernel"] + p["bias"][None]), rtol=1e-5, atol=1e-6)
    want = code @ p["down_kernel"] + p["down_bias"][None]
    alone = model.apply({"params": {"pairs_1": p}}, code, method="decode_last")
    np.testing.assert_allclose(alone, want, rtol=1e-5, atol=1e-6)


def test_convolutions_and_dense_layers_follow_one_another():
    pairs = [ConvPair((7, 6, 3), 4), ConvPair((4, 3, 4), 5), DensePair((2, 2, 5), 3)]
    model = Autoencoder(pairs, bernoulli())
    x = jnp.zeros((2, 7, 6, 3))
    params = jax.eval_shape(model.init, jax.random.key(0), x)
    assert jax.eval_shape(model.apply, params, x).shape == x.shape
    code = jax.eval_shape(lambda params: model.apply(params, x, method="encode"), params)
    assert code.shape == (2, 3)
    many = jax.eval_shape(lambda params: model.apply(params, jnp.zeros((5, 2, 3)), method="decode"), params)
    assert many.shape == (5, 2, 7, 6, 3)


def test_untrained_bias_is_the_mean_image():
    model = Autoencoder([ConvPair((4, 4, 1), 2)], bernoulli())
    params = jax.tree.map(jnp.zeros_like, model.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))["params"])
    mean = jnp.linspace(0.1, 0.9, 16).reshape(4, 4, 1)
    x = model.apply({"params": with_mean_image(params, bernoulli(), mean)}, jnp.ones((1, 4, 4, 1)))
    np.testing.assert_allclose(jax.nn.sigmoid(x)[0], mean, atol=1e-3)


def test_pairs_that_do_not_meet_are_an_error():
    with pytest.raises(ValueError, match=r"pair is of events \[4\], the one below gives \[3\]"):
        Autoencoder([DensePair((2, 2, 1), 3), DensePair((4,), 2)], bernoulli())
