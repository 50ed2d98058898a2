"""Maps of top-down hierarchies: their sizes for any image, and groups that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.nets import BottomUp, Enlarge, Group
from jaxvae.nets.top_down import Stage, group_sizes, map_sizes, stages_of
from tests.drawn import normal_like


def test_map_sizes_halve_and_round_up_until_a_side_has_one_pixel():
    assert map_sizes((28, 28, 1)) == [(28, 28), (14, 14), (7, 7), (4, 4), (2, 2), (1, 1)]
    assert map_sizes((8, 21)) == [(8, 21), (4, 11), (2, 6), (1, 3)]
    assert map_sizes((1, 5)) == [(1, 5)]


def test_stages_pass_through_sizes_without_groups():
    groups = (Group(4, 9, 2), Group(14, 5, 1), Group(14, 5, 1))
    assert group_sizes(groups, (28, 28, 1)) == [(4, 4), (14, 14), (14, 14)]
    assert stages_of(groups, (28, 28, 1)) == [Stage((14, 14), 5, 2), Stage((7, 7), 5, 0), Stage((4, 4), 9, 1)]
    assert stages_of(groups[:1], (28, 28, 1))[0] == Stage((14, 14), 9, 0)
    assert stages_of((Group(6, 3, 1),), (6, 9, 1)) == [Stage((6, 9), 3, 1)]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "There are 0 groups of latents, expected 1 to 100"),
        ((Group(4, 8, 2),) * 101, "There are 101 groups"),
        ((Group(56, 8, 2),), "Group 1 has maps of 56 pixels a side, larger than the image: an image of 28x28 has maps"),
        (
            (Group(4, 8, 2), Group(8, 8, 2)),
            "Group 2 has maps of 8 pixels a side, none of its halvings: .* 1, 2, 4, 7, 14",
        ),
        ((Group(4, 8, 0),), "latents of group 1 is 0, expected a whole number of at least 1"),
        ((Group(4, 0, 1),), "channels of group 1 is 0"),
        ((Group(0, 1, 1),), "size of group 1 is 0"),
        (
            (Group(7, 8, 2), Group(4, 8, 2)),
            "Group 1 has maps of 7 pixels a side and group 2 of 4: expected sizes that do",
        ),
        (
            (Group(4, 8, 2), Group(4, 9, 2)),
            "share maps of 4 pixels a side, but have 8 and 9 channels: expected the same",
        ),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, message):
    with pytest.raises(UserError, match=message):
        group_sizes(groups, (28, 28, 1))


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 21, 3), (28, 28, 1), (128, 128, 3)])
def test_maps_have_the_sizes_of_the_groups_and_enlarge_to_half_of_the_image(shape):
    sides = [min(size) for size in map_sizes(shape)]
    groups = (Group(sides[3], 4, 1), Group(sides[2], 3, 1), Group(sides[2], 3, 1))
    maps, _ = jax.eval_shape(lambda x: BottomUp(groups).init_with_output(jax.random.key(0), x), jnp.ones((2, *shape)))
    assert [m.shape for m in maps] == [(2, *map_sizes(shape)[3], 4), (2, *map_sizes(shape)[2], 3)]
    make = lambda h: Enlarge(shape).init_with_output(jax.random.key(0), h)  # noqa: E731
    large, params = jax.eval_shape(make, jax.ShapeDtypeStruct(maps[1].shape, jnp.float32))
    assert large.shape == (2, *map_sizes(shape)[1], 3)
    assert set(params["params"]) == {"double_0", "block_0"}
    same, params = jax.eval_shape(make, jax.ShapeDtypeStruct((2, *shape[:2], 3), jnp.float32))
    assert same.shape == (2, *shape[:2], 3)
    assert not params


def test_small_maps_are_enlarged_step_by_step():
    make = lambda h: Enlarge((28, 28, 1)).init_with_output(jax.random.key(0), h)  # noqa: E731
    large, params = jax.eval_shape(make, jnp.ones((2, 2, 2, 3)))
    assert large.shape == (2, 14, 14, 3)
    assert set(params["params"]) == {f"{name}_{i}" for name in ("double", "block") for i in range(3)}


def test_maps_of_an_image_depend_on_it_alone():
    groups = (Group(2, 3, 1), Group(4, 2, 1))
    net, x = BottomUp(groups), np.random.default_rng(0).random((3, 7, 7, 1), np.float32)
    params = normal_like(jax.eval_shape(net.init, jax.random.key(0), x), scale=0.3)
    apply = jax.jit(net.apply)
    first, again = apply(params, x), apply(params, np.concatenate([x[:1], 1 - x[1:]]))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        assert np.all(np.abs(a[1:] - b[1:]).max(axis=(1, 2, 3)) > 1e-3)
