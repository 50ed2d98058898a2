"""A finished run, rebuilt from its folder alone."""

import hashlib
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.folder import read_json
from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, create_train_state, evaluated_params
from jaxvae.training.checkpoint import Best
from jaxvae.training.parallel import abstract, local_layout
from jaxvae.types import Batch, DataSpec, Experiment, ModelState, Params, TrainState

Build = Callable[[Any, DataSpec], Experiment]
_ENOUGH = 2**16  # images of which nothing but shapes is computed: codebooks start from no fewer vectors than codes


class Finished(NamedTuple):
    """A trained experiment, as `train`, `train_sweep` and `load` return it."""

    experiment: Experiment
    config: Any
    params: Params  # the best on the validation part
    model_state: ModelState
    folder: Path
    training: dict[str, Any]  # steps, seconds, compile_seconds, images_per_second, ...; {} after `load`


def load(folder: str | Path) -> Finished:
    """Rebuild a finished run from its folder alone, without its data, ready to encode, decode and sample.

    Args:
      folder: of the run, with `config.json` and `checkpoints/`.

    Returns:
      The experiment with the best parameters on the validation part.

    Raises:
      UserError: if the folder is not that of a run, or has no checkpoint.
    """
    folder = Path(folder)
    record = read_json(folder / "config.json")
    if not (folder / "checkpoints").is_dir():
        parts = ", ".join(sorted(part.parent.name for part in folder.glob("*/checkpoints")))
        raise UserError(
            f"{folder} has no checkpoints, " + (f"its parts have: {parts}." if parts else "train it first.")
        )
    try:
        experiment, config = rebuilt(record)
    except (KeyError, TypeError, ModuleNotFoundError) as error:
        raise UserError(
            f"{folder / 'config.json'} is not of this version of jaxvae ({error}): train it anew."
        ) from error
    like = abstract(local_layout(), evaluated_params(abstract_state(experiment)))
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        best = checkpoints.restore_best(like)
    return Finished(experiment, config, best.params, best.model_state, folder, {})


def load_coders(places: Sequence[str], spec: DataSpec) -> dict[str, Finished]:
    """Rebuild finished runs of models that have codes, whichever, of the same images.

    Args:
      places: their folders, from the flag `--runs`.
      spec: of the images.

    Returns:
      The runs by experiment and name.

    Raises:
      UserError: as `load`; if one is of other images or has no codes, or two have the same experiment and name.
    """
    found: dict[str, Finished] = {}
    for place in map(Path, places):
        finished, name = load(place), f"{place.resolve().parent.name}_{place.resolve().name}"
        experiment = finished.experiment
        require_images(f"--runs {place}", experiment, spec)
        require_codes(f"--runs {place}", experiment)
        if name in found:
            raise UserError(
                f"--runs has two of the name {name}, {found[name].folder} and {place}: expected different ones."
            )
        found[name] = finished
    return found


def require_codes(name: str, experiment: Experiment) -> None:
    """Raise a `UserError` unless a model has codes of images."""
    if experiment.codec is None and experiment.encode is None:
        raise UserError(f"{name} is a run of {experiment.name}, which has no codes.")


def require_images(name: str, experiment: Experiment, spec: DataSpec) -> None:
    """Raise a `UserError` unless a model is of images of the data's shape and values."""
    of, expected = (f"images {list(one.shape)} of {one.num_values} values" for one in (experiment.spec, spec))
    if of != expected:
        raise UserError(f"{name} is of {of}, the data are {expected}: choose its --data.")


def rebuilt(record: dict[str, Any]) -> tuple[Experiment, Any]:
    """Return the experiment and the configuration of a `config.json`; a second stage's has that of the first in it."""
    module = importlib.import_module(f"experiments.{record['experiment']}")
    config = module.Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in record["config"].items()})
    spec = DataSpec(**{**record["spec"], "shape": tuple(record["spec"]["shape"])})
    if "codec" not in record:
        return module.build(config, spec), config
    return module.build(config, spec, rebuilt(record["codec"])[0]), config


def fingerprint(finished: Finished) -> str:
    """Return a hash of the parameters and the state of a trained model: codes of another one mean other images."""
    leaves = jax.tree_util.tree_leaves_with_path((finished.params, finished.model_state))
    digest = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves):
        digest.update(f"{path} {leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return digest.hexdigest()[:16]


def load_start(folder: Path, experiment: Experiment, spec: DataSpec) -> Best:
    """Return another run's best parameters and its model state (codebooks), to start from.

    Raises:
      UserError: if they do not fit the experiment's model.
    """
    found, expected = load(folder), evaluated_params(abstract_state(experiment))
    start = Best(found.params, found.model_state)
    found_shapes, shapes = ({**_shapes(one.params), **_shapes(one.model_state)} for one in (start, expected))
    for path in sorted({*found_shapes, *shapes}):
        if found_shapes.get(path) != shapes.get(path):
            raise UserError(
                f"--init-from {folder} does not fit this model: {path} is {found_shapes.get(path, 'missing')} there, "
                f"{shapes.get(path, 'missing')} here; expected a run of the same nets on images of {list(spec.shape)}."
            )
    return start


def abstract_state(experiment: Experiment, num: int = _ENOUGH) -> TrainState:
    """The shapes of a training's state, without data.

    Args:
      experiment: to be trained, or to be restored.
      num: images that it is initialised with; what these are too few for raises the `UserError` that it would there.
    """
    x = jax.ShapeDtypeStruct((num, *experiment.spec.shape), "uint8")
    batch = Batch(x, None, jax.ShapeDtypeStruct((num,), "float32"))
    return jax.eval_shape(lambda key, batch: create_train_state(experiment, key, batch), jax.random.key(0), batch)


def given_or_zeros(experiment: Experiment, variables: tuple[Params, ModelState] | None) -> ModelState:
    """Return the parameters and the state of a model that another is built on, as part of that one's state.

    Args:
      experiment: the model.
      variables: its parameters and state; None where shapes are enough, as for restoring a checkpoint.

    Returns:
      {"params": ..., "state": ...}.
    """
    if variables is None:
        state = abstract_state(experiment)
        variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), (state.params, state.model_state))
    return dict(zip(("params", "state"), variables, strict=True))


# ---------- private


def _shapes(tree: Params) -> dict[str, list[int]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): list(leaf.shape) for path, leaf in leaves}
