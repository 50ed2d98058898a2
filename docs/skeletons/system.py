"""A system to copy to `jaxvae/systems/`: a normalizing flow on pixels, with an exact likelihood and samples."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxvae import capabilities
from jaxvae.data import dequantize
from jaxvae.distributions import standard_normal_log_prob
from jaxvae.flows import CouplingFlow
from jaxvae.keys import split_each
from jaxvae.systems.assemble import assembled
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
    Samples,
    StepInput,
    System,
)


@dataclass(frozen=True, eq=False)
class PixelFlowParts:
    """What the system is made of, and what it can do. Fields are what `config.json` describes: modules, numbers, names.

    Attributes:
      spec: of the data.
      flow: images as vectors [S, B, H * W * C] -> noise.
      prepare: makes what is modelled of the images.
    """

    spec: DataSpec
    flow: CouplingFlow
    prepare: Prepare

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return new parameters, and the other Linen collections: {} where there are none."""
        del batch  # whose mean image other systems start from
        return self.flow.init(key, jnp.zeros((1, 1, self.flow.latent_dim)))["params"], {}

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return values of every image, [B]; `loss` chooses the best parameters, smaller is better."""
        del hparams
        noise, _ = split_each(keys)
        nll = -self.log_prob(params, model_state, self.prepare(noise, batch.x), batch.labels)
        return {"loss": nll, "nll": nll}

    @property
    def use(self) -> tuple[Any, ...]:
        """What the system can do, each a record of pure functions: see `jaxvae.capabilities`. Reports rest on these."""
        return capabilities.Generates(self.sample), capabilities.ScoresExactly(self.log_prob, discrete=False)

    def log_prob(self, params: Params, model_state: ModelState, x: Array, labels: Array | None) -> Array:
        """Return log p(x), [B], nats: log N(f(x)) + log|det df/dx|."""
        del model_state, labels
        z, log_det = self.flow.apply({"params": params}, x.reshape(1, len(x), -1))
        return jax.vmap(standard_normal_log_prob)(z[0]) + log_det[0]

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Draw images: f^-1 of noise."""
        del model_state
        z = jax.random.normal(key, (1, num, self.flow.latent_dim))
        x, _ = self.flow.apply({"params": params}, z, method="inverse")
        return Samples(x.reshape(num, *self.spec.shape), None)


@dataclass(frozen=True, eq=False)
class NegativeLogLikelihood:
    """The loss: the mean over the batch, the only place where anything is reduced over it."""

    parts: PixelFlowParts

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, _ = split_each(inputs.keys.examples)
        x = self.parts.prepare(noise, inputs.batch.x)
        nll = -jnp.mean(self.parts.log_prob(params, model_state, x, inputs.batch.labels))
        return nll, (model_state, {"nll": nll})


def pixel_flow_system(
    *, name: str, spec: DataSpec, flow: CouplingFlow, optimizer: optax.GradientTransformation
) -> System:
    """Return the system of a flow on pixels, trained by maximum likelihood.

    Args:
      name: of the system.
      spec: of the data.
      flow: of vectors of all pixel values.
      optimizer: of the negative log-likelihood.

    Returns:
      The system.
    """
    parts = PixelFlowParts(spec, flow, functools.partial(dequantize, num_values=spec.num_values))
    return assembled(name, parts, [Player("flow", NegativeLogLikelihood(parts), optimizer)])
