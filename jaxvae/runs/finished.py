"""The model that a finished training gives away, where that is more than its best parameters: beside its checkpoints.

`finished.safetensors` is a model as `Trained.save` writes it. `config.json` says of which step it is: when the training
goes on and finds better parameters, these are taken, until it has ended again.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxvae.errors import UserError
from jaxvae.runs.export import save_model
from jaxvae.runs.files import read_json, write_json
from jaxvae.runs.records import described
from jaxvae.runs.trained import Trained
from jaxvae.training import distributed
from jaxvae.types import Splits, System

FINISHED, STEP = "finished.safetensors", "finished_step"


def finish(trained: Trained, splits: Splits) -> Trained:
    """Return a model after what follows its training, and keep it in its folder.

    Args:
      trained: with the best parameters on the validation set.
      splits: its data.
    """
    function, step = trained.system.trainable.finish, trained.training["best_step"]
    if function is None or not step or "failure" in trained.training:
        return trained
    found = function(trained.params, trained.model_state, splits)
    if found is None:
        return trained
    parts, params = found
    system = finished_system(trained.system, parts)
    record = {**trained.record, "system": described(system), STEP: step}
    done = replace(trained, system=system, params=params, record=record)
    if trained.folder is not None and distributed.is_primary():
        path = trained.folder / "config.json"
        save_model(trained.folder / FINISHED, record, params, trained.model_state, overwrite=True)
        write_json(path, {**read_json(path), STEP: step})
    return done


def finished_system(system: System, parts: Any) -> System:
    """Return a system with the parts that it has when its training has ended."""
    trainable = system.trainable._replace(evaluate=parts.evaluate)
    return system._replace(parts=parts, use=parts.use, trainable=trainable)


def finished_place(place: Path, record: Mapping[str, Any], best_step: int | None) -> Path | None:
    """Return where the finished model of a run is, None of one whose best parameters are all.

    Args:
      place: the run's folder.
      record: its `config.json`.
      best_step: of the best parameters in its newest checkpoint.

    Raises:
      UserError: if it has gone.
    """
    step, path = record.get(STEP), place / FINISHED
    if step is None or step != best_step:
        return None
    if not path.exists():
        raise UserError(f"{place} has lost its {FINISHED}, the model after the training: make it anew with --resume.")
    return path
