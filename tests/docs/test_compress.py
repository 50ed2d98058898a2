"""The lines of the guide on a folder of masks, and its table of what a file has."""

import re
import runpy
import shlex

import numpy as np
import pytest
from PIL import Image

from jaxvae.__main__ import main
from jaxvae.runs.compressed_file import CODERS
from tests.docs.test_commands import commands

STEPS = "30"  # in place of those of the page


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder `masks` of discs of 40x40 pixels, and `photos` of them in greys."""
    place, rng = tmp_path_factory.mktemp("compress"), np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :40]
    (place / "masks").mkdir()
    (place / "photos").mkdir()
    for number in range(100):
        centre, radius = rng.uniform(16, 24, 2), rng.uniform(8, 12)
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        Image.fromarray(disc.astype(np.uint8) * 255).save(place / "masks" / f"{number:03}.png")
        grey = np.where(disc, rng.uniform(100, 200), 30) + rows
        Image.fromarray(grey.astype(np.uint8)).save(place / "photos" / f"{number:03}.png")
    return place


@pytest.mark.slow
def test_the_lines_of_the_guide_run_as_they_stand(place, request, monkeypatch, capsys):
    monkeypatch.chdir(place)
    page = (request.config.rootpath / "docs" / "guides" / "compress.md").read_text()
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M) for line in block.splitlines()]
    assert lines == [line for line in commands(page) if "..." not in line]
    for line in lines:
        _, _, module, *words = shlex.split(line)
        words = [STEPS if before == "--steps" else word for before, word in zip(["", *words], words, strict=False)]
        small = ["--net", "mlp", "--nll-samples", "5"]
        if module == "jaxvae":
            main([*words, *(small if words[0] == "train" else [])])
        else:
            monkeypatch.setattr("sys.argv", [module, *words, *small, "--eval-every", STEPS])
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    text = capsys.readouterr().out
    assert "Decoded, the same pixel for pixel" in text
    assert "lossless     yes" in text
    found = sorted(path.name for path in (place / "back").glob("*.png"))
    assert found == sorted(path.name for path in (place / "masks").iterdir())
    x = np.asarray(Image.open(place / "back" / "007.png"))
    assert x.shape == (28, 28)
    assert set(np.unique(x)) == {0, 255}
    assert (place / "digits.jvz").stat().st_size < 10_000
    assert "With loss: what comes back has a PSNR of" in text


def test_the_page_names_the_coders_in_the_order_of_their_numbers(request):
    page = (request.config.rootpath / "docs" / "guides" / "compress.md").read_text()
    assert f"({', '.join(CODERS)})" in page
