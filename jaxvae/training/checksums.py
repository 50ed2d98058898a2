"""Hashes of what a checkpoint has: files that are damaged can still be read, as other numbers."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np


def digests(tree: Any) -> dict[str, str]:
    """Return type, shape and hash of every array of a tree, by its path: "float32[3, 4] 0123456789abcdef".

    Args:
      tree: arrays on any devices; one whose parts are in several processes has no hash.
    """
    leaves = dict(_named(tree))
    with ThreadPoolExecutor() as pool:  # hashing leaves Python's lock to the others
        hashes = pool.map(_digest, map(_on_host, leaves.values()))
        return {
            path: f"{_form(leaf)} {found}".strip() for (path, leaf), found in zip(leaves.items(), hashes, strict=True)
        }


def other_arrays(like: Any, sums: Mapping[str, str]) -> str:
    """Return what of a tree has not the shape and type of the arrays that were saved, "" if all have.

    Args:
      like: a tree of arrays or shapes.
      sums: what `digests` gave of those that were saved.
    """
    here = {path: _form(leaf) for path, leaf in _named(like)}
    there = {path: text.rpartition("]")[0] + "]" for path, text in sums.items()}
    for path in sorted({*here, *there}):
        if here.get(path) != there.get(path):
            return f"{path} is {there.get(path, 'missing')} there, {here.get(path, 'missing')} here"
    return ""


def changed_arrays(tree: Any, sums: Mapping[str, str]) -> list[str]:
    """Return the paths of the arrays of a tree that are not what they were when `digests` gave the sums."""
    found = digests(tree)
    hashed = lambda text: not text.endswith("]")  # noqa: E731
    return [path for path, text in found.items() if hashed(text) and hashed(sums[path]) and sums[path] != text]


def loop_digest(loop: Mapping[str, Any]) -> str:
    """Return a hash of what a loop remembers."""
    return hashlib.sha256(json.dumps(dict(loop), sort_keys=True).encode()).hexdigest()[:16]


# ---------- private


def _named(tree: Any) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield jax.tree_util.keystr(path, simple=True, separator="."), leaf


def _form(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _on_host(leaf: Any) -> np.ndarray | None:
    """An array in host memory, None of one whose parts are in several processes."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return np.asarray(leaf.addressable_data(0)) if leaf.is_fully_replicated else None
    return np.asarray(leaf)


def _digest(array: np.ndarray | None) -> str:
    if array is None:
        return ""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8)).hexdigest()[:16]
