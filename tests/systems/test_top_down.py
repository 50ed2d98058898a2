"""Groups of latents that images have by default, and top-down VAEs as systems of any images."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae import UserError, objectives
from jaxvae.capabilities import Completes, Decodes, Encodes, Generates, GeneratesTempered, HasGroups, HasPrior, require
from jaxvae.data import batch_indices
from jaxvae.keys import split_each
from jaxvae.nets import Group
from jaxvae.nets.top_down import map_sizes
from jaxvae.systems.bounds import bound_metrics
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.top_down import default_sizes, make_groups, top_down_vae
from jaxvae.systems.vae_parts import vae_system
from jaxvae.training import Program, create_train_state, make_layout, make_train_step
from jaxvae.training.parallel import create
from jaxvae.types import Batch, Dataset, DataSpec
from tests.drawn import normal_like

SPEC = DataSpec((4, 4, 1), 2, 0)
GROUPS = (Group(1, 3, 2), Group(2, 2, 1))


def bound_of(vae):
    def bound(params, keys, x, inputs):
        terms, q = vae.apply({"params": params}, keys, x, method="terms_and_stats")
        kl = vae.apply({"params": params}, terms, q, method="kl_per_group")
        penalty = objectives.free_bits(kl, inputs.hparams["free_bits"], inputs.axis_name)
        elbo = objectives.elbo_analytic(terms.log_px, penalty)
        return elbo, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    return bound


def system_of(spec=SPEC, groups=GROUPS, name="bernoulli", optimizer=None, **options):
    likelihood, prepare = pixels_of(name, spec, num_components=2)
    vae = top_down_vae(spec, likelihood, groups, **options)
    return vae_system(
        name="small",
        spec=spec,
        vae=vae,
        prepare=prepare,
        bound=bound_of(vae),
        optimizer=optimizer or optax.sgd(0.1),
        hparams={"free_bits": 0.0},
    )


def images(num, spec=SPEC, seed=0):
    return np.random.default_rng(seed).integers(0, spec.num_values, (num, *spec.shape)).astype(np.uint8)


# ---------- groups


def test_default_groups_of_28_pixels_are_the_five_of_the_table():
    assert make_groups((28, 28, 1)) == (
        Group(4, 64, 16),
        Group(7, 64, 8),
        Group(7, 64, 8),
        Group(14, 32, 4),
        Group(14, 32, 4),
    )


@pytest.mark.parametrize("side", [3, 4, 5, 8, 12, 28, 31, 33, 64, 96, 128])
def test_default_sizes_fit_images_of_any_size(side):
    for shape in ((side, side, 1), (side, 2 * side, 3)):
        sizes, possible = default_sizes(shape), [min(size) for size in map_sizes(shape)]
        assert set(sizes) <= set(possible[1:])
        assert list(sizes) == sorted(sizes)
        assert sizes[0] <= 4
        assert sizes[0] < sizes[-1]
        assert 4 < sizes[-1] <= 16 or side <= 8
        assert [sizes.count(size) for size in sorted(set(sizes))][1:] == [2] * (len(set(sizes)) - 1)
        assert len(make_groups(shape)) == len(sizes)


def test_what_is_given_of_groups_is_taken():
    assert make_groups((8, 8, 1), (2, 4), (5,), (3, 1)) == (Group(2, 5, 3), Group(4, 5, 1))
    assert make_groups((8, 8, 1), (1, 2, 4)) == (Group(1, 64, 16), Group(2, 64, 8), Group(4, 32, 4))
    assert make_groups((8, 8, 1), (4,)) == (Group(4, 64, 16),)
    assert [group.channels for group in make_groups((28, 28, 1), channels=(16,))] == [16] * 5
    for given, message in (
        (((2, 4), (1, 2, 3)), "channels has 3 numbers for 2 groups of latents: expected one, or 2"),
        (((), (), (1, 2)), "latents has 2 numbers for 3 groups of latents: expected one, or 3"),
        (((16,),), "larger than the image"),
    ):
        with pytest.raises(UserError, match=message):
            make_groups((8, 8, 1), *given)
    with pytest.raises(UserError, match="Images of 2x9 pixels are too small for groups"):
        make_groups((2, 9, 1))


# ---------- systems of any images


@pytest.mark.parametrize(
    ("shape", "groups", "name"),
    [
        ((8, 8, 1), (), "bernoulli"),
        ((13, 21, 3), (), "logistic_mixture"),
        ((28, 28, 1), (Group(28, 2, 1),), "bernoulli"),  # one group, as large as the image
        ((28, 28, 1), (Group(1, 3, 2), Group(14, 2, 1)), "bernoulli"),  # sizes are passed over
        pytest.param(
            (32, 32, 3), (*[Group(2, 3, 2)] * 5, *[Group(8, 3, 1)] * 7), "logistic_mixture", marks=pytest.mark.slow
        ),
        pytest.param((128, 128, 3), (), "logistic_mixture", marks=pytest.mark.slow),
    ],
)
def test_images_of_any_size_are_encoded_scored_and_drawn(shape, groups, name):
    spec = DataSpec(shape, 256 if name == "logistic_mixture" else 2, 0)
    groups = groups or make_groups(shape, channels=(4,))
    system = system_of(spec, groups, name)
    dim = sum(np.prod(one) for one in require(system, HasGroups).shapes)

    def used(key):
        x = jnp.ones((2, *shape), jnp.uint8)
        params, _ = system.trainable.init(key, Batch(x, None, jnp.ones(2)))
        keys, model = jax.random.split(key, 2), (params, {})
        (z,) = require(system, Encodes).encode(*model, keys, x / 255.0)
        values = system.trainable.evaluate(*model, keys, Batch(x, None, jnp.ones(2)), {})
        tempered = require(system, GeneratesTempered).sample(key, *model, jnp.zeros(2), jnp.ones(len(groups)))
        quantiles = require(system, HasPrior).quantiles(*model, jnp.array([0.5, 0.9, 0.1]))
        drawn = require(system, Generates).sample(key, *model, 2).x
        return z, require(system, Decodes).decode(*model, keys, z), drawn, tempered.mean, values, quantiles

    z, decoded, drawn, tempered, values, quantiles = jax.eval_shape(used, jax.random.key(0))
    assert z.shape == (2, dim)
    assert decoded.shape == drawn.shape == tempered.shape == (2, *shape)
    assert values["kl_per_group"].shape == (2, len(groups))
    assert quantiles.shape == (3, dim)


@pytest.fixture(scope="module")
def trained():
    """A system, parameters of some size, and images."""
    system = system_of()
    x = images(6)
    shapes, _ = jax.eval_shape(system.trainable.init, jax.random.key(0), Batch(x, None, np.ones(6, np.float32)))
    return system, normal_like(shapes, scale=0.4), x


def test_quantiles_of_normal_latents_are_those_of_a_normal(trained):
    system, params, _ = trained
    found = require(system, HasPrior).quantiles(params, {}, jnp.array([0.5, 0.975]))
    np.testing.assert_allclose(found, np.tile([[0.0], [1.959964]], (1, 6)), atol=1e-4)


def test_free_bits_are_of_the_mean_kl_of_each_group(trained):
    system, params, x = trained
    keys = jax.random.split(jax.random.key(3), 6)
    vae = system.parts.vae
    _, draw = split_each(keys)

    @jax.jit
    def found(minimum):
        from_ = {"batch": Batch(x, None, jnp.ones(6)), "hparams": {"free_bits": minimum}, "axis_name": None}
        inputs = type("Inputs", (), from_ | {"keys": type("Keys", (), {"examples": keys})})
        return system.trainable.players[0].loss(params, {}, inputs)[0]

    @jax.jit
    def kls():
        terms, q = vae.apply({"params": params}, draw, x.astype(np.float32), method="terms_and_stats")
        return vae.apply({"params": params}, terms, q, method="kl_per_group"), terms.log_px[0]

    kl, log_px = map(np.asarray, kls())
    means = kl.mean(axis=0)
    assert abs(means[0] - means[1]) > 0.05
    for minimum in (0.0, means.mean(), 2 * means.max()):
        expected = np.sum(np.maximum(means, minimum)) - np.mean(log_px)
        np.testing.assert_allclose(found(jnp.float32(minimum)), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "num_devices"), [("scan", 1), ("sharded", 8), ("pmap", 8)])
def test_every_layout_gives_the_same_parameters(kind, num_devices):
    system = system_of()
    data, rows = Dataset(images(32), None), batch_indices(0, 32, 16, 0, 2)
    start = Batch(data.x[:8], None, np.ones(8, np.float32))

    def trained(kind, num_devices):
        layout = make_layout(kind, num_devices)
        state = create(layout, lambda key, batch: create_train_state(system, key, batch), jax.random.key(0), start)
        make_step = lambda axis_name: make_train_step(system.trainable.players, axis_name=axis_name)  # noqa: E731
        program = Program(layout, make_step, data, 16)
        state, metrics = program(state, program.feed(rows))
        return jax.device_get((state.params, metrics))

    chex.assert_trees_all_close(trained(kind, num_devices), trained("step", 1), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_completions_keep_known_pixels_and_belong_to_their_keys(trained):
    system, params, _ = trained
    x = jnp.asarray(images(2, seed=5), jnp.float32)
    known = jnp.broadcast_to(jnp.arange(16).reshape(4, 4) < 8, (2, 4, 4))
    complete = jax.jit(require(system, Completes).complete, static_argnums=6)
    keys = jax.random.split(jax.random.key(0), 2)
    found = np.asarray(complete(params, {}, keys, x, None, known, 3).x)
    assert found.shape == (3, 2, 4, 4, 1)
    np.testing.assert_array_equal(found[:, :, :2], np.broadcast_to(x[:, :2], (3, 2, 2, 4, 1)))
    assert len(np.unique(found[:, :, 2:].reshape(6, -1), axis=0)) > 3
    swapped = np.asarray(complete(params, {}, keys[::-1], x[::-1], None, known, 3).x)
    np.testing.assert_array_equal(swapped[:, ::-1], found)
