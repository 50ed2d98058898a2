"""Functions in 64 bits where everything else is of 32."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.compression.doubles import in_double


def test_a_function_is_computed_in_64_bits_and_what_follows_is_not():
    def function(params, model_state, x):
        return jnp.tanh(params["a"] * x + model_state["b"]), model_state["counts"]

    params, state = {"a": np.float32([0.1, 3.0])}, {"b": jnp.float32(0.7), "counts": np.int32([1, 2])}
    found, counts = in_double(function, params, state, np.float64([1.5, 1e-3]))
    assert found.dtype == np.float64
    expected = np.tanh(params["a"].astype(np.float64) * [1.5, 1e-3] + np.float64(np.float32(0.7)))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert counts.dtype == np.int32
    assert jax.jit(lambda x: x + 1.0)(1.0).dtype == np.float32
