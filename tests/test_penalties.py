import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.penalties import contraction, kl_sparsity, l1_sparsity
from tests.drawn import normal_like


def test_l1_of_hand_worked_codes():
    h = jnp.array([[[1.0, -2.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, -3.0]]])
    np.testing.assert_allclose(l1_sparsity(h), [3.5, 3.0])


def test_kl_of_hand_worked_activations():
    """Means 0.25 and 0.5 against 0.25: the second is 0.25 log 0.5 + 0.75 log 1.5 away."""
    h = jnp.array([[0.0, 0.2], [0.5, 0.8]])
    want = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    assert float(kl_sparsity(h, 0.25)) == pytest.approx(want, rel=1e-5)


def test_kl_of_replicas_is_that_of_the_whole_batch():
    h = jax.nn.sigmoid(normal_like(jnp.zeros((8, 5)), 2.0))
    apart = jax.vmap(functools.partial(kl_sparsity, target=0.1, axis_name="data"), axis_name="data")
    np.testing.assert_allclose(apart(h.reshape(4, 2, 5)), jnp.full(4, kl_sparsity(h, 0.1)), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_kl_of_dead_units_is_finite(value):
    value, gradient = jax.value_and_grad(lambda h: kl_sparsity(h, 0.05))(jnp.full((4, 2), value))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_kl_refuses_targets():
    with pytest.raises(ValueError, match="target of the mean activation is 1.0"):
        kl_sparsity(jnp.zeros((2, 2)), 1.0)


def test_contraction_of_a_sigmoid_layer_has_its_closed_form():
    """sum_j (h_j (1 - h_j))^2 sum_k W_kj^2 (Rifai et al. 2011, sec. 3)."""
    kernel, x = normal_like((jnp.zeros((6, 4)), jnp.zeros((3, 2, 3))), 1.0)
    encode = lambda x: jax.nn.sigmoid(x.reshape(len(x), -1) @ kernel)  # noqa: E731
    h = encode(x)
    want = np.sum(np.square(h * (1 - h)) * np.sum(np.square(kernel), axis=0), axis=1)
    np.testing.assert_allclose(jax.jit(lambda x: contraction(encode, x))(x), want, rtol=1e-4)


def test_gradient_of_kl_on_two_devices_is_that_of_the_whole_batch():
    """As the train step takes it: each replica differentiates its own value, and the gradients are averaged."""
    x, kernel = normal_like((jnp.zeros((8, 3)), jnp.zeros((3, 5))), seed=1)

    def value(kernel, x, axis_name=None):
        return kl_sparsity(jax.nn.sigmoid(x @ kernel), 0.1, axis_name)

    def averaged(kernel, x):
        return jax.lax.pmean(jax.grad(value)(kernel, x, "data"), "data")

    found = jax.pmap(averaged, axis_name="data", in_axes=(None, 0), devices=jax.devices()[:2])(
        kernel, x.reshape(2, 4, 3)
    )
    np.testing.assert_allclose(found[0], jax.grad(value)(kernel, x), rtol=1e-4, atol=1e-6)
