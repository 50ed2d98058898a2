"""FactorVAE as a system: a VAE, and a discriminator by which the total correlation of its latents is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvae import objectives
from jaxvae.keys import split_each
from jaxvae.models import VAE
from jaxvae.nets import MLP
from jaxvae.systems.assemble import assembled
from jaxvae.systems.bounds import draw_terms
from jaxvae.systems.vae_parts import Bound, NegativeBound, Score, VAEParts, elbo_score
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    StepInput,
    System,
)

HIDDEN = (256, 256, 256)  # units of the discriminator; the paper has six layers of 1,000
NAME = "discriminator"  # of its parameters among those of the VAE
# As in the paper: the discriminator follows a VAE that moves.
RATE, DECAYS = 1e-4, {"b1": 0.5, "b2": 0.9}


def density_ratio_net() -> nn.Module:
    """Return the discriminator of latents, [B, D] -> logits [B, 1]."""
    return nn.Sequential([MLP(HIDDEN, nn.leaky_relu), nn.Dense(1)])


@dataclass(frozen=True, eq=False)
class FactorVAEParts(VAEParts):
    """The parts of a VAE, with its capabilities, and a discriminator that only training needs.

    Attributes:
      discriminator: latents [B, D] -> logits [B, 1].
    """

    discriminator: nn.Module = density_ratio_net()

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return the parameters of both."""
        params, model_state = super().init(key, batch)
        z = jax.eval_shape(lambda: self.draw(params, model_state, jax.random.split(key, len(batch.mask)), batch.x)[0])
        made = self.discriminator.init(jax.random.fold_in(key, 1), jnp.zeros(z.shape))["params"]
        return {**params, NAME: made}, model_state

    def log_ratio(self, params: Params, z: Array) -> Array:
        """Return the estimate of log q(z) - sum_d log q(z_d), whose mean is the total correlation, [B, D] -> [B]."""
        logits: Any = self.discriminator.apply({"params": params[NAME]}, z)
        return logits[:, 0]


@dataclass(frozen=True, eq=False)
class DiscriminatorLoss:
    """The loss of the discriminator, of latents of a batch and of the same with their dimensions permuted.

    Departs from algorithm 1 in that both are of one batch, where the paper takes two.
    """

    parts: FactorVAEParts
    vae: VAE

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)  # as those of the VAE, so that the latents are the same
        z = draw_terms(self.vae, params, draw, self.parts.prepare(noise, inputs.batch.x)).z
        permuted = objectives.permute_dimensions(inputs.keys.shared, z, inputs.axis_name)
        joint, product = self.parts.log_ratio(params, z), self.parts.log_ratio(params, permuted)
        right = 0.5 * (jnp.mean(joint > 0) + jnp.mean(product < 0))
        # The best discriminator's logit is log q(z) - sum_d log q(z_d), whose mean is the total correlation.
        loss = 0.5 * jnp.mean(objectives.non_saturating_discriminator(joint, product))
        return loss, (model_state, {"discriminator_accuracy": right})


def factor_vae_system(
    *,
    name: str,
    spec: DataSpec,
    vae: VAE,
    prepare: Prepare,
    bound: Callable[[FactorVAEParts], Bound],
    optimizer: optax.GradientTransformation,
    hparams: Mapping[str, float],
    score: Score = elbo_score,
) -> System:
    """Return the system that maximises a bound of a VAE, in which a discriminator tells the total correlation.

    Args:
      name: of the system.
      spec: of the data.
      vae: the model, with a Gaussian posterior or another one of one group of latents.
      prepare: the preprocessing of images: binarises or scales them.
      bound: the training objective of the VAE, given the parts, whose `log_ratio` it asks.
      optimizer: of the negative bound.
      hparams: starting values of what the bound reads from `StepInput.hparams`.
      score: the validation score.

    Returns:
      The system of two players, who move at the same time.

    References:
      Kim & Mnih, "Disentangling by Factorising", 2018, arXiv:1802.05983.
    """
    parts = FactorVAEParts(spec, vae, prepare, score)
    loss = NegativeBound(prepare, bound(parts))
    players = [
        Player("vae", loss, optimizer, owns=lambda name: name != NAME),
        Player(NAME, DiscriminatorLoss(parts, vae), optax.adam(RATE, **DECAYS), owns=lambda name: name == NAME),
    ]
    return assembled(name, parts, players, hparams=hparams)
