"""A trained model as one `.safetensors` file, or as a folder of `model.safetensors` and `config.json`.

Arrays are named by their place, `params/encoder/conv_0/kernel`. The metadata of the file have the version of this
format, a hash of all that is in the file, and `config`, which a folder has beside it; and `halved`, the names of the
float32 arrays that are kept as float16, and read as float32 again.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from jaxvae.data.places import located
from jaxvae.errors import UserError
from jaxvae.runs.files import read_json
from jaxvae.training.checkpoint import Best
from jaxvae.types import ModelState, Params

VERSION = "1"  # of this format; that of the configuration is in it
_ARRAYS, _CONFIG = "model.safetensors", "config.json"
_BITS = (8, 16, 32, 64)
# What other libraries read too.
_DTYPES = {"bool", "bfloat16", "float16", "float32", "float64", *(f"{sign}int{n}" for sign in ("", "u") for n in _BITS)}


def is_export(place: str | Path) -> bool:
    """Tell whether a place is of a model that was saved, rather than the folder of a run.

    Args:
      place: a folder or a file, which need not exist if its name says what it is.
    """
    return _is_file(Path(place)) or (Path(place) / _ARRAYS).exists()


def save_model(
    place: str | Path,
    record: Mapping[str, Any],
    params: Params,
    model_state: ModelState,
    *,
    overwrite: bool = False,
    half: bool = False,
) -> Path:
    """Write a trained model, whole or not at all.

    Args:
      place: a file, if its name ends in `.safetensors`, else a folder; made as needed.
      record: what `config.json` says of it.
      params: pytree of arrays.
      model_state: the same.
      overwrite: whether to replace a model that is there.
      half: whether to round arrays of float32 to 16 bits, three digits.

    Returns:
      The place.

    Raises:
      UserError: if there is something already, arrays are of an unusual type or too large for 16 bits, or the place
        cannot be written.
    """
    place = located(place)
    config = json.dumps(record, indent=2)
    arrays, keys = _host_arrays(_named(Best(params, model_state)))
    halved = _halved(arrays) if half else {}
    arrays |= halved
    metadata = {"jaxvae": VERSION, "keys": json.dumps(keys)} | ({"config": config} if _is_file(place) else {})
    metadata |= {"halved": json.dumps(sorted(halved))} if halved else {}
    contents = safetensors.numpy.save(arrays, {**metadata, "sha256": _digest(arrays, metadata)})
    files = (
        {place: contents} if _is_file(place) else {place / _CONFIG: f"{config}\n".encode(), place / _ARRAYS: contents}
    )
    if not overwrite and (there := [str(path) for path in files if path.exists()]):
        raise UserError(f"There is {there[0]} already: choose another place, or overwrite=True.")
    try:
        _write(files)
    except OSError as error:
        raise UserError(f"The model cannot be written to {place} ({error.strerror}): choose another place.") from error
    return place


def read_record(place: str | Path) -> dict[str, Any]:
    """Return what `config.json` says of a model that was saved.

    Args:
      place: a folder or a `.safetensors` file.

    Raises:
      UserError: if there is none, or it is damaged, of another version or something else.
    """
    place = Path(place)
    if not _is_file(place):
        return read_json(place / _CONFIG)
    _, metadata = _read(place)
    try:
        return json.loads(metadata["config"])
    except (KeyError, json.JSONDecodeError) as error:
        raise UserError(
            f"{place} has no configuration in it: expected the file of a model, or its folder with {_CONFIG}."
        ) from error


def read_arrays(place: str | Path, like: Best) -> Best:
    """Return parameters and state of a model that was saved.

    Args:
      place: a folder or a `.safetensors` file.
      like: of the shapes and types that the model has, as `jax.eval_shape` gives them.

    Returns:
      The same trees of arrays of NumPy.

    Raises:
      UserError: if there is none, it is damaged, of another version or something else, or does not fit the model.
    """
    path = _file_of(Path(place))
    leaves, expected = _leaves(path), _named(like)
    for name in sorted({*leaves, *expected}):
        found, of_model = _shape(leaves.get(name)), _shape(expected.get(name))
        if found != of_model:
            raise UserError(
                f"{path} does not fit the model of its configuration: {name} is {found} in the file and {of_model} in "
                f"the model; expected a file of this very model."
            )
    return jax.tree.unflatten(jax.tree.structure(like), [leaves[name] for name in expected])


def saved_arrays(place: str | Path) -> dict[str, str]:
    """Return types and shapes of the arrays of a model that was saved, as "float32[3, 4]", by their paths with dots.

    Raises:
      UserError: as `read_arrays`.
    """
    return {name.replace("/", "."): _shape(leaf) for name, leaf in _leaves(_file_of(Path(place))).items()}


# ---------- private


def _file_of(place: Path) -> Path:
    return place if _is_file(place) else place / _ARRAYS


def _is_file(place: Path) -> bool:
    return place.suffix == ".safetensors"


def _named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their places, in its order."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise UserError("Two arrays of the model have the same place: expected names without a slash.")
    return named


def _host_arrays(leaves: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of leaves, and which of them are random keys, with their kind."""
    arrays, keys = {}, {}
    for name, leaf in leaves.items():
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            keys[name] = str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        arrays[name] = np.asarray(leaf, order="C")  # safetensors writes the memory as it lies
        if arrays[name].dtype.name not in _DTYPES:
            raise UserError(f"{name} is of type {arrays[name].dtype}, which a file of safetensors does not have.")
    return arrays, keys


