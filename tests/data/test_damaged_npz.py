"""Any failure to read a `.npz` file is one sentence, and nothing is allocated that the file does not have."""

import io
import struct
import zipfile

import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError

X = np.random.default_rng(0).integers(0, 256, (20, 6, 5)).astype(np.uint8)


def _npy(header, data=b"", version=(1, 0)):
    text = header.encode("latin1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes(version) + size + text + b"\n" + data


def _header(shape="(20, 6, 5)", descr="'|u1'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def _write(path, member, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("x_train.npy", member)
    return f"npz:{path}"


HEADERS = {
    "a trillion elements": _header("(1000000000000, 28, 28)"),
    "more than there are": _header("(21, 6, 5)"),
    "less than there are": _header("(19, 6, 5)"),
    "more than any file": _header(f"({10**30}, 28, 28)"),
    "negative": _header("(-20, 6, 5)"),
    "two negative": _header("(-20, -6, 5)"),
    "elements of no size": _header("(1000000000000,)", "'|V0'"),
    "strings of no size": _header("(1000000000000,)", "'<U0'"),
    "true": _header("(True, 6, 5)"),
    "floats": _header("(20.0, 6, 5)"),
    "no tuple": _header("600"),
    "a string": _header("'abc'"),
    "no shape": "{'descr': '|u1', 'fortran_order': False}",
    "more keys": "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 6, 5), 'x': 1}",
    "no type": _header(descr="'nonsense'"),
    "type of numbers": _header(descr="7"),
    "type of a list": _header(descr="[1, 2]"),
    "type of nothing": _header(descr="None"),
    "type of a field": _header(descr="[('a', '|u1', (10**9,))]"),
    "records": _header("(300,)", "[('a', '|u1'), ('b', '|u1')]"),
    "objects": _header(descr="'|O'"),
    "order": _header(order="'x'"),
    "keys of a list": "{[1]: 2}",
    "no dictionary": "[1, 2, 3]",
    "no end": "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 6, 5",
    "no text": "\x00\xff\xfe",
    "open string": "{'descr': '|u1",
    "brackets": "(" * 9000,
    "minus signs": "-" * 9000 + "1",
    "long": " " * 20_000 + _header(),
    "code": "__import__('os').abort()",
    "python 2": "{'descr': '|u1', 'fortran_order': False, 'shape': (20L, 6L, 5L), 'a': 3 @}",
    "indented": "  if x:\n      y\n   z",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_headers_are_one_sentence(tmp_path, header, compression, resources):
    source = _write(tmp_path / "set.npz", _npy(header, X.tobytes()), compression)
    with resources(), pytest.raises(UserError) as error:
        load(source)
    assert "set.npz" in str(error.value)
    assert "\n" not in str(error.value)


def test_sound_headers_are_read(tmp_path):
    for member in (_npy(_header(), X.tobytes()), _npy(_header(), X.tobytes(), (2, 0))):
        splits, _ = load(_write(tmp_path / "set.npz", member))
        assert {x.tobytes() for part in splits for x in part.x} == {x.tobytes() for x in X}


@pytest.mark.parametrize("version", [(0, 0), (1, 1), (3, 0), (255, 255)])
def test_unknown_versions_are_refused(tmp_path, version):
    with pytest.raises(UserError, match=r"set.npz.*(is of version \(|we only support format version)"):
        load(_write(tmp_path / "set.npz", _npy(_header(), X.tobytes(), version)))


def _changed(path, local, central, value, width=2):
    """The same file with a field of both headers of its first member changed."""
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = raw.index(signature) + offset
        raw[at : at + width] = value.to_bytes(width, "little")
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("local", "central", "value", "width"),
    [
        (6, 8, 1, 2),  # encrypted
        (6, 8, 1 << 6, 2),  # strongly encrypted
        (6, 8, 1 << 5, 2),  # patched data
        (8, 10, 99, 2),  # unknown compression
        (8, 10, 6, 2),  # imploded
        (8, 10, 14, 2),  # LZMA, which it is not
        (8, 10, 12, 2),  # bzip2, which it is not
        (8, 10, 8, 2),  # deflated, which it is not
        (4, 6, 200, 2),  # version needed
        (14, 16, 7, 4),  # check sum
        (18, 20, 7, 4),  # packed size
        (22, 24, 7, 4),  # size
        (22, 24, 2**32 - 2, 4),
        (26, 28, 60_000, 2),  # length of the name
        (28, 30, 60_000, 2),  # length of extra fields
    ],
)
def test_damaged_zip_headers_are_one_sentence(tmp_path, local, central, value, width, resources):
    source = _write(tmp_path / "set.npz", _npy(_header(), X.tobytes()))
    _changed(tmp_path / "set.npz", local, central, value, width)
    with resources(), pytest.raises(UserError) as error:
        load(source)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["name", "comment"])
def test_arrays_that_a_damaged_list_leaves_out_are_missed(tmp_path, damage):
    np.savez(tmp_path / "set.npz", x_train=X, y_train=np.arange(20))
    raw = bytearray((tmp_path / "set.npz").read_bytes())
    first = raw.index(b"PK\x01\x02")
    if damage == "name":
        at = raw.index(b"y_train.npy", first)
        raw[at : at + 1] = b"z"
    else:  # of the first array, as long as what is said of the second
        size = raw.index(b"PK\x05\x06") - raw.index(b"PK\x01\x02", first + 1)
        raw[first + 32 : first + 34] = size.to_bytes(2, "little")
    (tmp_path / "set.npz").write_bytes(raw)
    with pytest.raises(UserError, match="set.npz cannot be read"):
        load(f"npz:{tmp_path / 'set.npz'}")


@pytest.mark.slow
def test_bombs_are_refused(tmp_path, resources):
    with (
        zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("x_train.npy", "w", force_zip64=True) as one,
    ):
        one.write(_npy(_header(f"({3 * 2**10}, 512, 512)")))
        for _ in range(3 * 2**4):
            one.write(bytes(2**24))
    assert (tmp_path / "set.npz").stat().st_size < 2**20
    with (
        resources(),
        pytest.raises(UserError, match="would unpack .* more than 500 times as many: these are no images"),
    ):
        load(f"npz:{tmp_path / 'set.npz'}")


def test_an_array_that_is_not_read_may_be_damaged(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, X)
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as file:
        file.writestr("x_train.npy", buffer.getvalue())
        file.writestr("notes.npy", b"nonsense")
    splits, _ = load(f"npz:{tmp_path / 'set.npz'}")
    assert len(splits.train.x) == 16
