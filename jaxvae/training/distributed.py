"""What the processes of one training agree on; with a single process every function here does nothing."""

import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxvae.errors import UserError


def initialize(coordinator: str | None, num_processes: int | None, process_id: int | None, timeout: int) -> None:
    """Join the other processes; call it before JAX is used.

    Args:
      coordinator: HOST:PORT of process 0; None, as the next two, where JAX finds it itself: Slurm, Open MPI,
        Kubernetes, TPU pods.
      num_processes: of the whole training.
      process_id: of this one, from 0.
      timeout: seconds to wait for the others. Then the process ends with status 1 and one sentence: JAX itself would
        abort it with a stack trace, and no exception could be caught.

    Raises:
      UserError: if the three do not belong together, or JAX does not find them.
    """
    met = threading.Event()
    threading.Thread(target=_end_unless, args=(met, coordinator, timeout), daemon=True).start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=timeout + 60,
            # Process 0 evaluates and draws when the others are done: they wait for it.
            shutdown_timeout_seconds=24 * 3600,
        )
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise UserError(f"The processes of a distributed training cannot meet ({reason}): {_REMEDY}.") from error
    finally:
        met.set()


def is_primary() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def text_of_primary(text: str) -> str:
    """Return the text that process 0 has."""
    if jax.process_count() == 1:
        return text
    data = np.frombuffer(text.encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.array(data.size)))
    same_size = np.zeros(size, np.uint8)
    same_size[: data.size] = data[:size]
    return np.asarray(multihost_utils.broadcast_one_to_all(same_size)).astype(np.uint8).tobytes().decode()


def require_equal(settings: Mapping[str, Any]) -> None:
    """Compare settings over all processes.

    Args:
      settings: what JSON can hold, by name.

    Raises:
      UserError: in all processes, if any of them has others than process 0; it names the first that differs here.
    """
    theirs = json.loads(text_of_primary(json.dumps(settings)))
    ours = json.loads(json.dumps(settings))
    differing = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    if any_process(bool(differing)):
        found = (
            f"{differing[0]} is {theirs.get(differing[0])} in process 0 and {ours.get(differing[0])} in process "
            f"{jax.process_index()}"
            if differing
            else f"process {jax.process_index()} agrees with process 0, another does not"
        )
        raise UserError(
            f"The processes were started with different settings ({found}): give all of them the same flags and data."
        )


# ---------- private

_REMEDY = (
    "start all of them with the same --coordinator HOST:PORT and --num-processes, each with its own --process-id, or "
    "on a cluster that JAX knows without these three"
)


def _end_unless(met: threading.Event, coordinator: str | None, timeout: int) -> None:
    if not met.wait(timeout):
        where = coordinator or "the coordinator that JAX found"
        sys.stderr.write(f"error: The processes did not all meet at {where} within {timeout} s: {_REMEDY}.\n")
        sys.stderr.flush()
        os._exit(1)
