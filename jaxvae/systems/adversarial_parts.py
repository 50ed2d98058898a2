"""The parts of adversarial systems: generators of latents of N(0, I), whose images a discriminator judges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae import capabilities, objectives
from jaxvae.data import to_unit
from jaxvae.evaluation.energy import energy_score
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli
from jaxvae.models import with_output_bias
from jaxvae.types import Array, Batch, DataSpec, Metrics, ModelState, Params, Prepare, PRNGKey, Samples, StepInput

SCORED = 500  # samples of an energy score: of digits, ten times as far from one that is half trained as from noise
SCORING = 0x656E6572  # key of their latents, the same at every evaluation: differences are of the parameters
Judge = Callable[[Array], Array]  # what a discriminator is given [B, ...] -> logits [B]


class HasDiscriminator(NamedTuple):
    """Has a discriminator of what is real and what is made."""

    # (params, model_state, keys [B], prepared x [B]) -> logits of what is real and of what is made, [B / m] each
    logits: Callable[[Params, ModelState, PRNGKey, Array], tuple[Array, Array]]

    verb = "tell real from made"
    kinds = "adversarial systems"


@dataclass(frozen=True, eq=False)
class GeneratorParts:
    """A generator of images from latents of N(0, I), with what can be done with one.

    Attributes:
      spec: of the data.
      prepare: scales images to [0, 1].
      latent_dim: D.
      generator: latents [B, D] -> logits of the pixels' means, [B, H, W, C].
      discriminator: x [B, ...] -> logits [B], features [B, F]; within `nn.SpectralNorm` or not.
    """

    spec: DataSpec
    prepare: Prepare
    latent_dim: int
    generator: nn.Module
    discriminator: nn.Module

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return (
            capabilities.Generates(self.sample),
            capabilities.GeneratesTempered(self.sample_tempered),
            capabilities.Decodes(self.decode),
            capabilities.HasPrior(self.quantiles),
        )

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the energy score of the samples at every image: these systems have no likelihood to be chosen by.

        It is of pixels, proper and without any parameters, so that no discriminator judges its own generator. The
        samples are the same at every evaluation, but for the parameters that make them.
        """
        noise, _ = split_each(keys)
        latents = self.draw_prior(jax.random.split(jax.random.key(SCORING), SCORED))
        score = energy_score(self.prepare(noise, batch.x), self.images(params, latents))
        return {"loss": score, "energy_score": score}

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Return images of latents of N(0, I): see `capabilities.Generates`."""
        return Samples(self.images(params, self.draw_prior(jax.random.split(key, num))), None)

    def sample_tempered(
        self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array, temperature: Array
    ) -> Samples:
        """Return images of latents of N(0, T^2 I): see `capabilities.GeneratesTempered`."""
        latents = self.draw_prior(jax.random.split(key, len(labels)))
        return Samples(self.images(params, temperature * latents), None)

    def decode(self, params: Params, model_state: ModelState, keys: PRNGKey, z: Array) -> Array:
        """Return images of latents: see `capabilities.Decodes`."""
        return self.images(params, z)

    def quantiles(self, params: Params, model_state: ModelState, probabilities: Array) -> Array:
        """Return the quantiles of N(0, 1): see `capabilities.HasPrior`."""
        one = jax.scipy.stats.norm.ppf(probabilities)
        return jnp.broadcast_to(one[:, None], (len(probabilities), self.latent_dim))

    def draw_prior(self, keys: PRNGKey) -> Array:
        """Return latents of N(0, I), keys [B] -> [B, D]."""
        return jax.vmap(lambda key: jax.random.normal(key, (self.latent_dim,)))(keys)

    def logits(self, params: Params, z: Array) -> Array:
        """Return the logits of the pixels' means, of all parameters of the system: z [B, D] -> [B, H, W, C]."""
        found: Any = self.generator.apply({"params": params["generator"]}, z)
        return found

    def images(self, params: Params, z: Array) -> Array:
        """Return images in [0, 1], of all parameters of the system: z [B, D] -> [B, H, W, C]."""
        return jax.nn.sigmoid(self.logits(params, z))

    def judged(self, params: Params, model_state: ModelState, x: Array) -> tuple[Array, Array]:
        """Return the discriminator's logits [B] and features [B, F] of what it is given, [B, ...]."""
        variables = {"params": params["discriminator"], **model_state}
        found: Any = self.discriminator.apply(variables, x, **self._options(update=False))
        return found

    def judge(self, params: Params, model_state: ModelState) -> Judge:
        """Return the discriminator of some parameters as a function of what it is given."""
        return lambda x: self.judged(params, model_state, x)[0]

    def stepped(self, params: Params, model_state: ModelState, x: Array) -> ModelState:
        """Return the model state after one more iteration for the norms of the kernels, {} without spectral norm.

        The norms are of parameters alone: replicas agree on them, and x [B, ...] says no more than a shape.
        """
        if not model_state:
            return model_state
        variables = {"params": params["discriminator"], **model_state}
        _, new = self.discriminator.apply(variables, x[:1], mutable=list(model_state), **self._options(update=True))
        return {**model_state, **new}

    def init_generator(self, key: PRNGKey, batch: Batch) -> Params:
        """Return parameters of the generator whose output bias is the mean image."""
        params = {"decoder": self.generator.init(key, jnp.zeros((1, self.latent_dim)))["params"]}
        mean = jnp.average(to_unit(batch.x, self.spec.num_values), axis=0, weights=batch.mask)
        return with_output_bias(params, bernoulli(), mean)["decoder"]

    def init_discriminator(self, key: PRNGKey, x: Array) -> tuple[Params, ModelState]:
        """Return parameters of the discriminator of what is like x, [B, ...], and what else it keeps."""
        variables = dict(self.discriminator.init(key, x[:1], **self._options(update=True)))
        return variables.pop("params"), variables

    def _options(self, *, update: bool) -> dict[str, Any]:
        return {"update_stats": update} if isinstance(self.discriminator, nn.SpectralNorm) else {}


