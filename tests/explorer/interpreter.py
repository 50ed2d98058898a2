"""Programs of the page, run by NumPy: what its JavaScript is to compute, without a browser."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

UNARY = {
    "neg": np.negative,
    "exp": np.exp,
    "exp2": np.exp2,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round_even": np.round,
    "round_away": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "sin": np.sin,
    "cos": np.cos,
    "erf": np.vectorize(math.erf),
    "is_finite": np.isfinite,
    "not": lambda x: 1 - x,
}
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "rem": np.fmod,
    "max": np.maximum,
    "min": np.minimum,
    "pow": np.power,
    "atan2": np.arctan2,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
REDUCE = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


def run(program, *inputs):
    """Outputs of a program, in their shapes."""
    values = {value: np.array([number]) for value, number in program.scalars.items()}
    values |= {value: np.asarray(array, np.float64).ravel() for value, array in program.weights.items()}
    values |= {
        value: np.asarray(array, np.float64).ravel() for value, array in zip(program.inputs, inputs, strict=True)
    }
    with np.errstate(all="ignore"):
        for step in program.steps:
            args = [values[value] for value in step["in"]]
            result = np.asarray(operate(step, args), np.float64).ravel()
            values[step["out"]] = np.broadcast_to(result, (step["size"],)).copy()
    return [values[value].reshape(shape) for value, shape in zip(program.outputs, program.shapes, strict=True)]


def operate(step, args):
    op = step["op"]
    if op in UNARY:
        return UNARY[op](*args)
    if op in BINARY:
        return BINARY[op](*args)
    return {"select": select, "copy": copy, "matmul": matmul, "reduce": reduce, "conv": conv, "gather": gather}[op](
        step, *args
    )


def select(step, which, no, yes):
    return np.where(which != 0, yes, no)


def copy(step, *args):
    out = np.full(step["size"], np.nan)
    for array, (shape, start, strides, at, there) in zip(args, step["parts"], strict=True):
        view(out, shape, at, there)[...] = view(array, shape, start, strides)
    return out


def view(array, shape, start, strides):
    reach = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    assert start + sum(move for move in reach if move < 0) >= 0
    assert start + sum(move for move in reach if move > 0) < len(array)
    return as_strided(array[start:], shape, [stride * array.itemsize for stride in strides])


def matmul(step, a, b):
    batch, m, k, n = (step[name] for name in ("batch", "m", "k", "n"))
    return a.reshape(batch, m, k) @ b.reshape(batch, k, n)


def reduce(step, a):
    return REDUCE[step["by"]](a.reshape(step["size"], -1), axis=1)


def conv(step, x, kernel):
    """By the sum over all pixels and taps, one by one."""
    x, kernel = x.reshape(step["images"]), kernel.reshape(step["kernel"])
    out = np.zeros(step["result"])
    inner, outer = kernel.shape[2], kernel.shape[3] // step["groups"]
    for _, row, column, channel in np.ndindex(out.shape):
        group = channel // outer
        for i, j in np.ndindex(kernel.shape[:2]):
            places = [
                at * step["strides"][axis] - step["low"][axis] + tap * step["spread"][axis]
                for axis, (at, tap) in enumerate(((row, i), (column, j)))
            ]
            pixel = [place // step["dilation"][axis] for axis, place in enumerate(places)]
            inside = all(
                place % step["dilation"][axis] == 0 and 0 <= pixel[axis] < x.shape[axis + 1]
                for axis, place in enumerate(places)
            )
            if inside:
                seen = x[:, pixel[0], pixel[1], group * inner : (group + 1) * inner]
                out[:, row, column, channel] += seen @ kernel[i, j, :, channel]
    return out / len(out)  # every image was met as often as there are images


def gather(step, a, indices):
    rows = indices.reshape(-1, len(step["along"]))
    out = np.zeros((len(rows), *step["window"]))
    for row, place in enumerate(np.ndindex(*step["batch"])):
        limits = np.array(step["last"])
        outside = ((rows[row] < 0) | (rows[row] > limits)).any()
        start = np.dot(np.clip(rows[row], 0, limits), step["along"]) + np.dot(place, step["steps"])
        for index in np.ndindex(*step["window"]):
            value = a[int(start + np.dot(index, step["strides"]))]
            out[(row, *index)] = np.nan if outside and step["fill"] else value
    return out
