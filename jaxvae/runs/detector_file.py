"""The file of a detector: arrays as NPZ, without the model that it is of, which it knows by a hash."""

import io
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.applications.anomaly.detector import SCORE, Detector
from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.data.npz import read_npz
from jaxvae.data.places import located
from jaxvae.errors import UserError

FORMAT = 1
ABOUT, FITTED, CALIBRATION = "about", "fitted/", "calibration/"


class Saved(NamedTuple):
    """A detector and what it is of."""

    detector: Detector
    model: str  # hash of its parameters
    background: str | None  # the same of the background model
    name: str  # of the system
    alpha: float
    num_samples: int
    seed: int
    num_fitted: int  # normal images that it was fitted to


def write_detector(place: Path, saved: Saved, overwrite: bool) -> Path:
    """Write a detector, whole or not at all.

    Args:
      place: NAME.npz.
      saved: the detector.
      overwrite: whether to replace what is there.

    Returns:
      The place.

    Raises:
      UserError: if it has another ending, there is something already, or it cannot be written.
    """
    place, detector = check_detector_place(place, overwrite), saved.detector
    about = saved._asdict() | {"detector": None, "parts": detector.parts, "level": detector.level}
    about |= {"format": FORMAT, "jaxvae": version("jaxvae")}
    arrays: dict[str, Any] = {FITTED + name: array for name, array in detector.fitted.items()}
    arrays |= {CALIBRATION + name: array for name, array in detector.calibration.items()}
    contents = io.BytesIO()
    arrays[ABOUT] = np.array(json.dumps(about))
    np.savez_compressed(contents, **arrays)
    temporary = place.with_name(f".{place.stem}.{os.getpid()}.tmp.npz")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(contents.getvalue())
        os.replace(temporary, place)
    except OSError as error:
        raise UserError(f"{place} cannot be written ({error.strerror or error}): choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return place


def check_detector_place(place: Path, overwrite: bool) -> Path:
    """Return a place that a detector can be written to.

    Args:
      place: as it was given.
      overwrite: whether to replace what is there.

    Raises:
      UserError: if it has another ending, or there is something already.
    """
    place = located(place)
    if place.suffix != ".npz":
        raise UserError(f"The file of a detector is {place}, expected NAME.npz.")
    if place.is_dir() or (place.exists() and not overwrite):
        raise UserError(f"There is {place} already: choose another place, or overwrite it.")
    return place


def read_detector(place: Path) -> Saved:
    """Read a detector.

    Raises:
      UserError: if it is missing, damaged, of a newer version, or something else.
    """
    place = located(place)
    arrays = read_npz(place)
    try:
        about = json.loads(str(arrays.pop(ABOUT)))
        if about["format"] != FORMAT:
            raise UserError(f"{place} is of format {about['format']}, this jaxvae reads {FORMAT}: update jaxvae.")
        fitted, calibration = (
            {name.removeprefix(kind): array for name, array in arrays.items() if name.startswith(kind)}
            for kind in (FITTED, CALIBRATION)
        )
        numbers = {"alpha": float, "num_samples": int, "seed": int, "num_fitted": int, "name": str, "model": str}
        detector = Detector(tuple(map(str, about["parts"])), fitted, calibration, float(about["level"]))
        if {SCORE, *FLOORS} - set(calibration):
            raise KeyError("a calibration")
        given: dict[str, Any] = {name: of(about[name]) for name, of in numbers.items()}
        return Saved(detector, background=about["background"], **given)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{place} is no detector, or damaged: expected what `anomaly --save` writes.") from error
