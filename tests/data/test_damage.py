"""Files of every kind, damaged in every way: their data, or one sentence."""

import gzip
import resource
import time

import numpy as np
import pytest
from PIL import Image

from jaxvae.data import load
from jaxvae.errors import UserError

SECONDS, GIGABYTES = 10, 1
NUM = 12  # images
IMAGES = ["png", "16.png", "p.png", "jpg", "p.jpg", "tif", "lzw.tif", "webp", "bmp", "gif", "pgm", "ppm", "pbm"]
WITH_SUMS = {"png", "16.png", "p.png", "plain.npz", "zip.npz", "bits.npz", "idx.gz"}  # damage of which is always found


def _images(rng):
    x = rng.integers(0, 256, (NUM, 9, 9)).astype(np.uint8)
    x[:, :3] = 255  # something to be packed
    return x


def _write_image(path, kind, x):
    if kind == "16.png":
        image = Image.fromarray(x.astype(np.uint16) * 257)
    elif kind == "p.png":
        image = Image.fromarray(x).convert("P")
    elif kind == "pbm":
        image = Image.fromarray(x > 127)
    elif kind == "ppm":
        image = Image.fromarray(np.stack([x] * 3, axis=-1))
    else:
        image = Image.fromarray(x)
    options = {
        "p.jpg": {"progressive": True},
        "lzw.tif": {"compression": "tiff_lzw"},
        "webp": {"lossless": True},
        "png": {"exif": _exif()},
        "jpg": {"exif": _exif()},
    }
    image.save(path, **options.get(kind, {}))


def _exif():
    exif = Image.Exif()
    exif[0x010E] = "a long description of the image " * 4
    return exif


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """By kind: the source, the file of it that is damaged, and the file's sound bytes."""
    root, rng, found = tmp_path_factory.mktemp("sets"), np.random.default_rng(0), {}
    x = _images(rng)
    for kind in IMAGES:
        folder = root / kind
        folder.mkdir()
        for i, image in enumerate(x):
            _write_image(folder / f"{i:02}.{kind}", kind, image)
        found[kind] = (f"folder:{folder}", folder / f"07.{kind}")
    for kind, save in (("plain.npz", np.savez), ("zip.npz", np.savez_compressed)):
        save(root / kind, x_train=x, y_train=np.arange(NUM) % 3)
        found[kind] = (f"npz:{root / kind}", root / kind)
    _write_idx(root / "idx.gz", x, ".gz")
    _write_idx(root / "idx", x, "")
    found["idx.gz"] = (f"idx:{root / 'idx.gz'}", root / "idx.gz" / "train-images-idx3-ubyte.gz")
    found["idx"] = (f"idx:{root / 'idx'}", root / "idx" / "train-images-idx3-ubyte")
    found["labels"] = (f"idx:{root / 'idx'}", root / "idx" / "train-labels-idx1-ubyte")
    bits = {part: rng.integers(0, 2, (3, 784)).astype(np.uint8) for part in ("train", "valid", "test")}
    (root / "amat").mkdir()
    for part, rows in bits.items():
        np.savetxt(root / "amat" / f"binarized_mnist_{part}.amat", rows, "%d")
    found["amat"] = (f"binarized_mnist:{root / 'amat'}", root / "amat" / "binarized_mnist_valid.amat")
    np.savez(root / "bits.npz", **bits)
    found["bits.npz"] = (f"binarized_mnist:{root / 'bits.npz'}", root / "bits.npz")
    return {kind: (source, path, path.read_bytes()) for kind, (source, path) in found.items()}


def _write_idx(folder, x, end):
    folder.mkdir()
    for name, array in (
        ("train-images-idx3", x),
        ("train-labels-idx1", np.arange(NUM) % 3),
        ("t10k-images-idx3", x[:3]),
        ("t10k-labels-idx1", np.arange(3)),
    ):
        head = (2048 + array.ndim).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in array.shape)
        raw = head + array.astype(np.uint8).tobytes()
        (folder / f"{name}-ubyte{end}").write_bytes(gzip.compress(raw) if end else raw)


def damaged(raw, rng):
    """Some bytes that were once a sound file, and whether it is only cut short."""
    kind = rng.choice(
        ["cut", "cut", "bit", "bit", "byte", "block", "zeros", "ones", "drop", "insert", "swap", "garbage"]
    )
    raw, at = bytearray(raw), int(rng.integers(len(raw)))
    size = int(rng.integers(1, 1 + len(raw) // 4))
    if kind == "cut":
        del raw[at:]
    elif kind == "bit":
        raw[at] ^= 1 << int(rng.integers(8))
    elif kind == "byte":
        raw[at] = int(rng.integers(256))
    elif kind == "block":
        raw[at : at + size] = rng.bytes(size)
    elif kind == "zeros":
        raw[at : at + size] = bytes(size)
    elif kind == "ones":
        raw[at : at + min(size, 8)] = b"\xff" * min(size, 8)  # huge lengths
    elif kind == "drop":
        del raw[at : at + size]
    elif kind == "insert":
        raw[at:at] = rng.bytes(size)
    elif kind == "swap":
        raw[:16] = raw[at : at + 16]
    else:
        raw[:] = rng.bytes(len(raw))
    return bytes(raw), kind == "cut"


def _is_same(found, expected):
    return all(
        one.x.shape == other.x.shape
        and (one.x == other.x).all()
        and (one.labels is None) == (other.labels is None)
        and (one.labels is None or (one.labels == other.labels).all())
        for one, other in zip(found, expected, strict=True)
    )


def _check_damage(sets, kind, num, seed):
    """Load damaged files, and return how many are refused."""
    source, path, sound = sets[kind]
    rng, expected, refused = np.random.default_rng(seed), load(source)[0], 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(num):
        raw, is_cut = damaged(sound, rng)
        path.write_bytes(raw)
        start = time.monotonic()
        try:
            splits, spec = load(source)
        except UserError as error:  # and nothing else
            refused += "\n" not in str(error) or pytest.fail(f"{kind} {i}: {error}")
        else:
            assert splits.train.x.shape[1:] == spec.shape
            if kind in WITH_SUMS or (kind in IMAGES and is_cut):
                assert _is_same(splits, expected), (kind, i, is_cut)
        finally:
            path.write_bytes(sound)
        assert time.monotonic() - start < SECONDS, (kind, i)
    assert _is_same(load(source)[0], expected)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6 < GIGABYTES
    return refused


KINDS = [*IMAGES, "plain.npz", "zip.npz", "bits.npz", "idx.gz", "idx", "labels", "amat"]


@pytest.mark.parametrize("kind", KINDS)
def test_some_damaged_files_are_refused_or_read_right(sets, kind):
    assert _check_damage(sets, kind, 6, 1) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_refused_or_read_right(sets, kind):
    assert _check_damage(sets, kind, 60, 2) > 15
