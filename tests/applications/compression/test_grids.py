"""Grids of parameters: numbers that differ in their last digits are on the same points, which are the same anywhere."""

import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.compression import grids
from jaxvae.applications.compression.grids import (
    NUM_POSITIONS,
    TOLERANCE,
    NoPosition,
    affine_maps,
    block_size,
    choose_positions,
    edges,
    free_positions,
    gaussians,
    probabilities,
    until_free,
)

CELL = 2.0**-7


def moved(values, generator, part):
    """Floats that differ by less than a part of what is tolerated."""
    by = generator.uniform(-part, part, values.shape) * TOLERANCE * (1 + np.abs(values))
    return (values + by).astype(np.float32)


def logits(generator, num, width):
    """All sizes, rare ones and none at all."""
    values = generator.standard_normal((num, width)) * generator.choice([0.1, 1.0, 5.0, 12.0], (num, width))
    values[generator.random((num, width)) < 0.01] = np.inf
    values[generator.random((num, width)) < 0.01] = -1e4
    return values.astype(np.float32)


def chosen(is_near, num, blocks):
    return choose_positions(is_near, num, blocks)[:, blocks]


@pytest.mark.parametrize("seed", range(3))
def test_logits_that_nearly_agree_have_the_same_probabilities(seed):
    generator = np.random.default_rng(seed)
    own, blocks = logits(generator, 2000, 500), np.arange(500) // 250
    others = np.where(np.isfinite(own), moved(np.clip(own, -1e4, 1e4), generator, 0.5), own)
    positions = free_positions(own, blocks)[:, blocks]
    np.testing.assert_array_equal(probabilities(own, positions), probabilities(others, positions))
    first = np.zeros_like(positions)  # with which some are on either side of an edge
    assert (probabilities(own, first) != probabilities(others, first)).any()


def test_an_edge_is_where_the_rounding_changes():
    own = np.linspace(-11.5, 11.5, 20_001).astype(np.float32)
    is_near, position = edges(own)
    by = 2 * TOLERANCE * (1 + np.abs(own))
    below, above = (probabilities((own + sign * by)[is_near], position[is_near]) for sign in (-1, 1))
    assert (below != above).all()
    assert 0 < is_near.mean() < 0.1


@pytest.mark.parametrize("cell", [2.0**-7, 2.0**-9])
def test_latents_that_nearly_agree_have_the_same_gaussians(cell):
    generator = np.random.default_rng(0)
    mean = (generator.standard_normal((2000, 20)) * generator.choice([0.1, 1.0, 3.0], (2000, 20))).astype(np.float32)
    log_sd = generator.uniform(-3.5, 1.0, (2000, 20)).astype(np.float32)
    other_mean, other_log_sd = moved(mean, generator, 0.5), moved(log_sd, generator, 0.5)
    blocks = np.zeros(20, np.int64)
    positions = chosen(lambda rows, at: gaussians(mean[rows], log_sd[rows], at, cell)[1], 2000, blocks)
    own, other = (gaussians(*pair, positions, cell)[0] for pair in ((mean, log_sd), (other_mean, other_log_sd)))
    np.testing.assert_array_equal(own.mean, other.mean)
    np.testing.assert_array_equal(own.sd, other.sd)
    first = [gaussians(*pair, 0 * positions, cell)[0] for pair in ((mean, log_sd), (other_mean, other_log_sd))]
    assert (first[0].mean != first[1].mean).any()


def test_gaussians_on_the_grid_are_near_those_of_the_model():
    generator = np.random.default_rng(0)
    mean, log_sd = 2 * generator.standard_normal(5000), generator.uniform(-4, 0.2, 5000)
    for position in (0, 17, NUM_POSITIONS - 1):
        found, _ = gaussians(mean.astype(np.float32), log_sd.astype(np.float32), np.array([position]), CELL)
        sd = np.exp(log_sd) / CELL
        np.testing.assert_array_less(np.abs(np.log(found.sd / sd)), 0.0626)
        np.testing.assert_array_less(np.abs(found.mean - mean / CELL), 0.0626 * found.sd + 1e-3)


def test_numbers_outside_of_the_grids_are_those_at_their_ends():
    ends = probabilities(np.array([-np.inf, -1e4, 1e4, np.inf], np.float32), np.array([5]))
    rare = np.array([ends[0], ends[1], 1 - ends[2], 1 - ends[3]])
    assert ((rare > np.exp(-13)) & (rare < np.exp(-10))).all()
    found, _ = gaussians(np.float32([[1e30, -1e30]]), np.float32([[80.0, -80.0]]), np.zeros(1, np.int64), CELL)
    assert (np.abs(found.mean) <= found.most).all()
    assert (found.sd > 0).all()


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match="are no numbers"):
        probabilities(np.array([0.0, np.nan], np.float32), np.array([0]))


