"""How a trained model shows itself in a notebook: what it is, its numbers, and a few samples."""

import base64
import html
import tempfile
from pathlib import Path
from typing import Any

import jax

from jaxvae import viz
from jaxvae.applications.generation import sample
from jaxvae.capabilities import Generates, find
from jaxvae.runs.measures import MAIN, main_numbers, written

NUM_SAMPLES, COLUMNS = 16, 8
TRAINED = {"best_step": "best step", "seconds": "seconds of training"}  # of `Trained.training`, in words


def html_of(trained: Any) -> str:
    """Return a table of what a model is and of its main numbers, with samples where it draws images.

    Args:
      trained: a `Trained`.
    """
    shape, record = "x".join(map(str, trained.spec.shape)), trained.record
    rows = [("images", f"{record['num_train']:,} of {shape}" if record.get("num_train") else shape)]
    rows += [(name, str(trained.config[name])) for name in ("data", "latent_dim", "steps") if name in trained.config]
    rows += [(words, f"{trained.training[name]:,}") for name, words in TRAINED.items() if name in trained.training]
    metrics = trained.summary.get("metrics", {})
    rows += [(MAIN[name].name, f"{written(metrics, name)} {MAIN[name].unit}".strip()) for name in main_numbers(metrics)]
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
    return f"<div><b>{html.escape(trained.system.name)}</b><table>{cells}</table>{_samples(trained)}</div>"


# ---------- private


def _samples(trained: Any) -> str:
    if find(trained.system, Generates) is None or len(trained.spec.shape) != 3:
        return ""
    drawn = sample(trained.system, trained.params, trained.model_state, jax.random.key(0), NUM_SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "samples.png"
        try:
            viz.save_grid(place, drawn.x, columns=COLUMNS)
        except ImportError:  # of matplotlib, which the library alone does without
            return ""
        data = base64.b64encode(place.read_bytes()).decode()
    return f'<img alt="samples" src="data:image/png;base64,{data}">'
