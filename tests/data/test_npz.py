import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.mark.parametrize("image", ["x_{}", "{}_images", "{}_x", "{}"])
@pytest.mark.parametrize("label", ["y_{}", "{}_labels", "{}_y"])
@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_load_understands_the_names(save_npz, grey, image, label, valid):
    names = {"train": slice(0, 12), valid: slice(12, 15), "test": slice(15, 20)}
    arrays = {image.format(name): grey[rows] for name, rows in names.items()}
    arrays |= {label.format(name): np.arange(20)[rows] for name, rows in names.items()}
    splits, spec = load(save_npz(**arrays))
    assert spec[:3] == ((6, 5, 1), 256, 20)
    for part, rows in zip(splits, names.values(), strict=True):
        np.testing.assert_array_equal(part.x[..., 0], grey[rows])
        np.testing.assert_array_equal(part.labels, np.arange(20)[rows])


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("x", "y"), ("images", None)])
def test_load_cuts_images_alone(save_npz, grey, images, labels):
    arrays = {images: grey} | ({labels: np.arange(20)} if labels else {})
    splits, spec = load(save_npz(**arrays))
    assert [len(part.x) for part in splits] == [16, 2, 2]
    assert spec.num_classes == (20 if labels else 0)
    for part in splits:
        if labels:
            np.testing.assert_array_equal(part.x[..., 0], grey[part.labels])
    assert {part.x.tobytes() for part in splits} == {part.x.tobytes() for part in load(save_npz(**arrays))[0]}


def test_load_keeps_colours(save_npz, rng):
    x = rng.integers(0, 256, (10, 4, 4, 3)).astype(np.uint8)
    splits, spec = load(save_npz(x_train=x, x_valid=x[:2], x_test=x[:3]))
    assert spec.shape == (4, 4, 3)
    np.testing.assert_array_equal(splits.train.x, x)


def test_load_names_the_keys_it_found(save_npz, grey):
    with pytest.raises(UserError, match="has the keys bar, foo; expected x_train / train_images"):
        load(save_npz(foo=grey, bar=grey))
    with pytest.raises(UserError, match="has the keys x_test; expected"):
        load(save_npz(x_test=grey))


def test_load_refuses_packed_rows(save_npz):
    with pytest.raises(UserError, match=r"training images have shape \[9, 98\], expected \[N, H, W\]"):
        load(save_npz(train=np.zeros((9, 98), np.uint8)))


def test_load_refuses_pickles(save_npz):
    with pytest.raises(UserError, match="pickled objects, which are refused"):
        load(save_npz(x_train=np.array([{"a": 1}], object)))


def test_load_refuses_missing_and_broken_files(tmp_path, save_npz, rng):
    with pytest.raises(UserError, match="does not exist"):
        load(f"npz:{tmp_path / 'no.npz'}")
    path = tmp_path / "set.npz"
    path.write_text("not a zip")
    with pytest.raises(UserError, match="not a whole .npz file"):
        load(f"npz:{path}")
    source = save_npz(images=rng.integers(0, 256, (50, 9, 9)).astype(np.uint8))
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError, match="not a whole .npz file"):
        load(source)
    path.write_bytes(raw[:2000] + bytes(value ^ 255 for value in raw[2000:2100]) + raw[2100:])
    with pytest.raises(UserError, match="cannot be read"):
        load(source)


@pytest.mark.parametrize(
    ("name", "shape", "num_classes", "sizes"),
    [
        ("omniglot_28x28", (28, 28, 1), 1623, [17352, 1928, 13180]),
        ("frey_faces", (28, 20, 1), 0, [1573, 196, 196]),
        ("noto_emoji_32x32", (32, 32, 3), 0, [3073, 342, 371]),
    ],
)
def test_load_reads_real_files(real, name, shape, num_classes, sizes):
    splits, spec = load(f"npz:{real / name}.npz")
    assert spec[:3] == (shape, 256, num_classes)
    assert [len(part.x) for part in splits] == sizes


def test_load_understands_capital_letters(save_npz, grey):
    splits, spec = load(save_npz(X_train=grey[:12], Y_train=np.arange(12), X_Test=grey[12:], y_TEST=np.arange(8)))
    assert spec.num_classes == 12
    np.testing.assert_array_equal(splits.test.x[..., 0], grey[12:])


@pytest.mark.parametrize("names", [("x_train", "train_images"), ("x_train", "X_train"), ("x", "images")])
def test_load_refuses_two_names_for_the_same(save_npz, grey, names):
    with pytest.raises(UserError, match="has .* and .*, which mean the same: keep one"):
        load(save_npz(**dict.fromkeys(names, grey)))


def test_load_names_what_it_does_not_read(save_npz, grey, capsys):
    load(save_npz(x_train=grey, y_test=np.arange(20), mean=np.zeros(3)))
    assert "2 keys are not read: mean, y_test." in capsys.readouterr().err
