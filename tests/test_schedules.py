"""Weights of the KL term against tables and exact fractions."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.schedules import cyclical_warmup, linear_warmup


@pytest.mark.parametrize(
    ("step", "num_steps", "expected"),
    [(0, 10, 0.0), (3, 10, 0.3), (10, 10, 1.0), (25, 10, 1.0), (0, 0, 1.0), (7, 0, 1.0), (0, 1, 0.0), (1, 1, 1.0)],
)
def test_linear_warmup_values(step, num_steps, expected):
    weight = linear_warmup(step, num_steps)
    assert weight.shape == ()
    assert weight.dtype == jnp.float32
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("num_steps", "num_cycles", "rise", "expected"),
    [
        (8, 2, 0.5, [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        (8, 1, 0.5, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        (9, 3, 1.0, [0.0, 1 / 3, 2 / 3, 0.0, 1 / 3, 2 / 3, 0.0, 1 / 3, 2 / 3, 1.0]),
        (4, 1, 0.25, [0.0, 1.0, 1.0, 1.0, 1.0]),
        (0, 4, 0.5, [1.0, 1.0]),
        (4, 2, 0.0, [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_cyclical_warmup_values(num_steps, num_cycles, rise, expected):
    weights = [cyclical_warmup(step, num_steps, num_cycles, rise) for step in range(len(expected))]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize(("num_steps", "num_cycles"), [(10, 4), (64, 6), (100, 3), (1000, 7), (30_000, 9)])
def test_cyclical_warmup_equals_exact_fractions(num_steps, num_cycles):
    # Where num_cycles does not divide num_steps, whole periods still begin at 0.
    def exact(step):
        position = Fraction(step * num_cycles, num_steps) % 1
        return float(min(position * 2, Fraction(1))) if step < num_steps else 1.0

    steps = np.unique(np.linspace(0, num_steps + 1, 1003).astype(int))
    starts = [num_steps * cycle // num_cycles for cycle in range(num_cycles)]
    steps = np.union1d(steps, starts)
    weights = cyclical_warmup(jnp.array(steps), num_steps, num_cycles)
    np.testing.assert_allclose(weights, [exact(int(step)) for step in steps], atol=1e-4)


def test_cyclical_warmup_of_one_whole_cycle_is_linear():
    steps = jnp.arange(12)
    np.testing.assert_allclose(cyclical_warmup(steps, 10, 1, 1.0), linear_warmup(steps, 10), rtol=1e-6)


def test_schedules_take_arrays_under_jit_and_vmap():
    num_steps = jnp.array([0, 4, 8])
    linear = jax.jit(jax.vmap(linear_warmup, in_axes=(None, 0)))(2, num_steps)
    np.testing.assert_allclose(linear, [1.0, 0.5, 0.25], rtol=1e-6)
    cyclical = jax.jit(jax.vmap(cyclical_warmup, in_axes=(None, 0, None, None)))(5, num_steps, 2, 0.5)
    np.testing.assert_allclose(cyclical, [1.0, 1.0, 0.5], rtol=1e-6)