class Plays(Protocol):
    """Parts that say what their players' losses are of."""

    def seen(self, params: Params, model_state: ModelState, inputs: StepInput) -> tuple[tuple[Any, ...], Array]:
        """Return the arguments of every player's loss in a step, and what the discriminator is given as real."""
        ...

    def stepped(self, params: Params, model_state: ModelState, x: Array) -> ModelState:
        """Return the model state after the discriminator's turn: see `GeneratorParts.stepped`."""
        ...


@dataclass(frozen=True, eq=False)
class PlayerLoss:
    """The loss of one player of an adversarial system: all see the same images and draws in a step."""

    parts: Plays
    loss: Callable[..., tuple[Array, Metrics]]  # of what `parts.seen` gives -> what is minimised [B], metrics [B]
    steps: bool  # whether the player's turn moves what the discriminator keeps beside its parameters

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        given, real = self.parts.seen(params, model_state, inputs)
        value, metrics = self.loss(*given)
        if self.steps:
            model_state = self.parts.stepped(params, model_state, real)
        return jnp.mean(value), (model_state, jax.tree.map(jnp.mean, metrics))


@dataclass(frozen=True, eq=False)
class GANParts(GeneratorParts):
    """The parts of a generative adversarial network.

    Attributes:
      pack: images that the discriminator sees at a time, as channels of one input.
    """

    pack: int = 1

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return (*super().use, HasDiscriminator(self.compare))

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters of both players, and what the discriminator keeps beside."""
        of_generator, of_discriminator = jax.random.split(key)
        channels = self.pack * self.spec.shape[-1]
        discriminator, model_state = self.init_discriminator(
            of_discriminator, jnp.zeros((1, *self.spec.shape[:-1], channels))
        )
        return {"generator": self.init_generator(of_generator, batch), "discriminator": discriminator}, model_state

    def compare(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, Array]:
        """Return logits of packs of images and of samples: see `HasDiscriminator`."""
        judge = self.judge(params, model_state)
        made = self.images(params, self.draw_prior(keys))
        return judge(objectives.pack(x, self.pack)), judge(objectives.pack(made, self.pack))

    def seen(self, params: Params, model_state: ModelState, inputs: StepInput) -> tuple[tuple[Any, ...], Array]:
        """Return the discriminator, packs of images and of samples: see `Plays`."""
        noise, draw = split_each(inputs.keys.examples)
        real = objectives.pack(self.prepare(noise, inputs.batch.x), self.pack)
        fake = objectives.pack(self.images(params, self.draw_prior(draw)), self.pack)
        return (self.judge(params, model_state), real, fake), real
