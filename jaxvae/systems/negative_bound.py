"""The loss of a VAE: the negative of the bound that an experiment maximises."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxvae.keys import split_each
from jaxvae.types import Array, Metrics, ModelState, Params, Prepare, PRNGKey, StepInput

# (params, keys [B], prepared x [B, H, W, C], hparams and step) -> what is maximised [B], metrics [B] or []
Bound = Callable[[Params, PRNGKey, Array, StepInput], tuple[Array, Metrics]]


@dataclass(frozen=True, eq=False)
class NegativeBound:
    """The loss: the negative mean of a bound over a batch of preprocessed images."""

    prepare: Prepare
    bound: Bound

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        noise, draw = split_each(inputs.keys.examples)
        value, metrics = self.bound(params, draw, self.prepare(noise, inputs.batch.x), inputs)
        return -jnp.mean(value), (model_state, jax.tree.map(jnp.mean, metrics))
