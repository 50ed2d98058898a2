"""The README's pictures: made by a command, small, and all there."""

import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from benchmarks import pictures


def test_all_pictures_are_there_and_small(request):
    folder = request.config.rootpath / "docs" / "images"
    names = {f"{picture.name}.png" for picture in pictures.PICTURES}
    assert {path.name for path in folder.iterdir()} == names
    assert all((folder / name).stat().st_size <= pictures.LARGEST for name in names)
    shown = re.findall(r'src="docs/images/([^"]+)"', (request.config.rootpath / "README.md").read_text())
    assert set(shown) == names


@pytest.fixture
def trained(monkeypatch):
    """The commands that were started; each leaves the figures of its run."""
    started = []

    def run(words, **options):
        started.append(words)
        assert options["check"]
        folder = pictures.Path(words[words.index("--out") + 1]) / words[2].removeprefix("experiments.") / pictures.NAME
        (folder / "figures").mkdir(parents=True)
        noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
        noise[:10] = noise[-10:] = 255
        for picture in pictures.PICTURES:
            Image.fromarray(noise).save(folder / "figures" / picture.figure)
        (folder / "summary.json").write_text("{}")

    monkeypatch.setattr(subprocess, "run", run)
    return started


def test_what_is_trained_is_not_trained_again(tmp_path, trained, capsys):
    arguments = ["--runs", str(tmp_path / "runs"), "--images", str(tmp_path / "images"), "--quick"]
    assert pictures.main(arguments) == 0
    assert len(trained) == 4  # two pictures are of one run
    assert all("--quick" in words for words in trained)
    assert pictures.main(arguments) == 0
    assert len(trained) == 4
    assert capsys.readouterr().out.count("is written") == 10
    with Image.open(tmp_path / "images" / "flow.png") as image:
        assert image.size == (120, 60)  # without its white border


def test_a_large_picture_is_refused(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(pictures, "LARGEST", 100)
    with pytest.raises(RuntimeError, match="expected at most 100"):
        pictures.draw(pictures.PICTURES[0], tmp_path / "runs", tmp_path / "images")
