"""Masks in every way that people store them: the same zeros and ones."""

import numpy as np
import pytest
from PIL import Image

from jaxvae.data import load
from jaxvae.errors import UserError

NUM = 20


@pytest.fixture
def masks():
    """[20, 20, 20] zeros and ones: a square of 4 pixels in each, at different places."""
    x = np.zeros((NUM, 20, 20), np.uint8)
    for i in range(NUM):
        x[i, i % 9 : i % 9 + 4, i // 2 : i // 2 + 4] = 1
    return x


@pytest.fixture
def read(tmp_path, masks):
    """Loads the folder, and asserts that its images are the masks."""

    def same():
        splits, spec = load(f"folder:{tmp_path}")
        assert spec == ((20, 20, 1), 2, 0, ())
        found = {name: x[..., 0] for part in splits for name, x in zip(part.names, part.x, strict=True)}
        np.testing.assert_array_equal(np.stack([found[name] for name in sorted(found)]), masks)

    return same


def _save(folder, i, x):
    Image.fromarray(x).save(folder / f"{i:02}.png")


@pytest.mark.parametrize("white", [1, 128, 255, 256, 4095, 65535])
def test_masks_of_16_bits_are_those_of_8(tmp_path, masks, read, white):
    for i, mask in enumerate(masks):
        _save(tmp_path, i, mask.astype(np.uint16) * white)
    read()


@pytest.mark.parametrize("white", [1, 65535])
@pytest.mark.parametrize("num_channels", [2, 3, 4])
def test_masks_in_colours_of_16_bits_too(tmp_path, masks, read, write_png, white, num_channels):
    for i, mask in enumerate(masks):
        x = np.repeat(mask.astype(np.uint16)[..., None] * white, num_channels, axis=2)
        if num_channels in (2, 4):
            x[..., -1] = 65535  # opaque
        write_png(tmp_path / f"{i:02}.png", x)
    read()


@pytest.mark.parametrize(("white_8", "white_16"), [(1, 1), (255, 255), (255, 65535), (1, 65535), (255, 1), (128, 128)])
def test_masks_of_8_and_16_bits_beside_each_other(tmp_path, masks, read, white_8, white_16):
    for i, mask in enumerate(masks):
        _save(tmp_path, i, mask.astype(np.uint16) * white_16 if i % 2 else mask * white_8)
    read()


@pytest.mark.parametrize("white", [1.0, 255.0, 0.5])
def test_masks_of_floats(tmp_path, masks, read, white):
    for i, mask in enumerate(masks):
        Image.fromarray(mask.astype(np.float32) * white).save(tmp_path / f"{i:02}.tif")
    read()


def test_masks_of_one_bit(tmp_path, masks, read):
    for i, mask in enumerate(masks):
        Image.fromarray(mask > 0).save(tmp_path / f"{i:02}.{('png', 'tif', 'bmp', 'pbm')[i % 4]}")
    read()


def test_masks_of_0_and_1_beside_masks_of_0_and_255_are_stated(tmp_path, masks, read, capsys):
    for i, mask in enumerate(masks):
        _save(tmp_path, i, mask * (1 if i % 2 else 255))
    read()
    assert "note: white is 1 in some images, 255 in others: all are read as black and white." in capsys.readouterr().err


@pytest.mark.parametrize("colours", [((0, 0, 0), (128, 0, 0)), ((0, 0, 128), (255, 255, 0)), ((0, 0, 0), (1, 0, 0))])
@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_masks_of_two_colours_are_binary(tmp_path, masks, read, colours, mode, capsys):
    for i, mask in enumerate(masks):
        image = Image.fromarray(mask, mode="L").convert("P")
        image = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
        image.putpalette([value for colour in colours for value in colour])
        image.convert(mode).save(tmp_path / f"{i:02}.png")
    read()
    shown = [f"({', '.join(map(str, colour))})" if any(colour) else "0" for colour in colours]
    assert f"all pixels are {shown[0]} or {shown[1]}: read as black and white" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_several_labels_are_stated(tmp_path, masks, dtype, capsys):
    for i, mask in enumerate(masks):
        _save(tmp_path, i, (mask * (1 + i % 4)).astype(dtype))
    splits, spec = load(f"folder:{tmp_path}")
    assert spec.num_values == 256
    assert {x.max() for part in splits for x in part.x} == {1, 2, 3, 4}
    said = capsys.readouterr().err
    assert "note: pixels have the values 0, 1, 2, 3, 4 only, which are taken for levels" in said
    assert ("images of 16 bits have no value above 4: they are read as images of 8 bits" in said) == (
        dtype is np.uint16
    )


def test_labels_in_colours_of_two_levels_are_stated(tmp_path, masks, capsys):
    """As those of PASCAL VOC: black, maroon and green."""
    for i, mask in enumerate(masks):
        image = Image.fromarray(mask * np.uint8(1 + i % 2))
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(tmp_path / f"{i:02}.png")
    splits, spec = load(f"folder:{tmp_path}")
    assert (spec.shape[2], spec.num_values) == (3, 2)
    assert {tuple(colour) for colour in splits.train.x.reshape(-1, 3).tolist()} == {(0, 0, 0), (1, 0, 0), (0, 1, 0)}
    assert "red, green and blue are 0 or 128 everywhere: each is read as 0 or 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "kind"), [([0, 300, 301], "16 bits"), ([300, 301], "16 bits"), ([0, 0.5, 0.501], "floats")]
)
def test_values_that_8_bits_cannot_tell_apart_are_refused(tmp_path, masks, values, kind):
    for i, mask in enumerate(masks):
        x = np.array(values)[mask * (1 + i % (len(values) - 1))]
        Image.fromarray(x.astype(np.uint16 if kind == "16 bits" else np.float32)).save(tmp_path / f"{i:02}.tif")
    with pytest.raises(UserError, match=f"images of {kind} have the values .* some are the same in 8 bits"):
        load(f"folder:{tmp_path}")


