"""The nearest images of a data set."""

import numpy as np

from jaxvae.evaluation.nearest import nearest_images


def test_nearest_images_are_found_in_chunks():
    generator = np.random.default_rng(0)
    among = generator.integers(0, 256, (23, 3, 3, 1)).astype(np.uint8)
    wanted = np.array([22, 0, 7])
    x = np.clip(among[wanted] / 255.0 + 0.01, 0, 1).astype(np.float32)
    np.testing.assert_allclose(nearest_images(x, among, 256, chunk=5), among[wanted] / 255.0, rtol=1e-6)
