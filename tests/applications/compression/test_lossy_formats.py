"""JPEG and WebP at a quality: more bytes for a better one, and none for one that they never reach."""

import numpy as np

from jaxvae.applications.compression.lossy_formats import lossy_sizes, mean_psnr, quality_of_formats

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 1)).astype(np.uint8).repeat(2, axis=1)


def test_mean_psnr_by_hand():
    back = IMAGES.astype(int)
    back = np.where(back > 127, back - 5, back + 5).astype(np.uint8)
    np.testing.assert_allclose(mean_psnr(IMAGES, back, 256), -20 * np.log10(5 / 255), rtol=1e-5)


def test_better_images_take_more_bytes():
    for points in quality_of_formats(IMAGES, (5, 50, 95)).values():
        num_bytes, quality = zip(*points, strict=True)
        assert list(num_bytes) == sorted(num_bytes)
        assert list(quality) == sorted(quality)


def test_the_lowest_quality_is_taken_that_reaches_a_psnr():
    least = 25.0
    found = {size.name: size.num_bytes for size in lossy_sizes(IMAGES, 256, least)}
    assert any(name.startswith("WebP") for name in found)
    for name, num_bytes in found.items():
        kind, quality = name.split(", quality ")
        quality, dB = quality.split(", ")  # noqa: N806
        assert float(dB.removesuffix(" dB")) >= least - 0.05
        at, below = (quality_of_formats(IMAGES, (q,))[kind][0] for q in (int(quality), int(quality) - 1))
        assert at[1] >= least > below[1]
        assert num_bytes == round(at[0] * len(IMAGES))


def test_a_quality_that_no_format_has():
    assert lossy_sizes(IMAGES, 256, 200.0) == []
