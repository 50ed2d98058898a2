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
    assert header(tmp_path / f"a.{suffix}").size == (5, 4)


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


@pytest.mark.parametrize("num_channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_pixels_keeps_all_16_bits_of_png(tmp_path, write_png, num_channels, interlaced, rng):
    x = rng.integers(0, 65536, (5, 6, num_channels)).astype(np.uint16)
    if num_channels in (2, 4):
        x[..., -1] = 65535
    write_png(tmp_path / "a.png", x, interlaced=interlaced)
    y = pixels(tmp_path / "a.png")
    assert header(tmp_path / "a.png").wide
    assert y.dtype == np.uint16
    np.testing.assert_array_equal(y, x[..., : 1 if num_channels < 3 else 3])


@pytest.mark.parametrize("num_channels", [1, 3, 4])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pixels_keeps_all_16_bits_of_tiff(tmp_path, num_channels, options, byteorder, rng):
    tifffile = pytest.importorskip("tifffile")
    x = rng.integers(0, 65536, (5, 6, num_channels)).astype(np.uint16)
    x[..., 3:] = 65535
    kind = "rgb" if num_channels > 1 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", x if num_channels > 1 else x[..., 0], photometric=kind, **options)
    np.testing.assert_array_equal(pixels(tmp_path / "a.tif"), x[..., :3])


@pytest.mark.parametrize(
    ("options", "dtype"),
    [({"photometric": "miniswhite"}, np.uint16), ({}, np.int8), ({}, np.int16), ({"planarconfig": "separate"}, "<u2")],
)
def test_pixels_refuses_what_pillow_gives_as_other_values(tmp_path, options, dtype):
    tifffile = pytest.importorskip("tifffile")
    x = np.full((3, 4, 5) if options.get("planarconfig") else (4, 5), -3).astype(dtype)
    kind = {"photometric": "rgb"} if options.get("planarconfig") else {}
    tifffile.imwrite(tmp_path / "a.tif", x, **{**kind, **options})
    with pytest.raises(UserError, match="a.tif (has 16 bits|has signed|holds integers from -3 to -3)"):
        pixels(tmp_path / "a.tif")


@pytest.mark.parametrize(("x", "message"), [([[0, 300.0]], "floats from 0 to 300"), ([[0, np.nan]], "floats from nan")])
def test_pixels_keeps_floats_and_refuses_others(tmp_path, x, message):
    Image.fromarray(np.array([[0, 0.25, 1]], np.float32)).save(tmp_path / "a.tif")
    assert pixels(tmp_path / "a.tif").ravel().tolist() == [0, 0.25, 1]
    Image.fromarray(np.array(x, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=message):
        pixels(tmp_path / "a.tif")


def test_pixels_refuses_colours_of_16_bits_in_pnm(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + bytes(6))
    with pytest.raises(UserError, match="a.ppm has colours of 16 bits in a way that is not read"):
        pixels(tmp_path / "a.ppm")


def test_transparency_of_16_bits_is_put_on_white(tmp_path, write_png):
    x = np.array([[[1000, 0], [1000, 65535], [0, 32768]]], np.uint16)
    write_png(tmp_path / "a.png", x)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png")[..., 0], [[65535, 1000, 32767]])
    write_png(tmp_path / "a.png", x.clip(0, 255))
    with pytest.raises(UserError, match="transparent pixels, which are put on a white that is not known"):
        pixels(tmp_path / "a.png")
    write_png(tmp_path / "a.png", np.array([[[7], [1000]]], np.uint16), key=7)
    np.testing.assert_array_equal(pixels(tmp_path / "a.png")[..., 0], [[65535, 1000]])


def test_pixels_respects_the_orientation_of_a_camera(tmp_path):
    x = np.zeros((8, 16), np.uint8)
    x[:, 8:] = 255
    image = Image.fromarray(x)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise: the right half goes down
    for suffix in ("jpg", "png", "tif", "tiff", "webp"):
        options = {"compression": "tiff_lzw"} if suffix == "tiff" else {"quality": 100} if suffix != "tif" else {}
        image.save(tmp_path / f"a.{suffix}", exif=exif, **options)
        y = pixels(tmp_path / f"a.{suffix}")[..., 0]
        assert header(tmp_path / f"a.{suffix}").size == y.shape == (16, 8)
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
