"""Image scores against slow loops and hand-worked numbers."""

import sys

import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.evaluation import images

RNG = np.random.default_rng(0)


def slow_ssim(x, y, window):
    """Mean over windows and channels of Wang et al. 2004, eq. 13, with unbiased variances."""
    values = []
    for top in range(x.shape[0] - window + 1):
        for left in range(x.shape[1] - window + 1):
            for channel in range(x.shape[2]):
                a = x[top : top + window, left : left + window, channel].ravel()
                b = y[top : top + window, left : left + window, channel].ravel()
                cov = np.cov(a, b)
                numerator = (2.0 * a.mean() * b.mean() + 0.01**2) * (2.0 * cov[0, 1] + 0.03**2)
                denominator = (a.mean() ** 2 + b.mean() ** 2 + 0.01**2) * (cov[0, 0] + cov[1, 1] + 0.03**2)
                values.append(numerator / denominator)
    return np.mean(values)


def test_psnr_equals_hand_worked_numbers():
    x = np.zeros((3, 2, 2, 1), np.float32)
    y = x.copy()
    y[0] += 0.1  # 20 dB
    y[1, 0, 0, 0] = 1.0  # mean square 1/4: 6.02 dB
    np.testing.assert_allclose(images.psnr(x, y), [20.0, 10.0 * np.log10(4.0), images.MAX_PSNR], rtol=1e-5)


def test_psnr_of_half_an_8_bit_level_is_54_db():
    np.testing.assert_allclose(
        images.psnr(np.zeros((1, 4, 4, 3)), np.full((1, 4, 4, 3), 0.5 / 255.0)), 54.15, atol=0.01
    )


@pytest.mark.parametrize(
    ("height", "width", "channels", "window"), [(9, 8, 1, 7), (8, 9, 3, 7), (4, 6, 1, 3), (5, 7, 3, 5)]
)
def test_ssim_equals_a_slow_loop(height, width, channels, window):
    x, y = RNG.random((2, 2, height, width, channels))
    expected = [slow_ssim(a, b, window) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(images.ssim(x, y), expected, rtol=1e-6)


def test_ssim_of_equal_images_is_one():
    x = RNG.random((3, 28, 28, 1)).astype(np.float32)
    np.testing.assert_allclose(images.ssim(x, x), np.ones(3))


def test_ssim_refuses_what_no_window_fits():
    with pytest.raises(ValueError, match="2x5"):
        images.ssim(np.zeros((1, 2, 5, 1)), np.zeros((1, 2, 5, 1)))
    with pytest.raises(ValueError, match="y has shape"):
        images.ssim(np.zeros((1, 8, 8, 1)), np.zeros((2, 8, 8, 1)))


def test_ssim_without_scikit_image_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(UserError, match=r"pip install \"jaxvae\[experiments\]\""):
        images.ssim(np.zeros((1, 8, 8, 1)), np.zeros((1, 8, 8, 1)))


def test_pixel_histogram_adds_one_to_every_count():
    x = np.array([[[0, 0], [1, 3]]], np.uint8)
    np.testing.assert_allclose(images.pixel_histogram(x, 4), np.array([3, 2, 1, 2]) / 8)


def test_pixel_histogram_does_not_depend_on_chunks(monkeypatch):
    x = RNG.integers(0, 256, (25, 3, 3, 1), dtype=np.uint8)
    whole = images.pixel_histogram(x, 256)
    nll = images.histogram_nll(whole, x)
    monkeypatch.setattr(images, "_CHUNK", 4)
    np.testing.assert_array_equal(images.pixel_histogram(x, 256), whole)
    np.testing.assert_array_equal(images.histogram_nll(whole, x), nll)


def test_intensity_histogram_equals_the_mean_intensity():
    np.testing.assert_allclose(images.intensity_histogram(np.array([0.5, 1.0, 0.0])), [0.5, 0.5])
    np.testing.assert_allclose(images.intensity_histogram(np.full((10, 28, 28, 1), 0.13)), [0.87, 0.13], atol=1e-4)


def test_intensity_histogram_refuses_8_bit_values():
    with pytest.raises(ValueError, match="from 0 to 255"):
        images.intensity_histogram(np.array([0, 255], np.uint8))


def test_histogram_nll_sums_the_pixels_of_an_image():
    probabilities = np.array([0.5, 0.25, 0.25])
    x = np.array([[[0], [0]], [[1], [2]], [[0], [2]]])
    np.testing.assert_allclose(images.histogram_nll(probabilities, x), np.log(2.0) * np.array([2.0, 4.0, 3.0]))
    np.testing.assert_allclose(images.histogram_nll(probabilities, x.astype(np.float32))[1], np.log(16.0))


def test_histogram_nll_of_unseen_values_is_finite():
    probabilities = images.pixel_histogram(np.zeros((5, 4, 4, 1), np.uint8), 256)
    assert np.isfinite(images.histogram_nll(probabilities, np.full((2, 4, 4, 1), 255, np.uint8))).all()


@pytest.mark.parametrize("value", [-1, 2, 0.5])
def test_histograms_refuse_other_values(value):
    x = np.full((1, 2, 2, 1), value)
    with pytest.raises(ValueError, match="expected integers from 0 to 1"):
        images.histogram_nll(np.array([0.5, 0.5]), x)
    with pytest.raises(ValueError, match="expected integers from 0 to 1"):
        images.pixel_histogram(x, 2)
