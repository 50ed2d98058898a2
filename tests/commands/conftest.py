"""Models and images that verbs are tried on."""

import numpy as np
import pytest

from tests.commands import kinds


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """(kind) -> the place of a model, made when it is first asked for."""
    folder, places = tmp_path_factory.mktemp("models"), {}

    def place(name):
        if name not in places:
            places[name] = kinds.save(name, folder / name)
        return str(places[name])

    return place


@pytest.fixture
def photos(tmp_path):
    """A folder of six grey images of 8x8 pixels in three classes, as a source of data; `hole.png` is beside it."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number, name in enumerate(("left", "middle", "right")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for ending in ("png", "bmp"):
            x = rng.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(x).save(tmp_path / "photos" / name / f"{number}.{ending}")
    hole = np.zeros((8, 8), np.uint8)
    hole[2:5, 3:7] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    return f"folder:{tmp_path / 'photos'}"
