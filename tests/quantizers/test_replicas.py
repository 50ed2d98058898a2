"""Eight replicas with an eighth of the batch each learn what one device learns from all of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import LFQ, CodebookState, ResidualQuantizer, VectorQuantizer, restart, start_codebook
from jaxvae.types import StepKeys
from tests.drawn import normal_like

NUM_DEVICES, BATCH, SIZE, DIM, STEPS = 8, 16, (2, 3), 4, 3
Z = np.random.default_rng(0).standard_normal((STEPS, BATCH, *SIZE, DIM), np.float32)
SHARED = jax.random.split(jax.random.key(0), STEPS)
QUANTIZERS = {
    "ema": VectorQuantizer(32, DIM, restart_below=2.5, decay=0.8, kmeans_iterations=0),
    "residual": ResidualQuantizer(VectorQuantizer(16, DIM, restart_below=2.5, decay=0.8, kmeans_iterations=0), 2),
    "lfq": LFQ(3, DIM),
}


def learn(quantizer, variables, z, axis_name=None):
    """Some steps of quantizer and parameters z [STEPS, b, ...] -> variables, statistics and gradients."""

    def step(variables, inputs):
        z, shared = inputs

        def loss(params):
            output, written = quantizer.apply(
                {**variables, "params": params},
                z,
                StepKeys(None, shared),
                train=True,
                axis_name=axis_name,
                mutable=["codebook"],
            )
            return jnp.mean(output.penalty), (output, written)

        gradient = jax.value_and_grad(loss, has_aux=True)
        (value, (output, written)), gradients = gradient(variables.get("params", {}))
        value, gradients = jax.lax.pmean((value, gradients), axis_name) if axis_name else (value, gradients)
        return {**variables, **written}, (output.stats, value, gradients)

    return jax.lax.scan(step, variables, (z, SHARED))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_replicas_learn_the_same_codebook_as_one_device(name):
    quantizer = QUANTIZERS[name]
    shapes = jax.eval_shape(lambda: quantizer.init(jax.random.key(0), Z[0], None, train=False))
    variables = normal_like(shapes)
    for codebook in (variables.get("codebook", {}), variables.get("codebook", {}).get("quantizer", {})):
        if "counts" in codebook:
            codebook["counts"] = np.full_like(codebook["counts"], 3.0)
            codebook["sums"] = 3.0 * codebook["embeddings"]
    expected = jax.jit(lambda variables: learn(quantizer, variables, Z))(variables)

    parts = Z.reshape(STEPS, NUM_DEVICES, -1, *Z.shape[2:]).swapaxes(0, 1)
    of_replica = lambda variables, z: learn(quantizer, variables, z, "data")  # noqa: E731
    found = jax.pmap(of_replica, axis_name="data", in_axes=(None, 0))(variables, parts)
    for leaf, of_one in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        leaf = np.asarray(leaf)
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
        np.testing.assert_allclose(leaf[0], of_one, rtol=1e-4, atol=1e-5)
    for before, after in zip(
        jax.tree.leaves(variables.get("codebook", {})), jax.tree.leaves(found[0].get("codebook", {})), strict=True
    ):
        assert np.abs(before - after[0]).max() > 0.1


def test_restarts_draw_from_the_whole_batch():
    z = Z[0].reshape(-1, DIM)
    z[5] = np.nan
    state = start_codebook(np.zeros((40, DIM), np.float32))

    def run(z, axis_name=None):
        return restart(SHARED[0], CodebookState(*state), z, 2.0, axis_name)

    expected = jax.jit(run)(z)
    found = jax.pmap(lambda z: run(z, "data"), axis_name="data")(z.reshape(NUM_DEVICES, -1, DIM))
    for leaf, of_one in zip(found, expected, strict=True):
        np.testing.assert_array_equal(leaf, np.broadcast_to(of_one, leaf.shape))
    assert len(np.unique(expected.embeddings, axis=0)) >= 39  # of many replicas' vectors
