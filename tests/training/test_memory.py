"""What does not fit into memory is refused: a state by its shapes, a program before it runs."""

import jax
import jax.numpy as jnp
import pytest

from jaxvae.data import limits
from jaxvae.errors import UserError
from jaxvae.training import Settings, fit, make_layout, memory, trainer
from jaxvae.training.memory import check_program_fits, check_state_fits
from jaxvae.training.parallel import shard_large
from jaxvae.types import TrainState

WEIGHTS = {"kernel": jax.ShapeDtypeStruct((300, 1000), jnp.float32), "bias": jax.ShapeDtypeStruct((1000,), jnp.float32)}
BYTES = 4 * 301 * 1000
STATE = TrainState(
    step=jax.ShapeDtypeStruct((), jnp.int32),
    params=WEIGHTS,
    opt_state={"mu": WEIGHTS, "nu": WEIGHTS},
    model_state={},
    ema_params=WEIGHTS,
    hparams={},
    key=jax.eval_shape(lambda: jax.random.key(0)),
)
NEEDED = 6 * BYTES + 4 + 8  # parameters, two moments, average, gradients, the best so far; step and key


def available(monkeypatch, number):
    monkeypatch.setattr(memory, "available_memory", lambda: number)


@pytest.mark.parametrize(
    ("layout", "factor"),
    [
        (make_layout("scan"), 1),
        (make_layout("pmap", 4), 4),  # each device of a CPU has a whole state
        (make_layout("sharded", 4, shard_large(4)), 1),
    ],
)
def test_a_state_fits_or_not_by_its_bytes(layout, factor, monkeypatch):
    small = 3 * 6 * 4 * 1000 if layout.rule.__name__ == "rule" else 0  # biases are on every device
    needed = factor * NEEDED + small + (3 * 12 if small else 0)
    available(monkeypatch, needed)
    check_state_fits(STATE, layout)
    available(monkeypatch, needed - 4)
    with pytest.raises(UserError, match=r"would take 0\.0 GB .*make the networks smaller\. .* \(300, 1000\)"):
        check_state_fits(STATE, layout)


def test_the_largest_array_is_named_and_so_are_members(monkeypatch):
    of_all = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((10**6, *leaf.shape), leaf.dtype), STATE)
    available(monkeypatch, 10**9)
    with pytest.raises(UserError) as error:
        check_state_fits(of_all, make_layout("scan"), 10**6)
    assert str(error.value) == (
        "The training would take 7,224.0 GB of memory or more, for the parameters, their gradients and what the "
        "optimizer keeps of them, 1.0 GB are available: make the networks smaller, or train fewer of them together. "
        "The largest array is params.kernel, (1000000, 300, 1000)."
    )


def test_a_program_that_does_not_fit_is_not_run(monkeypatch):
    compiled = jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x).T).lower(jnp.zeros((100, 3))).compile()
    needed = compiled.memory_analysis().temp_size_in_bytes + 4 * 100 * 100
    assert needed > 4 * 100 * 100
    available(monkeypatch, needed)
    check_program_fits(compiled, make_layout("scan"))
    available(monkeypatch, needed - 1)
    with pytest.raises(UserError, match="A training step would take .* GB of memory beside the parameters, .* batch"):
        check_program_fits(compiled, make_layout("scan"))


def test_a_training_that_does_not_fit_is_refused_before_it_is_compiled(system, splits, monkeypatch):
    available(monkeypatch, 100)
    monkeypatch.setattr(trainer, "create", lambda *_: pytest.fail("compiled"))
    with pytest.raises(UserError, match="The training would take"):
        fit(system, splits, Settings(steps=1, batch_size=8, eval_every=1), layout=make_layout("scan"))


def test_available_memory_is_some_of_the_machine():
    assert 0 < limits.available_memory() <= limits.machine_memory()


@pytest.mark.parametrize(("text", "expected"), [("1000000\n", 10**6), ("max\n", None), ("9223372036854771712", None)])
def test_the_limit_of_a_container_counts(text, expected, tmp_path, monkeypatch):
    (tmp_path / "limit").write_text(text)
    whole = limits.machine_memory()
    monkeypatch.setattr(limits, "LIMITS", (str(tmp_path / "none"), str(tmp_path / "limit")))
    assert limits.machine_memory() == (expected or whole)
    assert limits.available_memory() <= (expected or whole)
