"""Parameters without initialisers, which XLA takes longer to compile than the networks under test."""

import itertools

import jax
import numpy as np
import pytest

from tests.drawn import normal_like


@pytest.fixture
def random_like():
    """Return a function from a pytree of shapes to normal arrays, the same ones in every test."""
    seeds = itertools.count()
    return lambda tree: normal_like(tree, seed=next(seeds))


@pytest.fixture
def random_params(random_like):
    """Return a function from a module and its arguments to variables, normal with variance 1 / fan_in."""

    def make(module, *args):
        shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
        return jax.tree.map(lambda a: a / np.float32(np.sqrt(np.prod(a.shape[:-1]))), random_like(shapes))

    return make
