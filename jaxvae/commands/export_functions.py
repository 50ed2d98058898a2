"""What a model can do as files for other programs: a function each, what it takes and returns in `functions.json`."""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxvae.errors import UserError
from jaxvae.exchange.functions import Port, functions_of
from jaxvae.exchange.onnx import TOLERANCE, NotConvertible, as_onnx, difference, require_onnx
from jaxvae.exchange.stablehlo import PLATFORMS, as_stablehlo, require_flatbuffers
from jaxvae.exchange.tracing import BATCH, KEY, Batched, batched
from jaxvae.progress import progress
from jaxvae.runs.files import FUNCTIONS
from jaxvae.runs.trained import Trained

VERSION = 1  # of what `functions.json` says of functions
Format = Literal["stablehlo", "onnx"]
LIBRARIES = {"stablehlo": ("jax",), "onnx": ("jax", "jax2onnx", "onnxruntime")}


def require_packages(kind: Format) -> None:
    """Raise a `UserError` unless the packages are there that a format needs."""
    require_onnx() if kind == "onnx" else require_flatbuffers()


def write_functions(folder: Path, trained: Trained, kind: Format) -> dict[str, Any]:
    """Write the functions of a model and `functions.json`.

    Args:
      folder: that exists.
      trained: the model.
      kind: format of the files.

    Returns:
      What `functions.json` says.

    Raises:
      UserError: if it has no function of this format, or ONNX differs from JAX.
    """
    described, left_out = {}, {}
    functions = functions_of(trained.system, trained.params, trained.model_state)
    for function in progress(map(batched, functions), "functions", len(functions)):
        try:
            contents, numbers = _converted(function, kind)
        except NotConvertible as error:
            left_out[function.name] = str(error)
            continue
        name = f"{function.name}.{kind}"
        (folder / name).write_bytes(contents)
        described[function.name] = {"file": name, **_described(function), **numbers}
    if not described:
        raise UserError(f"{trained.system.name} has no function of this format. {' '.join(left_out.values())}")
    for sentence in left_out.values():
        print(f"note: {sentence}", file=sys.stderr)
    for name, one in described.items():
        if "difference" in one:
            print(f"{name}: within {one['difference']:.1e} of JAX.")
    record = {
        "format": kind,
        "version": VERSION,
        "model": trained.system.name,
        "versions": {name: version(name) for name in ("jaxvae", *LIBRARIES[kind])},
        **({"platforms": PLATFORMS} if kind == "stablehlo" else {"tolerance": TOLERANCE}),
        "functions": described,
        "left_out": left_out,
    }
    (folder / FUNCTIONS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def usage_of(record: Mapping[str, Any]) -> list[str]:
    """Return how functions are called, in Markdown for a card.

    Args:
      record: what `write_functions` returns.
    """
    lines = ["", "## Use it", "", "| file | | takes | returns |", "| --- | --- | --- | --- |"]
    for function in record["functions"].values():
        takes, returns = (", ".join(map(_said, function[side])) for side in ("inputs", "outputs"))
        lines.append(f"| `{function['file']}` | {_cell(function['about'])} | {takes} | {returns} |")
    name, first = next(iter(record["functions"].items()))
    given = {port["name"]: f"np.zeros({_shape(port, 3)}, np.{port['dtype']})" for port in first["inputs"]}
    results = ", ".join(port["name"] for port in first["outputs"])
    if record["format"] == "stablehlo":
        install = "pip install jax flatbuffers"
        code = [
            *("from pathlib import Path", "import numpy as np", "from jax import export"),
            f'{name} = export.deserialize(Path("{first["file"]}").read_bytes()).call',
            f"{results} = {name}({', '.join(given.values())})",
        ]
    else:
        install = "pip install onnxruntime"
        arguments = ", ".join(f'"{name}": {value}' for name, value in given.items())
        code = [
            *("import numpy as np", "import onnxruntime"),
            f'{name} = onnxruntime.InferenceSession("{first["file"]}")',
            f"{results}{',' * (len(first['outputs']) == 1)} = {name}.run(None, {{{arguments}}})",
        ]
        apart = ", ".join(f"{name} {one['difference']:.1e}" for name, one in record["functions"].items())
        lines += ["", f"Differences from JAX, of values above 1 relative to them, at most: {apart}."]
    for sentence in record["left_out"].values():
        lines += ["", f"Of this format, {sentence}"]
    return [*lines, "", f"Any number of examples at once, after `{install}`:", "", "```python", *code, "```"]


# ---------- private


def _converted(function: Batched, kind: Format) -> tuple[bytes, dict[str, float]]:
    """The contents of a file, and how far ONNX is from JAX."""
    if kind == "stablehlo":
        return as_stablehlo(function), {}
    contents = as_onnx(function)
    apart = difference(function, contents)
    if not apart <= TOLERANCE:
        raise UserError(
            f"{function.name} as ONNX differs from JAX by {apart:.1e}, more than {TOLERANCE:.0e}: nothing is written; "
            "--format stablehlo has the very operations of JAX."
        )
    return contents, {"difference": apart}


def _described(function: Batched) -> dict[str, Any]:
    inputs = [_port(port, (BATCH, *port.shape)) for port in function.inputs]
    if function.draws:
        inputs.append(_port(KEY, KEY.shape))
    outputs = [_port(port, (BATCH, *port.shape)) for port in function.outputs]
    return {"about": function.about, "inputs": inputs, "outputs": outputs}


def _port(port: Port, shape: tuple[Any, ...]) -> dict[str, Any]:
    return {"name": port.name, "shape": shape, "dtype": np.dtype(port.dtype).name, "about": port.about}


def _said(port: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, port["shape"]))
    return f"`{port['name']}` {port['dtype']} [{shape}]: {_cell(port['about'])}"


def _cell(text: str) -> str:
    return text.replace("|", "&#124;")


def _shape(port: Mapping[str, Any], num: int) -> str:
    sides = [num if side == BATCH else side for side in port["shape"]]
    return f"({', '.join(map(str, sides))}{',' * (len(sides) == 1)})"
