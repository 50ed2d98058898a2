"""Programs for the page: lists of few operations on flat arrays, and the strided views in which they are built.

Transposing, slicing, reversing and broadcasting move no data here: they are views of a value, as in NumPy, and become
one operation `copy` where an operation needs its arguments contiguous. NumPy itself does the arithmetic of the strides,
on arrays of bytes that stand for the values and are never read.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Step = dict[str, Any]


class View(NamedTuple):
    """An array as a view of a value of a program."""

    value: int  # number of the value
    layout: np.ndarray  # bytes with the shape of the view; its strides are those of the view, in numbers
    kind: str  # of the numbers: "f" floats, "i" integers, "b" truth values

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.layout.shape


class Part(NamedTuple):
    """A view and its place in an array that is assembled."""

    view: View
    start: tuple[int, ...]  # indices of its first number
    skips: tuple[int, ...]  # steps between its neighbours, for each axis


def placed(view: View, start: Sequence[int] | None = None, skips: Sequence[int] | None = None) -> Part:
    """Return a view with its place, by default the beginning, without gaps."""
    axes = view.layout.ndim
    return Part(view, tuple(start or (0,) * axes), tuple(skips or (1,) * axes))


class Program(NamedTuple):
    """What the page runs: every value is a flat array of float32, known by its number."""

    inputs: tuple[int, ...]  # values that are given
    outputs: tuple[int, ...]  # values that are returned
    shapes: tuple[tuple[int, ...], ...]  # of the outputs
    scalars: dict[int, float]  # values of one number each, by their own numbers
    weights: dict[int, np.ndarray]  # parameters and other arrays that are in the page
    steps: tuple[Step, ...]  # {"op", "out", "size", "in", ...}, in order


class Builder:
    """Collects the steps of a program."""

    def __init__(self) -> None:
        self.scalars: dict[int, float] = {}
        self.weights: dict[int, np.ndarray] = {}
        self.steps: list[Step] = []
        self._bases: list[np.ndarray] = []
        self._known: dict[Any, int] = {}  # copies that were made, and scalars

    def given(self, shape: Sequence[int], kind: str = "f") -> View:
        """Return a new value, which comes from outside or from a step."""
        self._bases.append(np.empty(max(1, math.prod(shape)), np.uint8))
        return View(len(self._bases) - 1, self._bases[-1].reshape(shape), kind)

    def scalar(self, number: float, kind: str = "f") -> View:
        """Return a number as a value without axes."""
        key = ("scalar", repr(float(number)))
        if key not in self._known:
            self._known[key] = self.given(()).value
            self.scalars[self._known[key]] = float(number)
        return View(self._known[key], self._bases[self._known[key]].reshape(()), kind)

    def weight(self, array: Any, kind: str = "f") -> View:
        """Return an array that is known already as a value."""
        array = np.asarray(array)
        view = self.given(array.shape, kind)
        self.weights[view.value] = array
        return view

    def step(self, op: str, arguments: Sequence[View], shape: Sequence[int], kind: str = "f", **more: Any) -> View:
        """Add an operation on contiguous arrays and return its value."""
        values = [self.contiguous(argument).value for argument in arguments]
        view = self.given(shape, kind)
        self.steps.append({"op": op, "out": view.value, "size": math.prod(shape), "in": values, **more})
        return view

    def contiguous(self, view: View) -> View:
        """Return a view of a value that has the numbers of a view, and no others, in their order."""
        base, layout = self._bases[view.value], view.layout
        if layout.size == base.size and layout.flags.c_contiguous and _offset(layout, base) == 0:
            return view
        key = ("copy", view.value, _offset(layout, base), layout.shape, layout.strides)
        if key not in self._known:
            self._known[key] = self.assembled(layout.shape, [placed(view)], view.kind).value
        value = self._known[key]
        return View(value, self._bases[value].reshape(layout.shape), view.kind)

    def assembled(self, shape: Sequence[int], parts: Sequence[Part], kind: str) -> View:
        """Return a new value of which every part is copied to its place; later ones overwrite earlier ones."""
        out = self.given(shape, kind)
        written = []
        for view, start, skips in parts:
            sides = zip(start, view.shape, skips, strict=True)
            ranges: Any = [slice(at, at + (length - 1) * skip + 1, skip) for at, length, skip in sides]
            target = out.layout[(..., *ranges)]  # with the dots a view also where there are no axes
            offsets = _offset(view.layout, self._bases[view.value]), _offset(target, self._bases[out.value])
            lengths, *strides = coalesced(view.shape, view.layout.strides, target.strides)
            written.append([lengths, offsets[0], strides[0], offsets[1], strides[1]])
        values = [part.view.value for part in parts]
        self.steps.append({"op": "copy", "out": out.value, "size": math.prod(shape), "in": values, "parts": written})
        return out

    def program(self, inputs: Sequence[View], outputs: Sequence[View]) -> Program:
        """Return the program of what has been collected, without the steps that no output needs."""
        values = [self.contiguous(view).value for view in outputs]
        needed, steps = set(values), []
        for step in reversed(self.steps):
            if step["out"] in needed:
                needed.update(step["in"])
                steps.append(step)
        return Program(
            tuple(view.value for view in inputs),
            tuple(values),
            tuple(view.shape for view in outputs),
            {value: number for value, number in self.scalars.items() if value in needed},
            {value: array for value, array in self.weights.items() if value in needed},
            tuple(reversed(steps)),
        )


def coalesced(
    shape: Sequence[int], source: Sequence[int], target: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Merge neighbouring axes over which both strides run on, and leave out axes of length 1.

    Args:
      shape: of what is copied.
      source: strides where it is read.
      target: strides where it is written.

    Returns:
      Shape, source and target of fewer axes, at least one.
    """
    axes: list[list[int]] = []
    for length, here, there in zip(shape, source, target, strict=True):
        if length == 1:
            continue
        if axes and axes[-1][1] == here * length and axes[-1][2] == there * length:
            axes[-1] = [axes[-1][0] * length, here, there]
        else:
            axes.append([length, here, there])
    lengths, sources, targets = zip(*axes, strict=True) if axes else ((1,), (1,), (1,))
    return list(lengths), list(sources), list(targets)


def _offset(layout: np.ndarray, base: np.ndarray) -> int:
    return layout.__array_interface__["data"][0] - base.__array_interface__["data"][0]
