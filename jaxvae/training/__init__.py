"""Training: one step for every model, every layout of devices, a loop, sweeps, checkpoints."""

from jaxvae.training import distributed
from jaxvae.training.checkpoint import Best, Checkpoints, Saved
from jaxvae.training.evaluate import (
    evaluation_batch_size,
    evaluation_keys,
    in_batches,
    make_evaluator,
    program_batch_size,
)
from jaxvae.training.layouts import choose_layout
from jaxvae.training.loop import fit
from jaxvae.training.optimizers import OptimizerName, cosine_adam, cosine_optimizer
from jaxvae.training.parallel import Layout, make_layout, shard_large
from jaxvae.training.program import Program
from jaxvae.training.state import create_train_state
from jaxvae.training.step import make_train_step
from jaxvae.training.sweep import fit_sweep
from jaxvae.training.trainer import FitResult, Member, Settings, evaluated_params

__all__ = [
    "Best",
    "Checkpoints",
    "FitResult",
    "Layout",
    "Member",
    "OptimizerName",
    "Program",
    "Saved",
    "Settings",
    "choose_layout",
    "create_train_state",
    "distributed",
    "evaluated_params",
    "cosine_adam",
    "cosine_optimizer",
    "evaluation_batch_size",
    "evaluation_keys",
    "fit",
    "fit_sweep",
    "in_batches",
    "make_evaluator",
    "make_layout",
    "make_train_step",
    "program_batch_size",
    "shard_large",
]
