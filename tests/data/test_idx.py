import gzip

import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.data.idx import LABELS, read
from jaxvae.errors import UserError


def _write_set(folder, write_idx, rng, num=300, end="", dot="-"):
    x, y = rng.integers(0, 256, (num, 4, 3)), rng.integers(0, 10, num)
    write_idx(folder / f"train-images{dot}idx3-ubyte{end}", x)
    write_idx(folder / f"train-labels{dot}idx1-ubyte{end}", y)
    write_idx(folder / f"t10k-images{dot}idx3-ubyte{end}", x[:7])
    write_idx(folder / f"t10k-labels{dot}idx1-ubyte{end}", y[:7])
    return x, y


@pytest.mark.parametrize(("end", "dot"), [("", "-"), (".gz", "-"), ("", "."), (".gz", ".")])
def test_load_reads_all_spellings(tmp_path, write_idx, rng, end, dot):
    x, y = _write_set(tmp_path, write_idx, rng, end=end, dot=dot)
    splits, spec = load(f"idx:{tmp_path}")
    assert spec.shape == (4, 3, 1)
    assert spec.num_values == 256
    assert spec.num_classes == y.max() + 1
    np.testing.assert_array_equal(splits.train.x[..., 0], x[:298])  # 300 / 150 = 2 go to the validation set
    np.testing.assert_array_equal(splits.valid.x[..., 0], x[298:])
    np.testing.assert_array_equal(splits.test.x[..., 0], x[:7])
    np.testing.assert_array_equal(splits.train.labels, y[:298])
    np.testing.assert_array_equal(splits.valid.labels, y[298:])
    np.testing.assert_array_equal(splits.test.labels, y[:7])


def test_load_cuts_the_last_400_of_60000(tmp_path, write_idx, rng):
    x = rng.integers(0, 256, (60000, 2, 2))
    write_idx(tmp_path / "train-images-idx3-ubyte", x)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", x[:5])
    splits, spec = load(f"idx:{tmp_path}")
    assert len(splits.train.x) == 59600
    np.testing.assert_array_equal(splits.valid.x[..., 0], x[-400:])
    assert splits.train.labels is None
    assert spec.num_classes == 0


def test_load_says_what_is_missing(tmp_path, write_idx):
    with pytest.raises(UserError, match="is not a folder; give the folder that holds train-images"):
        load(f"idx:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match="has no train-images-idx3-ubyte"):
        load(f"idx:{tmp_path}")
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((9, 2, 2)))
    with pytest.raises(UserError, match="has no t10k-images-idx3-ubyte"):
        load(f"idx:{tmp_path}")


def test_load_refuses_a_single_image(tmp_path, write_idx):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((1, 2, 2)))
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((1, 2, 2)))
    with pytest.raises(UserError, match="1 training images, at least 2"):
        load(f"idx:{tmp_path}")


def test_load_refuses_labels_of_another_number(tmp_path, write_idx, rng):
    _write_set(tmp_path, write_idx, rng)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(299))
    with pytest.raises(UserError, match="has 300 images and .* 299 labels"):
        load(f"idx:{tmp_path}")


def test_read_refuses_another_magic_number(tmp_path, write_idx):
    write_idx(tmp_path / "f", np.zeros((3, 2, 2)))
    with pytest.raises(UserError, match="begins with the number 2051, expected 2049 for an IDX file of labels"):
        read(tmp_path / "f", LABELS)
    (tmp_path / "g").write_bytes(b"\x08\x01")
    with pytest.raises(UserError, match="expected 2049"):
        read(tmp_path / "g", LABELS)


@pytest.mark.parametrize("name", ["f", "f.gz"])
def test_read_refuses_a_truncated_file(tmp_path, write_idx, name):
    write_idx(tmp_path / name, np.zeros(10), cut=1)
    with pytest.raises(UserError, match=r"holds 17 bytes, expected 18 for its shape \[10\]"):
        read(tmp_path / name, LABELS)


def test_read_refuses_a_header_of_huge_lengths(tmp_path):
    (tmp_path / "f").write_bytes((2051).to_bytes(4, "big") + b"\xff" * 12)
    with pytest.raises(UserError, match="holds 16 bytes, expected 7922816"):
        read(tmp_path / "f", 2051)


@pytest.mark.parametrize("damage", ["cut", "flip", "block", "not gzip"])
def test_read_refuses_a_corrupt_gz(tmp_path, rng, damage):
    raw = gzip.compress((2049).to_bytes(4, "big") + (500).to_bytes(4, "big") + rng.bytes(500))
    broken = {
        "cut": raw[:-20],
        "flip": raw[:200] + bytes([raw[200] ^ 255]) + raw[201:],
        "block": raw[:10] + b"\xff" + raw[11:],  # a block of no known type
        "not gzip": b"<html>" + raw,
    }
    (tmp_path / "f.gz").write_bytes(broken[damage])
    message = "begins with the number .*, expected 2049" if damage == "not gzip" else "cannot be read .*fetch the file"
    with pytest.raises(UserError, match=message):
        read(tmp_path / "f.gz", LABELS)


def test_read_tells_gzip_by_content(tmp_path, write_idx):
    write_idx(tmp_path / "a.gz", np.arange(5))
    (tmp_path / "a.gz").rename(tmp_path / "a")
    write_idx(tmp_path / "b", np.arange(5))
    (tmp_path / "b").rename(tmp_path / "b.gz")
    for name in ("a", "b.gz"):
        np.testing.assert_array_equal(read(tmp_path / name, LABELS), np.arange(5))


def test_read_refuses_more_than_the_header_says(tmp_path):
    head = (2049).to_bytes(4, "big") + (5).to_bytes(4, "big")
    (tmp_path / "f.gz").write_bytes(gzip.compress(head + b"a" * 6))
    with pytest.raises(UserError, match=r"holds more bytes, expected 13 for its shape \[5\]"):
        read(tmp_path / "f.gz", LABELS)


def test_read_unpacks_no_bomb(tmp_path, resources):
    zeros = gzip.compress(bytes(2**26), 9) * 48  # 3 GiB in 3 MB
    for claimed in (5, 3 * 2**30, 2**32 - 1):
        head = gzip.compress((2049).to_bytes(4, "big") + claimed.to_bytes(4, "big"))
        (tmp_path / "f").write_bytes(head + zeros)
        with resources(), pytest.raises(UserError, match="holds more bytes|would unpack .* no images"):
            read(tmp_path / "f", LABELS)


def test_read_refuses_images_of_absurd_sizes(tmp_path, write_idx):
    write_idx(tmp_path / "f", np.zeros((2, 1, 9000)))
    with pytest.raises(UserError, match="f: 9000x1 pixels, expected at most 8192 on either side"):
        read(tmp_path / "f", 2051)


def test_load_reads_mnist(real):
    splits, spec = load(f"idx:{real}")
    assert spec[:3] == ((28, 28, 1), 256, 10)
    assert [len(part.x) for part in splits] == [59600, 400, 10000]
    pixels = sum(int(part.x.sum(dtype=np.int64)) for part in splits[:2])
    assert pixels / 255 / 60000 / 784 == pytest.approx(0.13066, abs=1e-5)
    assert splits.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert splits.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
