"""Every experiment, whatever its model: its parts fit together, it trains, it lowers for other backends."""

from dataclasses import replace
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.__main__ import experiments
from experiments.quantizers import Name
from jaxvae.capabilities import Codes, Completes, Decodes, Encodes, Generates, find, require
from jaxvae.errors import UserError
from jaxvae.evaluation import active_units
from jaxvae.runs.description import describe, rebuild
from jaxvae.training import create_train_state, make_train_step
from jaxvae.training.step import step_keys
from jaxvae.types import Batch, StepInput
from tests.experiments.conftest import SPEC, module_and_config

# Without images, of several trainings or of none.
OTHERS = {
    "sharpness",
    "denoising",
    "planar_density",
    "representations",
    "semi_supervised",
    "compression",
    "vae_against_gan",
}
NAMES = sorted(experiments().keys() - OTHERS - {"classifier", "stacked_autoencoder", "vqvae_prior"})
pytestmark = pytest.mark.usefixtures("images")

# Every experiment as it comes, and the networks that are another choice's default.
AS_THEY_COME = [(name, {}) for name in NAMES]
NETWORKS = [
    ("binary_vae", {"net": "resnet", "remat": True, "channels": (4, 6), "num_blocks": (0, 1)}),
    ("binary_vae", {"net": "conv", "precision": "bf16"}),
    ("binary_vae", {"net": "gated", "channels": (3, 4)}),
    ("image_vae", {"channels": (), "num_blocks": ()}),
    ("iwae", {"num_layers": 2, "precision": "bf16"}),
    ("top_down_vae", {"channels": (4,), "prior": "realnvp", "remat": True, "precision": "bf16"}),
]
SMALL_FLOW = {"latent_dim": 3, "num_flows": 2}
ORTHOGONAL = ("flow_posterior", {"posterior": "orthogonal", "num_columns": 2, **SMALL_FLOW})
# Every choice of a part: the numbers are checked by the part's own tests, or by runs elsewhere.
CHOICES = [
    ORTHOGONAL,
    *[("flow_posterior", {"posterior": name, **SMALL_FLOW}) for name in ("radial", "iaf", "householder", "triangular")],
    *[("learned_priors", {"prior": name, **SMALL_FLOW}) for name in ("mixture", "vamp", "realnvp", "maf")],
    *[
        ("bernoulli_latents", {"latents": name, "latent_dim": 3})
        for name in ("gaussian_mixture", "straight_through", "mixture_posterior", "learned_prior", "mixture_prior")
    ],
    *[
        pytest.param(name, {"class_conditional": True, "prior": prior}, marks=pytest.mark.slow)
        for name, prior in (("binary_vae", "normal"), ("binary_vae", "realnvp"), ("image_vae", "realnvp"))
    ],
    *[("disentanglement", {"method": name}) for name in ("beta_vae", "factor_vae")],
    *[("pixel_cnn", {"net": name}) for name in ("pixelrnn", "transformer")],
    *[("pixel_cnn", {"likelihood": name, "class_conditional": True}) for name in ("categorical", "logistic_mixture")],
    ("pixel_vae", {"likelihood": "logistic_mixture", "num_layers": 1}),
    ("top_down_vae", {"likelihood": "logistic_mixture", "sizes": (1, 2, 6), "latents": (3, 2, 1)}),
    *[("vqvae", {"likelihood": name}) for name in ("bernoulli", "gaussian")],
    *[("quantizers", {"quantizer": name}) for name in get_args(Name) if name != "restart"],
    ("vqvae", {"levels": 2, "through": "rotation", "num_blocks": 1}),
    ("pixel_cnn", {"block": 1}),
    *[
        (name, {"loss": "non_saturating", "spectral_norm": True, "alternating": True, "r1": 0.0, "shift": None})
        for name in ("gan", "vae_gan", "adversarial_autoencoder")
    ],
    ("gan", {"pac": 2, "precision": "bf16", "flip": True}),
    *[("autoencoder", {"noise": name, "tied": True}) for name in ("gaussian", "masking", "salt_and_pepper", "dropout")],
    ("autoencoder", {"net": "dense", "sparsity": "l1", "contraction_weight": 0.1, "loss": "mse"}),
    ("autoencoder", {"latent_dim": 0, "sparsity": "kl", "activation": "sigmoid", "last_alone": True, "hidden": (4, 3)}),
    *AS_THEY_COME,
    *NETWORKS,
]
CLASSIFIERS = [
    ("classifier", {"binarize": True}),
    *[("semi_supervised", {"method": name}) for name in ("scratch", "m2", "ladder")],
]
CONVOLVING = (
    "adversarial_autoencoder",
    "autoencoder",
    "classifier",
    "gan",
    "image_vae",
    "pixel_cnn",
    "pixel_vae",
    "quantizers",
    "top_down_vae",
    "vae_gan",
    "vqvae",
)
LOWERED = [*AS_THEY_COME, *NETWORKS, ORTHOGONAL, *CLASSIFIERS]  # one of them has a decomposition
# What no run elsewhere computes; residual networks have their values tested in tests/nets.
COMPUTED = [*NETWORKS[1:], ("mixture_bernoulli", {"num_components": 2}), ("pixel_vae", {"num_layers": 1})]


