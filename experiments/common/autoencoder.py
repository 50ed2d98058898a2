"""Autoencoders as experiments: all their pairs together, or the last one on the codes of those below."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.common.vae import unit_pixels
from experiments.run import require
from jaxvae.data import gaussian_noise, masking_noise, salt_and_pepper, to_unit
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.models import Autoencoder, with_mean_image
from jaxvae.nets import dropout
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Experiment,
    Likelihood,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    StepInput,
)

NoiseName = Literal["none", "gaussian", "masking", "salt_and_pepper", "dropout"]
Corrupt = Callable[[PRNGKey, Array], Array]  # (keys [B], images or codes [B, ...]) -> what the encoder sees
# (encoder, what is encoded without noise [B, ...], codes with it [B, ...], axis of replicas) -> [B] or []
Penalty = Callable[[Callable[[Array], Array], Array, Array, str | None], Array]
NOISES = {"gaussian": gaussian_noise, "masking": masking_noise, "salt_and_pepper": salt_and_pepper, "dropout": dropout}


def make_corruption(name: NoiseName, level: float) -> Corrupt:
    """Return a corruption by its name: the level is a standard deviation or a probability."""
    if name == "none":
        return lambda keys, x: x
    return lambda keys, x: NOISES[name](keys, x, level)


def check_noise(name: NoiseName, level: float) -> None:
    """Raise a `UserError` unless a level is one of a corruption."""
    expected = {"gaussian": "at least 0", "dropout": "0 to below 1"}.get(name, "0 to 1")
    sound = level >= 0 and (name == "gaussian" or level < 1 or (level == 1 and name != "dropout"))
    require("noise_level", level, sound, f"{expected} of {name}")


def loss_of(name: Literal["bce", "mse"]) -> Likelihood:
    """Return what scores images in [0, 1]: cross-entropy, or squared errors, summed over pixels.

    Neither is a log-probability: `log_prob` is of intensities, or of a Gaussian of variance 1/2 without its constant.
    """
    if name == "bce":
        return bernoulli()
    return gaussian(sigma=math.sqrt(0.5))._replace(log_prob=lambda mean, x: -jnp.sum(jnp.square(x - mean)))


def autoencoder_experiment(
    *,
    name: str,
    spec: DataSpec,
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    corrupt: Corrupt,
    penalty: Penalty | None = None,
    last_alone: bool = False,
    below: Params = None,
) -> Experiment:
    """Return the experiment that trains an autoencoder.

      loss = -log p(x | code of the corrupted x) + penalty

    or, of the last pair alone, how well it brings back what the pairs below give of x: cross-entropy where these end
    in a sigmoid, else squared errors.

    Args:
      name: of the experiment.
      spec: of the data.
      model: of images in [0, 1].
      optimizer: of the loss.
      corrupt: what the encoder, or the last pair, sees; in training and on the validation part.
      penalty: of the code, weighted; in training alone.
      last_alone: whether the pairs below the last stay as they are.
      below: parameters of these, or of all, to start from.
    """
    likelihood, num = model.likelihood, len(model.pairs)
    code_shape = model.pairs[-1].code_shape
    start = num - 1 if last_alone else 0  # of the pairs that learn
    if start:
        activation = model.pairs[start - 1].activation
        crossed = activation is nn.sigmoid
        of_codes = bernoulli() if crossed else loss_of("mse")

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        x = to_unit(batch.x, spec.num_values)
        params = model.init(key, x)["params"]
        params = with_mean_image(params, likelihood, jnp.average(x, axis=0, weights=batch.mask))
        return {**params, **(below or {})}, {}

    def apply(params: Params, *args: Any, method: str | None = None) -> Array:
        return model.apply({"params": params}, *args, method=method)

    def errors(params: Params, seen: Array, wanted: Array) -> tuple[Array, Array]:
        """Codes of what the first pair that learns sees, and how well [B] what is wanted comes back."""
        h = apply(params, seen, start, method="encode_from")
        if not start:
            return h, -jax.vmap(likelihood.log_prob)(apply(params, h, method="decode"), wanted)
        y = apply(params, h, method="decode_last")
        return h, -jax.vmap(of_codes.log_prob)(y if crossed else activation(y), wanted)

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        x = to_unit(inputs.batch.x, spec.num_values)
        wanted = jax.lax.stop_gradient(apply(params, x, start, method="encode"))
        seen = corrupt(inputs.keys.examples, wanted)
        h, missed = errors(params, seen, wanted)
        total = jnp.mean(missed)
        metrics = {"reconstruction": total}
        if penalty is not None:
            encode = lambda h: apply(params, h, start, method="encode_from")  # noqa: E731
            metrics["penalty"] = jnp.mean(penalty(encode, wanted, h, inputs.axis_name))
            total += metrics["penalty"]
        return total, (model_state, metrics)

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        x = to_unit(batch.x, spec.num_values)
        wanted = apply(params, x, start, method="encode")
        _, missed = errors(params, corrupt(keys, wanted), wanted)
        return {"loss": missed, "reconstruction": -jax.vmap(likelihood.log_prob)(apply(params, x), x)}

    def encode(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> tuple[Array, ...]:
        return (apply(params, x, method="encode").reshape(len(x), -1),)

    def decode(params: Params, model_state: ModelState, keys: PRNGKey, z: Array) -> Array:
        of_x = apply(params, z.reshape(len(z), *code_shape), method="decode")
        return jax.vmap(likelihood.mean)(of_x)

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        prepare=unit_pixels(spec),
        encode=encode,
        decode=decode,
    )
