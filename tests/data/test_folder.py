import builtins

import numpy as np
import pytest
from PIL import Image

from jaxvae.data import load
from jaxvae.errors import UserError


def _save(path, x):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x).save(path)


@pytest.fixture
def images(tmp_path, grey):
    """Twenty grey images, 0.png to 19.png."""
    for i, x in enumerate(grey):
        _save(tmp_path / "set" / f"{i:02}.png", x)
    return tmp_path / "set"


def test_load_reads_and_cuts(images, grey):
    (images / "readme.txt").write_text("no image")
    (images / ".hidden.png").write_text("no image either")
    splits, spec = load(f"folder:{images}")
    assert spec[:3] == ((6, 5, 1), 256, 0)
    assert [len(part.x) for part in splits] == [16, 2, 2]
    found = np.concatenate([part.x[..., 0] for part in splits])
    assert {x.tobytes() for x in found} == {x.tobytes() for x in grey}


@pytest.mark.parametrize("valid", ["valid", "val", "validation", None])
def test_load_respects_parts_and_classes(tmp_path, grey, valid):
    folders = [("train", "cat"), ("train", "ant"), (valid, "cat"), ("test", "bee")]
    for i, x in enumerate(grey):
        part, label = folders[i % 4]
        if part is not None:
            _save(tmp_path / part / label / f"{i:02}.PNG", x)
    _save(tmp_path / "other.png", grey[0])
    splits, spec = load(f"folder:{tmp_path}")
    assert spec.num_classes == 3
    np.testing.assert_array_equal(splits.test.x[..., 0], grey[3::4])
    assert splits.test.labels.tolist() == [1] * 5
    if valid is None:
        assert [len(part.x) for part in splits] == [9, 1, 5]
    else:
        np.testing.assert_array_equal(splits.train.x[..., 0], np.concatenate([grey[1::4], grey[0::4]]))
        assert splits.train.labels.tolist() == [0] * 5 + [2] * 5
        assert splits.valid.labels.tolist() == [2] * 5


def test_load_labels_by_the_outer_folder(tmp_path, grey):
    for i, x in enumerate(grey):
        _save(tmp_path / "set" / f"c{i % 2}" / f"deep{i % 3}" / f"{i}.png", x)
    splits, spec = load(f"folder:{tmp_path / 'set'}")
    assert spec.num_classes == 2
    number = {x.tobytes(): i % 2 for i, x in enumerate(grey)}
    for part in splits:
        assert part.labels.tolist() == [number[x.tobytes()] for x in part.x]


def test_load_refuses_images_beside_classes(images, grey):
    _save(images / "cat" / "a.png", grey[0])
    with pytest.raises(UserError, match="1 images in sub-folders and 20 beside them"):
        load(f"folder:{images}")


def test_load_says_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        load(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match="has no PNG, JPEG, TIFF, WebP, BMP, GIF and PNM files"):
        load(f"folder:{tmp_path}")
    _save(tmp_path / "train" / "a.png", np.eye(3, dtype=np.uint8))
    (tmp_path / "Testing").mkdir()
    with pytest.raises(UserError, match="Testing has no PNG"):
        load(f"folder:{tmp_path}")


def test_load_names_two_files_of_mixed_sizes(images, rng):
    _save(images / "07.png", rng.integers(0, 256, (9, 4)).astype(np.uint8))
    with pytest.raises(UserError, match=r"00.png is 5x6 pixels and .*07.png is 4x9; pass --image-size N"):
        load(f"folder:{images}")
    splits, spec = load(f"folder:{images}", image_size=8)
    assert spec.shape == (8, 8, 1)
    assert splits.train.x.dtype == np.uint8


