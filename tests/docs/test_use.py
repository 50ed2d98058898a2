"""The lines of the guide, on a folder of two hundred masks of mixed sizes, from training to a model to give away."""

import importlib.util
import re
import shlex

import numpy as np
import pytest

from jaxvae.__main__ import main
from tests.docs.test_commands import commands

STEPS = "30"  # in place of those of the page
# What makes no other path, and is faster.
FASTER = {"train": ["--net", "mlp", "--nll-samples", "5"], "score": ["--num-samples", "5"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder `masks` of discs, most of them small, and `hole.png`, whose upper half is to be filled in."""
    from PIL import Image

    place, rng = tmp_path_factory.mktemp("use"), np.random.default_rng(0)
    (place / "masks").mkdir()
    for number in range(200):
        height, width = rng.integers(30, 120, 2)
        rows, columns = np.mgrid[:height, :width]
        centre, radius = rng.uniform(0.3, 0.7, 2) * (height, width), rng.uniform(0.05, 0.25) * min(height, width)
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        Image.fromarray(disc.astype(np.uint8) * 255).save(place / "masks" / f"{number:03}.png")
    Image.fromarray(np.uint8(255) * (np.mgrid[:28, :28][0] < 14)).save(place / "hole.png")
    return place


@pytest.mark.slow
def test_the_lines_of_the_guide_run_as_they_stand(place, request, monkeypatch, capsys):
    monkeypatch.chdir(place)
    page = (request.config.rootpath / "docs" / "guides" / "use.md").read_text()
    first = re.search(r"^```sh\n(.*?)^```", page, re.S | re.M)[1].splitlines()
    assert len(first) == 7
    lines = [line for line in commands(page) if "VERB" not in line and not line.endswith(" RUN")]
    if importlib.util.find_spec("jax2onnx") is None:  # of an extra of its own
        lines = [line for line in lines if "--format onnx" not in line]
    assert lines[:7] == first
    for line in lines:
        words = shlex.split(line)[3:]
        words = [STEPS if before == "--steps" else word for before, word in zip(["", *words], words, strict=False)]
        main([*words, *FASTER.get(words[0], [])])
        if "--out" in words:
            assert (place / words[words.index("--out") + 1]).exists(), line
    text = capsys.readouterr().out
    assert "200 images from folder:masks, 28x28 pixels, black and white, resized." in text
    assert len((place / "codes.csv").read_text().splitlines()) == 201
