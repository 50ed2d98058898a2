"""The command that a run ends with: it shows something of the model when it is pasted into a shell."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxvae import capabilities
from jaxvae.capabilities import find
from jaxvae.codable import HasRoundedLatents
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import FitsDensity

SAMPLES_OF_CLASS = 10
LIBRARIES = frozenset({"jaxvae", "jax", "jaxlib", "flax", "numpy", "optax", "ml_dtypes", "builtins"})


def next_command(trained: Trained, place: Path | None = None) -> str | None:
    """Return a command of the shell that shows what a trained model does.

    Lossy VAEs compress test images, other generative models draw samples, autoencoders reconstruct test images, and
    classifiers write the classes of these; where it is not known whence its images are, a model is described.

    Args:
      trained: a run with a folder.
      place: where it is loaded from, as the folder of a study that stands for its best run; by default its own.

    Returns:
      One line; None of a run that `load` cannot rebuild from its folder alone.
    """
    place = place or trained.folder
    modules = sorted(set(own_modules(trained.record.get("system", {}))))
    if place is None or "parts" not in trained.record.get("system", {}) or "__main__" in modules:
        return None
    verb, *flags = _shown(trained)
    imports = ["--import", *modules] if modules else []
    return shlex.join([python_command(), "-m", "jaxvae", verb, str(place), *flags, *imports])


def shows_means(trained: Trained) -> bool:
    """Whether a run's means of samples show more than its samples: of many values, drawn pixels have noise."""
    folder = trained.folder
    if folder is None or not (folder / "figures" / "sample_means.png").exists():
        return False
    return "bits_per_dim" in (trained.summary or {}).get("metrics", {})


def python_command() -> str:
    """Return how this interpreter is called from a shell: `python` where that is it, else its path."""
    here, found = Path(sys.executable), shutil.which("python")
    if found and Path(found).parent == here.parent:
        return "python"
    return os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here)


def own_modules(described: Any) -> Iterator[str]:
    """Yield the modules outside this library and those it is built on that a description names: `load` needs them."""
    if isinstance(described, dict):
        for tag in ("class", "call", "function", "type"):
            name = described.get(tag)
            if isinstance(name, str) and "." in name and name.partition(".")[0] not in LIBRARIES:
                yield name.rpartition(".")[0]
        described = list(described.values())
    if isinstance(described, list):
        for item in described:
            yield from own_modules(item)


# ---------- private


def _shown(trained: Trained) -> list[str]:
    """The verb that shows something of a model, and its flags."""
    system, source = trained.system, trained.config.get("data")
    test = ["--data", source, "--part", "test", *(["--resize"] if _is_resized(trained) else [])] if source else []
    if find(system, FitsDensity):
        return ["sample", "--out", "points.npz"]
    if test and find(system, HasRoundedLatents) is not None:
        return ["compress", *test, "--out", "images.jvz"]
    if find(system, capabilities.Generates):
        # Samples are of the classes in turn: a row of each.
        num = (
            ["--num", str(SAMPLES_OF_CLASS * trained.spec.num_classes)] if find(system, capabilities.Classifies) else []
        )
        return ["sample", *num, *(["--means"] if shows_means(trained) else []), "--out", "samples.png"]
    if not test:
        return ["info"]
    if find(system, capabilities.Classifies):
        return ["classify", *test, "--out", "classes.csv"]
    if find(system, capabilities.Codes) or (find(system, capabilities.Encodes) and find(system, capabilities.Decodes)):
        return ["reconstruct", *test, "--out", "reconstructions.png"]
    if find(system, capabilities.Scores) or find(system, capabilities.ScoresExactly):
        return ["score", *test, "--out", "scores.csv"]
    return ["info"]


def _is_resized(trained: Trained) -> bool:
    """Whether images were, or may have been, brought to another size for the training."""
    return bool(trained.config.get("image_size")) or trained.config["data"].partition(":")[0] == "folder"