def _halved(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of float32 as float16."""
    singles = {name: array for name, array in arrays.items() if array.dtype == np.float32}
    for name, array in singles.items():
        if array.size and not np.abs(array).max() <= np.finfo(np.float16).max:
            raise UserError(f"{name} has numbers that 16 bits do not hold: write the model without half.")
    return {name: array.astype(np.float16) for name, array in singles.items()}


def _digest(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _write(files: Mapping[Path, bytes]) -> None:
    """Write files under other names first, so that neither a killed process nor a full disk leaves half of one."""
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in files}
    try:
        for path, contents in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary[path].write_bytes(contents)
        for path in files:
            os.replace(temporary[path], path)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a file, which is whole."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            version = metadata.get("jaxvae")
            arrays = {name: file.get_tensor(name) for name in file.keys()} if version == VERSION else {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"There is no model {path}: expected what `save` wrote.") from error
    except (OSError, SafetensorError, AttributeError, ValueError) as error:  # of types that NumPy has not
        raise UserError(f"{path} is no whole safetensors file ({error}): it is damaged or something else.") from error
    if version is None:
        raise UserError(f"{path} is not a model of jaxvae: expected what `save` wrote.")
    if version != VERSION:
        raise UserError(f"{path} is of format {version}, expected {VERSION}: read it with the jaxvae that wrote it.")
    if metadata.pop("sha256", None) != _digest(arrays, metadata):
        raise UserError(f"{path} is damaged, it is not what was written: copy it anew.")
    return arrays, metadata


def _leaves(path: Path) -> dict[str, Any]:
    """The arrays of a file, and its random keys."""
    arrays, metadata = _read(path)
    leaves: dict[str, Any] = dict(arrays)
    for name, kind in json.loads(metadata["keys"]).items():
        leaves[name] = jax.random.wrap_key_data(jnp.asarray(arrays[name]), impl=kind)
    for name in json.loads(metadata.get("halved", "[]")):
        leaves[name] = arrays[name].astype(np.float32)
    return leaves


def _shape(leaf: Any) -> str:
    if leaf is None:
        return "missing"
    return f"{leaf.dtype if hasattr(leaf, 'dtype') else np.asarray(leaf).dtype}{list(np.shape(leaf))}"
