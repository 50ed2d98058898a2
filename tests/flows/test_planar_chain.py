"""Planar flows of which arrays say what is in use: densities by the Jacobian, layers left out, path gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.flows.planar_chain import LAYERS, InUse, init_params, log_density, path_sample, sample, transform
from tests.drawn import normal_like

NOISE = jnp.array([0.4, -1.1])
SOME = InUse(jnp.float32(3), jnp.float32(1))


def params_of(num_flows=5):
    return normal_like(jax.eval_shape(lambda: init_params(jax.random.key(0), num_flows)), scale=0.6)


@pytest.mark.parametrize("objective", ["reverse_kl", "likelihood"])
@pytest.mark.parametrize("learned", [1.0, 0.0])
def test_density_is_that_of_the_transformed_noise(learned, objective):
    params, used, layer = params_of(), SOME._replace(learned_base=learned), LAYERS[objective]
    z, log_det = transform(layer, params, used, NOISE)
    jacobian = jax.jacfwd(lambda noise: transform(layer, params, used, noise)[0])(NOISE)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-4, atol=1e-4)
    expected = -0.5 * np.sum(np.square(NOISE)) - np.log(2 * np.pi) - log_det
    np.testing.assert_allclose(log_density(layer, params, used, z), expected, rtol=1e-3, atol=1e-3)
    if objective == "reverse_kl":
        for draw in (path_sample, sample):
            found_z, log_qz = draw(params, used, NOISE)
            np.testing.assert_allclose(found_z, z, rtol=1e-5)
            np.testing.assert_allclose(log_qz, expected, rtol=1e-4)


def test_a_fixed_base_is_the_standard_normal():
    z, log_det = transform(LAYERS["reverse_kl"], params_of(), InUse(jnp.float32(0), jnp.float32(0)), NOISE)
    np.testing.assert_array_equal(z, NOISE)
    assert log_det == 0


def test_layers_that_are_not_in_use_change_nothing_and_are_not_trained():
    params = params_of()
    fewer = {**params, "layers": jax.tree.map(lambda leaf: leaf[:3], params["layers"])}
    forward = lambda params: transform(LAYERS["reverse_kl"], params, SOME, NOISE)  # noqa: E731
    for found, expected in zip(forward(params), forward(fewer), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    gradient = jax.grad(lambda params: forward(params)[1])(params)
    assert np.all(gradient["layers"]["w"][3:] == 0)
    assert np.all(gradient["layers"]["w"][:3] != 0)
