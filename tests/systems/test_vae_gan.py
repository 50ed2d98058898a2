"""VAE-GANs and adversarial autoencoders: who owns what, whose loss moves whom, what they can do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import adversarial_autoencoder, vae_gan
from jaxvae import distributions
from jaxvae.capabilities import Decodes, DrawsPosterior, Encodes, Infers, Scores, ScoresPixels, find, require
from jaxvae.errors import UserError
from jaxvae.systems.adversarial_parts import HasDiscriminator
from jaxvae.systems.vae_gan import kl
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import DataSpec, GaussianParams
from tests.squares import batch_of_squares

SPEC = DataSpec(shape=(6, 6, 1), num_values=256, num_classes=0)
MODULES = {"vae_gan": vae_gan, "adversarial_autoencoder": adversarial_autoencoder}
OWNERS = {
    "vae_gan": {"discriminator": {"discriminator"}, "encoder": {"encoder"}, "generator": {"generator"}},
    "adversarial_autoencoder": {"discriminator": {"discriminator"}, "autoencoder": {"encoder", "generator"}},
}
ENTRIES = ("encoder", "generator", "discriminator")


def system_of(name, **changes):
    config = MODULES[name].Config(channels=(2,), hidden=3, latent_dim=2, steps=5, **changes)
    return MODULES[name].build(config, SPEC)


def batch_of(num=4):
    batch = batch_of_squares(num)
    return batch._replace(x=batch.x[:, ::2, ::2])


@pytest.mark.parametrize("name", MODULES)
def test_every_parameter_has_the_owner_that_it_should(name):
    players = system_of(name).trainable.players
    assert {p.name: {entry for entry in ENTRIES if p.owns(entry)} for p in players} == OWNERS[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"), [*((name, {}) for name in MODULES), *((name, {"loss": "non_saturating"}) for name in MODULES)]
)
def test_players_alone_lower_their_own_loss(name, changes):
    """Of each player alone: some steps along its gradient, the others and the noise held."""
    system, batch = system_of(name, **changes), batch_of()
    state = create_train_state(system, jax.random.key(0), batch)
    for player in system.trainable.players:
        own, step = {entry for entry in ENTRIES if player.owns(entry)}, jax.jit(make_train_step([player]))
        opt_state = player.optimizer.init({entry: state.params[entry] for entry in own})
        alone, losses = state._replace(opt_state=(opt_state,)), []
        for _ in range(8):
            alone, metrics = step(alone._replace(step=state.step), batch)
            losses.append(float(metrics["loss"]))
        assert losses[-1] < losses[0], player.name
        for entry in set(ENTRIES) - own:
            jax.tree.map(np.testing.assert_array_equal, alone.params[entry], state.params[entry])


@pytest.mark.slow
def test_a_vae_gan_encodes_by_a_gaussian():
    system, batch = system_of("vae_gan"), batch_of()
    params, state = jax.jit(system.trainable.init)(jax.random.key(0), batch)
    x, keys = jnp.asarray(batch.x / 255.0, jnp.float32), jax.random.split(jax.random.key(1), 4)
    q = require(system, Infers).posterior(params, state, x)
    np.testing.assert_array_equal(require(system, Encodes).encode(params, state, keys, x)[0], q.mean)
    (z,) = require(system, DrawsPosterior).draw(params, state, keys, x)
    assert z.shape == (4, 2)
    assert not np.allclose(z, q.mean)
    values = system.trainable.evaluate(params, state, keys, batch, {})
    np.testing.assert_allclose(values["kl"], jnp.sum(distributions.normal_kl_to_standard(q), axis=1), rtol=1e-5)
    assert set(values) == {"loss", "energy_score", "kl", "squared_error"}
    assert all(value.shape == (4,) for value in values.values())
    with pytest.raises(UserError, match=r"vae_gan cannot bound log p\(x\): expected one of VAEs"):
        require(system, Scores)


def test_the_kl_of_the_prior_itself_is_zero():
    q = GaussianParams(jnp.zeros((3, 2)), jnp.zeros((3, 2)))
    np.testing.assert_allclose(kl(q), np.zeros(3), atol=1e-7)
    np.testing.assert_allclose(kl(q._replace(mean=jnp.ones((3, 2)))), np.ones(3), rtol=1e-6)


@pytest.mark.slow
def test_an_adversarial_autoencoder_scores_pixels_given_codes_and_compares_codes_with_the_prior():
    system, batch = system_of("adversarial_autoencoder"), batch_of()
    params, state = jax.jit(system.trainable.init)(jax.random.key(0), batch)
    x, keys = jnp.asarray(batch.x / 255.0, jnp.float32), jax.random.split(jax.random.key(1), 4)
    (code,) = require(system, Encodes).encode(params, state, keys, x)
    means = np.asarray(require(system, Decodes).decode(params, state, keys, code), np.float64)
    expected = np.sum(x * np.log(means) + (1 - x) * np.log(1 - means), axis=-1)
    np.testing.assert_allclose(
        require(system, ScoresPixels).log_px(params, state, keys, x), expected, rtol=1e-3, atol=1e-5
    )
    values = system.trainable.evaluate(params, state, keys, batch, {})
    np.testing.assert_allclose(values["reconstruction"], -expected.sum(axis=(1, 2)), rtol=1e-3)
    prior, made = require(system, HasDiscriminator).logits(params, state, keys, x)
    assert prior.shape == made.shape == (4,)
    np.testing.assert_allclose(made, system.parts.judge(params, state)(code), rtol=1e-5, atol=1e-6)
    assert find(system, Scores) is None
