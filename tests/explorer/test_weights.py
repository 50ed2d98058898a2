import base64

import jax.numpy as jnp
import numpy as np

from jaxvae.explorer.programs import program_of
from jaxvae.explorer.weights import Weights, in_halves, rounded


def test_rounded_is_the_nearest_float16():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    y = rounded({"a": x})["a"]
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, x.astype(np.float16))
    assert np.abs(y / x - 1).max() <= 2**-11


def test_large_numbers_stay_as_they_are():
    x = np.array([1e6, 1.0001], np.float32)
    np.testing.assert_array_equal(rounded(x), x)


def test_packed_holds_every_array_once_and_exactly():
    half, full = np.array([0.5, -2.0], np.float32), np.array([1e6, 0.1, 3.0], np.float32)
    weights = Weights()
    program = program_of(lambda p, x: p["a"][0] * x + p["b"][1] + p["a"][1], {"a": half, "b": full}, jnp.zeros(()))
    again = program_of(lambda p, x: p["c"].sum() * x, {"c": half}, jnp.zeros(()))
    first, second = weights.described(program), weights.described(again)
    assert second["weights"][0][1] == first["weights"][0][1] == 0
    packed = weights.packed()
    assert packed["sizes"] == [[2, 2], [3, 4]]
    data = base64.b64decode(packed["data"])
    np.testing.assert_array_equal(np.frombuffer(data[:4], "<f2"), half)
    np.testing.assert_array_equal(np.frombuffer(data[4:], "<f4"), full)


def test_infinities_have_names():
    program = program_of(lambda _, x: (jnp.maximum(x, -jnp.inf), x * jnp.inf, x + jnp.nan), (), jnp.zeros(2))
    assert {number for _, number in Weights().described(program)["scalars"]} == {"-Infinity", "Infinity", "NaN"}


def test_in_halves_is_base64_of_float16():
    assert np.frombuffer(base64.b64decode(in_halves(np.array([1.0, 2.5]))), "<f2").tolist() == [1.0, 2.5]
