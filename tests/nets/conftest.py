"""Arrays made by numpy: initialisers and random draws take XLA longer to compile than the networks under test."""

import jax
import numpy as np
import pytest


@pytest.fixture
def random_like():
    """Return a function from a pytree of shapes to normal arrays, the same ones in every test."""
    generator = np.random.default_rng(0)
    return lambda tree: jax.tree.map(lambda a: generator.standard_normal(a.shape, np.float32), tree)


@pytest.fixture
def random_params(random_like):
    """Return a function from a module and its arguments to variables, normal with variance 1 / fan_in."""

    def make(module, *args):
        shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
        return jax.tree.map(lambda a: a / np.float32(np.sqrt(np.prod(a.shape[:-1]))), random_like(shapes))

    return make
