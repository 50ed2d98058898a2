"""Calls exported functions in a process without jaxvae: FOLDER INPUTS.npz OUTPUTS.npz; the card's lines before."""

import json
import re
import sys
from pathlib import Path

import numpy as np

folder, inputs, outputs = map(Path, sys.argv[1:])
code = re.search(r"^```python\n(.*?)^```", (folder / "card.md").read_text(), re.S | re.M)[1]
assert len(code.splitlines()) <= 5
exec(code)  # in the folder, as it stands
results, given = {}, np.load(inputs)
for name, function in json.loads((folder / "functions.json").read_text())["functions"].items():
    ports = [port["name"] for port in function["inputs"]]
    for num in (1, 4):
        values = [given[f"{name}/{port}"][: None if port == "key" else num] for port in ports]
        if function["file"].endswith(".onnx"):
            import onnxruntime

            session = onnxruntime.InferenceSession(folder / function["file"])
            found = session.run([port["name"] for port in function["outputs"]], dict(zip(ports, values, strict=True)))
        else:
            from jax import export

            found = export.deserialize((folder / function["file"]).read_bytes()).call(*values)
            found = found if isinstance(found, tuple) else (found,)
        for port, value, like in zip(function["outputs"], found, values[:1] * len(found), strict=True):
            assert value.shape == tuple(num if side == "batch" else side for side in port["shape"])
            assert value.dtype == port["dtype"]
            assert len(like) == num
            results[f"{name}/{port['name']}/{num}"] = value
np.savez(outputs, **results)
assert "jaxvae" not in sys.modules