def test_16_bit_images_are_brought_to_8(tmp_path, rng):
    x = rng.integers(0, 65536, (5, 6, 7)).astype(np.uint16)
    for i, image in enumerate(x):
        _save(tmp_path, i, image)
    splits, spec = load(f"folder:{tmp_path}")
    assert spec.num_values == 256
    found = {name: image[..., 0] for part in splits for name, image in zip(part.names, part.x, strict=True)}
    for i, image in enumerate(x):
        np.testing.assert_array_equal(found[f"{i:02}.png"], np.rint(image / 257))


def test_dark_images_of_16_bits_are_stated(tmp_path, rng, capsys):
    for i in range(5):
        _save(tmp_path, i, rng.integers(0, 4096, (6, 7)).astype(np.uint16))
    load(f"folder:{tmp_path}")
    assert "of 65535 and are dark: scale them" in capsys.readouterr().err
    _save(tmp_path, 5, rng.integers(0, 65536, (6, 7)).astype(np.uint16))
    _save(tmp_path, 0, rng.integers(0, 256, (6, 7)).astype(np.uint16))
    load(f"folder:{tmp_path}")
    assert "1 image of 16 bits has no value above 255, others up to 6" in capsys.readouterr().err


def test_floats_of_0_to_1_are_scaled_and_not_beside_others(tmp_path, rng):
    x = rng.random((5, 6, 7)).astype(np.float32)
    for i, image in enumerate(x):
        Image.fromarray(image).save(tmp_path / f"{i}.tif")
    splits, _ = load(f"folder:{tmp_path}")
    found = {name: image[..., 0] for part in splits for name, image in zip(part.names, part.x, strict=True)}
    for i, image in enumerate(x):
        np.testing.assert_array_equal(found[f"{i}.tif"], np.rint(image * 255))
    Image.fromarray(x[0] * 200).save(tmp_path / "0.tif")
    with pytest.raises(UserError, match="Some images have floats from 0 to 1, others up to 19"):
        load(f"folder:{tmp_path}")


def test_floats_of_0_to_255_are_rounded(tmp_path, rng):
    x = rng.random((5, 6, 7)).astype(np.float32) * 255
    for i, image in enumerate(x):
        Image.fromarray(image).save(tmp_path / f"{i}.tif")
    splits, _ = load(f"folder:{tmp_path}")
    found = {name: image[..., 0] for part in splits for name, image in zip(part.names, part.x, strict=True)}
    for i, image in enumerate(x):
        np.testing.assert_array_equal(found[f"{i}.tif"], np.rint(image))


def test_images_of_16_bits_are_found_behind_colours_of_8(tmp_path, rng):
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (6, 7, 3)).astype(np.uint8)).save(tmp_path / f"{i}.png")
    Image.fromarray(np.full((6, 7), 30_000, np.uint16)).save(tmp_path / "5.png")
    splits, _ = load(f"folder:{tmp_path}")
    found = {name: image for part in splits for name, image in zip(part.names, part.x, strict=True)}
    assert (found["5.png"] == 117).all()  # 30,000 / 257