@pytest.mark.parametrize(("side", "image_size", "shape"), [(64, None, 64), (65, None, 28), (65, 16, 16), (8, 16, 16)])
def test_load_chooses_the_size(tmp_path, rng, side, image_size, shape):
    for i in range(4):
        _save(tmp_path / f"{i}.png", rng.integers(0, 256, (side, side)).astype(np.uint8))
    _, spec = load(f"folder:{tmp_path}", image_size=image_size)
    assert spec.shape == (shape, shape, 1)


def test_load_is_in_colour_if_one_file_is(images, rng):
    assert load(f"folder:{images}")[1].shape == (6, 5, 1)
    red = np.zeros((6, 5, 3), np.uint8)
    red[..., 0] = 200
    _save(images / "zz.png", red)
    splits, spec = load(f"folder:{images}")
    assert spec[:3] == ((6, 5, 3), 256, 0)
    coloured = [x for part in splits for x in part.x if (x != x[..., :1]).any()]
    assert len(coloured) == 1
    np.testing.assert_array_equal(coloured[0], red)


def test_load_knows_grey_in_colour_files(tmp_path, grey):
    for i, x in enumerate(grey):
        _save(tmp_path / f"{i}.png", np.stack([x, x, x], axis=-1))
    assert load(f"folder:{tmp_path}")[1].shape == (6, 5, 1)


@pytest.mark.parametrize("levels", [(0, 255), (0, 1), (40, 90)])
@pytest.mark.parametrize("channels", [1, 3])
def test_load_knows_masks(tmp_path, rng, levels, channels):
    masks = rng.integers(0, 2, (10, 6, 6)).astype(np.uint8)
    for i, mask in enumerate(masks):
        x = np.array(levels, np.uint8)[mask]
        _save(tmp_path / f"{i}.png", x if channels == 1 else np.stack([x] * 3, axis=-1))
    splits, spec = load(f"folder:{tmp_path}")
    assert spec[:3] == ((6, 6, 1), 2, 0)
    found = np.concatenate([part.x[..., 0] for part in splits])
    assert {x.tobytes() for x in found} == {mask.tobytes() for mask in masks}


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("image_size", [None, 28])
def test_load_keeps_sparse_strips_of_large_masks(tmp_path, rng, inverted, image_size):
    rows = rng.choice(512, 6, replace=False)
    for i, row in enumerate(rows):
        mask = np.full((512, 512), 255 if inverted else 0, np.uint8)
        mask[row, 100:400] = 255 - mask[0, 0]
        _save(tmp_path / f"{i}.png", mask)
    splits, spec = load(f"folder:{tmp_path}", image_size=image_size)
    assert spec[:3] == ((28, 28, 1), 2, 0)
    found = np.concatenate([part.x[..., 0] for part in splits])
    strips = found == (0 if inverted else 1)
    assert (strips.sum(axis=(1, 2)) == 399 * 28 // 512 - 100 * 28 // 512 + 1).all()
    assert sorted(np.argwhere(strips.any(axis=2))[:, 1]) == sorted(rows * 28 // 512)


def test_load_takes_one_other_value_for_grey(tmp_path):
    for i in range(5):
        mask = 255 * np.eye(100, dtype=np.uint8)
        mask[0, 5] = 7 if i == 4 else 0
        _save(tmp_path / f"{i}.png", mask)
    splits, spec = load(f"folder:{tmp_path}")
    assert spec.num_values == 256
    assert splits.train.x.max() < 255


@pytest.mark.parametrize("value", [0, 255])
def test_load_reads_images_of_one_value(tmp_path, value):
    for i in range(4):
        _save(tmp_path / f"{i}.png", np.full((3, 3), value, np.uint8))
    splits, spec = load(f"folder:{tmp_path}")
    assert spec.num_values == 2
    assert (splits.train.x == (value == 255)).all()


def test_load_says_how_to_install_pillow(images, monkeypatch):
    real_import = builtins.__import__

    def without_pillow(name, *args):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(UserError, match=r'pip install "jaxvae\[experiments\]"'):
        load(f"folder:{images}")
