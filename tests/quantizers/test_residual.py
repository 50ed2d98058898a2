"""Several codes a position, against loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import GroupedQuantizer, ResidualQuantizer, VectorQuantizer
from jaxvae.types import StepKeys

BATCH, SIZE, DIM, NUM_CODES, NUM = 2, (4, 4), 4, 8, 3
RNG = np.random.default_rng(0)
Z = RNG.standard_normal((BATCH, *SIZE, DIM), np.float32)
VECTORS = Z.reshape(-1, DIM)
KEYS = StepKeys(jax.random.split(jax.random.key(0), BATCH), jax.random.key(1))


def stacked(tables, count=1.0):
    counts = np.full(tables.shape[:2], count, np.float32)
    return {"codebook": {"quantizer": {"embeddings": tables, "counts": counts, "sums": count * tables}}}


def test_residual_equals_a_loop_over_levels_and_its_gradient_is_that_of_every_commitment():
    tables = RNG.standard_normal((NUM, NUM_CODES, DIM), np.float32)
    quantizer = ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM), NUM)

    @jax.jit
    def run(variables, z):
        total = lambda z: quantizer.apply(variables, z, None, train=False).penalty.sum()  # noqa: E731
        return quantizer.apply(variables, z, None, train=False), jax.grad(total)(z)

    output, of_z = run(stacked(tables), Z)
    left, penalty, gradient = VECTORS.astype(np.float64), 0.0, 0.0
    for g in range(NUM):
        codes = ((left[:, None] - tables[g]) ** 2).sum(-1).argmin(1)
        np.testing.assert_array_equal(output.codes[..., g].ravel(), codes)
        left = left - tables[g][codes]
        penalty += 0.25 * (left.reshape(BATCH, -1) ** 2).mean(1)
        gradient += 0.25 * 2.0 / left[: len(left) // BATCH].size * left
    np.testing.assert_allclose(output.z_q.reshape(-1, DIM), VECTORS - left, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output.penalty, penalty, rtol=1e-4)
    np.testing.assert_allclose(of_z.reshape(-1, DIM), gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(output.stats["quantization_error"], (left**2).mean(), rtol=1e-4)


def test_error_falls_with_depth():
    quantizer = ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM), NUM)

    @jax.jit
    def run(key, z):
        output, variables = quantizer.init_with_output(key, z, None, train=False)
        return output.codes, variables["codebook"]["quantizer"]["embeddings"]

    codes, tables = jax.tree.map(np.asarray, run(jax.random.key(0), Z))
    chosen = np.stack([tables[g][codes[..., g]] for g in range(NUM)])
    errors = ((Z - np.cumsum(chosen, axis=0)) ** 2).mean((1, 2, 3, 4))
    assert (Z**2).mean() > 1.5 * errors[0]
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]


def test_levels_restart_at_vectors_of_their_own():
    # Far away from all vectors no code is chosen, and the second level is left with what the first level misses.
    quantizer = ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM, restart_below=1.0), 2)
    tables = np.zeros((2, NUM_CODES, DIM), np.float32)
    run = jax.jit(lambda variables: quantizer.apply(variables, Z, KEYS, train=True, mutable=["codebook"])[1])
    moved = np.asarray(run(stacked(tables, 0.5))["codebook"]["quantizer"]["embeddings"])[:, 1:]  # 0 has all vectors
    rows = (moved[:, :, None] == VECTORS).all(-1)
    assert np.all(rows.sum(-1) == 1)
    assert not np.array_equal(rows[0], rows[1])


def test_groups_equal_quantizers_of_their_channels():
    alone = VectorQuantizer(NUM_CODES, 2, restart_below=2.0)
    quantizer = GroupedQuantizer(alone, 2)
    variables = stacked(RNG.standard_normal((2, NUM_CODES, 2), np.float32))
    shared = jax.random.split(KEYS.shared, 2)

    @jax.jit
    def run(variables, z):
        together = quantizer.apply(variables, z, KEYS, train=True, mutable=["codebook"])
        apart = []
        for g in range(2):
            of_group = {"codebook": jax.tree.map(lambda leaf, g=g: leaf[g], variables["codebook"]["quantizer"])}
            keys = StepKeys(KEYS.examples, shared[g])
            apart.append(alone.apply(of_group, z[..., 2 * g : 2 * g + 2], keys, train=True, mutable=["codebook"]))
        return together, apart

    (output, written), apart = jax.tree.map(np.asarray, run(variables, Z))
    outputs = [one for one, _ in apart]
    np.testing.assert_array_equal(output.z_q, np.concatenate([one.z_q for one in outputs], axis=-1))
    np.testing.assert_array_equal(output.codes, np.stack([one.codes for one in outputs], axis=-1))
    np.testing.assert_allclose(output.penalty, 0.25 * ((Z - output.z_q) ** 2).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(output.stats["quantization_error"], ((Z - output.z_q) ** 2).mean(), rtol=1e-5)
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *[one["codebook"] for _, one in apart])
    for name, leaf in expected.items():
        np.testing.assert_allclose(written["codebook"]["quantizer"][name], leaf, rtol=1e-6)


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        (ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM), 0), "num_levels is 0, expected at least 1"),
        (GroupedQuantizer(VectorQuantizer(NUM_CODES, DIM), 0), "num_groups is 0, expected at least 1"),
        (ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM, cosine=True), 2), "expected one without them"),
        (ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM, code_dim=2), 2), "expected one without them"),
        (
            GroupedQuantizer(VectorQuantizer(NUM_CODES, 3), 2),
            r"z of GroupedQuantizer has shape .* 4\], expected .* 6\]",
        ),
    ],
)
def test_impossible_choices_are_named(quantizer, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: quantizer.init(jax.random.key(0), Z, None, train=False))


def test_codes_of_another_number_of_levels_are_refused():
    quantizer = ResidualQuantizer(VectorQuantizer(NUM_CODES, DIM), NUM)
    with pytest.raises(ValueError, match=r"codes has shape \[2, 4, 4, 2\], expected \[2, 4, 4, 3\]"):
        quantizer.apply(
            stacked(np.zeros((NUM, NUM_CODES, DIM), np.float32)), jnp.zeros((BATCH, *SIZE, 2), int), method="lookup"
        )