def batch_of(images, num=8):
    return Batch(images.train.x[:num], images.train.labels[:num], np.ones(num, np.float32))


def step_of(system):
    return make_train_step(system.trainable.players, alternating=system.trainable.alternating)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), COMPUTED)
def test_build_gives_a_finite_loss_and_images(name, changes, images):
    module, config = module_and_config(name, **changes)
    system, batch = module.build(config, SPEC), batch_of(images)
    state = create_train_state(system, jax.random.key(0), batch)
    step = jax.jit(step_of(system))
    for _ in range(2):
        state, metrics = step(state, batch)
    assert int(state.step) == 2
    assert np.isfinite(metrics["loss"])
    sample = jax.jit(require(system, Generates).sample, static_argnums=3)
    samples = sample(jax.random.key(1), state.params, state.model_state, 3)
    assert samples.x.shape == (3, *SPEC.shape)
    assert samples.mean is None or samples.mean.shape == samples.x.shape
    assert name == "image_vae" or set(np.unique(samples.x)) <= {0.0, 1.0}


@pytest.mark.parametrize(("name", "changes"), CHOICES)
def test_parts_of_every_choice_fit_together_and_can_be_described(name, changes, images):
    module, config = module_and_config(name, **changes)
    system, batch = module.build(config, SPEC), batch_of(images)

    def trained(key):
        state = create_train_state(system, key, batch)
        state, metrics = step_of(system)(state, batch)
        model = state.params, state.model_state
        if generates := find(system, Generates):
            return metrics["loss"], generates.sample(key, *model, 3).x
        x = jnp.zeros((3, *SPEC.shape))
        if codes := find(system, Codes):
            return metrics["loss"], codes.decode(*model, codes.encode(*model, x))
        keys = jax.random.split(key, 3)
        means = require(system, Encodes).encode(*model, keys, x)
        return metrics["loss"], require(system, Decodes).decode(*model, keys, means[0])

    loss, samples = jax.eval_shape(trained, jax.random.key(0))
    assert loss.shape == ()
    assert samples.shape == (3, *SPEC.shape)

    again = rebuild(describe(system.parts))
    shapes, expected = (jax.eval_shape(parts.init, jax.random.key(0), batch) for parts in (again, system.parts))
    assert jax.tree.structure(shapes) == jax.tree.structure(expected)
    assert jax.tree.leaves(shapes) == jax.tree.leaves(expected)
    assert [type(one) for one in again.use] == [type(one) for one in system.use]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), LOWERED)
def test_step_lowers_for_other_backends(name, changes, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # convolutions take the form of that backend
    module, config = module_and_config(name, **changes)
    system = module.build(config, SPEC)
    batch = Batch(jnp.zeros((8, *SPEC.shape), jnp.uint8), jnp.zeros(8, jnp.int32), jnp.ones(8))
    state = jax.eval_shape(lambda key: create_train_state(system, key, batch), jax.random.key(0))
    step = step_of(system)
    # Exported programs take no typed keys: the key goes in as its data.
    bare = lambda state, data, batch: step(state._replace(key=jax.random.wrap_key_data(data)), batch)[1]  # noqa: E731
    exported = jax.export.export(jax.jit(bare), platforms=["cuda", "tpu"])(
        state._replace(key=None), jax.random.key_data(jax.random.key(0)), batch
    )
    assert exported.platforms == ("cuda", "tpu")
    convolves = (
        name in CONVOLVING or changes.get("method") == "scratch" or changes.get("net") in ("conv", "gated", "resnet")
    )
    assert ("stablehlo.convolution" in exported.mlir_module()) == convolves


@pytest.mark.slow
def test_free_bits_are_those_of_the_whole_batch_on_replicas(images):
    """With a minimum between the KLs of the two halves, each alone would lower other dimensions."""
    module, config = module_and_config("binary_vae", net="mlp", latent_dim=4)
    system = module.build(config, SPEC)
    batch = Batch(np.concatenate([images.train.x[:4], np.zeros_like(images.train.x[:4])]), None, np.ones(8, np.float32))
    state = create_train_state(system, jax.random.key(0), batch)
    keys = step_keys(state, 8)

    def value(params, batch, examples, minimum, axis_name=None):
        hparams = {**state.hparams, "free_bits": minimum, "warmup_steps": 0.0}
        inputs = StepInput(batch, keys._replace(examples=examples), state.step, hparams, axis_name)
        return system.trainable.players[0].loss(params, state.model_state, inputs)

    def gradient(batch, examples, minimum, axis_name=None):
        found = jax.grad(lambda params: value(params, batch, examples, minimum, axis_name)[0])(state.params)
        return jax.lax.pmean(found, axis_name) if axis_name else found

    half = jax.tree.map(lambda leaf: leaf.reshape(2, 4, *leaf.shape[1:]), (batch, keys.examples))
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], half) for i in (0, 1)]
    kls = [float(value(state.params, *one, 0.0)[1][1]["kl"]) / 4 for one in each]
    assert abs(kls[0] - kls[1]) > 0.1 * max(kls)
    minimum = sum(kls) / 2
    whole = jax.jit(gradient)(batch, keys.examples, minimum)
    apart = jax.pmap(lambda batch, keys: gradient(batch, keys, minimum, "data"), "data", devices=jax.devices()[:2])(
        *half
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=2e-3, atol=1e-4), apart, whole)


