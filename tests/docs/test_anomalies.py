"""The lines of the guide on folders of masks, with planted defects among the new ones."""

import csv
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from jaxvae.__main__ import main
from jaxvae.applications.anomaly.combination import default_score
from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.applications.anomaly.scores import SCORES
from tests.commands.kinds import KINDS
from tests.docs.test_commands import commands

STEPS = "150"  # in place of those of the page


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folders of discs of 40x40 pixels, of which one of the new ones has a white speck in the corner."""
    place, rng = tmp_path_factory.mktemp("anomalies"), np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :40]
    for folder, num in (("good", 250), ("new", 30)):
        (place / folder).mkdir()
        for number in range(num):
            centre, radius = rng.uniform(16, 24, 2), rng.uniform(8, 12)
            disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
            if folder == "new" and number == 17:
                disc[2:7, 33:38] = True
            Image.fromarray(disc.astype(np.uint8) * 255).save(place / folder / f"{number:03}.png")
    return place


@pytest.mark.slow
def test_the_lines_of_the_guide_run_as_they_stand(place, request, monkeypatch, capsys):
    monkeypatch.chdir(place)
    page = (request.config.rootpath / "docs" / "guides" / "anomalies.md").read_text()
    lines = [line for line in commands(page) if "-m jaxvae" in line]
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line)[3:]
        words = [STEPS if before == "--steps" else word for before, word in zip(["", *words], words, strict=False)]
        main([*words, *(["--net", "mlp", "--nll-samples", "5"] if words[0] == "train" else [])])
    text = capsys.readouterr().out
    assert "of its own data its test images calibrate" in text
    assert "017.png (p 0.0385)" in text  # the smallest of 25 images that calibrate
    rows = list(csv.DictReader((place / "found" / "scores.csv").read_text().splitlines()))
    assert (rows[0]["path"], rows[0]["verdict"]) == ("017.png", "anomaly")
    assert (place / "again" / "scores.csv").read_text() == (place / "found" / "scores.csv").read_text()
    for name in re.findall(r"^\| `(\w+\.\w+)` \|", page, re.M):
        assert (place / "found" / name).exists(), name


def test_the_page_names_every_score_and_the_defaults_of_all_kinds(request):
    page = (request.config.rootpath / "docs" / "guides" / "anomalies.md").read_text()
    table = page.partition("| score | what it is")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set(SCORES)
    assert all(f"`{name}`" in page for name in FLOORS)
    for kind in ("vae", "vqvae", "autoencoder", "autoregressive"):
        assert f"`{default_score(KINDS[kind][0]())}`" in page, kind