def distance_to_an_edge(values):
    """Of numbers of more digits from where rounding to whole numbers changes, at least."""
    return np.abs(values - np.floor(values) - 0.5).min()


def test_no_probability_of_the_table_depends_on_the_last_digits_of_an_exponential():
    """They are those of numbers of more digits, and rounded far from an edge."""
    table, zero = grids._probability_table()
    positions = np.arange(NUM_POSITIONS, dtype=np.longdouble)[:, None]
    points = (np.arange(table.shape[1]) - zero - (2 * positions + 1) / (2 * NUM_POSITIONS)) / 8
    logits = np.where(points < 0, -1, 1) * -4 * np.log1p(-np.abs(points) / 4)
    exact = np.longdouble(2) ** 28 / (1 + np.exp(-logits))
    np.testing.assert_array_equal(table, np.rint(exact).astype(np.float64) / 2**28)
    assert distance_to_an_edge(exact) > 1e-6  # doubles are right to 1e-7
    assert (np.diff(table, axis=1) > 0).all()
    grids._probability_table.cache_clear()
    np.testing.assert_array_equal(grids._probability_table()[0], table)


@pytest.mark.parametrize("cell", [2.0**-7, 2.0**-9])
def test_no_standard_deviation_depends_on_the_last_digits_of_an_exponential(cell):
    steps = (np.arange(-120, 40)[:, None] - grids.shift(np.arange(NUM_POSITIONS))) / 8
    used = steps[(steps > np.log(0.2 * cell)) & (steps < np.log(1.4))]
    assert distance_to_an_edge(np.exp(used.astype(np.longdouble)) / cell * 2**20) > 1e-6


def test_no_scale_of_a_flow_depends_on_the_last_digits_of_an_exponential():
    logs = np.arange(-5 * 256, 5 * 256 + 1) / 256
    exact = np.exp(logs.astype(np.longdouble)) * 2**20
    assert distance_to_an_edge(exact) > 1e-6
    found = affine_maps(logs + 0.4 / 256, np.zeros_like(logs))
    np.testing.assert_array_equal(found.scale, np.rint(exact).astype(np.float64) / 2**20)
    np.testing.assert_array_equal(found.inverse, found.scale[::-1])


def test_the_grid_costs_less_than_a_thousandth_of_the_bits():
    generator = np.random.default_rng(0)
    for scale in (1.0, 3.0, 6.0):
        values = (scale * generator.standard_normal(200_000)).astype(np.float32)
        p = 1 / (1 + np.exp(-values.astype(np.float64)))
        q = probabilities(values, generator.integers(0, NUM_POSITIONS, len(values)))
        crossed = -p * np.log(q) - (1 - p) * np.log1p(-q)
        entropy = -p * np.log(p) - (1 - p) * np.log1p(-p)
        assert 0 < crossed.sum() / entropy.sum() - 1 < 1e-3


# ---------- positions


def test_a_block_has_the_first_position_without_an_edge_near():
    blocks, rows = np.array([0, 0, 1, 1]), np.array([[3, 1, 0, 2], [0, 0, 5, 0]])
    found = choose_positions(lambda left, at: at < rows[left], 2, blocks)
    np.testing.assert_array_equal(found, [[3, 2], [0, 5]])


def test_numbers_without_such_a_position_are_refused():
    with pytest.raises(UserError, match="too many for their rounding"):
        choose_positions(lambda left, at: np.ones((len(left), 4), bool), 2, np.array([0, 0, 1, 1]))


def test_blocks_have_one_number_near_an_edge():
    assert block_size(784, 1.0) == 784
    assert block_size(784, 4.0) == 196
    assert block_size(784, 0.125) == 8 * 784
    assert block_size(16, 100.0) == 1
    assert block_size(784, 0.0) == 2**20
    assert block_size(784, 0.0, 64) == 2**14  # smaller, whatever was seen
    assert block_size(784, 1.0, 4) == 196


def test_logits_with_an_edge_near_at_every_position_are_refused():
    every = np.linspace(0.0, 0.2, 200_001).astype(np.float32)[None]
    with pytest.raises(UserError, match="too many for their rounding"):
        free_positions(every, np.zeros(every.shape[1], np.int64))


def test_blocks_are_made_smaller_until_all_have_a_position():
    tried = []

    def attempt(divisor):
        tried.append(divisor)
        if divisor < 8:
            raise NoPosition("too large")
        return divisor

    assert until_free(attempt) == 8
    assert tried == [1, 2, 4, 8]


def test_a_number_without_a_position_is_not_tried_again():
    with pytest.raises(UserError) as alone:
        choose_positions(lambda left, at: np.arange(4)[None] == np.full((len(left), 1), 2), 2, np.zeros(4, np.int64))
    assert not isinstance(alone.value, NoPosition)
    with pytest.raises(NoPosition):  # each number has a position, all together have none
        choose_positions(lambda left, at: at % 2 == np.arange(4) % 2, 2, np.zeros(4, np.int64))
