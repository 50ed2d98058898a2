"""Codes on disk: whole, resumed, and what is said of damaged ones."""

import json

import numpy as np
import pytest

from jaxvae.data import encode_dataset, load_codes, split_grids
from jaxvae.errors import UserError
from jaxvae.types import Dataset

SHAPES, NUM_CODES = ((2, 2), (3, 2, 2)), (7, 300)
IMAGES = np.arange(11 * 4, dtype=np.int64).reshape(11, 2, 2, 1)


def grids(start, batch):
    """Codes that tell the image and the place."""
    top = batch.x[..., 0] % 7
    bottom = (batch.x.reshape(-1, 4)[:, :1] * 12 + np.arange(12)).reshape(-1, 3, 2, 2) % 300
    return top, bottom


def write(folder, encode=grids, labels=None, dataset=None, **changes):
    options = {"shapes": SHAPES, "num_codes": NUM_CODES, "codec": "abc", "batch_size": 4} | changes
    return encode_dataset(folder, dataset or Dataset(IMAGES, labels), encode, **options)


def assert_whole(written):
    class Batch:
        x = IMAGES

    top, bottom = split_grids(written.dataset.x, written.shapes)
    for found, expected in zip((top, bottom), grids(0, Batch), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_codes_of_all_images_are_written_and_read(tmp_path):
    seen = []
    written = write(tmp_path / "codes", labels=np.arange(11) % 3, progress=seen.append)
    assert seen == [4, 4, 3]
    assert written.dataset.x.dtype == np.uint16
    assert isinstance(written.dataset.x, np.memmap)
    assert (written.shapes, written.num_codes, written.codec) == (SHAPES, NUM_CODES, "abc")
    np.testing.assert_array_equal(written.dataset.labels, np.arange(11) % 3)
    assert_whole(written)
    assert_whole(load_codes(tmp_path / "codes"))
    assert write(tmp_path / "many", num_codes=(7, 2**17)).dataset.x.dtype == np.int32


def test_a_writer_that_was_stopped_goes_on(tmp_path):
    starts = []

    def stopped(start, batch):
        if start == 8:
            raise KeyboardInterrupt
        return grids(start, batch)

    def counted(start, batch):
        starts.append(start)
        return grids(start, batch)

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, stopped)
    with pytest.raises(UserError, match="has codes of 8 of 11 images: encode the rest first"):
        load_codes(tmp_path)
    assert_whole(write(tmp_path, counted))
    assert starts == [8]
    assert_whole(write(tmp_path, counted))
    assert starts == [8]


@pytest.mark.parametrize("size", [3, 5])
def test_a_writer_with_other_batches_leaves_no_hole(tmp_path, size):
    def stopped(start, batch):
        if start == 8:
            raise KeyboardInterrupt
        return grids(start, batch)

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, stopped)
    assert_whole(write(tmp_path, batch_size=size))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codec": "xyz"}, "has codes of the codec abc, now it is xyz: choose another --name"),
        ({"num_codes": (7, 512)}, r"has codes of codebooks of \[7, 300\], now it is \[7, 512\]"),
        ({"dataset": Dataset(IMAGES[:5], None)}, "has codes of images numbering 11, now it is 5"),
    ],
)
def test_codes_of_something_else_are_left_alone(tmp_path, changes, message):
    write(tmp_path)
    with pytest.raises(UserError, match=message):
        write(tmp_path, **changes)
    assert_whole(load_codes(tmp_path))


def test_damaged_codes_are_named(tmp_path):
    with pytest.raises(UserError, match="There are no codes in"):
        load_codes(tmp_path)
    write(tmp_path)
    whole = (tmp_path / "codes.npy").read_bytes()
    (tmp_path / "codes.npy").write_bytes(whole[:-10])
    for use in (load_codes, write):
        with pytest.raises(UserError, match=r"damaged.*: delete .* to encode anew"):
            use(tmp_path)
    meta = json.loads((tmp_path / "codes.json").read_text())
    (tmp_path / "codes.json").write_text(json.dumps({**meta, "done": 4}))
    with pytest.raises(UserError, match="damaged"):
        write(tmp_path)
    (tmp_path / "codes.json").write_text("{")
    with pytest.raises(UserError, match="codes.json is damaged"):
        load_codes(tmp_path)


def test_codes_of_other_images_are_refused(tmp_path):
    """As many of the same shape: nothing else tells them apart."""
    write(tmp_path)
    with pytest.raises(UserError, match="has codes of other images, as many of the same shape"):
        write(tmp_path, dataset=Dataset(IMAGES[::-1], None))
    meta = json.loads((tmp_path / "codes.json").read_text())
    (tmp_path / "codes.json").write_text(json.dumps({k: v for k, v in meta.items() if k not in ("images", "sha256")}))
    assert_whole(write(tmp_path))  # of a version that wrote no hashes


@pytest.mark.parametrize("name", ["codes.npy", "labels.npy"])
def test_a_changed_byte_is_noticed(name, tmp_path):
    write(tmp_path, labels=np.arange(11) % 3)
    path = tmp_path / name
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UserError, match="delete"):
            load_codes(tmp_path)


@pytest.mark.parametrize("contents", [b"", b"[1]", b"3", b"\xff\xfe", b'{"num": "a"}', b"[" * 100_000])
def test_a_damaged_record_is_one_sentence(contents, tmp_path):
    write(tmp_path)
    (tmp_path / "codes.json").write_bytes(contents)
    with pytest.raises(UserError, match="codes.json is damaged"):
        load_codes(tmp_path)


def test_a_full_disk_is_one_sentence_before_anything_is_encoded(tmp_path, monkeypatch):
    """Writing to the memory of a file that has no room ends the process by a signal."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxvae.data.codes.os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\): make room"):
        write(tmp_path)
