"""The maths of codebooks against loops in numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import quantizers
from jaxvae.quantizers import CodebookState

RNG = np.random.default_rng(0)
TOY = np.array([[1.0, 1.0], [3.0, 1.0], [2.0, 3.0]], np.float32)
NUM, NUM_CODES, DIM = 37, 11, 5
Z, TABLE = RNG.standard_normal((NUM, DIM), np.float32), RNG.standard_normal((NUM_CODES, DIM), np.float32)
NEAREST = ((Z[:, None] - TABLE[None]) ** 2).sum(-1).argmin(1)


@functools.cache
def looked_up(chunk):
    return jax.jit(functools.partial(quantizers.nearest, chunk=chunk))


# ---------- lookup


def test_nearest_of_three_codes_by_hand():
    z = np.array([[0.8, 1.2], [2.9, 0.8], [2.1, 2.7]], np.float32)
    codes = looked_up(2048)(TOY, z)
    assert codes.dtype == jnp.int32
    assert codes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("chunk", [5, NUM, 2048])  # 37 is no multiple of 5
def test_nearest_equals_brute_force(chunk):
    np.testing.assert_array_equal(looked_up(chunk)(TABLE, Z), NEAREST)


def test_of_equally_near_codes_the_first_is_taken():
    table = np.array([[5.0, 5.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    z = np.array([[0.0, 0.0], [2.0, 0.0], [-0.5, 0.5], [0.0, -3.0], [5.0, 5.0]], np.float32)
    assert looked_up(2)(table, z).tolist() == [1, 1, 2, 1, 0]


def test_what_is_not_a_number_has_a_code_in_range():
    z = Z.copy()
    z[3], z[8, 2], z[20], z[36] = np.nan, np.nan, np.inf, -np.inf
    codes = np.asarray(looked_up(5)(TABLE, z))
    assert np.all((codes >= 0) & (codes < NUM_CODES))
    assert codes[3] == codes[8] == 0
    others = ~np.isin(np.arange(NUM), (3, 8, 20, 36))
    np.testing.assert_array_equal(codes[others], NEAREST[others])


def test_nearest_never_holds_all_distances():
    num, num_codes = 100_000, 8_192
    shapes = [jax.ShapeDtypeStruct((n, 64), jnp.float32) for n in (num_codes, num)]
    memory = jax.jit(quantizers.nearest).lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 500e6 < num * num_codes * 4


def test_lookup_is_at_full_precision():
    text = str(jax.make_jaxpr(quantizers.nearest)(TABLE, Z))
    assert "Precision.HIGHEST" in text


@pytest.mark.parametrize(
    ("table", "z", "message"),
    [
        (TABLE[:, 0], Z, r"codes has shape \[11\], expected \[any, any\]"),
        (TABLE, Z[:, :3], r"z has shape \[37, 3\], expected \[any, 5\]"),
    ],
)
def test_nearest_refuses_other_shapes(table, z, message):
    with pytest.raises(ValueError, match=message):
        quantizers.nearest(table, z)


# ---------- statistics


def test_counts_and_sums_leave_out_what_is_not_finite():
    z = Z.copy()
    z[4, 1], z[30] = np.inf, np.nan
    keep = np.isfinite(z).all(1)

    @jax.jit
    def run(z, codes, keep):
        return quantizers.code_counts(codes, NUM_CODES, keep), quantizers.code_sums(codes, z, NUM_CODES)

    counts, sums = run(z, NEAREST.astype(np.int32), keep)
    expected = np.zeros((NUM_CODES, DIM))
    for row, code in zip(z[keep], NEAREST[keep], strict=True):
        expected[code] += row
    np.testing.assert_array_equal(counts, np.bincount(NEAREST[keep], minlength=NUM_CODES))
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-6)


def test_usage_by_hand():
    counts = np.array([[2.0, 2.0, 0.0, 0.0], [8.0, 0.0, 0.0, 0.0], [4.0, 2.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    usage = jax.jit(quantizers.code_usage)(counts.astype(np.float32))
    # Entropy of (1/2, 1/4, 1/8, 1/8): 1.75 bits.
    np.testing.assert_allclose(usage.perplexity, [2.0, 1.0, 2.0**1.75, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(usage.used, [0.5, 0.25, 1.0, 0.0])
    assert usage.dead.tolist() == [2, 3, 0, 4]


# ---------- moving averages


def test_ema_equals_a_loop_over_several_steps():
    decay, epsilon, steps = 0.9, 1e-2, 6
    batches = RNG.standard_normal((steps, NUM, DIM), np.float32)

    @jax.jit
    def run(table, batches):
        def step(state, z):
            codes = quantizers.nearest(state.embeddings, z)
            counts = quantizers.code_counts(codes, NUM_CODES, jnp.ones(NUM, bool))
            sums = quantizers.code_sums(codes, z, NUM_CODES)
            return quantizers.ema_update(state, counts, sums, decay=decay, epsilon=epsilon), codes

        return jax.lax.scan(step, quantizers.start_codebook(table), batches)

    state, codes = run(TABLE, batches)
    e, n, m = TABLE.astype(np.float64), np.ones(NUM_CODES), TABLE.astype(np.float64)
    for t in range(steps):
        chosen = ((batches[t][:, None] - e[None]) ** 2).sum(-1).argmin(1)
        np.testing.assert_array_equal(codes[t], chosen)
        for k in range(NUM_CODES):
            mine = batches[t][chosen == k]
            n[k] = decay * n[k] + (1 - decay) * len(mine)
            m[k] = decay * m[k] + (1 - decay) * mine.sum(0)
            e[k] = (m[k] + epsilon * e[k]) / (n[k] + epsilon)
    for found, expected in zip(state, (e, n, m), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_code_that_nothing_chooses_stays_where_it_is():
    @jax.jit
    def run(table):
        zeros = jnp.zeros(NUM_CODES), jnp.zeros((NUM_CODES, DIM))
        step = lambda _, state: quantizers.ema_update(state, *zeros, decay=0.99)  # noqa: E731
        return jax.lax.fori_loop(0, 20_000, step, quantizers.start_codebook(table))

    state = run(TABLE)
    assert np.all(np.asarray(state.counts) < 1e-30)
    np.testing.assert_allclose(state.embeddings, TABLE, rtol=1e-2)


def test_the_state_at_the_start_can_be_donated():
    state = quantizers.start_codebook(jnp.asarray(TABLE))
    assert len({leaf.unsafe_buffer_pointer() for leaf in state}) == 3
    np.testing.assert_array_equal(state.sums, TABLE)


# ---------- restarts

STATE = CodebookState(
    TABLE, np.arange(NUM_CODES, dtype=np.float32), TABLE * np.arange(NUM_CODES, dtype=np.float32)[:, None]
)
DEAD = STATE.counts < 6.0


@functools.cache
def restarted(below=6.0):
    return jax.jit(lambda key, state, z: quantizers.restart(key, state, z, below))


def rows_among(vectors, z):
    """The index in z of each vector, -1 for one that is not there."""
    same = (np.asarray(vectors)[:, None] == z[None]).all(-1)
    return np.where(same.any(1), same.argmax(1), -1)


def test_dead_codes_become_different_vectors_of_the_batch_and_live_ones_stay():
    drawn, gaps = set(), set()
    for seed in range(5):
        state = restarted()(jax.random.key(seed), STATE, Z)
        rows = rows_among(state.embeddings[DEAD], Z)
        assert np.all(rows >= 0)
        assert len(set(rows)) == DEAD.sum()
        drawn |= set(rows)
        gaps |= set(np.diff(rows) % NUM)
        np.testing.assert_array_equal(state.counts[DEAD], np.full(DEAD.sum(), 12.0))
        np.testing.assert_array_equal(state.sums[DEAD], 12.0 * Z[rows])
        for new, old in zip(state, STATE, strict=True):
            np.testing.assert_array_equal(new[~DEAD], old[~DEAD])
    assert len(drawn) > 15  # of at most 30
    assert len(gaps) > 3  # evenly spaced vectors would be of one place of each image


def test_every_vector_is_as_likely_to_be_drawn_by_every_code():
    keys = jax.random.split(jax.random.key(1), 4_000)
    moved = jax.jit(jax.vmap(restarted(), in_axes=(0, None, None)))(keys, STATE, Z).embeddings
    for code in (0, 5):
        frequency = (np.asarray(moved)[:, code, None, 0] == Z[None, :, 0]).mean(0)
        np.testing.assert_allclose(frequency, np.full(NUM, 1 / NUM), atol=4 * np.sqrt(1 / NUM / len(keys)))


def test_vectors_that_are_not_finite_move_no_code():
    z = Z.copy()
    z[::2] = np.nan
    state = restarted()(jax.random.key(0), STATE, z)
    assert all(np.all(np.isfinite(leaf)) for leaf in state)
    rows, table_rows = rows_among(state.embeddings[DEAD], z), rows_among(state.embeddings[DEAD], TABLE)
    assert np.all((rows >= 0) ^ (table_rows >= 0))
    assert 0 < np.sum(rows >= 0) < DEAD.sum()


def test_fewer_vectors_than_codes_are_drawn_more_than_once():
    state = restarted()(jax.random.key(0), STATE, Z[:3])
    assert np.all(rows_among(state.embeddings[DEAD], Z[:3]) >= 0)


def test_restarts_inside_vmap_and_scan_equal_those_alone():
    keys = jax.random.split(jax.random.key(3), 3)

    @jax.jit
    def run(keys, z):
        def step(state, key):
            return quantizers.restart(key, state, z, 6.0), None

        both = lambda key: jax.lax.scan(step, CodebookState(*STATE), key[None])[0]  # noqa: E731
        return jax.vmap(both)(keys)

    together = run(keys, Z)
    for i, key in enumerate(keys):
        alone = restarted()(key, STATE, Z)
        for new, expected in zip(together, alone, strict=True):
            np.testing.assert_array_equal(new[i], expected)
