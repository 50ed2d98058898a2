"""Mistakes end with one sentence and status 1, and leave nothing half-written."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

import jaxvae as jv
from jaxvae.__main__ import main
from tests.commands.kinds import SPEC
from tests.runs.test_state import RECORD, made

pytestmark = pytest.mark.slow


def error_of(*words, code=1):
    with pytest.raises(SystemExit) as error:
        main(list(map(str, words)))
    text = str(error.value.code)
    assert text.startswith("error: ")
    assert "\n" not in text
    return text


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_what_is_no_model_is_one_sentence(model, tmp_path):
    out = tmp_path / "out.png"
    assert "expected the folder of a run" in error_of("sample", tmp_path / "nowhere", "--out", out)
    (tmp_path / "empty").mkdir()
    assert "expected the folder of a run" in error_of("info", tmp_path / "empty")
    old = made(tmp_path / "old", {"config": {}})
    assert "was written by jaxvae 0.1" in error_of("sample", old, "--out", out)
    new = made(tmp_path / "new", RECORD | {"format": 99})
    assert "is of format 99, this jaxvae reads up to" in error_of("sample", new, "--out", out)
    damaged = tmp_path / "damaged"
    shutil.copytree(model("vae"), damaged)
    contents = bytearray((damaged / "model.safetensors").read_bytes())
    contents[-5] ^= 1
    (damaged / "model.safetensors").write_bytes(contents)
    assert "is damaged, it is not what was written" in error_of("sample", damaged, "--out", out)
    (damaged / "model.safetensors").write_bytes(contents[:100])
    assert "is no whole safetensors file" in error_of("sample", damaged, "--out", out)
    assert not out.exists()


def test_images_that_do_not_fit_are_one_sentence(model, photos, tmp_path):
    folder = tmp_path / "photos"
    before = files(tmp_path)
    out = tmp_path / "out"
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(folder / "left" / "large.png")
    text = error_of("encode", model("vae"), "--data", photos, "--out", tmp_path / "a.csv")
    assert "large.png is 20x30 pixels, the model is of 8x8: pass --resize" in text
    main(["reconstruct", model("vae"), "--data", photos, "--resize", "--out", str(out)])
    assert (out / "left" / "large.png").exists()
    shutil.rmtree(out)
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(colours).save(folder / "left" / "large.png")
    text = error_of("score", model("vae"), "--data", photos, "--out", tmp_path / "a.csv")
    assert "has images in colour, the model is of grey ones" in text
    (folder / "left" / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    assert "large.png cannot be read" in error_of("reconstruct", model("vae"), "--data", photos, "--out", out)
    (folder / "left" / "large.png").unlink()
    assert "expected digits, idx:FOLDER" in error_of("encode", model("vae"), "--data", "x", "--out", tmp_path / "a.csv")
    text = error_of("interpolate", model("vae"), folder / "left" / "0.png", folder / "x.png", "--out", out)
    assert "There is no image" in text
    assert files(tmp_path) == before


def test_arguments_that_make_no_sense_are_one_sentence(model, tmp_path):
    out = tmp_path / "out"
    assert "num is 0, expected a whole number" in error_of("sample", model("vae"), "--num", "0", "--out", out)
    assert "temperature is -1" in error_of("sample", model("vae"), "--temperature", "-1", "--out", out)
    assert "seed is -1" in error_of("sample", model("vae"), "--seed", "-1", "--out", out)
    assert "expected one of" in error_of("sample", model("vae"), "--label", "cat", "--out", out)
    assert "cat" in error_of("sample", model("classes"), "--label", "cat", "--out", out)
    assert "the latents are numbered from 0 to 2" in error_of("traverse", model("vae"), "--dims", "3", "--out", out)
    assert "cannot be imported" in error_of("info", model("vae"), "--import", "no_such_module")
    assert "draws points [N, 2], no images" in error_of("sample", model("flow"), "--out", out)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused_before_the_model_is_loaded(tmp_path):
    (tmp_path / "out.png").touch()
    text = error_of("sample", tmp_path / "nowhere", "--out", tmp_path / "out.png")
    assert "already: choose another place, or pass --overwrite" in text


@pytest.mark.parametrize("name", ["out", "out.npz", "new/out.png"])
def test_a_full_disk_in_the_middle_leaves_nothing(name, model, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    monkeypatch.setattr(np, "savez_compressed", full)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    text = error_of("sample", model("vae"), "--out", tmp_path / name)
    assert (
        text
        == f"error: {tmp_path / name} cannot be written (No space left on device): make room, or choose another place."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(model, tmp_path, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("PIL.Image.Image.save", interrupted)
    assert (
        error_of("sample", model("vae"), "--out", tmp_path / "a") == "error: interrupted; nothing half-written is left."
    )
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_used_and_that_is_said(tmp_path, capsys):
    system = jv.systems.vae(SPEC, latent_dim=3, net="mlp")
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    run = tmp_path / "run"
    jv.train(system, images, steps=4, batch_size=8, eval_every=2, folder=run, progress=False)
    main(["sample", str(run), "--out", str(tmp_path / "a.npz")])
    assert "unfinished" not in capsys.readouterr().err
    config = json.loads((run / "config.json").read_text())
    config["config"]["steps"] = 9
    (run / "config.json").write_text(json.dumps(config))
    main(["sample", str(run), "--out", str(tmp_path / "b.npz")])
    found = capsys.readouterr().err
    assert f"note: {run} is unfinished, 4 of 9 steps: its best so far, of step " in found
    main(["info", str(run)])
    assert "vae, unfinished, 4 of 9 steps" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["PIL", "matplotlib"])
def test_a_missing_package_is_named_with_what_to_install(package, model, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert 'pip install "jaxvae[experiments]"' in error_of("sample", model("vae"), "--out", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    main(["sample", model("vae"), "--out", str(tmp_path / "a.npz")])  # which needs neither


def test_attributes_that_do_not_fit_are_one_sentence(model, photos, tmp_path):
    def refused(*words, data=photos):
        return error_of("attribute", model("vae"), "--data", data, *words, "--out", tmp_path / "out.png")

    def file(text):
        (tmp_path / "a.csv").write_text(text)
        return "--attributes", tmp_path / "a.csv", "--name", "old"

    names = [f"{name}/{i}.{ending}" for i, name in enumerate(SPEC.classes) for ending in ("bmp", "png")]
    table = lambda value: "\n".join(["path,old", *(f"{name},{value}" for name in names)])  # noqa: E731
    before = files(tmp_path) | {"a.csv", "flat", "flat/0.png", "flat/1.png"}
    assert "All of the 6 images have the attribute: expected some" in refused(*file(table(1)))
    assert "None of the 6 images have the attribute" in refused(*file(table(-1)))
    assert "does not name 6 of the 6 images, left/0.bmp, left/0.png" in refused(*file("path,old\n0.png,1\n"))
    assert "has no attribute old: it has young" in refused(*file("path,young\n0.png,1\n"))
    assert "expected a CSV file of attributes" in refused("--attributes", tmp_path / "nowhere.csv", "--name", "old")
    assert "There is no class old: expected one of left, middle, right" in refused("--name", "old")
    (tmp_path / "flat").mkdir()
    for i in range(2):
        Image.fromarray(np.full((8, 8), 90 * i + 50, np.uint8)).save(tmp_path / "flat" / f"{i}.png")
    assert "The images have no classes: expected --attributes" in refused("--name", "0", data=f"folder:{tmp_path}/flat")
    assert "num is 0, expected a whole number" in refused("--name", "left", "--num", "0")
    assert "expected finite numbers" in refused("--name", "left", "--strengths", "nan")
    assert files(tmp_path) == before