def test_two_levels_of_grey_are_stated(tmp_path, masks, read, capsys):
    for i, mask in enumerate(masks):
        _save(tmp_path, i, mask * 50 + 40)
    read()
    assert "note: all pixels are 40 or 90: read as black and white." in capsys.readouterr().err


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("whites", [(255, 255), (1, 255)])
def test_thin_strokes_survive_the_size(tmp_path, inverted, whites):
    for i in range(10):
        mask = np.zeros((100, 100), np.uint8)
        mask[10 * i] = 1
        _save(tmp_path, i, (1 - mask if inverted else mask) * whites[i % 2])
    splits, _ = load(f"folder:{tmp_path}", image_size=20)
    for part in splits:
        strokes = part.x == (0 if inverted else 1)
        assert (strokes.sum(axis=(1, 2, 3)) == 20).all()


# ---------- arrays


@pytest.mark.parametrize("whites", [(1, 255), (255, 1), (255, 255), (1, 1), (True, 255), (1.0, 255), (128, 128)])
def test_parts_of_an_npz_are_binary_together(save_npz, masks, whites):
    splits, spec = load(save_npz(x_train=masks[:15] * whites[0], x_test=masks[15:] * whites[1]))
    assert spec.num_values == 2
    np.testing.assert_array_equal(splits.test.x[..., 0], masks[15:])
    assert splits.train.x.sum() + splits.valid.x.sum() == masks[:15].sum()


def test_images_of_an_npz_are_binary_one_by_one(save_npz, masks, capsys):
    whites = np.where(np.arange(NUM) % 2, 1, 255).astype(np.uint8)[:, None, None]
    splits, spec = load(save_npz(images=masks * whites))
    assert spec.num_values == 2
    assert sum(int(part.x.sum()) for part in splits) == masks.sum()
    assert "white is 1 in some images, 255 in others" in capsys.readouterr().err


def test_black_and_white_beside_grey_is_refused(save_npz, masks, rng):
    grey = rng.integers(0, 256, masks.shape).astype(np.uint8)
    with pytest.raises(
        UserError, match="test images have the values 0 and 1, .*training images 0 to 255: store all alike"
    ):
        load(save_npz(x_train=grey, x_test=masks))


def test_two_values_are_stated(save_npz, masks, capsys):
    load(save_npz(images=masks * 0.5))
    assert "note: all pixels are 0 or 0.5: read as black and white." in capsys.readouterr().err
    load(save_npz(images=masks * 128))
    assert "note: all pixels are 0 or 128: read as black and white." in capsys.readouterr().err
    load(save_npz(images=masks * 255))
    load(save_npz(images=masks))
    assert capsys.readouterr().err == ""


def test_dark_and_few_values_are_stated(save_npz, masks, rng, capsys):
    load(save_npz(images=masks * (1 + np.arange(NUM) % 4)[:, None, None].astype(np.uint8)))
    assert "pixels have the values 0, 1, 2, 3, 4 only" in capsys.readouterr().err
    load(save_npz(images=rng.integers(0, 50, masks.shape).astype(np.uint8)))
    assert "the brightest pixel of all images is 49 of 255" in capsys.readouterr().err
    grey = rng.integers(0, 256, masks.shape).astype(np.uint8)
    grey[3] = masks[3]
    load(save_npz(images=grey))
    assert "1 image has the values 0 and 1 only, of 20, others up to 255" in capsys.readouterr().err


def test_floats_outside_by_a_rounding_are_clipped(save_npz, rng):
    x = rng.random((10, 4, 4)).astype(np.float32)
    x[0, 0] = (-1e-6, 1.0000001, 0.3, 0.7)
    splits, _ = load(save_npz(x_train=x, x_test=x, x_valid=x))
    np.testing.assert_allclose(splits.train.x[0, 0, :, 0], (0, 1, 0.3, 0.7))
    assert splits.train.x.min() == 0
    assert splits.train.x.max() == 1


def test_blank_and_equal_images_are_warned_of(save_npz, rng, capsys):
    load(save_npz(images=np.zeros((20, 4, 4), np.uint8)))
    assert "warning: npz:" in (said := capsys.readouterr().err)
    assert "all 20 images are blank: there is nothing to learn" in said
    load(save_npz(images=np.repeat(rng.random((1, 4, 4)), 20, 0)))
    assert "all 20 images are the same: there is nothing to learn" in capsys.readouterr().err
    load(save_npz(images=np.tile(rng.random((20, 1, 1)), (1, 4, 4))))
    assert "each image is of one colour" in capsys.readouterr().err
    x = np.repeat(rng.random((1, 4, 4)), 40, 0)
    x[-1, 0, 0] = 0.5
    load(save_npz(images=x))
    assert capsys.readouterr().err == ""
