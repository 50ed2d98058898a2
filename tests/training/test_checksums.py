"""Hashes of checkpoints: every array that is not what was saved is named, and the loop's numbers too."""

import json
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.training import Best, Checkpoints, Saved
from jaxvae.training.checksums import changed_arrays, digests, other_arrays
from jaxvae.types import LoopState, TrainState

TREE = {
    "a": {"b": jnp.arange(6.0).reshape(2, 3), "empty": jnp.zeros((0, 3))},
    "c": [jnp.ones((), jnp.bfloat16), np.arange(3, dtype=np.uint8)],
    "key": jax.random.key(0),
    "none": None,
}


def test_every_array_has_its_form_and_its_hash():
    found = digests(TREE)
    assert list(found) == ["a.b", "a.empty", "c.0", "c.1", "key"]
    assert [text.rpartition(" ")[0] for text in found.values()] == [
        "float32[2, 3]",
        "float32[0, 3]",
        "bfloat16[]",
        "uint8[3]",
        "key<fry>[]",
    ]
    assert digests(jax.tree.map(jnp.copy, TREE)) == found
    assert changed_arrays(TREE, found) == []
    others = {"a.b": TREE | {"a": TREE["a"] | {"b": TREE["a"]["b"] + 1}}, "key": TREE | {"key": jax.random.key(1)}}
    for name, other in others.items():
        assert changed_arrays(other, found) == [name]


def test_an_array_whose_parts_are_elsewhere_is_not_known():
    found = digests(TREE)
    assert changed_arrays(TREE, found | {"a.b": "float32[2, 3]"}) == []


@pytest.mark.parametrize(("like", "message"), [
    (TREE, ""),
    (TREE | {"c": TREE["c"][:1]}, "c.1 is uint8[3] there, missing here"),
    (TREE | {"d": jnp.ones(2)}, "d is missing there, float32[2] here"),
    (TREE | {"c": [jnp.ones(()), TREE["c"][1]]}, "c.0 is bfloat16[] there, float32[] here"),
])  # fmt: skip
def test_other_shapes_and_types_are_named(like, message):
    assert other_arrays(like, digests(TREE)) == message
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), like)
    assert other_arrays(shapes, digests(TREE)) == message


def saved(value=0.0, **loop):
    state = TrainState(jnp.int32(3), {"w": jnp.full(40, value)}, (), {}, None, {}, jax.random.key(0))
    return Saved(state, Best({"w": jnp.full(40, value + 1)}, {}), LoopState(0.5, 3, 0, 1.0, 0)._replace(**loop))


def abstract(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree)


LIKE = saved()._replace(state=abstract(saved().state), best=abstract(saved().best))


@pytest.fixture
def folder(tmp_path):
    """Two trainings that were saved, each under its value."""
    for value in (0.0, 1.0):
        with Checkpoints(tmp_path / str(value)) as checkpoints:
            checkpoints.save(3, saved(value))
    return tmp_path


@pytest.mark.parametrize("item", ["state", "best"])
def test_arrays_of_another_training_are_noticed(folder, item):
    """As files of the right form with other numbers in them, which Orbax reads."""
    place = folder / "0.0" / "3"
    (place / item).rename(folder / "moved")
    (folder / "1.0" / "3" / item).rename(place / item)
    message = rf"Checkpoint 3 in .* is damaged, {item}\.params\.w is not what was saved: move .* away to continue"
    with Checkpoints(folder / "0.0", read_only=True) as checkpoints:
        with pytest.raises(UserError, match=message):
            checkpoints.restore(3, LIKE)
        if item == "best":
            with pytest.raises(UserError, match=message):
                checkpoints.restore_best(LIKE.best)
        else:
            checkpoints.restore_best(LIKE.best)


@pytest.mark.parametrize(
    ("field", "value"), [("best", 0.25), ("patience", 1), ("sha256", {}), ("sha256", 3), ("new", 1), ("best_step", "x")]
)
def test_a_changed_loop_is_noticed(folder, field, value):
    path = folder / "0.0" / "3" / "loop" / "metadata"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with Checkpoints(folder / "0.0", read_only=True) as checkpoints, pytest.raises(UserError, match="is damaged"):
        checkpoints.restore(3, LIKE)


def test_checkpoints_without_hashes_are_read(folder):
    path = folder / "0.0" / "3" / "loop" / "metadata"
    loop = json.loads(path.read_text())
    loop.pop("sha256")
    path.write_text(json.dumps(loop))
    with Checkpoints(folder / "0.0", read_only=True) as checkpoints:
        assert checkpoints.restore(3, LIKE).loop == saved().loop


TRUNCATED = """
    import sys
    from pathlib import Path
    import jax
    from jaxvae.errors import UserError
    from jaxvae.training import Best, Checkpoints
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = Best({"w": jax.ShapeDtypeStruct((40,), "float32", sharding=sharding)}, {})
    for path in Path(sys.argv[1]).rglob("best/**/d/*"):
        path.write_bytes(path.read_bytes()[:-20])
    try:
        with Checkpoints(sys.argv[1], read_only=True) as checkpoints:
            checkpoints.restore_best(like)
    except UserError as error:
        sys.exit(f"error: {error}")
"""


def test_a_truncated_checkpoint_is_one_sentence_and_nothing_else(folder):
    line = [sys.executable, "-c", textwrap.dedent(TRUNCATED), str(folder / "0.0")]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Checkpoint 3 in ")
    assert done.stderr.count("\n") == 1, done.stderr
