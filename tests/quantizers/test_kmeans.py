"""Codes to begin with."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import kmeans

NUM_CODES, EACH, DIM = 6, 20, 4
RNG = np.random.default_rng(0)
CENTRES = 10.0 * RNG.standard_normal((NUM_CODES, DIM)).astype(np.float32)
Z = (CENTRES[:, None] + 0.1 * RNG.standard_normal((NUM_CODES, EACH, DIM)).astype(np.float32)).reshape(-1, DIM)
MEANS = Z.reshape(NUM_CODES, EACH, DIM).mean(1)


@functools.cache
def clustered(num_iterations):
    return jax.jit(lambda key, z: kmeans(key, z, NUM_CODES, num_iterations))


def in_order(table):
    return np.asarray(table)[np.argsort(np.asarray(table)[:, 0])]


@pytest.mark.parametrize("seed", range(4))
def test_separable_clusters_are_found(seed):
    shuffled = np.random.default_rng(seed).permutation(Z)
    table = clustered(3)(jax.random.key(seed), shuffled)
    np.testing.assert_allclose(in_order(table), in_order(MEANS), rtol=1e-4, atol=1e-4)


def test_further_centres_are_drawn_by_their_squared_distances():
    # Of 0, 1 and 3 the first is any: after 0 come 1 and 3 with 1 and 9, after 1 come 0 and 3 with 1 and 4, ....
    z, num = jnp.array([[0.0], [1.0], [3.0]]), 4_000
    pairs = jax.jit(jax.vmap(lambda key: kmeans(key, z, 2, 0)))(jax.random.split(jax.random.key(0), num))
    of_sum = {1.0: (1 / 10 + 1 / 5) / 3, 3.0: (9 / 10 + 9 / 13) / 3, 4.0: (4 / 5 + 4 / 13) / 3}
    sums = np.asarray(pairs)[:, :, 0].sum(1)
    for value, share in of_sum.items():
        assert abs(np.mean(sums == value) - share) < 4.5 * np.sqrt(share * (1 - share) / num)


def test_without_iterations_the_codes_are_different_vectors():
    table = np.asarray(clustered(0)(jax.random.key(0), Z))
    rows = (table[:, None] == Z[None]).all(-1)
    assert np.all(rows.sum(1) == 1)
    assert sorted(rows.argmax(1) // EACH) == list(range(NUM_CODES))


def test_vectors_that_are_not_finite_are_left_out():
    z = Z.reshape(NUM_CODES, EACH, DIM).copy()
    z[:, 5:12], z[0, 0, 0] = np.nan, np.inf
    means = np.nanmean(np.where(np.isfinite(z).all(-1, keepdims=True), z, np.nan), axis=1)
    shuffled = np.random.default_rng(0).permutation(z.reshape(-1, DIM))
    for seed in range(5):
        seeds = np.asarray(clustered(0)(jax.random.key(seed), shuffled))
        assert np.all((seeds[:, None] == shuffled[None]).all(-1).any(-1))
    table = clustered(3)(jax.random.key(2), shuffled)
    np.testing.assert_allclose(in_order(table), in_order(means), rtol=1e-4, atol=1e-4)


def test_empty_clusters_begin_anew(monkeypatch):
    # All centres in one place: one has all vectors and the others none.
    module = importlib.import_module("jaxvae.quantizers.kmeans")  # the package has its function by that name
    monkeypatch.setattr(module, "_seeds", lambda key, z, keep, num: jnp.zeros((num, DIM)))
    table = np.asarray(jax.jit(lambda key, z: kmeans(key, z, NUM_CODES, 20))(jax.random.key(1), Z))
    codes = ((Z[:, None] - table[None]) ** 2).sum(-1).argmin(1)
    assert len(set(codes)) == NUM_CODES


def test_fewer_distinct_vectors_than_codes_give_finite_codes():
    z = np.resize(Z[:2], Z.shape)
    z[8:] = np.nan  # what most empty clusters draw
    table = np.asarray(clustered(3)(jax.random.key(0), z))
    distance = ((table[:, None] - Z[None, :2]) ** 2).sum(-1)
    np.testing.assert_allclose(distance.min(1), np.zeros(NUM_CODES), atol=1e-6)


def test_fewer_vectors_than_codes_are_refused():
    with pytest.raises(ValueError, match=r"k-means of 6 codes has 5 vectors, expected at least 6: take fewer codes"):
        kmeans(jax.random.key(0), Z[:5], NUM_CODES, 1)
