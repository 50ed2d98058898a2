"""What all quantizers have in common: a new one is a line in `QUANTIZERS`."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.quantizers import FSQ, LFQ, GroupedQuantizer, GumbelQuantizer, ResidualQuantizer, VectorQuantizer
from jaxvae.types import StepKeys
from tests.drawn import normal_like

BATCH, SIZE, DIM, NUM_CODES = 4, (2, 3), 6, 5
vector = functools.partial(VectorQuantizer, NUM_CODES, kmeans_iterations=0)

# Those named in CODEBOOKS keep their codes in that collection, those in RANDOM draw codes in training.
QUANTIZERS = {
    "ema": vector(DIM),
    "ema, rotation, restarts": vector(DIM, through="rotation", restart_below=2.0),
    "ema, cosine, projected": vector(DIM, code_dim=3, cosine=True),
    "gradient": vector(DIM, update="gradient"),
    "gradient, cosine, rotation": vector(DIM, update="gradient", cosine=True, through="rotation"),
    "residual": ResidualQuantizer(vector(DIM, restart_below=2.0), num_levels=3),
    "grouped": GroupedQuantizer(vector(2, code_dim=1, restart_below=2.0), num_groups=3),
    "fsq": FSQ((3, 2, 2, 3, 2, 2), DIM),
    "fsq, projected": FSQ((4, 3), DIM),
    "lfq": LFQ(DIM, DIM),
    "lfq, projected": LFQ(3, DIM),
    "gumbel": GumbelQuantizer(NUM_CODES, DIM),
    "gumbel, soft": GumbelQuantizer(NUM_CODES, DIM, hard=False),
}
CODEBOOKS = {"ema", "ema, rotation, restarts", "ema, cosine, projected", "residual", "grouped"}
RANDOM = {"gumbel", "gumbel, soft"}
IDENTITY = ["ema", "gradient", "residual", "lfq"]  # the gradient of z_q is that of z

KEYS = StepKeys(jax.random.split(jax.random.key(1), BATCH), jax.random.key(2))
OTHERS = StepKeys(jax.random.split(jax.random.key(3), BATCH), jax.random.key(4))
Z = np.random.default_rng(3).standard_normal((BATCH, *SIZE, DIM), np.float32)
WEIGHTS = np.random.default_rng(4).standard_normal(Z.shape, np.float32)


@pytest.fixture(scope="module", params=QUANTIZERS)  # all tests of a quantizer follow each other and share its program
def name(request):
    return request.param


@functools.cache
def variables(name):
    """Parameters and a codebook that has been in use, by numpy."""
    tree = jax.eval_shape(functools.partial(QUANTIZERS[name].init, train=False), jax.random.key(0), Z, None)
    made = normal_like(tree, 0.7)

    def consistent(codebook):
        if "embeddings" not in codebook:
            return {key: consistent(value) for key, value in codebook.items()}
        counts = 4.0 * np.abs(codebook["counts"])  # of some less than 2
        return {
            "embeddings": codebook["embeddings"],
            "counts": counts,
            "sums": counts[..., None] * codebook["embeddings"],
        }

    return {**made, "codebook": consistent(made["codebook"])} if "codebook" in made else made


@functools.cache
def program(name):
    quantizer = QUANTIZERS[name]

    @jax.jit
    def run(variables, z, keys):
        def total(params, z):
            output, written = quantizer.apply(
                {**variables, "params": params}, z, keys, train=True, mutable=["codebook"]
            )
            return jnp.sum(WEIGHTS * output.z_q) + jnp.sum(output.penalty), (output, written)

        gradient = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
        (_, (trained, written)), gradients = gradient(variables.get("params", {}), z)
        evaluated, untouched = quantizer.apply(variables, z, None, train=False, mutable=["codebook"])
        looked_up = quantizer.apply(variables, evaluated.codes, method="lookup")
        return {
            "trained": trained,
            "written": written,
            "gradients": gradients,
            "evaluated": evaluated,
            "untouched": untouched,
            "looked_up": looked_up,
        }

    return run


@functools.cache
def results(name):
    return jax.tree.map(np.asarray, program(name)(variables(name), Z, KEYS))


def test_signature(name):
    arguments = inspect.signature(type(QUANTIZERS[name]).__call__).parameters
    assert tuple(arguments)[1:5] == ("z", "keys", "train", "axis_name")
    assert tuple(inspect.signature(type(QUANTIZERS[name]).lookup).parameters) == ("self", "codes")


def test_shapes_and_types(name):
    quantizer = QUANTIZERS[name]
    assert quantizer.code_shape(SIZE)[:2] == SIZE
    for output in (results(name)["trained"], results(name)["evaluated"]):
        assert output.z_q.shape == Z.shape
        assert output.codes.shape == (BATCH, *quantizer.code_shape(SIZE))
        assert output.penalty.shape == (BATCH,)
        assert output.codes.dtype == np.int32
        assert output.z_q.dtype == output.penalty.dtype == np.float32
        assert output.stats["counts"].shape == (*quantizer.code_shape(SIZE)[2:], quantizer.num_codes)
        assert output.stats["quantization_error"].shape == ()
        assert set(output.stats) == {"counts", "perplexity", "used", "quantization_error"}


def test_lookup_of_the_codes_equals_z_q(name):
    np.testing.assert_array_equal(results(name)["looked_up"], results(name)["evaluated"].z_q)
    if name not in RANDOM:  # training looks up with the codes before it
        np.testing.assert_array_equal(results(name)["trained"].z_q, results(name)["evaluated"].z_q)
        np.testing.assert_array_equal(results(name)["trained"].codes, results(name)["evaluated"].codes)


def test_codes_are_in_range_and_statistics_are_theirs(name):
    num_codes = QUANTIZERS[name].num_codes
    for output in (results(name)["trained"], results(name)["evaluated"]):
        assert np.all((output.codes >= 0) & (output.codes < num_codes))
        assert len(np.unique(output.codes)) > 1
        per_book = output.codes.reshape(-1, *output.codes.shape[3:]).reshape(BATCH * 6, -1).T
        counts = np.stack([np.bincount(codes, minlength=num_codes) for codes in per_book])
        np.testing.assert_array_equal(output.stats["counts"].reshape(counts.shape), counts)
        share = counts / counts.sum(-1, keepdims=True)
        entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(-1)
        np.testing.assert_allclose(output.stats["perplexity"].ravel(), np.exp(entropy), rtol=1e-5)
        np.testing.assert_allclose(output.stats["used"].ravel(), (counts > 0).mean(-1), rtol=1e-6)


def test_evaluation_changes_no_bit_of_the_codebook_and_training_does(name):
    written, untouched = results(name)["written"], results(name)["untouched"]
    if name not in CODEBOOKS:
        assert not written.get("codebook")
        return
    before = variables(name)["codebook"]
    assert jax.tree.structure(written["codebook"]) == jax.tree.structure(before)
    jax.tree.map(np.testing.assert_array_equal, untouched.get("codebook", before), before)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(written["codebook"]), strict=True):
        assert not np.array_equal(old, new)


def test_gradients_reach_the_encoder_and_all_parameters(name):
    of_params, of_z = results(name)["gradients"]
    for leaf in (*jax.tree.leaves(of_params), of_z):
        assert np.all(np.isfinite(leaf))
        assert np.abs(leaf).max() > 1e-4


@pytest.mark.parametrize("name", IDENTITY)
def test_gradient_of_z_q_is_that_of_z(name):
    quantizer = QUANTIZERS[name]

    @jax.jit
    def run(variables, z):
        return jax.grad(lambda z: jnp.sum(WEIGHTS * quantizer.apply(variables, z, None, train=False).z_q))(z)

    np.testing.assert_array_equal(run(variables(name), Z), WEIGHTS)


@pytest.mark.parametrize("value", [0.0, 1e3, "normal, times 1e3"])
def test_extremes_are_finite(name, value):
    z = np.float32(1e3) * Z if isinstance(value, str) else np.full_like(Z, value)
    found = program(name)(variables(name), z, KEYS)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)


def test_a_vector_that_is_not_finite_does_not_enter_the_codebook(name):
    z = Z.copy()
    z[1, 0, 0, 0], z[2, 1] = np.nan, np.inf
    found = jax.tree.map(np.asarray, program(name)(variables(name), z, KEYS))
    for leaf in jax.tree.leaves((found["written"], found["trained"].stats["counts"])):
        assert np.all(np.isfinite(leaf))
    assert np.all((found["trained"].codes >= 0) & (found["trained"].codes < QUANTIZERS[name].num_codes))
    # Of 24 vectors 4 are not finite; the NaN is in the first group of channels alone.
    expected = [20, 21, 21] if name == "grouped" else 20
    assert np.all(found["trained"].stats["counts"].sum(-1) == expected)
    # The loss has to show it.
    assert not np.all(np.isfinite(found["trained"].z_q)) or not np.all(np.isfinite(found["trained"].penalty))


def test_the_same_keys_give_the_same_result(name):
    again = jax.tree.map(np.asarray, program(name)(variables(name), Z, KEYS))
    jax.tree.map(np.testing.assert_array_equal, again, results(name))
    others = jax.tree.map(np.asarray, program(name)(variables(name), Z, OTHERS))
    assert np.array_equal(others["trained"].codes, again["trained"].codes) == (name not in RANDOM)
    restarts = "restarts" in name or name in ("residual", "grouped")
    same = [
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(others["written"]), jax.tree.leaves(again["written"]), strict=True)
    ]
    assert all(same) != restarts


def test_mistakes_are_named(name):
    quantizer, kind = QUANTIZERS[name], type(QUANTIZERS[name]).__name__
    with pytest.raises(ValueError, match=rf"z of {kind} has shape \[4, 2, 3, 5\], expected \[any, any, any, 6\]"):
        quantizer.apply(variables(name), Z[..., :5], None, train=False)
    z = Z.copy()
    z[1, 0, 2, 3] = np.nan
    with pytest.raises(ValueError, match=rf"z\[1, 0, 2, 3\] of {kind} is nan, expected finite numbers"):
        quantizer.apply(variables(name), z, None, train=False)
    codes = np.zeros((BATCH, *quantizer.code_shape(SIZE)), np.int32)
    place = (1,) + (0,) * (codes.ndim - 1)
    for wrong in (-1, quantizer.num_codes):
        codes[place] = wrong
        index = ", ".join(map(str, place))
        with pytest.raises(ValueError, match=rf"codes\[{index}\] is {wrong}, expected 0 to {quantizer.num_codes - 1}"):
            quantizer.apply(variables(name), codes, method="lookup")
