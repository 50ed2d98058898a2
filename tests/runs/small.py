"""Small images, and a small model of every ready build: what tests of trainings in Python share."""

import jax
import numpy as np

import jaxvae as jv


def squares(num=60, side=8, seed=0):
    """White squares of 3x3 pixels on black, uint8 [N, side, side]."""
    x = np.zeros((num, side, side), np.uint8)
    for image, (row, column) in zip(x, np.random.default_rng(seed).integers(0, side - 3, (num, 2)), strict=True):
        image[row : row + 3, column : column + 3] = 255
    return x


IMAGES = squares()
SPEC = jv.data.load(IMAGES)[1]
BUILDS = {
    "vae": lambda spec, **changes: jv.systems.vae(spec, **{"latent_dim": 3, "net": "mlp", "warmup_steps": 2} | changes),
    "vqvae": lambda spec: jv.systems.vqvae(spec, num_codes=8, code_dim=4, channels=(4,)),
    "autoregressive": lambda spec: jv.systems.autoregressive(spec, features=4, num_layers=2),
}
SIZES = {"steps": 6, "batch_size": 16, "eval_every": 3, "progress": False}


def assert_same_parameters(found, expected):
    """Bit for bit, state included."""
    for a, b in zip(
        *(jax.tree.leaves(jax.device_get((m.params, m.model_state))) for m in (found, expected)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
