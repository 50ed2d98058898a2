"""The file of compressed images: what goes in comes out, and nothing else is taken for one."""

import zlib

import numpy as np
import pytest

from jaxvae.applications.compression.coder import Stream
from jaxvae.errors import UserError
from jaxvae.runs import compressed_file
from jaxvae.runs.byte_reader import ByteReader, CutShort, varint
from jaxvae.runs.compressed_file import CODERS, CoderFormat, Compressed, pack, read_compressed, unpack
from jaxvae.runs.version_numbers import leading_number, leading_text, version_number, version_text
from tests.runs.packed import MODEL, small

SHAPES = ((1, 1, 1), (28, 28, 1), (130, 64, 3), (8, 9, 3))


def drawn(rng, **changes):
    """A file of any counts, shapes and settings."""
    words = rng.integers(0, 2**32, rng.integers(0, 40), np.uint32)
    if len(words) and rng.random() < 0.5:
        words[-1] >>= rng.integers(0, 33, dtype=np.uint32) % 32
    num = int(rng.choice([1, 2, 127, 128, 9999]))
    coder = str(rng.choice(list(CODERS)))
    settings = {name: int(rng.choice([1, 127, 128, 2**40])) for name in CODERS[coder].settings if rng.random() < 0.8}
    fields = {
        "coder": coder,
        "stream": Stream(words, settings, int(rng.integers(0, 32 * len(words) + 1))),
        "model": MODEL,
        "shape": SHAPES[rng.integers(len(SHAPES))],
        "num_values": int(rng.choice([2, 3, 256])),
        "num_images": num,
        "checksum": int(rng.integers(2**32)) if rng.random() < 0.7 else None,
        "names": tuple(f"cats/{i}.png" for i in range(num)) if rng.random() < 0.3 else None,
        "binarized": str(rng.choice(["", "sample", "threshold"])),
    }
    return Compressed(**fields | changes)


def with_sum(contents):
    """Contents with the check sum that belongs to them."""
    return bytes(contents) + zlib.crc32(bytes(contents)).to_bytes(4, "little")


@pytest.fixture(autouse=True)
def coders(monkeypatch):
    """One coder without settings, one with two."""
    monkeypatch.setitem(CODERS, "bits back", CoderFormat(1, ()))
    monkeypatch.setitem(CODERS, "codes", CoderFormat(3, ("levels", "step")))


def test_all_fields_come_back():
    rng = np.random.default_rng(0)
    for _ in range(200):
        given = drawn(rng)
        found = unpack(pack(given)).compressed
        np.testing.assert_array_equal(found.stream.words, given.stream.words)
        assert found.stream.words.dtype == np.uint32
        assert dict(found.stream.settings) == dict(given.stream.settings)
        assert found.stream.initial_bits == given.stream.initial_bits
        assert found.model == MODEL[:8]
        assert found.constriction == "0.5"
        versions = {"model": MODEL, "constriction": "", "jaxvae": "", "stream": given.stream}
        assert found._replace(**versions) == given


def test_the_layout_is_what_the_page_says():
    data = small(stream=Stream(np.uint32([0x04030201, 0x00000605]), {}, 300), num_images=200)
    assert data[:4] == b"JVZ\x01"
    assert data[4:5] == bytes([16 * 0 + 1])
    assert data[5] == 2 * 5
    rest = data[5 + 1 :]
    jaxvae = varint(version_number(compressed_file.version("jaxvae")))
    assert rest.startswith(jaxvae)
    rest = rest[len(jaxvae) :]
    expected = b"\x00" + bytes.fromhex("01234567") + bytes([28, 28, 1, 1, 200 & 127 | 128, 1, 300 & 127 | 128, 2])
    assert rest[:-4] == expected + bytes([6, 1, 2, 3, 4, 5, 6]) + (77).to_bytes(4, "little")


def test_one_image_takes_about_thirty_bytes_beside_its_words():
    data = small()
    assert len(data) - unpack(data).words_bytes <= 30
    assert unpack(data).words_bytes == 17  # zeros of the last word are left out


def test_a_lossy_file_has_no_check_sum_of_pixels():
    data = small(checksum=None)
    assert len(data) == len(small()) - 4
    assert not unpack(data).compressed.lossless
    assert unpack(small()).compressed.lossless


def test_words_of_zeros_are_kept():
    for words in ([], [0], [5, 0], [0, 0, 0], [2**24], [1 << 8]):
        found = unpack(small(stream=Stream(np.uint32(words), {}, 0))).compressed
        assert found.stream.words.tolist() == words


def test_names_come_back_with_their_folders():
    names = ("cats/ä b.png", "dogs/1.png", "x")
    data = small(num_images=3, names=names)
    found = unpack(data)
    assert found.compressed.names == names
    assert len(data) == len(small(num_images=3)) + found.names_bytes + 1
    many = tuple(f"train/cats/{i:05}.png" for i in range(5000))
    assert unpack(small(num_images=5000, names=many)).names_bytes < 5 * 5000


