"""Load a trained model from a run's folder, from what `Trained.save` wrote, or by the name of a shipped one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvae.capabilities import Codes, Encodes, find
from jaxvae.errors import UserError
from jaxvae.runs.description import rebuild
from jaxvae.runs.export import is_export, read_arrays, read_record, saved_arrays
from jaxvae.runs.files import FORMAT, FUNCTIONS, read_json
from jaxvae.runs.finished import finished_place
from jaxvae.runs.pretrained import model_at
from jaxvae.runs.trained import Trained
from jaxvae.systems.assemble import loaded
from jaxvae.systems.first_stage import abstract_variables
from jaxvae.systems.two_stages import of_images
from jaxvae.training import Checkpoints
from jaxvae.training.checkpoint import Best
from jaxvae.training.checksums import other_arrays
from jaxvae.training.parallel import abstract, local_layout
from jaxvae.types import DataSpec, System

PARTS = ("spec", "prepare", "init", "evaluate", "use")  # what a system is assembled of


def load(place: str | Path, *, imports: Sequence[str] = (), system: System | None = None) -> Trained:
    """Load a trained model, without its data, to encode, decode, sample and score.

    Args:
      place: the folder of a run, a folder or `.safetensors` file that `Trained.save` wrote, or the name of a shipped
        model, as "digits-vae". The folder of a study stands for its best run on the validation set.
      imports: modules of your own, or of installed packages, that define parts of the model; nothing else outside
        jaxvae is imported. What was listed once counts for all that is loaded later in the same process.
      system: the system, of a run whose parts cannot be described; by default it is rebuilt from its description.

    Returns:
      The model with the best parameters on the validation set; a prior over codes with the VQ-VAE below as one model of
      images.

    Raises:
      UserError: if there is no trained model, it is of another version, damaged, or has parts that are not imported.
    """
    found = model_place(model_at(place))
    record, folder = record_of(found), None if is_export(found) else found
    if folder is not None and system is None and (finished := finished_place(folder, record, _best_step(folder))):
        found, record = finished, {**record, "system": record_of(finished).get("system")}
    system = system or system_of(record, found, imports)
    best = variables_of(found, system)
    return Trained(system, best.params, best.model_state, record, folder)


def model_place(place: Path) -> Path:
    """Return where a model is: of a study, the folder of its best run on the validation set.

    Raises:
      UserError: if there is none; the message says what there is.
    """
    if is_export(place) or (place / "checkpoints").is_dir():
        return place
    record = record_of(place)
    summary = read_json(place / "summary.json") if (place / "summary.json").exists() else {}
    best = summary.get("best") if isinstance(summary, Mapping) else None
    if isinstance(best, str) and (place / best / "checkpoints").is_dir():
        print(f"{place} is a study: its best run on the validation set is {best}, which is taken.")
        return place / best
    parts = ", ".join(sorted(part.parent.name for part in place.glob("*/checkpoints")))
    if parts:
        raise UserError(f"{place} has several models and none of them is the best one: load one of its parts, {parts}.")
    if "system" in record:
        raise UserError(f"{place} has no checkpoints: train it first.")
    raise UserError(
        f"{place} has no model that could be loaded: support vectors are not saved, nor is anything of a comparison of "
        "runs; load the runs that it was made of."
    )


def record_of(place: Path) -> dict[str, Any]:
    """Return what `config.json` says of a run or of a model that was saved.

    Raises:
      UserError: if there is none, it is of another version, or damaged.
    """
    if (place / FUNCTIONS).exists():
        raise UserError(
            f"{place} has functions for programs without jaxvae, see its card.md: expected a run, or what `export` "
            "writes as safetensors."
        )
    record = read_record(place) if is_export(place) else read_json(place / "config.json")
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise UserError(f"{place} has no record of a run in its config.json: it is damaged, or something else.")
    written = record.get("format")
    if written == FORMAT:
        return record
    if written is None:
        raise UserError(
            f"{place} was written by jaxvae 0.1, whose runs this version cannot load: train it again with this one."
        )
    if isinstance(written, int) and written > FORMAT:
        raise UserError(f"{place} is of format {written}, this jaxvae reads up to {FORMAT}: update jaxvae.")
    raise UserError(f"{place} is of format {written!r}, expected {FORMAT}: its config.json is damaged.")


def system_of(record: Mapping[str, Any], place: Path, imports: Sequence[str] = ()) -> System:
    """Return the system that a `config.json` describes, for use alone.

    Raises:
      UserError: if it is not described, or not as this version describes it.
    """
    described = record.get("system")
    match described:
        case {"name": str(name), "hparams": dict(hparams), "parts": dict(parts)} if _are_numbers(hparams):
            made = rebuild(parts, imports)
            if all(hasattr(made, part) for part in PARTS) and isinstance(made.spec, DataSpec):
                return loaded(name, of_images(made), hparams)
        case {"reason": str(reason)}:
            raise UserError(f"{place} does not describe its model ({reason}): load(place, system=...).")
    raise UserError(f"{place} does not describe its model as expected: its config.json is damaged.")


def variables_of(place: Path, system: System) -> Best:
    """Return the best parameters and the state of a trained model, as a system has them.

    Args:
      place: of the model, see `model_place`.
      system: of the same parts.

    Raises:
      UserError: if they are damaged, or do not fit the system.
    """
    like = _shapes_of(system, place)
    if is_export(place):
        return read_arrays(place, like)
    with Checkpoints(place / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.restore_best(abstract(local_layout(), like))


def load_coders(places: Sequence[str], spec: DataSpec, imports: Sequence[str] = ()) -> dict[str, Trained]:
    """Load trained models that encode images, all of the same data.

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


def require_images(name: str, system: System, spec: DataSpec, *, classes: bool = False) -> None:
    """Raise a `UserError` unless a model is of images of the data's shape and values, and of as many classes."""

    def said(one: DataSpec) -> str:
        return f"images {list(one.shape)} of {one.num_values} values{f', {one.num_classes} classes' * classes}"

    of, expected = said(system.spec), said(spec)
    if of != expected:
        raise UserError(f"{name} is of {of}, the data are {expected}: choose its --data.")


def load_start(place: str | Path, system: System) -> Best:
    """Return the best parameters of a trained model and its state (codebooks), for another training to start from.

    Args:
      place: as of `load`.
      system: that is trained; the other's own description is not looked at.

    Raises:
      UserError: as `load`; if they do not fit the system.
    """
    place = model_place(model_at(place))
    record_of(place)
    there = saved_arrays(place) if is_export(place) else _arrays_of(place)
    if there and (other := other_arrays(_shapes_of(system, place)._asdict(), there)):
        raise UserError(
            f"init_from {place} does not fit this model: {other}; expected a run of the same nets on images of "
            f"{list(system.spec.shape)}."
        )
    return variables_of(place, system)


# ---------- private


def _shapes_of(system: System, place: Path) -> Best:
    try:
        return Best(*abstract_variables(system))
    except Exception as error:  # of whatever type the parts have for arguments that nobody would give them
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{place} describes a model that cannot be made ({reason}): its config.json is damaged, or was written by "
            "another version."
        ) from error


def _arrays_of(place: Path) -> dict[str, str] | None:
    with Checkpoints(place / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.best_arrays()


def _best_step(place: Path) -> int | None:
    """The step of the best parameters in the newest checkpoint of a run, None where there is none."""
    with Checkpoints(place / "checkpoints", read_only=True) as checkpoints:
        return checkpoints.best_step()


def _are_numbers(values: Mapping[str, Any]) -> bool:
    return all(isinstance(value, int | float) for value in values.values())
