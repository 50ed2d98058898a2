"""Images to a file and back from the command line, with a coder that packs bits; what goes wrong is one sentence."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.applications.compression.coders import image_coder
from jaxvae.commands import decompress
from jaxvae.commands.verb_flags import DecompressFlags
from jaxvae.data.npz import read_npz
from jaxvae.runs import compressor
from jaxvae.runs.compressed_file import MAGIC, unpack
from tests.commands.kinds import SPEC
from tests.runs.packed import packed_coder

RNG = np.random.default_rng(0)
NAMES = [f"{name}/{i}.{ending}" for i, name in enumerate(SPEC.classes) for ending in ("bmp", "png")]


@pytest.fixture(autouse=True)
def packed(monkeypatch):
    """(number of values) -> from then on the coder of all models packs bits of so many; at first of theirs."""
    use = lambda num_values: monkeypatch.setattr(compressor, "image_coder", packed_coder(num_values))  # noqa: E731
    use(None)
    return use


@pytest.fixture
def grey(photos):
    """The pixels of the photos."""
    return jv.data.load_for(SPEC, photos).x


def refused(*words):
    with pytest.raises(SystemExit) as error:
        main(list(map(str, words)))
    text = str(error.value.code)
    assert text.startswith("error: ")
    assert "\n" not in text
    return text


@pytest.mark.slow
def test_a_folder_comes_back_with_its_names(model, photos, grey, tmp_path, capsys):
    file, out = str(tmp_path / "a.jvz"), tmp_path / "back"
    main(["compress", model("vae"), "--data", photos, "--out", file, "--verify"])
    text = capsys.readouterr().out
    size, names = (tmp_path / "a.jvz").stat().st_size, unpack((tmp_path / "a.jvz").read_bytes()).names_bytes
    rate = 8 * (size - names) / grey.size
    assert f"6 images in {file}: {size} bytes, {rate:.4f} bits/dim, without {names} bytes for the names" in text
    bound = 10 / np.log(2) / 64  # of the stand-in
    assert f"That is {rate - bound:.4f} bits/dim above the model's bound, {bound:.4f}." in text
    assert "Decoded, the same pixel for pixel" in text
    assert re.search(rf"\n  a\.jvz +{size - names} +{(size - names) / 6:.1f} +{rate:.4f}\n  PNG +\d+ +\d", text)
    assert "lzma of all together" in text
    main(["decompress", model("vae"), file, "--out", str(out)])
    assert "6 images in" in capsys.readouterr().out
    found = {path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.is_file()}
    assert found == {*(f"{name}.png" for name in NAMES), ".jaxvae.json"}  # no contact sheet among the images
    for name, x in zip(NAMES, grey, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(out / f"{name}.png")), x[..., 0])


@pytest.mark.slow
def test_images_come_back_in_every_form(model, photos, grey, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", images=grey)
    file = str(tmp_path / "a.jvz")
    main(["compress", model("vae"), "--data", f"npz:{tmp_path / 'x.npz'}", "--out", file])
    assert "Not checked: --verify decodes and compares." in capsys.readouterr().out
    assert unpack((tmp_path / "a.jvz").read_bytes()).compressed.names is None
    for name in ("b.npz", "b.png", "b"):
        main(["decompress", model("vae"), file, "--out", str(tmp_path / name)])
    arrays = read_npz(tmp_path / "b.npz")
    np.testing.assert_array_equal(arrays["images"], grey)
    assert set(arrays) == {"images"}
    assert sorted(path.name for path in (tmp_path / "b").glob("*.png")) == [f"{i}.png" for i in range(6)]
    assert "already: choose another place, or pass --overwrite" in refused(
        "compress", model("vae"), "--data", photos, "--out", file
    )
    before = (tmp_path / "a.jvz").read_bytes()
    main(["compress", model("vae"), "--data", photos, "--out", file, "--overwrite"])
    assert (tmp_path / "a.jvz").read_bytes() != before


@pytest.mark.slow
def test_one_image_says_what_its_first_bits_cost(model, photos, tmp_path, capsys):
    one = tmp_path / "one"
    one.mkdir()
    Image.fromarray(RNG.integers(0, 256, (8, 8), np.uint8)).save(one / "sheet.png")
    main(["compress", model("vae"), "--data", f"folder:{one}", "--out", str(tmp_path / "a.jvz"), "--verify"])
    text = capsys.readouterr().out
    assert "1 image in " in text
    assert re.search(r"64 bits to begin with, \d+% of the file, hold no image", text)
    main(["decompress", model("vae"), str(tmp_path / "a.jvz"), "--out", str(tmp_path / "back")])
    np.testing.assert_array_equal(Image.open(tmp_path / "back" / "sheet.png"), Image.open(one / "sheet.png"))


@pytest.mark.slow
def test_binary_models_refuse_greys_and_binarise_where_that_is_asked_for(model, photos, grey, packed, tmp_path, capsys):
    packed(2)
    command = ["compress", model("vae"), "--data", photos, "--out", str(tmp_path / "a.jvz")]
    assert "has grey images, vae codes black and white ones: with --binarize threshold or" in refused(*command)
    assert not (tmp_path / "a.jvz").exists()
    found = {}
    for how, seed in (("threshold", "0"), ("sample", "0"), ("sample", "1")):
        main([*command, "--binarize", how, "--seed", seed, "--verify", "--overwrite"])
        assert "these are coded, and come back" in capsys.readouterr().out
        assert unpack((tmp_path / "a.jvz").read_bytes()).compressed.binarized == how
        main(["decompress", model("vae"), str(tmp_path / "a.jvz"), "--out", str(tmp_path / "b.npz"), "--overwrite"])
        found[how, seed] = read_npz(tmp_path / "b.npz")["images"]
    np.testing.assert_array_equal(found["threshold", "0"], np.where(grey > 127, 255, 0))
    assert set(np.unique(found["sample", "0"])) == {0, 255}
    assert (found["sample", "0"] != found["sample", "1"]).mean() > 0.1
    assert found["sample", "0"][grey > 200].mean() > 0.7 * 255
    np.savez(tmp_path / "bw.npz", images=found["sample", "0"])
    main([*command[:3], f"npz:{tmp_path / 'bw.npz'}", *command[4:], "--binarize", "sample", "--overwrite"])
    assert "is black and white already: --binarize changes nothing" in capsys.readouterr().err
    assert unpack((tmp_path / "a.jvz").read_bytes()).compressed.binarized == ""


@pytest.mark.slow
def test_info_of_a_file_needs_no_model(model, photos, grey, tmp_path, capsys):
    file = tmp_path / "a.jvz"
    main(["compress", model("vae"), "--data", photos, "--out", str(file)])
    capsys.readouterr()
    other = tmp_path / "renamed"
    other.write_bytes(file.read_bytes())
    for place in (file, other):
        main(["info", str(place)])
        text = capsys.readouterr().out
        for part in (
            f"{place}: {file.stat().st_size} bytes",
            "6 images of 8x8 pixels, grey, 256 values",
            "bits back, version 1, constriction 0.5",
            f"{unpack(file.read_bytes()).compressed.checksum:08x}",
            "left/0.bmp, left/0.png, middle/1.bmp and 3 more",
        ):
            assert part in text
    main(["info", model("vae")])
    assert f"hash {unpack(file.read_bytes()).compressed.model}" in capsys.readouterr().out  # which begins as that
    assert "does not exist" in refused("info", tmp_path / "no.jvz")
    (tmp_path / "foreign.jvz").write_text("path,z0\n")
    assert "foreign.jvz is no .jvz file" in refused("info", tmp_path / "foreign.jvz")
    (tmp_path / "cut.jvz").write_bytes(file.read_bytes()[:50])
    capsys.readouterr()
    assert "cut.jvz is not whole" in refused("info", tmp_path / "cut.jvz")
    assert not capsys.readouterr().out  # no half of an answer


@pytest.mark.slow
def test_mistakes_are_one_sentence_and_leave_nothing(model, photos, tmp_path, monkeypatch):
    out = ["--out", tmp_path / "a.jvz"]
    data = ["--data", photos]
    assert "--binarize is for models of black and white images, vae is of 256 values: leave it out" in refused(
        "compress", model("vae"), *data, "--binarize", "sample", *out
    )
    assert "expected NAME.jvz" in refused("compress", model("vae"), *data, "--out", tmp_path / "a.zip")
    main(["compress", model("vae"), *data, "--out", str(tmp_path / "good.jvz")])
    back = ["--out", tmp_path / "back"]
    assert "3 channels and 256 values" in refused("decompress", model("colour"), tmp_path / "good.jvz", *back)
    assert "was written with another model" in refused("decompress", model("vqvae"), tmp_path / "good.jvz", *back)
    assert "does not exist" in refused("decompress", model("vae"), tmp_path / "no.jvz", *back)
    assert "--out is" in refused("decompress", model("vae"), tmp_path / "good.jvz", "--out", tmp_path / "a.csv")

    whole = packed_coder(None)
    monkeypatch.setattr(compressor, "image_coder", lambda *args, **options: wrong(whole(*args)))
    text = refused("compress", model("vae"), *data, *out, "--verify")
    assert "a.jvz does not decode to its images, and is not written" in text
    monkeypatch.setitem(sys.modules, "constriction", None)
    text = refused("compress", "nowhere", *data, *out)
    assert 'needs constriction, which is not installed: pip install "jaxvae[compression]"' in text
    assert text[7:] == refused("decompress", "nowhere", tmp_path / "no.jvz", *back)[7:]
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "hole.png", "good.jvz"}


def wrong(coder):
    """A coder whose images do not come back."""
    return coder._replace(decode=lambda stream, num: coder.decode(stream, num) ^ 1)


def test_three_hundred_damaged_files_leave_nothing(tmp_path, monkeypatch):
    """A model is not even loaded for them."""

    class NotLoaded(Exception):
        """The file was taken for a sound one."""

    def load_model(flags):
        raise NotLoaded

    monkeypatch.setattr(decompress, "load_model", load_model)
    spec = jv.DataSpec((8, 8, 1), 256, 0)
    trained = type(
        "Model", (), {"system": type("S", (), {"spec": spec}), "params": {}, "model_state": {}, "spec": spec}
    )
    data = compressor.compress(trained, RNG.integers(0, 256, (4, 8, 8), np.uint8))
    file, out = tmp_path / "a.jvz", tmp_path / "out"
    flags = DecompressFlags(run=tmp_path, file=file, out=out)
    file.write_bytes(data)
    with pytest.raises(NotLoaded):
        decompress.run(flags)
    for number in range(300):
        bad, place = bytearray(data), int(RNG.integers(len(data)))
        if number % 4 == 0:
            bad[place] ^= 1 << int(RNG.integers(8))
        elif number % 4 == 1:
            del bad[place:]
        elif number % 4 == 2:
            bad[place:place] = RNG.integers(0, 256, RNG.integers(1, 9), np.uint8).tobytes()
        else:
            bad = bytearray(MAGIC[: RNG.integers(4)] + RNG.integers(0, 256, RNG.integers(0, 200), np.uint8).tobytes())
        file.write_bytes(bytes(bad))
        with pytest.raises(jv.UserError) as error:
            decompress.run(flags)
        assert str(error.value).startswith(str(file))
        assert [path.name for path in tmp_path.iterdir()] == ["a.jvz"]


@pytest.mark.slow
def test_codes_come_back_nearly_and_with_what_they_leave_open_as_they_were(
    model, photos, grey, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(compressor, "image_coder", image_coder)
    found = {}
    for flags in ([], ["--lossless", "--verify"]):
        file = str(tmp_path / "a.jvz")
        main(["compress", model("code_prior"), "--data", photos, *flags, "--out", file, "--overwrite"])
        main(["info", file])
        main(["decompress", model("code_prior"), file, "--out", str(tmp_path / "b.npz"), "--overwrite"])
        text, back = capsys.readouterr().out, read_npz(tmp_path / "b.npz")["images"]
        assert ("PSNR" in text) == ("check sum" not in text) == (not flags)
        assert ("with loss" in text) == (not flags)
        found[bool(flags)] = (tmp_path / "a.jvz").stat().st_size, back
    assert found[False][0] < found[True][0]
    assert (found[False][1] != grey).any()
    np.testing.assert_array_equal(found[True][1], grey)
    words = ["compress", model("code_prior"), "--data", photos, "--rate", "1", "--out", tmp_path / "c.jvz"]
    assert "A rate is for lossy VAEs alone" in refused(*words)
