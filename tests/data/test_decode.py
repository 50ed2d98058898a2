import numpy as np
import pytest
from PIL import Image

from jaxvae.data.decode import header, pixels
from jaxvae.errors import UserError


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "bmp", "gif"])
def test_pixels_sees_grey_in_every_mode(tmp_path, rng, mode, suffix):
    mode = "RGB" if "A" in mode and suffix != "png" else mode
    x = rng.integers(0, 256, (5, 4)).astype(np.uint8)
    image = Image.fromarray(x)
    image.convert(mode).save(tmp_path / f"a.{suffix}")
    y = pixels(tmp_path / f"a.{suffix}")
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y, x[..., None])
    assert header(tmp_path / f"a.{suffix}")[0] == (5, 4)


def test_pixels_keeps_colours(tmp_path, rng):
    x = rng.integers(0, 256, (5, 4, 3)).astype(np.uint8)
    Image.fromarray(x).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), x)


def test_pixels_reads_two_values(tmp_path):
    Image.fromarray(np.eye(4) > 0).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png")[..., 0], 255 * np.eye(4))


def test_pixels_puts_transparency_on_white(tmp_path):
    x = np.zeros((1, 3, 4), np.uint8)
    x[0, :, 3] = (0, 255, 51)
    Image.fromarray(x).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png")[..., 0], [[255, 0, 204]])


def test_pixels_brings_16_bits_to_8(tmp_path):
    Image.fromarray(np.array([[0, 128, 129, 257, 65535]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png")[..., 0], [[0, 0, 1, 1, 255]])


def test_pixels_respects_the_orientation_of_a_camera(tmp_path):
    x = np.zeros((8, 16), np.uint8)
    x[:, 8:] = 255
    image = Image.fromarray(x)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise: the right half goes down
    image.save(tmp_path / "a.jpg", exif=exif, quality=100)
    y = pixels(tmp_path / "a.jpg")[..., 0]
    assert header(tmp_path / "a.jpg")[0] == y.shape == (16, 8)
    assert y[:6].max() < 20
    assert y[10:].min() > 235


def test_pixels_takes_the_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((3, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (pixels(tmp_path / "a.gif") == 10).all()


@pytest.mark.parametrize("read", [pixels, header])
def test_broken_files_are_named(tmp_path, read):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="a.png cannot be read as an image .*; replace or remove it"):
        read(tmp_path / "a.png")


def test_pixels_refuses_a_truncated_file(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (64, 64)).astype(np.uint8)).save(tmp_path / "a.png")
    raw = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError, match="a.png cannot be read as an image"):
        pixels(tmp_path / "a.png")
