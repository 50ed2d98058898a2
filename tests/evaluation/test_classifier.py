import numpy as np

from jaxvae.evaluation import recognition


def test_images_above_the_threshold_are_counted_by_hand():
    found = recognition([[0.95, 0.05, 0.0], [0.9, 0.1, 0.0], [0.02, 0.07, 0.91], [0.92, 0.0, 0.08], [0.4, 0.3, 0.3]])
    assert found["recognised"] == 3 / 5  # 0.9 itself is not above it
    np.testing.assert_allclose(found["recognised_stderr"], (0.6 * 0.4 / 4) ** 0.5)
    np.testing.assert_allclose(found["classes"], [2 / 3, 0, 1 / 3])


def test_nothing_is_recognised_and_one_image_has_no_error():
    assert recognition([[0.5, 0.5]]) == {"recognised": 0.0, "classes": [0.0, 0.0]}