def refused(data):
    with pytest.raises(UserError) as error:
        unpack(data, "a.jvz")
    text = str(error.value)
    assert text.startswith("a.jvz ")
    assert "\n" not in text
    return text


def test_what_is_no_file_is_one_sentence():
    data = small()
    assert "is no .jvz file" in refused(b"")
    assert "is no .jvz file" in refused(b"JVZ")
    assert "is no .jvz file" in refused(b"PK\x03\x04" + data)
    assert "is of format 2, this jaxvae reads 1" in refused(data[:3] + b"\x02" + data[4:])
    assert f"is not whole, it ends after {len(data) - 6} bytes" in refused(data[:-6])
    assert "is damaged, it is not what was written" in refused(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    assert "is damaged" in refused(data + b"\x00")
    assert "is damaged" in refused(with_sum(data[:-4] + b"\x00"))
    newer = bytearray(data[:-4])
    newer[4] = 2
    assert "with the coder 0 of version 2, which this jaxvae, " in refused(with_sum(newer))
    newer[4] = 16 * 7 + 1
    assert "with the coder 7 of version 1" in refused(with_sum(newer))
    assert "is damaged" in refused(bytes(newer) + data[-4:])


def test_counts_that_cannot_be_ask_for_no_memory():
    data = small(num_images=1)
    start = data.index(bytes.fromhex("01234567")) + 4
    for shape in (varint(2**40) + varint(2**40) + b"\x01", varint(2**62) + b"\x01\x01"):
        text = refused(with_sum(data[:start] + shape + data[start + 3 : -4]))
        assert "more than 500 times as many" in text
    images = start + 4
    text = refused(with_sum(data[:images] + varint(2**50) + data[images + 1 : -4]))
    assert "more than 500 times as many" in text
    assert "is not whole" in refused(with_sum(data[:images] + b"\xff" * 12 + data[images + 1 : -4]))
    assert "is damaged" in refused(with_sum(data[:images] + b"\x00" + data[images + 1 : -4]))
    bits = images + 1
    assert "is damaged" in refused(with_sum(data[:bits] + varint(10**6) + data[bits + 1 : -4]))
    words = bits + 1
    assert "is not whole" in refused(with_sum(data[:words] + varint(2**60) + data[words + 1 : -4]))


def test_names_that_unpack_to_too_much_are_refused():
    assert unpack(small(names=("a" * 4096,))).compressed.names == ("a" * 4096,)
    assert "is damaged" in refused(small(names=("a" * 10**8,)))
    assert "is damaged" in refused(small(num_images=2, names=("a",)))


def test_three_hundred_damaged_files_are_one_sentence_each():
    rng = np.random.default_rng(1)
    for number in range(300):
        data = bytearray(pack(drawn(rng, num_images=3, names=("a", "b/c.png", "d") if number % 2 else None)))
        before = bytes(data)
        place = int(rng.integers(len(data)))
        if number % 5 == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif number % 5 == 1:
            del data[place:]
        elif number % 5 == 2:
            data[place:place] = rng.integers(0, 256, rng.integers(1, 9), np.uint8).tobytes()
        elif number % 5 == 3:
            data[place:] = rng.integers(0, 256, rng.integers(0, 99), np.uint8).tobytes()
        else:  # with a check sum that belongs to it: no accident, and still no error of Python
            data[4 + place % (len(data) - 8)] = int(rng.integers(256))
            data = bytearray(with_sum(data[:-4]))
            try:
                unpack(bytes(data))
            except UserError:
                continue
            continue
        assert bytes(data) == before or refused(bytes(data))


def test_files_are_read_whole_and_foreign_ones_are_not(tmp_path):
    place = tmp_path / "a.jvz"
    place.write_bytes(small())
    assert read_compressed(place) == small()
    for other, message in ((tmp_path / "no.jvz", "does not exist or is not a file"), (tmp_path, "is not a file")):
        with pytest.raises(UserError, match=message):
            read_compressed(other)
    place.write_bytes(b"\x89PNG" * 9)
    with pytest.raises(UserError, match=r"a\.jvz is no \.jvz file: expected what `python -m jaxvae compress`"):
        read_compressed(place)


def test_whole_numbers_take_as_few_bytes_as_they_need():
    for number in (0, 1, 127, 128, 300, 2**14 - 1, 2**14, 2**62):
        written = varint(number)
        assert len(written) == max(1, -(-number.bit_length() // 7))
        assert ByteReader(written, 0, len(written)).number() == number
    for cut in (b"", b"\x80", b"\xff" * 9):
        with pytest.raises(CutShort):
            ByteReader(cut, 0, len(cut)).number()


@pytest.mark.parametrize(
    ("text", "leading"), [("0.5.0", "0.5"), ("0.12.3", "0.12"), ("1.4", "1"), ("2", "2"), ("0.5rc1", "0.5")]
)
def test_versions_are_known_by_their_leading_number(text, leading):
    assert leading_text(leading_number(text)) == leading


def test_versions_are_numbers():
    for text in ("0.2.0", "1.30.31", "12.0.1"):
        assert version_text(version_number(text)) == text
    assert version_text(version_number("0.3.dev1+g1234")) == "0.3.0"
