"""Functions as StableHLO: programs that JAX reads on a CPU, a GPU or a TPU, with the parameters in them."""

import importlib.util

import jax
from jax import export

from jaxvae.errors import UserError
from jaxvae.exchange.tracing import Batched
from jaxvae.types import Array

PLATFORMS = ("cpu", "cuda", "tpu")


def require_flatbuffers() -> None:
    """Raise a `UserError` that says what to install, where JAX cannot write programs."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError('StableHLO needs flatbuffers, which is not installed: pip install "jaxvae[stablehlo]".')


def as_stablehlo(function: Batched) -> bytes:
    """Return a function as `jax.export.deserialize` reads it, for any number of examples.

    It returns an array, or a tuple of several.

    Args:
      function: as `jaxvae.exchange.tracing.batched` gives it.

    Raises:
      UserError: if flatbuffers is missing.
    """
    require_flatbuffers()

    def call(*given: Array) -> Array | tuple[Array, ...]:
        outputs = function.call(*given)
        return outputs if len(outputs) > 1 else outputs[0]

    exported = export.export(jax.jit(call), platforms=PLATFORMS)(*function.arguments)
    return bytes(exported.serialize())
