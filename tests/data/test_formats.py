"""Files are told by what they contain: images of seven formats are read, all else is named or refused."""

import os
import shutil
import socket
import struct

import numpy as np
import pytest
from PIL import Image

from jaxvae.data import decode, folder, load, survey
from jaxvae.data.limits import machine_memory
from jaxvae.errors import UserError

LOSSLESS = {"png": "PNG", "tif": "TIFF", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "pgm": "PPM"}
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print\n"


def _save(path, x, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x).save(path, **({"lossless": True} if path.suffix == ".webp" else {}), **options)


def _by_name(splits):
    return {name: x for part in splits for name, x in zip(part.names, part.x, strict=True)}


@pytest.mark.parametrize("renamed", [None, ".png", ".dat", ""])
def test_all_formats_of_one_folder_are_read(tmp_path, rng, renamed):
    x = rng.integers(0, 256, (60, 6, 5)).astype(np.uint8)
    for i, image in enumerate(x):
        path = tmp_path / f"{i:02}.{list(LOSSLESS)[i % len(LOSSLESS)]}"
        _save(path, image)
        if renamed is not None:
            path.rename(path.with_suffix(renamed))
    splits, spec = load(f"folder:{tmp_path}")
    assert spec[:3] == ((6, 5, 1), 256, 0)
    found = _by_name(splits)
    np.testing.assert_array_equal(np.stack([found[name][..., 0] for name in sorted(found)]), x)


def test_jpeg_files_are_read_by_any_name(tmp_path):
    for i, name in enumerate(("a.jpg", "b.JPEG", "c.jfif", "d")):
        Image.fromarray(np.full((8, 8), 60 * i, np.uint8)).save(tmp_path / name, "JPEG")
    found = _by_name(load(f"folder:{tmp_path}")[0])
    assert [int(found[name].mean()) for name in sorted(found)] == [0, 60, 120, 180]


def test_other_files_are_named_and_counted(tmp_path, grey, capsys):
    for i, x in enumerate(grey):
        _save(tmp_path / "set" / f"{i:02}.png", x)
    for name in ("a.heic", "b.svg", "labels.csv", "readme.txt", "z.eps"):
        (tmp_path / "set" / name).write_bytes(EPS)
    (tmp_path / "set" / ".hidden").write_text("")
    splits, _ = load(f"folder:{tmp_path / 'set'}")
    assert sum(len(part.x) for part in splits) == 20
    read = "PNG, JPEG, TIFF, WebP, BMP, GIF and PNM"
    said = f"note: 5 files are none of {read}, and left out: a.heic, b.svg, labels.csv and 2 more.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("content", [EPS, b"", b"<html>not found</html>", b"%PDF-1.7", b"\x00\x00\x00\x1cftypavif"])
def test_what_is_named_as_an_image_and_is_none_is_refused(tmp_path, grey, content, monkeypatch):
    for i, x in enumerate(grey):
        _save(tmp_path / f"{i:02}.png", x)
    (tmp_path / "07.png").write_bytes(content)
    monkeypatch.setattr("subprocess.check_call", lambda *args, **kwargs: pytest.fail("Ghostscript is called"))
    with pytest.raises(UserError, match="07.png has the name of an image and is none of PNG"):
        load(f"folder:{tmp_path}")


