"""The suite `compile`: how long the training step of each model takes to become a program, and how large it is."""

import re
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.models import MODELS, Model, make_model, num_params
from benchmarks.options import Options
from benchmarks.records import Record, record
from benchmarks.timing import spread
from jaxvae.training import create_train_state, make_train_step
from jaxvae.types import Batch, PRNGKey, TrainState

_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = ", re.MULTILINE)


def compilation(options: Options) -> Iterator[Record]:
    """Lower and compile the step of each model, with the caches of JAX cleared before."""
    for name in options.chosen(tuple(MODELS)):
        model = make_model(name)
        step = make_train_step(model.system.trainable.players)
        arguments = abstract_arguments(model, options.batch_size)
        lowering, compiling = [], []
        for _ in range(1 if options.quick else 5):
            jax.clear_caches()
            jax.jit(jnp.negative)(1.0)  # what a process compiles first takes longer
            began = time.perf_counter()
            lowered = jax.jit(step, donate_argnums=0).lower(*arguments)
            between = time.perf_counter()
            compiled = lowered.compile()
            lowering.append(between - began)
            compiling.append(time.perf_counter() - between)
        yield record(
            "compile",
            f"{name} step",
            lowering_seconds=spread(np.array(lowering)),
            compile_seconds=spread(np.array(compiling)),
            hlo_instructions=num_instructions(compiled.as_text()),
            num_params=num_params(model),
            repetitions=len(lowering),
            quick=options.quick,
        )


def abstract_arguments(model: Model, batch_size: int) -> tuple[TrainState, Batch]:
    """Return shapes and types of a state and a batch, which is all that compilation needs."""
    system = model.system

    def make(key: PRNGKey) -> tuple[TrainState, Batch]:
        batch = Batch(jnp.zeros((batch_size, *system.spec.shape)), None, jnp.ones(batch_size))
        return create_train_state(system, key, batch), batch

    return jax.eval_shape(make, jax.random.key(0))


def num_instructions(hlo: str) -> int:
    """Count the instructions in the text of a module, those inside of fusions and loops once each."""
    return len(_INSTRUCTION.findall(hlo))
