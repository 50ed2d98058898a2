"""Priors over grids of codes, as experiments: p(codes) = prod_l p(grid_l | grid_{l-1}), each grid code by code."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.common.loading import abstract_state, given_or_zeros
from jaxvae import likelihoods, sampling
from jaxvae.data import split_grids
from jaxvae.data.codes import Shapes
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.types import (
    Array,
    Batch,
    DataSpec,
    Experiment,
    Metrics,
    ModelState,
    Params,
    PRNGKey,
    Samples,
    StepInput,
)


def code_prior_experiment(
    *,
    name: str,
    spec: DataSpec,
    decoders: Sequence[AutoregressiveDecoder],
    shapes: Shapes,
    codec: Experiment,
    codec_variables: tuple[Params, ModelState] | None,
    optimizer: optax.GradientTransformation,
) -> Experiment:
    """Return the experiment that learns which grids of codes there are, and draws images by way of them.

    The codec's parameters are part of the model state, unchanged by training: a checkpoint has all that drawing needs.

    Args:
      name: of the experiment.
      spec: of the codes, shape (L,).
      decoders: of the grids, the coarsest first: its context is made of classes, if it has one, and that of the others
        of the grid before.
      shapes: of the grids of one image.
      codec: whose codes they are.
      codec_variables: its parameters and state; None where shapes are enough, as for restoring a checkpoint.
      optimizer: of the negative log-likelihood of the codes.
    """
    of_codes = [likelihoods.categorical(decoder.num_codes) for decoder in decoders]
    conditional = decoders[0].context is not None
    bits = 1.0 / (math.log(2.0) * math.prod(codec.spec.shape))
    assert codec.codec is not None

    def flat(grids: Sequence[Array]) -> list[Array]:
        """Several codes a place stand beside each other, as columns."""
        return [grid.reshape(*grid.shape[:2], -1).astype(jnp.int32) for grid in grids]

    def contexts(grids: Sequence[Array], labels: Array | None) -> list[Array | None]:
        return [labels if conditional else None, *grids[:-1]]

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        num = batch.mask.shape[0]
        grids = flat([jnp.zeros((num, *shape), jnp.int32) for shape in shapes])
        given = contexts(grids, jnp.zeros(num, jnp.int32))
        keys = jax.random.split(key, len(decoders))
        params = {
            str(level): decoder.init(keys[level], z, x)["params"]
            for level, (decoder, z, x) in enumerate(zip(decoders, given, grids, strict=True))
        }
        return params, given_or_zeros(codec, codec_variables)

    def nll(params: Params, codes: Array, labels: Array | None) -> Array:
        grids = flat(split_grids(codes, shapes))
        total = jnp.zeros(len(codes))
        for level, (decoder, z) in enumerate(zip(decoders, contexts(grids, labels), strict=True)):
            of_x = decoder.apply({"params": params[str(level)]}, z, grids[level])
            total -= jax.vmap(of_codes[level].log_prob)(of_x, grids[level])
        return total

    def loss(params: Params, model_state: ModelState, inputs: StepInput) -> tuple[Array, tuple[ModelState, Metrics]]:
        mean = jnp.mean(nll(params, inputs.batch.x, inputs.batch.labels))
        return mean, (model_state, {"nll": mean, "rate_bits_per_dim": mean * bits})

    def evaluate(
        params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        values = nll(params, batch.x, batch.labels)
        return {"loss": values, "nll": values, "rate_bits_per_dim": values * bits}

    def sample(key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Draw codes; the images are what these stand for, E[x | codes]."""
        grids: list[Array] = []
        z = jnp.arange(num) % spec.num_classes if conditional else None
        for level, decoder in enumerate(decoders):
            keys = jax.random.split(jax.random.fold_in(key, level), num)
            draw = of_codes[level].sample
            z = sampling.autoregressive(decoder, params[str(level)], keys, draw, z).astype(jnp.int32)
            grids.append(z.reshape(num, *shapes[level]))
        decode: Callable[..., Any] = codec.codec.decode
        return Samples(decode(model_state["params"], model_state["state"], tuple(grids)), None)

    return Experiment(
        name=name,
        spec=spec,
        optimizer=optimizer,
        hparams={},
        init=init,
        loss=loss,
        evaluate=evaluate,
        sample=sample,
        prepare=lambda keys, x: x,
    )


def code_spec(codec: Experiment) -> DataSpec:
    """Return what there is to know of the codes of images as data: all grids of an image in one row."""
    assert codec.codec is not None
    length = sum(math.prod(shape) for shape in grid_shapes(codec))
    return DataSpec((length,), max(codec.codec.num_codes), codec.spec.num_classes)


def grid_shapes(codec: Experiment) -> Shapes:
    """Return the shapes of the grids of one image, without computing any."""
    assert codec.codec is not None
    state, x = abstract_state(codec), jax.ShapeDtypeStruct((1, *codec.spec.shape), np.float32)
    grids = jax.eval_shape(codec.codec.encode, state.params, state.model_state, x)
    return tuple(grid.shape[1:] for grid in grids)
