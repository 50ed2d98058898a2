"""Groups of latents that are drawn anew: what is kept and what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.encoding import decode
from jaxvae.applications.generation import sample
from jaxvae.applications.groups import draw_latents, resample
from jaxvae.capabilities import Decodes, Encodes, GeneratesTempered, HasGroups
from jaxvae.types import DataSpec, Samples
from tests.linear import linear_system

KEY, NUM = jax.random.key(0), 5
SHAPES, DIM = ((1, 1, 2), (1, 2, 1), (1, 1, 1)), 5


def grouped_system():
    """Latents are pixels: what is kept and what is drawn can be read off."""
    system, _ = linear_system("grouped")
    as_image = lambda z: jax.nn.sigmoid(z).reshape(len(z), 1, DIM, 1)  # noqa: E731

    def tempered(key, params, state, labels, temperature):
        each = jnp.repeat(jnp.broadcast_to(temperature, (3,)), jnp.array([2, 2, 1]), total_repeat_length=DIM)
        return Samples(as_image(jnp.ones((len(labels), DIM)) * each[None]), None)

    use = (
        HasGroups(SHAPES, lambda params, state, keys: jax.vmap(lambda key: jax.random.normal(key, (DIM,)))(keys)),
        Encodes(lambda params, state, keys, x: (x.reshape(len(x), DIM),)),
        Decodes(lambda params, state, keys, z: as_image(z)),
        GeneratesTempered(tempered, 3),
    )
    return system._replace(spec=DataSpec((1, DIM, 1), 256, 0), use=(*system.use[:1], *use))


@pytest.mark.parametrize(("group", "columns"), [(0, [0, 1]), (1, [2, 3]), (2, [4])])
def test_one_group_is_drawn_anew_and_the_others_are_kept(group, columns):
    system, code = grouped_system(), np.linspace(-1, 1, DIM, dtype=np.float32)
    kept = decode(system, {}, {}, code[None])[0, 0, :, 0]
    images = resample(system, {}, {}, KEY, code, group, NUM)[:, 0, :, 0]
    others = [column for column in range(DIM) if column not in columns]
    np.testing.assert_array_equal(images[:, others], np.tile(kept[others], (NUM, 1)))
    drawn = decode(system, {}, {}, draw_latents(system, {}, {}, KEY, NUM))[:, 0, :, 0]
    np.testing.assert_array_equal(images[:, columns], drawn[:, columns])
    assert len(np.unique(images[:, columns])) == NUM * len(columns)
    np.testing.assert_array_equal(resample(system, {}, {}, KEY, code, group, 2)[:, 0, :, 0], images[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": 3}, "group is 3, those of grouped are from 0 to 2"),
        ({"group": -1}, "group is -1, expected a whole number of at least 0"),
        ({"group": 0, "num": 0}, "num is 0"),
        ({"group": 0, "code": np.zeros(4)}, r"The codes are of shape \[1, 4\], those of grouped of \[N, 5\]"),
    ],
)
def test_groups_that_are_not_there_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        resample(grouped_system(), {}, {}, KEY, **{"code": np.zeros(DIM), **options})


def test_systems_without_groups_cannot_draw_them():
    system, params = linear_system()
    with pytest.raises(UserError, match="linear cannot draw groups of latents anew: expected one of top-down VAEs"):
        resample(system, params, {}, KEY, np.zeros(2), 0)


def test_temperatures_are_one_for_all_groups_or_one_each():
    system = grouped_system()
    pixels = lambda t: np.log(1 / (1 / sample(system, {}, {}, KEY, 1, temperature=t).x[0, 0, :, 0] - 1))  # noqa: E731
    np.testing.assert_allclose(pixels(0.5), [0.5] * DIM, rtol=1e-5)
    np.testing.assert_allclose(pixels((0.5, 1.0, 2.0)), [0.5, 0.5, 1.0, 1.0, 2.0], rtol=1e-5)
    for given, message in (
        ((0.5, 1.0), "temperature has 2 numbers; grouped takes one number, or 3 for its groups of latents"),
        ((0.5, 1.0, 0.0), "temperature is .*, expected a number above 0, or several of them"),
        ((), "temperature is .*, expected a number above 0"),
        ([[1.0] * 3], "temperature is"),
    ):
        with pytest.raises(UserError, match=message):
            sample(system, {}, {}, KEY, 1, temperature=given)
    plain, params = linear_system()
    with pytest.raises(UserError, match="temperature has 2 numbers; linear takes one number"):
        sample(plain, params, {}, KEY, 1, temperature=(0.5, 0.6))
