"""Parameters for the page: rounded to 16 bits and packed, each array once."""

import base64
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.explorer.builder import Program
from jaxvae.types import Array, Params


def rounded(params: Params) -> Params:
    """Return parameters rounded to the nearest float16, as float32; arrays with larger numbers stay as they are.

    Half of the bytes for a relative error of at most 2^-11, or an absolute one of 2^-25 of the smallest numbers.
    """
    return jax.tree.map(_rounded, params)


class Weights:
    """The arrays of some programs, each of them once."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._indices: dict[bytes, int] = {}

    def described(self, program: Program) -> dict[str, Any]:
        """Return a program as JSON has it, with the indices of its weights among these."""
        return {
            "inputs": program.inputs,
            "outputs": program.outputs,
            "scalars": [[value, _number(number)] for value, number in program.scalars.items()],
            "weights": [[value, self._index(array)] for value, array in program.weights.items()],
            "steps": program.steps,
        }

    def packed(self) -> dict[str, Any]:
        """Return all arrays, one after the other, as JSON has them: float16 where these hold them exactly."""
        sizes, pieces = [], []
        for array in self._arrays:
            half = _half(array)
            exact = half.astype(np.float32) == array
            piece = half if exact.all() else array
            sizes.append([array.size, piece.itemsize])
            pieces.append(piece.tobytes())
        return {"sizes": sizes, "data": base64.b64encode(b"".join(pieces)).decode()}

    def _index(self, array: np.ndarray) -> int:
        array = np.ascontiguousarray(array, "<f4")
        key = hashlib.sha256(array.tobytes()).digest()
        if key not in self._indices:
            self._indices[key] = len(self._arrays)
            self._arrays.append(array)
        return self._indices[key]


def in_halves(array: np.ndarray) -> str:
    """Return numbers as float16, in base64."""
    return base64.b64encode(np.asarray(array, "<f2").tobytes()).decode()


def in_digits(array: np.ndarray) -> list[float]:
    """Return numbers for JSON, to five decimals."""
    return [round(float(number), 5) for number in array]


# ---------- private


def _half(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype("<f2")


def _rounded(leaf: Any) -> Array:
    array = np.asarray(leaf, np.float32)
    half = _half(array).astype(np.float32)
    return jnp.asarray(half if np.isfinite(half).all() else array)


def _number(number: float) -> float | str:
    """A number for JSON, which has no infinities: JavaScript makes them of their names."""
    if np.isfinite(number):
        return number
    return "NaN" if np.isnan(number) else "Infinity" if number > 0 else "-Infinity"
