import numpy as np
import pytest

from jaxvae.evaluation import high_frequency_power, power_spectrum


def test_white_noise_has_its_variance_at_every_frequency():
    x = 0.3 * np.random.default_rng(0).standard_normal((400, 16, 16, 2))
    np.testing.assert_allclose(power_spectrum(x), np.full(9, 0.09), rtol=0.05)
    assert high_frequency_power(x) == pytest.approx(0.09, rel=0.02)


@pytest.mark.parametrize(("shape", "cycles"), [((16, 16), 3), ((16, 16), 8), ((12, 20), 5)])
def test_a_wave_is_at_its_frequency_alone(shape, cycles):
    side = shape[1]  # the longer one
    wave = np.cos(2 * np.pi * cycles * np.arange(side) / side)
    power = power_spectrum(np.broadcast_to(wave[None, None, :, None], (1, *shape, 1)))
    assert power.shape == (side // 2 + 1,)
    assert np.argmax(power) == cycles
    assert np.all(np.delete(power, cycles) < 1e-9 * power[cycles])


def test_constant_images_have_no_high_frequencies_and_blurred_ones_less():
    x = np.random.default_rng(0).random((5, 16, 16, 1))
    assert high_frequency_power(np.full((2, 8, 8, 1), 0.7)) < 1e-12
    blurred = 0.25 * (x + np.roll(x, 1, 1) + np.roll(x, 1, 2) + np.roll(x, (1, 1), (1, 2)))
    assert high_frequency_power(blurred) < 0.2 * high_frequency_power(x)


def test_high_frequencies_begin_at_the_share_of_the_nyquist_frequency_that_is_asked_for():
    side = 14  # frequencies 0 to 7: the upper half begins at 3.5, so with 4
    waves = np.cos(2 * np.pi * np.arange(8)[:, None] * np.arange(side) / side)  # [8, side], a frequency each
    images = np.broadcast_to(waves[:, None, :, None], (8, side, side, 1))
    found = np.array([high_frequency_power(image[None]) for image in images])
    np.testing.assert_array_equal(found > 1e-3, np.arange(8) >= 4)
    assert high_frequency_power(images[3:4], above=0.4) > 1e-3
    # A mean over frequencies, of which there are as many as their radius, 4 to 7.
    np.testing.assert_allclose(found[5], 5 / 22 * power_spectrum(images[5:6])[5], rtol=1e-6)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"x has shape \[3, 4\]"):
        power_spectrum(np.zeros((3, 4)))