def test_active_units_of_identical_images_are_none(images):
    # The second layer's means are averages over samples of the first: their noise is no activity.
    module, config = module_and_config("iwae", num_layers=2, k=1)
    system, batch = module.build(config, SPEC), batch_of(images)
    params, _ = jax.jit(system.trainable.init)(jax.random.key(0), batch)
    same = jnp.broadcast_to(batch.x[0] / 255.0, (100, *SPEC.shape))
    keys = jax.random.split(jax.random.key(1), 200).reshape(2, 100)
    encode = require(system, Encodes).encode
    pairs = zip(*map(jax.jit(lambda keys: encode(params, {}, keys, same)), keys), strict=True)
    for means, again in pairs:
        assert not np.any(active_units(means, again, threshold=1e-3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "vae", "k": 2},
        {"objective": "iwae", "num_layers": 2},
        {"objective": "dreg"},
        {"objective": "dreg", "num_layers": 2},
    ],
)
def test_iwae_trains_every_objective_and_depth(changes, images):
    module, config = module_and_config("iwae", **changes)
    system, batch = module.build(config, SPEC), batch_of(images)
    state = create_train_state(system, jax.random.key(0), batch)
    step = jax.jit(step_of(system))
    # One step's loss is a draw with a spread of its own: start and end are compared on the same noise.
    keys = jax.random.split(jax.random.key(1), 64).reshape(8, 8)
    evaluate = lambda params, keys: system.trainable.evaluate(params, {}, keys, batch, {})["loss"]  # noqa: E731
    bound = jax.jit(jax.vmap(evaluate, (None, 1)))
    before = np.mean(bound(state.params, keys))
    for _ in range(30):
        state, _ = step(state, batch)
    assert np.mean(bound(state.params, keys)) < before - 0.5


@pytest.mark.parametrize("field", ["steps", "batch_size", "eval_every", "nll_samples"])
def test_config_refuses_impossible_values(field):
    _, config = module_and_config("binary_vae")
    with pytest.raises(UserError, match=f"--{field.replace('_', '-')} is 0, expected at least 1"):
        replace(config, **{field: 0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"beta": -1.0}, "at least 0"), ({"beta": float("nan")}, "a finite number"), ({"num_train": 0}, "at least 1")],
)
def test_beta_vae_refuses_impossible_values(changes, message):
    with pytest.raises(UserError, match=message):
        module_and_config("beta_vae", **changes)


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({"class_conditional": True}, SPEC._replace(num_classes=0), "--class-conditional needs labels"),
        ({"likelihood": "categorical"}, SPEC._replace(num_values=2), "is of images with more than two values"),
        ({"block": 2}, SPEC._replace(shape=(11, 12, 1)), "Blocks of 2x2 pixels do not divide images of 11x12"),
    ],
)
def test_pixel_cnn_refuses_what_the_data_do_not_have(changes, spec, message):
    module, config = module_and_config("pixel_cnn", **changes)
    with pytest.raises(UserError, match=message):
        module.build(config, spec)


@pytest.mark.slow
def test_exact_models_complete_images_and_count_all_their_pixels(images):
    """The NLL of blocks is that of pixels: an untrained model of either gives the same number of nats."""
    x = jnp.round(images.train.x[:6] / 255.0)
    for block in (1, 2):
        module, config = module_and_config("pixel_cnn", block=block, features=4, num_layers=1)
        system = module.build(config, SPEC)
        keys = jax.random.split(jax.random.key(0), 6)
        batch = Batch(images.train.x[:6], None, np.ones(6))
        shapes, _ = jax.eval_shape(system.trainable.init, jax.random.key(0), batch)
        params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
        values = system.trainable.evaluate(params, {}, keys, Batch(x, None, np.ones(6)), {})
        np.testing.assert_allclose(values["nll"], 144 * np.log(2.0), rtol=1e-5)
        np.testing.assert_allclose(values["bits_per_dim"], 1.0, rtol=1e-5)
        known = jnp.broadcast_to(jnp.arange(144).reshape(12, 12) < 72, (6, 12, 12))
        complete = jax.jit(require(system, Completes).complete, static_argnums=6)
        completed = np.asarray(complete(params, {}, keys, x, None, known, 2).x)
        assert completed.shape == (2, *x.shape)
        np.testing.assert_array_equal(completed[:, :, :6], np.broadcast_to(x[:, :6], (2, 6, 6, 12, 1)))
        assert 0.4 < completed[:, :, 6:].mean() < 0.6