def test_no_other_decoder_is_tried(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(EPS)
    monkeypatch.setattr(decode, "image_format", lambda path: "PNG")
    with pytest.raises(UserError, match="a.png cannot be read as an image .cannot identify image file"):
        decode.pixels(tmp_path / "a.png")


def test_first_of_several_frames_is_read_and_the_others_are_counted(tmp_path, capsys):
    for i, suffix in enumerate(("gif", "tif", "png", "webp")):
        frames = [Image.fromarray(np.tile(np.array([[v, 255]], np.uint8), (3, 2))) for v in (10 * i, 200, 100)]
        options = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(tmp_path / f"{i}.{suffix}", save_all=True, append_images=frames[1:], **options)
    _save(tmp_path / "4.png", np.full((3, 4), 255, np.uint8))
    found = _by_name(load(f"folder:{tmp_path}")[0])
    assert [int(found[name][0, 0, 0]) for name in sorted(found)][:4] == [0, 10, 20, 30]
    assert "note: 4 files have several frames or pages, of which the first is read and 8 others are not: " in (
        capsys.readouterr().err
    )


def test_larger_images_without_a_size_are_stated(tmp_path, rng, capsys):
    for i in range(5):
        _save(tmp_path / f"{i}.png", rng.integers(0, 256, (90, 80)).astype(np.uint8))
    assert load(f"folder:{tmp_path}")[1].shape == (28, 28, 1)
    assert "note: the images are 80x90 pixels, more than 64, and are resized to 28x28: --image-size N" in (
        capsys.readouterr().err
    )
    assert load(f"folder:{tmp_path}", image_size=28)[1].shape == (28, 28, 1)
    assert capsys.readouterr().err == ""


# ---------- what is too large, or no file


@pytest.mark.parametrize("size", [(13_000, 13_000), (1, 60_000), (60_000, 1), (2**31 - 1, 2**31 - 1), (8193, 2)])
@pytest.mark.parametrize("image_size", [None, 28])
def test_huge_images_are_refused_before_they_are_decoded(tmp_path, write_png, size, image_size, resources):
    for i in range(20):
        _save(tmp_path / f"{i:02}.png", np.eye(8, dtype=np.uint8))
    write_png(tmp_path / "07.png", np.zeros((2, 2, 1), np.uint8), size=size)
    with resources(), pytest.raises(UserError, match="07.png: (.*x.*|too many) pixels, expected at most 8192 on"):
        load(f"folder:{tmp_path}", image_size=image_size)


BOMBS = {  # where each format has its size, and how it is written
    "gif": ("GIF", b"GIF8", 6, "<HH"),
    "bmp": ("BMP", b"BM", 18, "<ii"),
    "jpg": ("JPEG", b"\xff\xc0", 5, ">HH"),
    "pgm": ("PPM", b"P5", 3, None),
}


@pytest.mark.parametrize("suffix", BOMBS)
@pytest.mark.parametrize("side", [9000, 30_000])
def test_huge_images_of_all_formats_are_refused(tmp_path, suffix, side, resources):
    kind, mark, offset, layout = BOMBS[suffix]
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.zeros((4, 4), np.uint8)).convert("L").save(path, kind)
    raw = bytearray(path.read_bytes())
    at = raw.index(mark) + offset
    raw[at : at + (3 if layout is None else struct.calcsize(layout))] = (
        f"{side} {side}".encode() if layout is None else struct.pack(layout, side, side)
    )
    path.write_bytes(raw)
    with resources(), pytest.raises(UserError, match=f"a.{suffix}: (.*x.*|too many) pixels, expected at most 8192 on"):
        load(f"folder:{tmp_path}")


@pytest.mark.slow
def test_large_images_are_read_in_bounds(tmp_path, resources):
    x = np.zeros((8192, 8192, 3), np.uint8)
    x[::7, ::5, 0] = np.arange(8192 // 5 + 1) % 256
    _save(tmp_path / "a.png", x, compress_level=1)
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "c.png")
    with resources(60, 900):
        splits, _ = load(f"folder:{tmp_path}")
    expected = x.reshape(-1, 8192, 8192, 3).mean()
    assert abs(splits.train.x.mean() - expected) < 1


@pytest.mark.parametrize("image_size", [0, -1, 4097, 20_000, 10**30, 28.5, True, "28"])
def test_absurd_sizes_are_refused(tmp_path, grey, image_size, resources):
    _save(tmp_path / "a.png", grey[0])
    for source in (f"folder:{tmp_path}", grey, "digits"):
        with resources(), pytest.raises(UserError, match="The image size is .*, expected"):
            load(source, image_size=image_size)


def test_a_set_that_does_not_fit_into_memory_is_refused(tmp_path, grey, save_npz, monkeypatch):
    for i, x in enumerate(grey):
        _save(tmp_path / "set" / f"{i:02}.png", x)
    monkeypatch.setattr("jaxvae.data.limits.machine_memory", lambda: 100_000)
    monkeypatch.setattr(survey, "pixels", lambda path: pytest.fail("it is decoded"))
    message = "would take 0.0 GB in memory, expected at most 0.0 GB, half of this machine's: take fewer images"
    with pytest.raises(UserError, match=f"20 images {message}"):
        load(f"folder:{tmp_path / 'set'}", image_size=64)
    with pytest.raises(UserError, match=message):
        load(save_npz(images=np.repeat(grey, 100, 0)))
    with pytest.raises(UserError, match=message):
        load(grey, image_size=64)
    assert machine_memory() > 2**28


