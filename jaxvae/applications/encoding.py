"""Encode images and decode codes: vectors of every group of latents, or grids of discrete codes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.codes_given import given_grids, given_vectors
from jaxvae.applications.given_classes import with_classes
from jaxvae.applications.prepared import without_keys
from jaxvae.capabilities import Codes, Decodes, Encodes, GivenClasses, HasPrior, find, require_any
from jaxvae.data import to_unit
from jaxvae.data.batches import num_examples
from jaxvae.labelled import Labelled, same_labels, values_of
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System


def encode(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> tuple[np.ndarray, ...]:
    """Encode images as they are, without binarising them.

    Args:
      system: one that encodes.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, and their labels where the model is conditional on these.
      key: of the samples where a posterior's mean has no closed form; by default that of evaluations.

    Returns:
      Grids of codes [N, h, w], the coarsest first; or E_q[z_l | x] of every group of latents, [N, D_l].

    Raises:
      UserError: if the system has no codes, or labels that it needs are missing.
    """
    function, spec, given = _encoder(system), system.spec, with_classes(system, dataset)
    size = program_batch_size(len(dataset.x), evaluation_batch_size(spec))

    def one(start: int, batch: Batch) -> Any:
        return _encode(function, params, model_state, key, np.int32(start), batch.x, spec.num_values)

    return in_batches(one, given, size, shown="encoding")


def decode(
    system: System,
    params: Params,
    model_state: ModelState,
    codes: Any,
    key: PRNGKey | None = None,
    *,
    labels: Any = None,
    same_noise: bool = False,
) -> np.ndarray:
    """Decode what `encode` gives.

    Args:
      system: one that decodes.
      params: its parameters.
      model_state: its state.
      codes: vectors [N, D] of the latent that is decoded, or grids of codes, a tuple where there are several.
      key: of the draws where pixels depend on each other; by default that of evaluations.
      labels: classes [N] of a model that is conditional on these, or [N, K], shares of several classes.
      same_noise: whether all images are drawn with the noise of the first, as those of one path.

    Returns:
      Images [N, H, W, C] in [0, 1].

    Raises:
      UserError: if the system decodes nothing, these are no codes of its images, or labels that it needs are missing.
    """
    coder = require_any(system, (Codes, Decodes), "codes of images that it decodes")
    expected = code_shapes(system, params, model_state)
    x: Any
    if isinstance(coder, Codes):
        function, x = without_keys(coder.decode), given_grids(codes, system.name, expected, coder.num_codes)
    else:
        function, x = coder.decode, given_vectors(codes, system.name, expected)
    given = with_classes(system, Dataset(x, labels))
    size = program_batch_size(num_examples(given), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        return _decode(function, params, model_state, key, np.int32(start), batch.x, same_noise)

    return in_batches(one, given, size, shown="decoding")


def code_shapes(system: System, params: Params, model_state: ModelState) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the codes of one image, those of `encode` without N, without computing any.

    Args:
      system: one that encodes, or a generator that decodes latents of its prior.
      params: its parameters.
      model_state: its state.

    Raises:
      UserError: if the system has no codes.
    """
    prior = find(system, HasPrior)
    if prior is not None and find(system, Encodes) is None:
        return (jax.eval_shape(prior.quantiles, params, model_state, jnp.zeros(1)).shape[1:],)
    function, spec = _encoder(system), system.spec
    x: Any = jax.ShapeDtypeStruct((1, *spec.shape), jnp.float32)
    x = Labelled(x, jax.ShapeDtypeStruct((1,), jnp.int32)) if find(system, GivenClasses) else x
    codes = _encode.eval_shape(function, params, model_state, None, np.int32(0), x, spec.num_values)
    return tuple(code.shape[1:] for code in codes)


# ---------- private


def _encoder(system: System) -> Callable[..., Any]:
    """(params, model_state, keys, x) -> codes."""
    coder = require_any(system, (Codes, Encodes), "codes of images")
    return without_keys(coder.encode) if isinstance(coder, Codes) else coder.encode


# Keys are made within the programs, which leave out those that nothing is drawn with.


@functools.partial(jax.jit, static_argnums=(0, 6))
def _encode(
    encode: Callable,
    params: Params,
    model_state: ModelState,
    key: PRNGKey | None,
    start: Array,
    x: Array,
    num_values: int,
) -> tuple[Array, ...]:
    unit = to_unit(jnp.asarray(values_of(x)), num_values)
    return encode(params, model_state, evaluation_keys(start, len(unit), key), same_labels(x, unit))


@functools.partial(jax.jit, static_argnums=(0, 6))
def _decode(
    decode: Callable,
    params: Params,
    model_state: ModelState,
    key: PRNGKey | None,
    start: Array,
    codes: Any,
    same_noise: bool,
) -> Array:
    num = len(jax.tree.leaves(codes)[0])
    keys = jnp.broadcast_to(evaluation_keys(0, 1, key), (num,)) if same_noise else evaluation_keys(start, num, key)
    return jnp.clip(decode(params, model_state, keys, codes), 0.0, 1.0)
