"""The nearest images of a data set."""

import numpy as np

from jaxvae.evaluation.nearest import nearest_images, neighbours_log_prob


def test_nearest_images_are_found_in_chunks():
    generator = np.random.default_rng(0)
    among = generator.integers(0, 256, (23, 3, 3, 1)).astype(np.uint8)
    wanted = np.array([22, 0, 7])
    x = np.clip(among[wanted] / 255.0 + 0.01, 0, 1).astype(np.float32)
    np.testing.assert_allclose(nearest_images(x, among, 256, chunk=5), among[wanted] / 255.0, rtol=1e-6)


def test_neighbours_say_how_likely_unknown_pixels_are():
    among = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], np.float32).reshape(3, 2, 2, 1)
    unknown = np.array([[False, False], [True, True]])
    x = np.array([[1, 1, 0, 1], [0, 0, 1, 0]], np.float32).reshape(2, 2, 2, 1)
    one, found = neighbours_log_prob(x, unknown, among, [1, 2], chunk=1)
    # The two nearest of the first image have a one and two; of the second that of zeros and another.
    np.testing.assert_allclose(found[0], np.log((2 - 1 + 0.5) / 3) + np.log(2.5 / 3), rtol=1e-6)
    np.testing.assert_allclose(one[1], np.log(0.5 / 2) + np.log(1 - 0.5 / 2), rtol=1e-6)
