"""Adversarial systems: whose loss moves whom and by how much, spectral norms, packs, the score, every layout."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae import objectives
from jaxvae.capabilities import Decodes, Generates, GeneratesTempered, HasPrior, Scores, find, require
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.systems.adversarial import gan_system
from jaxvae.systems.adversarial_networks import channels_of, image_discriminator, image_generator
from jaxvae.systems.adversarial_parts import HasDiscriminator
from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import Dataset, DataSpec, Splits
from tests import squares
from tests.squares import batch_of_squares
from tests.training.test_parallel import trained

SPEC = DataSpec(shape=(6, 6, 1), num_values=256, num_classes=0)
RATE, GAMMA = 0.1, 0.5


def discriminator_loss(judge, real, fake):
    penalties = objectives.gradient_penalty(judge, real) + objectives.gradient_penalty(judge, fake)
    return objectives.relativistic_discriminator(judge(real), judge(fake)) + GAMMA * penalties, {}


def generator_loss(judge, real, fake):
    return objectives.relativistic_generator(judge(real), judge(fake)), {}


def system_of(spec=SPEC, *, pack=1, spectral_norm=False, alternating=False):
    return gan_system(
        name="gan",
        spec=spec,
        generator=image_generator(spec, (2,), 3),
        discriminator=image_discriminator((2,), 3, spectral_norm=spectral_norm),
        latent_dim=2,
        discriminator_loss=discriminator_loss,
        generator_loss=generator_loss,
        discriminator_optimizer=optax.sgd(RATE),
        generator_optimizer=optax.sgd(RATE),
        pack=pack,
        alternating=alternating,
    )


def batch_of(num=4):
    batch = batch_of_squares(num)
    return batch._replace(x=batch.x[:, ::2, ::2])


def step_of(system):
    return jax.jit(make_train_step(system.trainable.players, alternating=system.trainable.alternating))


def by_hand(system, state, batch):
    """The losses of both players as functions of their own parameters alone, written out."""
    parts = system.parts
    noise, draw = split_each(step_keys(state, len(batch.x)).examples)
    real = jnp.asarray(batch.x / 255.0, jnp.float32)
    z = jax.vmap(lambda key: jax.random.normal(key, (2,)))(draw)
    make = lambda generator: jax.nn.sigmoid(parts.generator.apply({"params": generator}, z))  # noqa: E731

    def judge(discriminator, x):
        return parts.discriminator.apply({"params": discriminator}, x)[0]

    def of_discriminator(discriminator, generator):
        total, fake = 0.0, make(generator)
        for x, y in zip(real, fake, strict=True):
            one = lambda image: judge(discriminator, image[None])[0]  # noqa: E731
            total += jnp.log1p(jnp.exp(-(one(x) - one(y))))
            total += 0.5 * GAMMA * sum(jnp.sum(jax.grad(one)(image) ** 2) for image in (x, y))
        return total / len(real)

    def of_generator(generator, discriminator):
        difference = judge(discriminator, make(generator)) - judge(discriminator, real)
        return jnp.mean(jnp.log1p(jnp.exp(-difference)))

    return of_discriminator, of_generator


@pytest.mark.slow
@pytest.mark.parametrize("alternating", [False, True])
def test_each_player_moves_by_the_gradient_of_its_own_loss(alternating):
    system, batch = system_of(alternating=alternating), batch_of()
    state = create_train_state(system, jax.random.key(0), batch)
    after, metrics = step_of(system)(state, batch)
    of_discriminator, of_generator = by_hand(system, state, batch)
    generator, discriminator = state.params["generator"], state.params["discriminator"]
    down = lambda p, g: p - RATE * g  # noqa: E731

    value, gradient = jax.value_and_grad(of_discriminator)(discriminator, generator)
    moved = jax.tree.map(down, discriminator, gradient)
    chex.assert_trees_all_close(after.params["discriminator"], moved, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["loss"], value, rtol=1e-5)

    met = moved if alternating else discriminator  # what the generator meets
    value, gradient = jax.value_and_grad(of_generator)(generator, met)
    chex.assert_trees_all_close(
        after.params["generator"], jax.tree.map(down, generator, gradient), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(metrics["loss_generator"], value, rtol=1e-5)
    assert not np.allclose(discriminator["logit"]["kernel"], moved["logit"]["kernel"])


@pytest.mark.slow
def test_a_discriminator_of_packs_sees_both_images():
    system, batch = system_of(pack=2), batch_of()
    params, state = system.trainable.init(jax.random.key(0), batch)
    x, keys = jnp.asarray(batch.x / 255.0, jnp.float32), jax.random.split(jax.random.key(1), 4)
    real, made = require(system, HasDiscriminator).logits(params, state, keys, x)
    assert real.shape == made.shape == (2,)
    moved = np.asarray(require(system, HasDiscriminator).logits(params, state, keys, x.at[1].set(0.0))[0])
    assert np.flatnonzero(moved != np.asarray(real)).tolist() == [0]
    with pytest.raises(UserError, match="3 images cannot be divided into packs of 2"):
        step_of(system)(create_train_state(system, jax.random.key(0), batch), batch_of(3))


@pytest.mark.slow
def test_spectral_norms_become_one_and_are_a_players_state():
    system, batch = system_of(spectral_norm=True), batch_of()
    state = create_train_state(system, jax.random.key(0), batch)
    after, _ = step_of(system)(state, batch)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), state.model_state, after.model_state)
    assert any(jax.tree.leaves(moved))

    parts, params, model_state = system.parts, state.params, state.model_state
    x = jax.random.normal(jax.random.key(1), (1, *SPEC.shape))
    step = jax.jit(parts.stepped)
    for _ in range(100):
        model_state = step(params, model_state, x)

    def normed(path, kernel):
        if kernel.ndim < 2:
            return kernel
        return kernel / np.linalg.norm(np.asarray(kernel).reshape(-1, kernel.shape[-1]), 2)

    plain = system_of().parts
    own = jax.tree_util.tree_map_with_path(normed, params["discriminator"]["layer_instance"])
    expected = plain.judged({"discriminator": own}, {}, x)[0]
    np.testing.assert_allclose(parts.judged(params, model_state, x)[0], expected, rtol=1e-3)


@pytest.mark.slow
def test_the_score_of_an_image_is_that_of_any_batch_and_tells_a_point_from_the_data():
    system, batch = system_of(), batch_of(8)
    params, state = jax.jit(system.trainable.init)(jax.random.key(0), batch)
    keys = jax.random.split(jax.random.key(0), 8)
    evaluate = jax.jit(system.trainable.evaluate)
    score = evaluate(params, state, keys, batch, {})
    assert set(score) == {"loss", "energy_score"}
    part = evaluate(params, state, keys[3:6], jax.tree.map(lambda leaf: leaf[3:6], batch), {})
    np.testing.assert_allclose(part["loss"], score["loss"][3:6], rtol=1e-6)
    # Of one point, the mean image, the score is the distance from it.
    point = {
        **params,
        "generator": {**params["generator"], "net": jax.tree.map(jnp.zeros_like, params["generator"]["net"])},
    }
    x = batch.x / 255.0
    expected = np.linalg.norm((x - np.mean(x, axis=0)).reshape(8, -1), axis=1)
    np.testing.assert_allclose(evaluate(point, state, keys, batch, {})["loss"], expected, rtol=2e-2)


def test_what_a_gan_can_do_and_what_it_cannot():
    system, batch = system_of(), batch_of()
    params, state = jax.eval_shape(system.trainable.init, jax.random.key(0), batch)
    for kind in (Generates, GeneratesTempered, Decodes, HasPrior):
        assert find(system, kind) is not None
    with pytest.raises(UserError, match=r"gan cannot bound log p\(x\): expected one of VAEs"):
        require(system, Scores)
    decode = require(system, Decodes).decode
    assert jax.eval_shape(decode, params, state, jax.random.key(0), jnp.zeros((5, 2))).shape == (5, *SPEC.shape)
    quantiles = require(system, HasPrior).quantiles(params, state, jnp.array([0.5, 0.975]))
    np.testing.assert_allclose(quantiles, [[0.0, 0.0], [1.96, 1.96]], atol=1e-2)


@pytest.mark.slow
def test_a_temperature_scales_latents():
    system, batch = system_of(), batch_of()
    variables, key = jax.jit(system.trainable.init)(jax.random.key(0), batch), jax.random.key(1)
    tempered = lambda t: require(system, GeneratesTempered).sample(key, *variables, jnp.zeros(3), jnp.float32(t)).x  # noqa: E731
    np.testing.assert_array_equal(tempered(1.0), require(system, Generates).sample(key, *variables, 3).x)
    middle = require(system, Decodes).decode(*variables, jax.random.split(key, 3), jnp.zeros((3, 2)))
    np.testing.assert_allclose(tempered(1e-6), middle, rtol=1e-4)
    assert not np.allclose(tempered(1.0), middle, rtol=1e-2)


@pytest.mark.parametrize(
    ("side", "channels"), [(4, (16,)), (28, (16, 32)), (33, (16, 32, 64)), (64, (16, 32, 64)), (128, (16, 32, 64, 128))]
)
def test_networks_are_as_deep_as_images_are_large(side, channels):
    assert channels_of(DataSpec((side, side + 3, 3), 256, 0)) == channels


@pytest.mark.slow
@pytest.mark.parametrize("num_channels", [1, 2, 3, 4])
def test_images_of_any_size_and_number_of_channels(num_channels):
    spec = DataSpec((9, 7, num_channels), 256, 0)
    system, x = system_of(spec, pack=2), np.zeros((4, *spec.shape), np.uint8)
    batch = batch_of()._replace(x=x)

    def losses(key):
        state = create_train_state(system, key, batch)
        return make_train_step(system.trainable.players)(state, batch)[1]["loss"]

    assert jax.eval_shape(losses, jax.random.key(0)).shape == ()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "num_devices"), [("scan", 1), ("sharded", 4), ("pmap", 4)])
def test_every_layout_gives_the_same_numbers(kind, num_devices):
    train = squares.squares().train
    data = Dataset(train.x[:, ::2, ::2], None)
    system = system_of(pack=2, spectral_norm=True)
    params, metrics, state = trained(system, Splits(data, data, data), kind, num_devices)
    expected = trained(system, Splits(data, data, data), "step", 1)
    chex.assert_trees_all_close((params, metrics), expected[:2], rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(*jax.device_get((state.model_state, expected[2].model_state)), rtol=1e-4, atol=1e-5)
