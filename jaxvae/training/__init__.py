"""Training: one step for every model, a loop, checkpoints."""

from jaxvae.training.checkpoint import Checkpoints
from jaxvae.training.loop import FitResult, evaluated_params, fit, make_evaluator
from jaxvae.training.state import create_train_state
from jaxvae.training.step import make_train_step

__all__ = [
    "Checkpoints",
    "FitResult",
    "create_train_state",
    "evaluated_params",
    "fit",
    "make_evaluator",
    "make_train_step",
]
