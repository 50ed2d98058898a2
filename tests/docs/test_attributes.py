"""The lines of the guide on a folder of discs, of which some are large."""

import shlex

import numpy as np
import pytest
from PIL import Image

from jaxvae.__main__ import main
from tests.docs.test_commands import commands

STEPS = "30"  # in place of those of the page


@pytest.fixture
def place(tmp_path):
    rng, lines = np.random.default_rng(0), ["path,smiling,glasses"]
    rows, columns = np.mgrid[:28, :28]
    (tmp_path / "faces").mkdir()
    for number in range(60):
        large = number % 3 == 0
        centre, radius = rng.uniform(11, 17, 2), rng.uniform(8, 10) if large else rng.uniform(3, 5)
        disc = 1 / (1 + np.exp((np.hypot(rows - centre[0], columns - centre[1]) - radius) / 0.5))
        Image.fromarray((disc * 255).astype(np.uint8)).save(tmp_path / "faces" / f"{number:03}.png")
        lines.append(f"{number:03}.png,{int(large)},0")
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.slow
def test_the_lines_of_the_guide_run_as_they_stand(place, request, monkeypatch, capsys):
    monkeypatch.chdir(place)
    page = (request.config.rootpath / "docs" / "guides" / "attributes.md").read_text()
    lines = [line for line in commands(page) if "-m jaxvae" in line]
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line)[3:]
        words = [STEPS if before == "--steps" else word for before, word in zip(["", *words], words, strict=False)]
        main([*words, *(["--net", "mlp", "--nll-samples", "5"] if words[0] == "train" else [])])
        assert (place / words[words.index("--out") + 1]).exists(), line
    text = capsys.readouterr().out
    assert "smiling: 20 images with it, 40 without; the direction tells" in text
    assert "4 images, 3 strengths each, in smiling" in text
    assert {path.name for path in (place / "smiling").glob("[!.]*")} == {
        "000.png",
        "019.png",
        "039.png",
        "059.png",
        "sheet.png",
    }
