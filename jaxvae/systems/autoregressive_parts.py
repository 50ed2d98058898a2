"""Autoregressive models as systems: no latents, every pixel given those before it, so that the likelihood is exact.

log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1})
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities, sampling
from jaxvae.data import to_unit
from jaxvae.keys import split_each
from jaxvae.likelihoods.scoring import perfect_pixels, score_images, score_pixels
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.systems.assemble import assembled
from jaxvae.systems.autoregressive_completion import KnownTokens, is_in_order
from jaxvae.systems.pixel_tokens import tokens_of_images
from jaxvae.systems.tokens import Tokens, classes_in_turn
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Likelihood,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    Samples,
    StepInput,
    System,
)


@dataclass(frozen=True, eq=False)
class AutoregressiveParts:
    """The parts of an autoregressive model, with its capabilities as methods.

    Attributes:
      spec: of the data.
      decoder: of tokens; its context, if it has one, is made of the labels.
      likelihood: of the tokens.
      tokens: the units that are predicted: pixels or blocks of them.
      prepare: the preprocessing of images: binarises or scales them.
    """

    spec: DataSpec
    decoder: AutoregressiveDecoder
    likelihood: Likelihood
    tokens: Tokens
    prepare: Prepare

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters; of pixels, the output bias is the mean image."""
        params_key, noise = jax.random.split(key)
        num = batch.mask.shape[0]
        x = self.tokens.encode(self.prepare(jax.random.split(noise, num), batch.x))
        params = self.decoder.init(params_key, self._context(jnp.zeros(num, jnp.int32)), x)["params"]
        if self.likelihood.init_bias is not None and not self.tokens.num_codes:
            mean = jnp.average(to_unit(batch.x, self.spec.num_values), axis=0, weights=batch.mask)
            params = {**params, "bias": self.likelihood.init_bias(mean)}
        return params, {}

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the negative log-likelihood of every image, nats, and in bits per dimension."""
        noise, _ = split_each(keys)
        nll = -self.log_prob(params, model_state, self.prepare(noise, batch.x), batch.labels)
        return {"loss": nll, "nll": nll, "bits_per_dim": nll * self.bits}

    @property
    def bits(self) -> float:
        """Factor from nats per image to bits per dimension."""
        return 1.0 / (math.log(2.0) * math.prod(self.spec.shape))

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        common = (
            capabilities.Generates(self.sample),
            capabilities.ScoresExactly(self.log_prob, self.likelihood.discrete, self._num_classes),
            capabilities.Completes(self.complete, self._num_classes),
            capabilities.ScoresCompletions(self.log_unknown, self.in_order, self._num_classes),
            capabilities.ScoresPixels(self.log_pixels, self.perfect),
        )
        able = (
            (capabilities.GeneratesClasses(self.spec.num_classes, self.sample_classes), self._conditional),
            (capabilities.GeneratesTempered(self.sample_tempered), self.likelihood.tempered is not None),
        )
        coded = tokens_of_images(self.spec, self.decoder, self.likelihood, self.tokens, self._num_classes)
        found = (capability for capability, holds in able if holds)
        return (*common, *found, *([] if coded is None else [coded]))

    def log_prob(self, params: Params, model_state: ModelState, x: Array, labels: Array | None) -> Array:
        """Return log p(x), or log p(x | class): see `capabilities.ScoresExactly`."""
        tokens = self.tokens.encode(x)
        of_x = self.decoder.apply({"params": params}, self._context(labels), tokens)
        return score_images(self.likelihood, of_x, tokens)

    def log_pixels(self, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
        """Return log p(x_ij | those before it), that of a block in equal parts: see `capabilities.ScoresPixels`.

        Of a model that is conditional on classes it is that of all classes together, whatever the class of the image.
        """
        tokens = self.tokens.encode(x)
        log_p = self._log_tokens(params, tokens)
        rows, columns = x.shape[1] // log_p.shape[1], x.shape[2] // log_p.shape[2]
        return log_p.repeat(rows, axis=1).repeat(columns, axis=2) / (rows * columns)

    def perfect(self, x: Array) -> Array:
        """Return log p(x_ij) of a perfect prediction: see `capabilities.ScoresPixels`."""
        return jnp.zeros(x.shape[:3]) if self.tokens.num_codes else perfect_pixels(self.likelihood, x)

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Sample images token by token, of the classes in turn: see `capabilities.Generates`."""
        return self._sample(key, params, classes_in_turn(num, self.spec.num_classes), self.likelihood.sample)

    def sample_classes(self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array) -> Samples:
        """Sample images of some classes: see `capabilities.GeneratesClasses`."""
        return self._sample(key, params, labels, self.likelihood.sample)

    def sample_tempered(
        self, key: PRNGKey, params: Params, model_state: ModelState, labels: Array, temperature: Array
    ) -> Samples:
        """Sample images whose tokens have tempered probabilities: see `capabilities.GeneratesTempered`."""
        return self._sample(key, params, labels, sampling.tempered_draw(self.likelihood, temperature))

    def complete(
        self,
        params: Params,
        model_state: ModelState,
        keys: PRNGKey,
        x: Array,
        labels: Array | None,
        known: Array,
        num: int,
    ) -> Samples:
        """Draw the unknown pixels: see `capabilities.Completes`."""
        return Samples(self._known(params, x, labels, known).complete(keys, num), None)

    def log_unknown(
        self,
        params: Params,
        model_state: ModelState,
        keys: PRNGKey,
        x: Array,
        labels: Array | None,
        known: Array,
        num: int,
    ) -> Array:
        """Return log p(unknown pixels | known ones): see `capabilities.ScoresCompletions`."""
        return self._known(params, x, labels, known).log_unknown(keys, num)

    def in_order(self, known: Any) -> Any:
        """Return for which masks there is nothing to draw: see `capabilities.ScoresCompletions`."""
        return is_in_order(self.tokens, known)

    def _known(self, params: Params, x: Array, labels: Array | None, known: Array) -> KnownTokens:
        return KnownTokens(self.decoder, self.likelihood, self.tokens, params, x, self._context(labels), known)

    def _sample(self, key: PRNGKey, params: Params, labels: Array, draw: sampling.Draw) -> Samples:
        keys = jax.random.split(key, len(labels))
        tokens = sampling.autoregressive(self.decoder, params, keys, draw, self._context(labels))
        return Samples(self.tokens.decode(tokens), None)

    def _log_tokens(self, params: Params, tokens: Array) -> Array:
        """Log-probabilities of the tokens of images, each given those before it, [B, h, w]."""

        def given(context: Array | None) -> Array:
            return score_pixels(self.likelihood, self.decoder.apply({"params": params}, context, tokens), tokens)

        if not self._conditional:
            return given(None)
        classes = jnp.arange(self.spec.num_classes)
        each = jax.lax.map(lambda label: given(jnp.full(len(tokens), label)), classes)  # [K, B, h, w]
        # p(token | those before) is the ratio of the sums over classes with it and without it.
        so_far = jax.nn.logsumexp(jnp.cumsum(each.reshape(*each.shape[:2], -1), axis=-1), axis=0)
        log_p = jnp.diff(so_far, axis=-1, prepend=jnp.log(float(self.spec.num_classes)) * jnp.ones((len(tokens), 1)))
        return log_p.reshape(each.shape[1:])

    @property
    def _conditional(self) -> bool:
        return self.decoder.context is not None

    @property
    def _num_classes(self) -> int:
        return self.spec.num_classes if self._conditional else 0

    def _context(self, labels: Array | None) -> Array | None:
        return labels if self._conditional else None


