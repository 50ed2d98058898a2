import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.fixture
def rows(rng):
    return {
        part: (rng.random((num, 784)) < 0.2).astype(np.uint8) for part, num in (("train", 5), ("valid", 2), ("test", 3))
    }


def _write_amat(folder, rows):
    for part, x in rows.items():
        text = "".join(" ".join(str(v) for v in row) + " \n" for row in x)
        (folder / f"binarized_mnist_{part}.amat").write_text(text)


def _check(source, rows):
    splits, spec = load(source)
    assert spec[:3] == ((28, 28, 1), 2, 0)
    for part, data in zip(("train", "valid", "test"), splits, strict=True):
        assert data.x.dtype == np.uint8
        assert data.labels is None
        np.testing.assert_array_equal(data.x.reshape(-1, 784), rows[part])


@pytest.mark.parametrize("packed", [True, False])
def test_load_reads_npz(tmp_path, rows, packed):
    path = tmp_path / "binarized_mnist.npz"
    np.savez(path, **{part: np.packbits(x, axis=1) if packed else x for part, x in rows.items()})
    _check(f"binarized_mnist:{path}", rows)
    _check(f"binarized_mnist:{tmp_path}", rows)


def test_load_reads_amat(tmp_path, rows):
    _write_amat(tmp_path, rows)
    _check(f"binarized_mnist:{tmp_path}", rows)


def test_load_says_what_is_missing(tmp_path, rows):
    with pytest.raises(UserError, match="does not exist"):
        load(f"binarized_mnist:{tmp_path / 'no.npz'}")
    with pytest.raises(UserError, match="binarized_mnist_train.amat cannot be read"):
        load(f"binarized_mnist:{tmp_path}")
    np.savez(tmp_path / "a.npz", train=rows["train"])
    with pytest.raises(UserError, match="has the keys train and lacks valid, test"):
        load(f"binarized_mnist:{tmp_path / 'a.npz'}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-5], "has 782 pixels in line 2, expected 784"),
        (lambda text: text.replace("\n", " 1\n", 1)[:-4], "has 785 pixels in line 1, expected 784"),
        (lambda text: text[2:].replace("\n", " 1\n1 ", 1), "has 784|has 785 pixels in line 2, expected 784"),
        (lambda text: "\n".join(map(" ".join, zip(*map(str.split, text.splitlines()), strict=True))), "2 pixels in"),
        (lambda text: text.replace(" ", ""), "numbers of several digits"),
        (lambda text: text.replace("1", "\u0661", 1), "other signs than 0 and 1"),
        (lambda text: text.replace("1", "2", 1), "other signs than 0 and 1"),
        (lambda text: text.replace("1", "-", 1), "other signs than 0 and 1"),
        (lambda text: "", "holds 0 pixels"),
    ],
)
def test_load_refuses_broken_amat(tmp_path, rows, change, message):
    _write_amat(tmp_path, rows)
    path = tmp_path / "binarized_mnist_valid.amat"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        load(f"binarized_mnist:{tmp_path}")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (np.zeros((5, 100), np.uint8), r"shape \[5, 100\], expected rows of 784 pixels or of 98"),
        (np.full((5, 784), 7, np.uint8), "other values than 0 and 1"),
        (np.zeros((5, 98), np.int32), r"shape \[5, 98\], expected rows of 784"),
    ],
)
def test_load_refuses_other_arrays(tmp_path, rows, train, message):
    np.savez(tmp_path / "a.npz", **{**rows, "train": train})
    with pytest.raises(UserError, match=message):
        load(f"binarized_mnist:{tmp_path / 'a.npz'}")


def test_load_reads_larochelles_set(real):
    splits, spec = load(f"binarized_mnist:{real / 'binarized_mnist.npz'}")
    assert spec[:3] == ((28, 28, 1), 2, 0)
    assert [len(part.x) for part in splits] == [50000, 10000, 10000]
    means = [part.x.mean() for part in splits]
    np.testing.assert_allclose(means, [0.130562, 0.131127, 0.132512], atol=1e-6)
