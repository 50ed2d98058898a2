"""Samples of every class, of models that draw the class that is asked for."""

import numpy as np

from jaxvae import viz
from jaxvae.applications.generation import sample
from jaxvae.capabilities import GeneratesClasses, find, require
from jaxvae.reports.figures import figures_of, sample_key
from jaxvae.runs.trained import Trained

MOST_CLASSES, COLUMNS = 20, 10  # of the figure


def classes_asked(trained: Trained, num: int) -> np.ndarray | None:
    """Return the classes of a run's samples, which are drawn in turn, [num]; None of a model that knows none."""
    able = find(trained.system, GeneratesClasses)
    return None if able is None else np.arange(num) % able.num_classes


def draw_classes(trained: Trained) -> None:
    """Draw a row of samples for every class; those in a column have the same noise, so that their style is one."""
    num = require(trained.system, GeneratesClasses).num_classes
    names = trained.spec.classes or tuple(map(str, range(num)))
    model = trained.system, trained.params, trained.model_state, sample_key(trained), COLUMNS
    rows = {names[label]: sample(*model, label=label, only="x").x for label in range(min(num, MOST_CLASSES))}
    viz.save_rows(figures_of(trained) / "classes.png", rows, "Samples of every class")
