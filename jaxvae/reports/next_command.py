"""The command that a run ends with: it loads the model and shows something of it when it is pasted into a shell."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxvae import capabilities
from jaxvae.capabilities import find
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import FitsDensity

NUM_SHOWN = 36  # reconstructions
SAMPLES = 64
LIBRARIES = frozenset({"jaxvae", "jax", "jaxlib", "flax", "numpy", "optax", "ml_dtypes", "builtins"})


def next_command(trained: Trained, place: Path | None = None) -> str | None:
    """Return a command of the shell that shows what a trained model does.

    Generative models draw samples into `samples.png`, autoencoders reconstruct test images into `reconstructions.png`,
    and classifiers print the classes of some.

    Args:
      trained: a run with a folder.
      place: where it is loaded from, as the folder of a study that stands for its best run; by default its own.

    Returns:
      One line; None of a run that `load` cannot rebuild from its folder alone.
    """
    place = place or trained.folder
    modules = sorted(set(_own_modules(trained.record.get("system", {}))))
    if place is None or "parts" not in trained.record.get("system", {}) or "__main__" in modules:
        return None
    imports = f", imports={json.dumps(modules)}" if modules else ""
    model = f"jv.load({json.dumps(str(place))}{imports})"
    return shlex.join([python_command(), "-c", f"import jaxvae as jv; {_shown(trained, model)}"])


def python_command() -> str:
    """Return how this interpreter is called from a shell: `python` where that is it, else its path."""
    here, found = Path(sys.executable), shutil.which("python")
    if found and Path(found).parent == here.parent:
        return "python"
    return os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here)


# ---------- private


def _shown(trained: Trained, model: str) -> str:
    """Statements that show something of a model, given the expression that loads it."""
    system, spec = trained.system, trained.spec
    if find(system, FitsDensity):
        return f"print({model}.sample(5))"
    if find(system, capabilities.Generates):
        if find(system, capabilities.Classifies):  # samples are of the classes in turn
            num = spec.num_classes
            return f'jv.viz.save_grid("samples.png", {model}.sample({10 * num}), columns={num})'
        return f'jv.viz.save_grid("samples.png", {model}.sample({SAMPLES}))'
    if not trained.config.get("data"):
        return f"print({model}.spec)"
    size = trained.config.get("image_size")
    test = f"jv.data.load({json.dumps(trained.config['data'])}{f', image_size={size}' if size else ''})[0].test"
    if find(system, capabilities.Classifies):
        given = "model.system, model.params, model.model_state, test"
        classes = f"jv.applications.classification.classify({given}).argmax(1)"
        return f"model, test = {model}, {test}; print({classes}[:{NUM_SHOWN}], test.labels[:{NUM_SHOWN}])"
    if find(system, capabilities.Codes) or (find(system, capabilities.Encodes) and find(system, capabilities.Decodes)):
        original = f"jv.data.to_unit(x, {spec.num_values})"
        drawn = f'jv.viz.save_reconstructions("reconstructions.png", {original}, model.reconstruct(x))'
        return f"model, x = {model}, {test}.x[:{NUM_SHOWN}]; {drawn}"
    if find(system, capabilities.Scores) or find(system, capabilities.ScoresExactly):
        return f"print({model}.log_likelihood({test}.x[:{NUM_SHOWN}]))"
    return f"print({model}.spec)"


def _own_modules(described: Any) -> Iterator[str]:
    """Modules outside this library and those it is built on that a description names: `load` has to be given them."""
    if isinstance(described, dict):
        for tag in ("class", "call", "function", "type"):
            name = described.get(tag)
            if isinstance(name, str) and "." in name and name.partition(".")[0] not in LIBRARIES:
                yield name.rpartition(".")[0]
        described = list(described.values())
    if isinstance(described, list):
        for item in described:
            yield from _own_modules(item)
