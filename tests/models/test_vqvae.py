"""Models through codes: what is encoded decodes to what was scored; training moves codebooks, nothing else does."""

import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.likelihoods import bernoulli
from jaxvae.models import VQVAE, HierarchicalVQVAE
from jaxvae.nets import Conv, ImageDecoder, MapDecoder, MapEncoder
from jaxvae.quantizers import FSQ, GroupedQuantizer, GumbelQuantizer, ResidualQuantizer, VectorQuantizer
from jaxvae.types import StepKeys
from tests.drawn import normal_like

SHAPE, DIM, K = (7, 8, 1), 4, 6
IMAGES = (np.random.default_rng(0).random((5, *SHAPE)) < 0.4).astype(np.float32)
KEYS = StepKeys(jax.random.split(jax.random.key(1), 5), jax.random.key(2))
QUANTIZERS = {
    "vector": VectorQuantizer(K, DIM, restart_below=0.5),
    "gradient": VectorQuantizer(K, DIM, update="gradient", through="rotation"),
    "residual": ResidualQuantizer(VectorQuantizer(K, DIM), 2),
    "grouped": GroupedQuantizer(VectorQuantizer(K, DIM // 2), 2),
    "fsq": FSQ((7, 8), DIM),  # of few levels all start at zero, where relus have no gradient
    "gumbel": GumbelQuantizer(K, DIM),
}


def one_grid(quantizer):
    decoder = ImageDecoder(MapDecoder(SHAPE, (6, 5)), bernoulli().param_shapes(SHAPE), latent_axes=3)
    return VQVAE(MapEncoder(DIM, (5, 6)), quantizer, decoder, bernoulli())


def two_grids(quantizer):
    return HierarchicalVQVAE(
        encoder=MapEncoder(6, (5,)),
        top_encoder=MapEncoder(DIM, (6,)),
        top_quantizer=quantizer,
        top_decoder=MapDecoder((8, 8), (6, 6)),
        to_bottom=Conv(DIM, (1, 1)),
        quantizer=quantizer.clone(),
        decoder=ImageDecoder(MapDecoder(SHAPE, (6,)), bernoulli().param_shapes(SHAPE), latent_axes=3),
        likelihood=bernoulli(),
    )


MODELS = {name: functools.partial(one_grid, quantizer) for name, quantizer in QUANTIZERS.items()}
MODELS["two grids"] = functools.partial(two_grids, QUANTIZERS["vector"])
GRIDS = {"residual": [(2, 2, 2)], "grouped": [(2, 2, 2)], "two grids": [(2, 2), (4, 4)]}


@functools.cache
def made(name):
    model = MODELS[name]()
    variables = flax.core.unfreeze(normal_like(jax.eval_shape(model.init, jax.random.key(0), IMAGES), scale=0.3))
    for path, leaf in flax.traverse_util.flatten_dict(variables.get("codebook", {})).items():
        leaf[...] = np.abs(leaf) if path[-1] == "counts" else leaf
    return model, variables


@pytest.mark.parametrize("name", MODELS)
def test_codes_decode_to_what_was_scored(name):
    model, variables = made(name)

    @jax.jit
    def both(variables, x):
        terms = model.apply(variables, x)
        codes = model.apply(variables, x, method="encode")
        decoded = model.apply(variables, codes, method="decode")
        return terms, codes, jax.vmap(model.likelihood.log_prob)(decoded, x)

    terms, codes, log_px = both(variables, IMAGES)
    assert [grid.shape[1:] for grid in codes] == GRIDS.get(name, [(2, 2)])
    for found, expected in zip(codes, terms.codes, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(log_px, terms.log_px, rtol=1e-5)
    assert terms.penalty.shape == (5,)
    assert len(terms.stats) == len(codes)


@pytest.mark.parametrize("name", MODELS)
def test_training_moves_codebooks_and_reaches_the_encoder(name):
    model, variables = made(name)
    state, params = flax.core.pop(variables, "params")

    @jax.jit
    def gradient(params, state):
        def loss(params):
            terms, new = model.apply({"params": params, **state}, IMAGES, KEYS, train=True, mutable=list(state))
            return jnp.mean(terms.penalty - terms.log_px), new

        return jax.grad(loss, has_aux=True)(params)

    grads, new = gradient(params, state)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert np.all(np.isfinite(leaf)), path
        if "encoder" in jax.tree_util.keystr(path[:1]):
            assert np.any(leaf != 0), path
    moved = [np.any(a != b) for a, b in zip(jax.tree.leaves(new), jax.tree.leaves(state), strict=True)]
    assert all(moved)
    assert bool(moved) == (name in ("vector", "residual", "grouped", "two grids"))
    again = jax.jit(lambda: model.apply(variables, IMAGES, mutable=list(state))[1])() if state else state
    jax.tree.map(np.testing.assert_array_equal, again, state)


def test_temperature_reaches_the_quantizer():
    model, variables = made("gumbel")
    apply = jax.jit(lambda t: model.apply(variables, IMAGES, KEYS, train=True, temperature=t).stats)
    errors = [float(apply(t)[0]["quantization_error"]) for t in (1e-5, 10.0)]
    assert errors[0] < 1e-3 < errors[1]


def test_two_grids_draw_with_keys_of_their_own():
    model = two_grids(GumbelQuantizer(K, DIM))
    x = np.zeros((1, *SHAPE), np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)  # all codes are equally likely
    keys = StepKeys(KEYS.examples[:1], KEYS.shared)
    top, bottom = jax.jit(lambda: model.apply(variables, x, keys, train=True).codes)()
    assert np.any(np.asarray(top).ravel() != np.asarray(bottom).ravel()[:4])


def test_the_penalty_of_two_grids_is_the_sum_of_both():
    model, variables = made("two grids")

    def penalty(of_top, of_bottom):
        weigh = lambda weight: QUANTIZERS["vector"].clone(commitment_weight=weight)  # noqa: E731
        weighed = model.clone(top_quantizer=weigh(of_top), quantizer=weigh(of_bottom))
        return np.asarray(jax.jit(weighed.apply)(variables, IMAGES).penalty)

    top, bottom = penalty(1.0, 0.0), penalty(0.0, 1.0)
    assert np.all(top > 1e-3)
    assert np.all(bottom > 1e-3)
    np.testing.assert_allclose(penalty(0.5, 0.25), 0.5 * top + 0.25 * bottom, rtol=1e-5)
