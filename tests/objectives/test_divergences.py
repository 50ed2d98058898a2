"""The parts of the KL against sums over all images, and the density ratio against enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxvae.objectives import decompose_kl, non_saturating_discriminator, permute_dimensions
from jaxvae.types import GaussianParams

NUM, DIM = 4, 2  # images in all, latents
MEANS = np.array([[-1.0, -1.2], [1.0, 1.1], [0.2, -0.3], [2.0, 1.4]])
SCALES = np.array([[0.5, 0.4], [0.6, 0.3], [1.0, 0.8], [0.4, 0.7]])
Q = GaussianParams(jnp.array(MEANS, jnp.float32), jnp.array(2 * np.log(SCALES), jnp.float32))


def draws(num, seed=0):
    """`num` draws of q(z | x) of every image, [num, NUM, DIM]."""
    return MEANS + SCALES * np.random.default_rng(seed).standard_normal((num, NUM, DIM))


def log_normal(z):
    return stats.norm.logpdf(z).sum(-1)


def slow_parts(z):
    """The three parts by loops over all images: z [NUM, DIM] -> [3, NUM]."""
    parts = []
    for i in range(NUM):
        each = np.array([[stats.norm.pdf(z[i, d], MEANS[j, d], SCALES[j, d]) for d in range(DIM)] for j in range(NUM)])
        log_qz, log_marginals = np.log(each.prod(axis=1).mean()), np.log(each.mean(axis=0)).sum()
        parts.append((np.log(each[i].prod()) - log_qz, log_qz - log_marginals, log_marginals - log_normal(z[i])))
    return np.transpose(parts)


def parts_of(z, rows=slice(None), **options):
    z = np.asarray(z)[rows]
    q = jax.tree.map(lambda leaf: leaf[rows], Q)
    return decompose_kl(jnp.float32(z), q, jnp.float32(log_normal(z)), NUM, **options)


def test_parts_of_a_batch_of_all_images_are_exact():
    z = draws(1)[0]
    np.testing.assert_allclose(np.stack(parts_of(z)), slow_parts(z), rtol=1e-5, atol=1e-6)


def test_weighted_sums_differ_by_a_constant():
    z = draws(1)[0]
    given, constant = np.stack(parts_of(z, sampling="weighted")), np.log(NUM)
    np.testing.assert_allclose(given, slow_parts(z) + constant * np.array([[1], [DIM - 1], [-DIM]]), rtol=1e-4)


def test_stratified_sums_of_small_batches_are_unbiased():
    """The mean over all batches of two that have an image is the sum over all images."""
    z = draws(1)[0]
    for i in range(NUM):
        log_qz_x = stats.norm.logpdf(z[i], MEANS[i], SCALES[i]).sum()
        found = [parts_of(z, np.array([i, j]))[0][0] for j in range(NUM) if j != i]
        mean = np.mean(np.exp(log_qz_x - np.array(found)))
        np.testing.assert_allclose(np.log(mean), log_qz_x - slow_parts(z)[0, i], rtol=1e-5)


def test_means_are_the_divergences():
    """KL(q(z) || prod q(z_d)) and KL(q(z_d) || p(z_d)) of a mixture of Gaussians, by sums over a grid."""
    grid = np.linspace(-7, 7, 561)
    each = np.stack([[stats.norm.pdf(grid, MEANS[j, d], SCALES[j, d]) for d in range(DIM)] for j in range(NUM)])
    joint, marginals = np.einsum("ja,jb->ab", each[:, 0], each[:, 1]) / NUM, each.mean(axis=0)
    area, step = (grid[1] - grid[0]) ** 2, grid[1] - grid[0]
    total_correlation = np.sum(joint * np.log(joint / np.outer(*marginals))) * area
    dimension_wise = np.sum(marginals * (np.log(marginals) - stats.norm.logpdf(grid))) * step
    found = jax.vmap(lambda z: decompose_kl(z, Q, jnp.sum(jax.scipy.stats.norm.logpdf(z), -1), NUM))(
        jnp.float32(draws(4_000))
    )
    assert total_correlation > 0.2
    np.testing.assert_allclose(np.mean(found.total_correlation), total_correlation, atol=0.02)
    np.testing.assert_allclose(np.mean(found.dimension_wise_kl), dimension_wise, atol=0.04)


@pytest.mark.parametrize("sampling", ["stratified", "weighted"])
def test_replicas_that_share_a_batch_give_its_parts_and_gradients(sampling):
    z = jnp.float32(draws(1)[0])

    def mean_part(scale, z, q, axis_name):
        parts = decompose_kl(scale * z, q, jnp.zeros(len(z)), 100, sampling, axis_name)  # weights differ
        return jnp.mean(parts.total_correlation)

    value, gradient = jax.value_and_grad(mean_part)(jnp.float32(0.9), z, Q, None)
    divided = jax.tree.map(lambda leaf: leaf.reshape(2, NUM // 2, DIM), (z, Q))
    both = jax.pmap(
        lambda z, q: jax.lax.pmean(jax.value_and_grad(mean_part)(jnp.float32(0.9), z, q, "data"), "data"), "data"
    )(*divided)
    np.testing.assert_allclose(both[0], value, rtol=1e-5)
    np.testing.assert_allclose(both[1], gradient, rtol=1e-4)


def test_permuted_dimensions_are_those_of_the_batch_apart():
    z = jnp.float32(draws(1)[0])
    found = permute_dimensions(jax.random.key(0), z)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(z, axis=0))
    orders = {tuple(np.argsort(found[:, d]).tolist()) for d in range(DIM)}
    assert len(orders) == DIM
    halves = jax.pmap(lambda z: permute_dimensions(jax.random.key(0), z, "data"), "data")(z.reshape(2, 2, DIM))
    np.testing.assert_array_equal(halves.reshape(NUM, DIM), found)


def test_the_best_discriminator_gives_the_total_correlation():
    """Two latents of two values each: the loss has its least value where the logit is the log-ratio."""
    joint = np.array([[0.4, 0.1], [0.2, 0.3]])
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    ratio = jnp.float32(np.log(joint / product))

    def loss(logits):
        of_pairs = [
            (joint[a] * product[b], non_saturating_discriminator(logits[a][None], logits[b][None])[0])
            for a, b in itertools.product(np.ndindex(2, 2), repeat=2)
        ]
        return sum(weight * value for weight, value in of_pairs)

    np.testing.assert_allclose(jax.grad(loss)(ratio), 0.0, atol=1e-6)
    assert float(loss(ratio)) < min(float(loss(ratio + 0.1)), float(loss(1.1 * ratio)))
    by_hand = sum(
        p * np.log(p / (r * c)) for p, r, c in [(0.4, 0.5, 0.6), (0.1, 0.5, 0.4), (0.2, 0.5, 0.6), (0.3, 0.5, 0.4)]
    )
    np.testing.assert_allclose(np.sum(joint * ratio), by_hand, rtol=1e-5)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="log_pz has shape"):
        decompose_kl(jnp.zeros((NUM, DIM)), Q, jnp.zeros(3), NUM)
