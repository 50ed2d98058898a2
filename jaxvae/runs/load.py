"""A model rebuilt from its place alone: a run's folder, or what `Trained.save` wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvae.capabilities import Codes, Encodes, find
from jaxvae.errors import UserError
from jaxvae.runs.description import rebuild
from jaxvae.runs.export import is_export, read_arrays, read_record
from jaxvae.runs.folder import read_json
from jaxvae.runs.records import FORMAT
from jaxvae.runs.trained import Trained
from jaxvae.systems.assemble import loaded
from jaxvae.training import Checkpoints
from jaxvae.training.checkpoint import Best
from jaxvae.training.parallel import abstract, local_layout
from jaxvae.training.state import abstract_batch
from jaxvae.types import Dataset, DataSpec, Params, System


def load(place: str | Path, *, imports: Sequence[str] = (), system: System | None = None) -> Trained:
    """Rebuild a trained model from its place alone, without its data, to encode, decode, sample and score.

    Args:
      place: the folder of a run, or a folder or `.safetensors` file that `Trained.save` wrote. The folder of a study
        stands for its best run on the validation part.
      imports: modules of your own that define parts of the model; nothing else outside jaxvae is imported.
      system: the system, of a run whose parts cannot be described; by default it is rebuilt from its description.

    Returns:
      The model with the best parameters on the validation part.

    Raises:
      UserError: if there is no trained model, it is of another version, damaged, or has parts that are not imported.
    """
    place = Path(place).expanduser()
    if is_export(place):
        record = read_record(place)
        system = system or system_of(record, place, imports)
        best = read_arrays(place, _shapes_of(system))
        return Trained(system, best.params, best.model_state, record)
    record = read_json(place / "config.json")
    _check_format(record, place)
    if not (place / "checkpoints").is_dir():
        return _best_of_study(place, imports, system)
    system = system or system_of(record, place, imports)
    like = abstract(local_layout(), _shapes_of(system))
    with Checkpoints(place / "checkpoints", read_only=True) as checkpoints:
        best = checkpoints.restore_best(like)
    return Trained(system, best.params, best.model_state, record, place)


def system_of(record: Mapping[str, Any], place: Path, imports: Sequence[str] = ()) -> System:
    """Return the system that a `config.json` describes, for use alone.

    Raises:
      UserError: if it is not described, or by another version.
    """
    _check_format(record, place)
    described = record["system"]
    if "parts" not in described:
        raise UserError(f"{place} does not describe its model ({described['reason']}): load(place, system=...).")
    return loaded(described["name"], rebuild(described["parts"], imports), described["hparams"])


def load_coders(places: Sequence[str], spec: DataSpec, imports: Sequence[str] = ()) -> dict[str, Trained]:
    """Rebuild trained models that have codes, whichever, of the same images.

    Args:
      places: where they are, from the flag `--runs`.
      spec: of the images.
      imports: as of `load`.

    Returns:
      The models by experiment and name.

    Raises:
      UserError: as `load`; if one is of other images or has no codes, or two have the same experiment and name.
    """
    found: dict[str, Trained] = {}
    for place in map(Path, places):
        trained, name = load(place, imports=imports), f"{place.resolve().parent.name}_{place.resolve().name}"
        require_images(f"--runs {place}", trained.system, spec)
        require_codes(f"--runs {place}", trained.system)
        if name in found:
            raise UserError(
                f"--runs has two of the name {name}, {found[name].folder} and {place}: expected different ones."
            )
        found[name] = trained
    return found


def require_codes(name: str, system: System) -> None:
    """Raise a `UserError` unless a model has codes of images."""
    if find(system, Codes) is None and find(system, Encodes) is None:
        raise UserError(f"{name} is a run of {system.name}, which has no codes: expected a VAE, VQ-VAE or autoencoder.")


def require_images(name: str, system: System, spec: DataSpec) -> None:
    """Raise a `UserError` unless a model is of images of the data's shape and values."""
    of, expected = (f"images {list(one.shape)} of {one.num_values} values" for one in (system.spec, spec))
    if of != expected:
        raise UserError(f"{name} is of {of}, the data are {expected}: choose its --data.")


def load_start(place: Path, system: System) -> Best:
    """Return another run's best parameters and its model state (codebooks), to start from.

    Raises:
      UserError: if they do not fit the system's model.
    """
    found, expected = load(place), _shapes_of(system)
    start = Best(found.params, found.model_state)
    found_shapes, shapes = ({**_shapes(one.params), **_shapes(one.model_state)} for one in (start, expected))
    for path in sorted({*found_shapes, *shapes}):
        if found_shapes.get(path) != shapes.get(path):
            raise UserError(
                f"--init-from {place} does not fit this model: {path} is {found_shapes.get(path, 'missing')} there, "
                f"{shapes.get(path, 'missing')} here; expected a run of the same nets on images of "
                f"{list(system.spec.shape)}."
            )
    return start


# ---------- private


def _check_format(record: Mapping[str, Any], place: Path) -> None:
    if not isinstance(record, Mapping) or record.get("format") != FORMAT:
        found = record.get("format", "that of version 0.1") if isinstance(record, Mapping) else "none"
        raise UserError(f"{place} is of format {found}, this version of jaxvae reads format {FORMAT}: train it anew.")


def _best_of_study(place: Path, imports: Sequence[str], system: System | None) -> Trained:
    summary = read_json(place / "summary.json") if (place / "summary.json").exists() else {}
    if best := summary.get("best"):
        print(f"{place} is a study: its best run on the validation part is {best}, which is taken.")
        return load(place / best, imports=imports, system=system)
    parts = ", ".join(sorted(part.parent.name for part in place.glob("*/checkpoints")))
    raise UserError(f"{place} has no checkpoints, " + (f"its parts have: {parts}." if parts else "train it first."))


def _shapes_of(system: System) -> Best:
    """Shapes and types of a system's parameters and state, without data."""
    batch = abstract_batch(Dataset(jax.ShapeDtypeStruct((1, *system.spec.shape), np.uint8), None))
    return Best(*jax.eval_shape(system.trainable.init, jax.random.key(0), batch))


def _shapes(tree: Params) -> dict[str, list[int]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): list(leaf.shape) for path, leaf in leaves}
