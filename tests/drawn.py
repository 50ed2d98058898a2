"""Arrays made by numpy: initialisers and random draws take XLA longer to compile than the functions under test."""

import jax
import numpy as np


def normal_like(tree, scale=1.0, seed=0):
    """Return normal float32 arrays of the shapes of a pytree, which may be that of `jax.eval_shape`."""
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: np.float32(scale) * generator.standard_normal(leaf.shape, np.float32), tree)
