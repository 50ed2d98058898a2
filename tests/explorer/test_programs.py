import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxvae.errors import UserError
from jaxvae.explorer.builder import coalesced
from jaxvae.explorer.programs import program_of
from tests.explorer import interpreter
from tests.explorer.functions import CASES


@pytest.mark.parametrize("name", CASES)
def test_program_gives_what_jax_gives(name):
    case = CASES[name]
    inputs = case.inputs()
    program = program_of(lambda _, *x: case.function(*x), (), *inputs)
    found, expected = interpreter.run(program, *inputs), jax.tree.leaves(jax.jit(case.function)(*inputs))
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(a, np.asarray(b, np.float64), rtol=1e-5, atol=case.atol, err_msg=f"number {i}")


def test_moves_are_views_until_they_are_needed():
    program = program_of(lambda _, x: x.T[::-1].reshape(3, 2).T.ravel() * 2.0, (), jnp.zeros((2, 3)))
    assert [step["op"] for step in program.steps] == ["copy", "mul"]


def test_the_same_copy_is_made_once():
    program = program_of(lambda _, x: x.T * x.T + jnp.exp(x.T), (), jnp.zeros((2, 3)))
    assert [step["op"] for step in program.steps].count("copy") == 1


def test_what_no_output_needs_is_left_out():
    params = {"used": jnp.ones(3), "other": jnp.ones(4)}
    program = program_of(lambda p, x: (x * p["used"], jnp.exp(p["other"]))[0], params, jnp.zeros(3))
    assert [step["op"] for step in program.steps] == ["mul"]
    assert [array.size for array in program.weights.values()] == [3]


def test_random_draws_that_no_output_needs_are_no_obstacle_but_others_are():
    def drawn(_, x):
        return x + jax.random.normal(jax.random.key(0), x.shape)

    with pytest.raises(UserError, match="has the operation random"):
        program_of(drawn, (), jnp.zeros(3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: lax.while_loop(lambda y: y[0] < 9, lambda y: y * 2, x),
        lambda x: jnp.sort(x),
        lambda x: x.astype(int) & 3,
    ],
)
def test_an_operation_that_the_page_has_not_is_one_sentence(function):
    with pytest.raises(UserError, match="has the operation .*, which the page of `explore` does not have: expected"):
        program_of(lambda _, x: function(x), (), jnp.zeros(3))


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((2, 3, 4), ((12, 4, 1), (12, 4, 1)), ([24], [1], [1])),
        ((2, 1, 4), ((4, 7, 1), (8, 9, 1)), ([2, 4], [4, 1], [8, 1])),
        ((1, 1), ((5, 5), (5, 5)), ([1], [1], [1])),
        ((), ((), ()), ([1], [1], [1])),
        ((3, 4), ((0, 0), (4, 1)), ([12], [0], [1])),
        ((3, 4), ((-4, -1), (4, 1)), ([12], [-1], [1])),
    ],
)
def test_coalesced_merges_axes(shape, strides, expected):
    assert coalesced(shape, *strides) == expected
