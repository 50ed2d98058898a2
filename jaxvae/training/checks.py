"""What those who compose a system or bring data meet where a part is not as `fit` needs it: one sentence each."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.part_names import SETS
from jaxvae.errors import UserError
from jaxvae.types import Dataset, DataSpec, Splits

RESERVED = ("loss", "grad_norm", "finite", "skipped", "images_per_second")  # metrics that a training adds itself


def check_splits(splits: Any, spec: DataSpec) -> None:
    """Raise unless a training can take its parts from what it is given.

    Args:
      splits: what is given as data.
      spec: of the system.

    Raises:
      UserError: if these are no `Splits`, or a part is not as `check_dataset` wants it.
    """
    if not isinstance(splits, Splits):
        raise UserError(
            f"The data are {_kind(splits)}, expected Splits(train, valid, test) of Dataset(x, labels): "
            "jaxvae.data.load makes them of arrays."
        )
    for part, dataset in splits._asdict().items():
        check_dataset(dataset, spec, SETS[part])


def check_dataset(dataset: Any, spec: DataSpec, name: str) -> None:
    """Raise unless a part of the data has examples of a spec; what is no array, as q(z | x) of images, has no shape.

    Args:
      dataset: the part.
      spec: of the system.
      name: of the set, for the message: training, validation, test.

    Raises:
      UserError: if it is no `Dataset`, its images have another shape, or there are not as many labels as examples.
    """
    if not isinstance(dataset, Dataset):
        raise UserError(f"The {name} set is {_kind(dataset)}, expected Dataset(x, labels); labels may be None.")
    leaves = jax.tree.leaves(dataset.x)
    if not leaves or any(not getattr(leaf, "shape", ()) for leaf in leaves):
        raise UserError(f"The {name} set has {_kind(dataset.x)} for x, expected an array of examples: np.asarray(x).")
    shape = getattr(dataset.x, "shape", None)
    # Draws of several densities at once are no images, and have axes that their spec does not know of.
    if shape is not None and len(spec.shape) == 3 and tuple(shape[1:]) != tuple(spec.shape):
        lacks = " (an axis of channels is missing: x[..., None])" if (*shape[1:], 1) == tuple(spec.shape) else ""
        raise UserError(
            f"The {name} set has images of shape {list(shape[1:])}, expected {list(spec.shape)}, that of the system's "
            f"spec{lacks}: reshape them, or build the system with another spec."
        )
    num = len(leaves[0])
    if dataset.labels is not None and len(dataset.labels) != num:
        raise UserError(f"The {name} set has {num} examples and {len(dataset.labels)} labels: give one for each.")


def check_evaluated(values: Any, num: int) -> None:
    """Raise unless `Trainable.evaluate` gives a loss and other numbers of every example.

    Args:
      values: what it gives.
      num: B, of the batch.

    Raises:
      UserError: if there is no `loss`, or a value has no entry for every example.
    """
    if not isinstance(values, Mapping) or "loss" not in values:
        found = ", ".join(values) if isinstance(values, Mapping) else _kind(values)
        raise UserError(
            f"`evaluate` gives {found or 'nothing'}, expected a dict with `loss` [B] in it, by which the best step is "
            "chosen: return {'loss': ..., ...}."
        )
    for name, value in values.items():
        shape = jnp.shape(value)
        if shape[:1] != (num,) or (name == "loss" and len(shape) > 1):
            raise UserError(
                f"`evaluate` gives {name} of shape {list(shape)} for {num} examples, expected "
                f"[{num}{'' if name == 'loss' else ', ...'}]: return a number for every example, means are taken later."
            )


def check_loss(name: str, found: Any) -> None:
    """Raise unless the loss of a player gives what a step needs.

    Args:
      name: of the player.
      found: what its loss gives.

    Raises:
      UserError: if it is not (loss [], (model_state, metrics [] each)), or a metric has a name that steps give to
        something else.
    """
    form = "expected (loss, (model_state, metrics))"
    if not (isinstance(found, tuple) and len(found) == 2):
        raise UserError(f"The loss of {name} gives {_kind(found)}, {form}: return all three.")
    value, rest = found
    if not (isinstance(rest, tuple) and len(rest) == 2 and isinstance(rest[1], Mapping)):
        raise UserError(f"The loss of {name} gives {_kind(rest)} beside its value, {form}: return all three.")
    if jnp.shape(value) != ():
        raise UserError(
            f"The loss of {name} has shape {list(jnp.shape(value))}, expected one number: give the mean over the batch."
        )
    kind = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    if not jnp.issubdtype(kind, jnp.floating):
        raise UserError(f"The loss of {name} is of type {kind}, expected a float, which has a gradient.")
    for metric, number in rest[1].items():
        if metric in RESERVED:
            raise UserError(
                f"The loss of {name} gives a metric called {metric}, which a step itself gives: choose another name."
            )
        if jnp.shape(number) != ():
            raise UserError(
                f"The metric {metric} of {name} has shape {list(jnp.shape(number))}, expected one number: return its "
                "mean over the batch."
            )


def check_initial(found: Any) -> None:
    """Raise a `UserError` unless `Trainable.init` gives (params, model_state)."""
    if not (isinstance(found, tuple) and len(found) == 2):
        raise UserError(
            f"`init` gives {_kind(found)}, expected (params, model_state): return params, {{}} where there is no state."
        )


# ---------- private


def _kind(value: Any) -> str:
    if type(value) in (tuple, list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"an array of shape {list(value.shape)}"
    return f"a {type(value).__name__}"
