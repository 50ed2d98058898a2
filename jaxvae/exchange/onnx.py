"""Functions as ONNX, with the parameters in them, compared with JAX by running them with onnxruntime."""

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version

import jax
import numpy as np
from jax.extend import core

from jaxvae.errors import UserError, shortened
from jaxvae.exchange.functions import Port
from jaxvae.exchange.tracing import Batched, needed_alone
from jaxvae.nets.conv import convolutions_by

TOLERANCE = 1e-5  # of what ONNX may differ from JAX, of values above 1 relative to them
COMPARED = (1, 5)  # examples, at random
OTHERWISE = ": it is left out, --format stablehlo has it."


class NotConvertible(UserError):
    """A function that ONNX cannot have."""


def require_onnx() -> None:
    """Raise a `UserError` that says what to install, where it is missing."""
    missing = [name for name in ("jax2onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX needs {' and '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not installed: "
            'pip install "jaxvae[onnx]".'
        )


def as_onnx(function: Batched) -> bytes:
    """Return a function as the contents of an `.onnx` file, for any number of examples.

    Args:
      function: as `jaxvae.exchange.tracing.batched` gives it.

    Raises:
      UserError: if packages are missing.
      NotConvertible: if the function draws, or jax2onnx has not what it needs.
    """
    require_onnx()
    with _quiet("onnx_ir"):
        from jax2onnx import to_onnx
    if function.draws:
        raise NotConvertible(f"{function.name} draws random numbers, which ONNX does not as JAX does{OTHERWISE}")
    with convolutions_by("lax"):  # which have an operation of their own in ONNX
        closed = needed_alone(jax.make_jaxpr(function.call)(*function.arguments))
    run = core.jaxpr_as_fun(closed)
    names = [[port.name for port in ports] for ports in (function.inputs, function.outputs)]
    try:
        with _quiet("onnx_ir"):
            model = to_onnx(
                lambda *given: tuple(run(*given)),
                list(function.arguments),
                model_name=function.name,
                input_names=names[0],
                output_names=names[1],
            )
    except Exception as error:  # of whatever type it has for operations that it does not know
        reason = shortened((str(error).splitlines() or [type(error).__name__])[0])
        message = f"jax2onnx {version('jax2onnx')} cannot convert {function.name} ({reason}){OTHERWISE}"
        raise NotConvertible(message) from error
    contents: bytes = model.SerializeToString()
    return contents


def difference(function: Batched, contents: bytes) -> float:
    """Return how far the results of onnxruntime are from those of JAX, of values above 1 relative to them.

    Args:
      function: what was converted.
      contents: of the file.

    Returns:
      The largest difference over random examples, inf where the results are not of the same shape.

    Raises:
      NotConvertible: if onnxruntime cannot run it.
    """
    import onnxruntime

    options, call, largest = onnxruntime.SessionOptions(), jax.jit(function.call), 0.0
    options.log_severity_level = 3  # errors
    for num in COMPARED:
        given = [_drawn(port, num) for port in function.inputs]
        try:
            session = onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
            names = [port.name for port in session.get_inputs()]
            found = session.run(None, dict(zip(names, given, strict=True)))
        except Exception as error:  # of the classes of its own C++ library
            reason = shortened(str(error).splitlines()[0])
            message = f"onnxruntime {version('onnxruntime')} cannot run {function.name} ({reason}){OTHERWISE}"
            raise NotConvertible(message) from error
        for one, expected in zip(found, map(np.asarray, call(*given)), strict=True):
            if one.shape != expected.shape or not np.isfinite(one).all():
                return float("inf")
            apart = np.abs(one.astype(np.float64) - expected) / np.maximum(1.0, np.abs(expected))
            largest = max(largest, float(apart.max()))
    return largest


# ---------- private


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Let a logger say errors alone, and nothing warn."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _drawn(port: Port, num: int) -> np.ndarray:
    """Random values of an input."""
    rng, shape = np.random.default_rng(num), (num, *port.shape)
    if not port.num_values:
        return rng.standard_normal(shape).astype(port.dtype)
    whole = rng.integers(0, port.num_values, shape)
    is_float = np.issubdtype(port.dtype, np.floating)
    return (whole / (port.num_values - 1) if is_float else whole).astype(port.dtype)
