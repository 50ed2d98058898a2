import numpy as np
import pytest

from jaxvae import data
from jaxvae.data import sprites
from jaxvae.data.parts import take
from jaxvae.errors import UserError
from jaxvae.types import DataSpec


def image(shape, scale=5, angle=0, x=16, y=16, size=32):
    return sprites.render(sprites.index_of(np.array([[shape, scale, angle, x, y]])), size)[0, :, :, 0]


def test_numbers_and_factors_belong_together():
    indices = np.arange(0, sprites.NUM, 997)
    factors = sprites.factors_of(indices)
    np.testing.assert_array_equal(sprites.index_of(factors), indices)
    assert sprites.NUM == 737_280
    assert factors[0].tolist() == [0, 0, 0, 0, 0]
    assert sprites.factors_of(np.array([sprites.NUM - 1])).tolist() == [[2, 5, 39, 31, 31]]


@pytest.mark.parametrize("size", [32, 64, 12])
def test_pixels_are_white_where_their_centres_are_inside(size):
    """Point by point, in units of the image's side, from the middle of the shape."""
    white = image(0, scale=3, angle=2, x=4, y=29, size=size)
    half, turn = 0.25 * 0.8 * np.sqrt(0.5), 2 * np.pi * 2 / 40
    for i in range(size):
        for j in range(size):
            x, y = (j + 0.5) / size - (0.5 + (4 - 15.5) / 64), -((i + 0.5) / size - (0.5 + (29 - 15.5) / 64))
            u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
            assert white[i, j] == (max(abs(u), abs(v)) <= half + 1e-9)


@pytest.mark.parametrize(("shape", "area"), [(0, 2.0), (1, np.pi / 2), (2, 3.6622 / 1.25**2)])
def test_shapes_have_their_areas_and_fit(shape, area):
    for scale in range(6):
        white = image(shape, scale, angle=3, size=512)
        np.testing.assert_allclose(white.mean(), area * (0.25 * (0.5 + scale / 10)) ** 2, rtol=0.01)
    corners = [image(shape, 5, 5, x, y, 64) for x in (0, 31) for y in (0, 31)]
    assert len({int(corner.sum()) for corner in corners}) == 1  # nothing is cut off


def test_shapes_look_the_same_after_their_turns():
    for shape, turns in enumerate((4, 2, 1)):
        distinct = {image(shape, 5, angle).tobytes() for angle in range(40)}
        assert len(distinct) == 40 // turns
        np.testing.assert_array_equal(image(shape, 5, 3), image(shape, 5, (40 // turns + 3) % 40))
        code = sprites.perfect_code(np.array([[shape, 5, (40 // turns + 3) % 40, 7, 9]]))
        np.testing.assert_allclose(code, [[shape, 5, 3 * turns / 40, 7, 9]])


def test_the_heart_stands_on_its_tip_and_turns_to_the_left():
    upright, turned = image(2, 5, 0, size=64), image(2, 5, 10, size=64)
    assert upright[:32].sum() > upright[33:].sum()  # more above
    assert turned[:, :32].sum() > turned[:, 33:].sum()
    np.testing.assert_array_equal(upright[:, 2:], image(2, 5, 0, x=14, size=64)[:, :-2])  # 2 pixels


def test_images_do_not_depend_on_those_beside_them():
    indices = np.array([700_000, 5, 350_001, 5])
    alone = np.concatenate([sprites.render(indices[i : i + 1]) for i in range(4)])
    np.testing.assert_array_equal(sprites.render(indices), alone)
    assert set(np.unique(alone)) == {0, 1}


def test_parts_divide_all_images():
    parts = sprites.part_indices()
    assert [len(rows) for rows in parts.values()] == [717_280, 10_000, 10_000]
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(sprites.NUM))


def few(monkeypatch, num=60):
    monkeypatch.setattr(sprites, "part_indices", lambda: {part: np.arange(num) * 12_000 + i for i, part in PARTS})


PARTS = tuple(enumerate(("train", "valid", "test")))


def test_load_gives_binary_images_with_shapes_as_classes(monkeypatch):
    few(monkeypatch)
    splits, spec = data.load("sprites")
    assert spec == DataSpec((32, 32, 1), 2, 3, ("square", "ellipse", "heart"))
    np.testing.assert_array_equal(splits.valid.x, sprites.render(np.arange(60) * 12_000 + 1))
    np.testing.assert_array_equal(splits.valid.labels, np.arange(60) // 20.48)
    larger, spec = data.load("sprites", image_size=64)
    assert spec.shape == (64, 64, 1)
    np.testing.assert_array_equal(larger.test.x, sprites.render(np.arange(60) * 12_000 + 2, 64))


def test_a_trained_model_takes_them_in_its_size(monkeypatch):
    few(monkeypatch)
    found = data.load_for(DataSpec((64, 64, 1), 2, 3), "sprites", part="test", resize=True)
    np.testing.assert_array_equal(found.x, sprites.render(np.arange(60) * 12_000 + 2, 64))
    with pytest.raises(UserError, match="32x32 pixels, the model is of 64x64: pass --resize"):
        data.load_for(DataSpec((64, 64, 1), 2, 3), "sprites")


def test_more_than_memory_is_refused():
    with pytest.raises(UserError, match="sprites of 4096x4096 pixels would take 12,369.5 GB in memory"):
        data.load("sprites", image_size=4096)


@pytest.mark.slow
def test_all_images_load():
    parts, classes = sprites.load()
    rows = np.array([0, 123_456, 717_279])
    some = take(parts["train"], rows)
    np.testing.assert_array_equal(some.x, sprites.render(sprites.part_indices()["train"][rows]))
    assert [classes[label] for label in some.labels] == ["square", "square", "heart"]
