"""The vector quantizer: three codes by hand, its two ways to learn, its initialisation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import VectorQuantizer
from jaxvae.types import StepKeys

TOY = np.array([[1.0, 1.0], [3.0, 1.0], [2.0, 3.0]], np.float32)
Z = np.array([[[[0.8, 1.2], [2.9, 0.8], [2.1, 2.7]]]], np.float32)  # A, B and C, one example
ERROR = (0.08 + 0.05 + 0.10) / 6
CODEBOOK = {"codebook": {"embeddings": TOY, "counts": np.ones(3, np.float32), "sums": TOY}}
KEYS = StepKeys(jax.random.split(jax.random.key(0), 1), jax.random.key(1))
CLUSTERS = (
    np.random.default_rng(0)
    .permutation(np.repeat(np.float32(10.0) * np.random.default_rng(1).standard_normal((4, 3), np.float32), 8, axis=0))
    .reshape(2, 4, 4, 3)
)


@functools.cache
def program(quantizer, **options):
    return jax.jit(lambda variables, z, keys: quantizer.apply(variables, z, keys, **options))


def test_three_codes_by_hand():
    output = program(VectorQuantizer(3, 2), train=False)(CODEBOOK, Z, None)
    assert output.codes.tolist() == [[[0, 1, 2]]]
    np.testing.assert_array_equal(output.z_q[0, 0], TOY)
    np.testing.assert_allclose(output.penalty, [0.25 * ERROR], rtol=1e-5)
    np.testing.assert_allclose(output.stats["quantization_error"], ERROR, rtol=1e-5)
    np.testing.assert_allclose(output.stats["perplexity"], 3.0, rtol=1e-6)


def test_moving_averages_are_written_after_the_lookup():
    output, written = program(VectorQuantizer(3, 2, decay=0.5), train=True, mutable=("codebook",))(CODEBOOK, Z, None)
    np.testing.assert_array_equal(output.z_q[0, 0], TOY)
    codebook = written["codebook"]
    np.testing.assert_allclose(codebook["counts"], np.ones(3), rtol=1e-6)
    np.testing.assert_allclose(codebook["sums"], 0.5 * (TOY + Z[0, 0]), rtol=1e-6)
    np.testing.assert_allclose(codebook["embeddings"], 0.5 * (TOY + Z[0, 0]), rtol=1e-4)


def test_training_without_the_mutable_collection_writes_nothing():
    output = program(VectorQuantizer(3, 2, restart_below=2.0), train=True)(CODEBOOK, Z, None)
    np.testing.assert_array_equal(output.z_q[0, 0], TOY)


def test_gradients_of_codebook_loss_and_commitment():
    quantizer = VectorQuantizer(3, 2, update="gradient", commitment_weight=0.5)

    @jax.jit
    def run(params, z):
        total = lambda params, z: quantizer.apply({"params": params}, z, None, train=True).penalty[0]  # noqa: E731
        return jax.value_and_grad(total, argnums=(0, 1))(params, z)

    value, (of_params, of_z) = run({"embeddings": TOY}, Z)
    np.testing.assert_allclose(value, 1.5 * ERROR, rtol=1e-5)
    np.testing.assert_allclose(of_params["embeddings"], 2.0 / 6 * (TOY - Z[0, 0]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_z[0, 0], 0.5 * 2.0 / 6 * (Z[0, 0] - TOY), rtol=1e-4, atol=1e-6)


def test_cosine_takes_the_code_of_the_same_direction():
    table = np.array([[0.1, 0.1], [9.0, 0.0], [0.0, 0.3]], np.float32)
    variables = {"codebook": {**CODEBOOK["codebook"], "embeddings": table}}
    z = np.array([[[[5.0, 4.0], [0.2, 0.01], [-3.0, 8.0]]]], np.float32)
    output = program(VectorQuantizer(3, 2, cosine=True), train=False)(variables, z, None)
    assert output.codes.tolist() == [[[0, 1, 2]]]
    np.testing.assert_allclose(output.z_q[0, 0], [[0.5**0.5, 0.5**0.5], [1.0, 0.0], [0.0, 1.0]], rtol=1e-6)
    unit = z / np.linalg.norm(z, axis=-1, keepdims=True)
    np.testing.assert_allclose(output.penalty, 0.25 * ((unit - output.z_q) ** 2).mean((1, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize("update", ["ema", "gradient"])
def test_codes_start_as_clusters_of_the_batch(update):
    quantizer = VectorQuantizer(4, 3, update=update)
    init = jax.jit(functools.partial(quantizer.init, train=True, axis_name="data"))  # an axis that does not exist yet
    variables = jax.tree.map(np.asarray, init(jax.random.key(0), CLUSTERS, None))
    embeddings = variables["codebook" if update == "ema" else "params"]["embeddings"]
    distances = ((CLUSTERS.reshape(-1, 1, 3) - embeddings) ** 2).sum(-1)
    assert distances.min(1).max() < 1e-6
    assert len(set(distances.argmin(1))) == 4
    if update == "ema":  # and nothing was learned on top of it
        np.testing.assert_array_equal(variables["codebook"]["counts"], np.ones(4))
        np.testing.assert_array_equal(variables["codebook"]["sums"], embeddings)


def test_a_batch_that_cannot_start_the_codes_is_refused():
    with pytest.raises(ValueError, match="k-means of 33 codes has 32 vectors, expected at least 33"):
        jax.eval_shape(lambda: VectorQuantizer(33, 3).init(jax.random.key(0), CLUSTERS, None, train=True))
    jax.eval_shape(
        lambda: VectorQuantizer(33, 3, kmeans_iterations=0).init(jax.random.key(0), CLUSTERS, None, train=True)
    )


def test_evaluation_ignores_the_axis():
    output = program(VectorQuantizer(3, 2), train=False, axis_name="data")(CODEBOOK, Z, None)
    np.testing.assert_array_equal(output.stats["counts"], np.ones(3))


def test_lower_precision_is_quantised_and_summed_in_full():
    z = np.repeat(Z, 99, axis=2).astype(jnp.bfloat16)
    run = program(VectorQuantizer(3, 2, decay=0.5), train=True, mutable=("codebook",))
    output, written = run(CODEBOOK, z, None)
    assert output.z_q.dtype == jnp.float32
    np.testing.assert_array_equal(output.z_q[0, 0, ::99], TOY)
    vectors = z[0, 0, ::99].astype(np.float32)
    np.testing.assert_allclose(written["codebook"]["sums"], 0.5 * (TOY + 99.0 * vectors), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update": "adam"}, "has update 'adam', expected 'ema' or 'gradient'"),
        ({"through": "rotate"}, r"has through 'rotate', expected one of \['rotation', 'straight_through'\]"),
        (
            {"update": "gradient", "restart_below": 1.0},
            "restarts codes by their moving averages, expected update 'ema'",
        ),
        ({"restart_below": 1.0}, "restarts codes, expected the StepKeys of the step, got None"),
    ],
)
def test_impossible_choices_are_named(options, message):
    quantizer = VectorQuantizer(3, 2, **options)
    with pytest.raises(ValueError, match=f"VectorQuantizer {message}"):
        jax.eval_shape(lambda: quantizer.apply(CODEBOOK, Z, None, train=True, mutable=["codebook"]))