@dataclass(frozen=True, eq=False)
class NegativeLogLikelihood:
    """The loss: the mean of -log p(x) over the batch."""

    parts: AutoregressiveParts

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, _ = split_each(inputs.keys.examples)
        x = self.parts.prepare(noise, inputs.batch.x)
        nll = jnp.mean(-self.parts.log_prob(params, model_state, x, inputs.batch.labels))
        return nll, (model_state, {"nll": nll, "bits_per_dim": nll * self.parts.bits})


def autoregressive_system(
    *,
    name: str,
    spec: DataSpec,
    decoder: AutoregressiveDecoder,
    likelihood: Likelihood,
    tokens: Tokens,
    prepare: Prepare,
    optimizer: optax.GradientTransformation,
) -> System:
    """Return the system that maximises the likelihood of images.

    Args:
      name: of the system.
      spec: of the data.
      decoder: of tokens; its context, if it has one, is made of the labels.
      likelihood: of the tokens.
      tokens: the units that are predicted: pixels or blocks of them.
      prepare: the preprocessing of images: binarises or scales them.
      optimizer: of the negative log-likelihood.

    Returns:
      The system.
    """
    parts = AutoregressiveParts(spec, decoder, likelihood, tokens, prepare)
    return assembled(name, parts, [Player("autoregressive", NegativeLogLikelihood(parts), optimizer)])
