"""The page that `explore` writes: of which images, with which name."""

import json
import re

import pytest

import jaxvae as jv
from jaxvae.__main__ import main

pytestmark = pytest.mark.slow


def data_of(path):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S)
    return json.loads(found[1])


def saved(model, place, **config):
    """The small VAE with another configuration."""
    trained = jv.load(model("vae"))
    trained.record["config"].clear()
    trained.record["config"].update(config)
    trained.save(place)
    return str(place)


def test_images_are_those_that_are_asked_for(model, photos, tmp_path, capsys):
    out = tmp_path / "page.html"
    main(["explore", model("vae"), "--data", photos, "--out", str(out)])
    data = data_of(out)
    assert len(data["images"]["elbo"]) == 6
    assert data["images"]["classes"] == ["left", "middle", "right"]
    assert data["title"].endswith("vae")
    text = capsys.readouterr().out
    assert "6 images from" in text
    assert re.search(rf"vae in {out}, \d\.\d MB: open it in a browser\.", text)


def test_images_are_those_of_the_training_where_they_are_still_there(model, photos, tmp_path, capsys):
    out = tmp_path / "page.html"
    main(["explore", saved(model, tmp_path / "own", data=photos), "--part", "train", "--out", str(out)])
    assert 0 < len(data_of(out)["images"]["elbo"]) < 6
    assert data_of(out)["title"] == "own"
    assert capsys.readouterr().err.count("note:") == 0


@pytest.mark.parametrize("config", [{}, {"data": "folder:/no/such/place"}])
def test_without_images_the_page_has_no_map_of_them_and_that_is_said(config, model, tmp_path, capsys):
    out = tmp_path / "page.html"
    main(["explore", saved(model, tmp_path / "own", **config), "--out", str(out)])
    assert data_of(out)["images"] is None
    note = capsys.readouterr().err
    assert note.startswith("note: the page has no map of images")
    assert "give --data SOURCE for one." in note.lower().replace("source", "SOURCE")
    assert ("/no/such/place" in note) == bool(config)


def test_what_cannot_be_written_or_read_leaves_nothing(model, photos, tmp_path):
    with pytest.raises(SystemExit, match=r"--out is .*page.png, expected NAME.html"):
        main(["explore", model("vae"), "--data", photos, "--out", str(tmp_path / "page.png")])
    with pytest.raises(SystemExit, match="/no/such/place"):
        main(["explore", model("vae"), "--data", "folder:/no/such/place", "--out", str(tmp_path / "page.html")])
    assert not (tmp_path / "page.html").exists()