def test_pipes_sockets_and_devices_are_refused(tmp_path, grey, resources):
    _save(tmp_path / "a.png", grey[0])
    os.mkfifo(tmp_path / "b.png")
    with resources(), pytest.raises(UserError, match="b.png is a pipe, a socket or a device, expected a file"):
        load(f"folder:{tmp_path}")
    with resources(), pytest.raises(UserError, match="b.png is a pipe, a socket or a device, expected a file"):
        decode.pixels(tmp_path / "b.png")
    for kind in ("folder", "npz", "idx", "binarized_mnist"):
        with resources(), pytest.raises(UserError, match="is not a folder|is not a file|no such file"):
            load(f"{kind}:{tmp_path / 'b.png'}")
    os.remove(tmp_path / "b.png")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "c.png"))
        with resources(), pytest.raises(UserError, match="c.png is a pipe, a socket or a device"):
            load(f"folder:{tmp_path}")
    os.remove(tmp_path / "c.png")
    (tmp_path / "d.png").symlink_to("/dev/zero")
    with resources(), pytest.raises(UserError, match="d.png is a pipe, a socket or a device"):
        load(f"folder:{tmp_path}")
    for name in ("train-images-idx3-ubyte", "binarized_mnist_train.amat", "binarized_mnist.npz"):
        os.mkfifo(tmp_path / name)
    for kind in ("idx", "binarized_mnist"):
        with resources(), pytest.raises(UserError):
            load(f"{kind}:{tmp_path}")


# ---------- damage


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("cut", [1, 2, 10, 100, 0.5, 0.9])
def test_truncated_jpeg_files_are_refused(tmp_path, grey, rng, options, cut):
    for i, x in enumerate(grey):
        _save(tmp_path / f"{i:02}.jpg", np.kron(x, np.ones((5, 5), np.uint8)), **options)
    raw = (tmp_path / "07.jpg").read_bytes()
    (tmp_path / "07.jpg").write_bytes(raw[: len(raw) - (cut if cut >= 1 else int(cut * len(raw)))])
    with pytest.raises(UserError, match="07.jpg cannot be read as an image .*[Tt]runcated"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize("at", range(0, 100, 9))
def test_damaged_png_files_are_refused(tmp_path, grey, at):
    for i, x in enumerate(grey):
        _save(tmp_path / f"{i:02}.png", np.kron(x, np.ones((5, 5), np.uint8)))
    raw = bytearray((tmp_path / "07.png").read_bytes())
    raw[41 + at * (len(raw) - 60) // 100] ^= 4
    (tmp_path / "07.png").write_bytes(raw)
    with pytest.raises(UserError, match="07.png cannot be read as an image"):
        load(f"folder:{tmp_path}")


def test_tiff_files_of_damaged_tags_are_refused(tmp_path, grey):
    for i, x in enumerate(grey):
        _save(tmp_path / f"{i:02}.tif", x, description="a long description of the image " * 4)
    raw = bytearray((tmp_path / "07.tif").read_bytes())
    at = raw.index(struct.pack("<HH", 0x010E, 2)) + 4
    raw[at : at + 4] = struct.pack("<I", 2**28)
    (tmp_path / "07.tif").write_bytes(raw)
    with pytest.raises(UserError, match="07.tif cannot be read as an image .Tag data larger than file"):
        load(f"folder:{tmp_path}")


def test_damaged_notes_of_a_camera_are_stated(tmp_path, grey, capsys):
    for i, x in enumerate(grey):
        exif = Image.Exif()
        exif[0x010E] = "a long description of the image " * 4
        _save(tmp_path / f"{i:02}.jpg", x, exif=exif)
    raw = (tmp_path / "07.jpg").read_bytes()
    at = raw.index(b"Exif") + 6 + 8 + 2 + 4
    (tmp_path / "07.jpg").write_bytes(raw[:at] + b"\0\0\xff\xff" + raw[at + 4 :])
    load(f"folder:{tmp_path}")
    assert "the camera's notes are damaged, so that images may lie on their side: " in (said := capsys.readouterr().err)
    assert "07.jpg." in said


def test_folder_reads_no_more_than_it_must(tmp_path, grey, monkeypatch):
    for i, x in enumerate(grey):
        _save(tmp_path / f"{i:02}.png", x)
    looked = []
    monkeypatch.setattr(survey, "pixels", lambda path, read=survey.pixels: looked.append(path) or read(path))
    folder.load(tmp_path)
    assert len(looked) == 21  # the first, whose values are too many for masks, and all once more
