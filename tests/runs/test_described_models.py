"""Every model of the library comes back from its description as it was: a new one is a line in a table."""

import functools
import json
import re
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae
from jaxvae import likelihoods, nets, posteriors, priors
from jaxvae.models import Autoencoder, LadderNetwork, RelaxedDecoder, SemiSupervisedVAE
from jaxvae.nets.image import DenseMap
from jaxvae.nets.maps import GridContext
from jaxvae.runs.description import describe
from jaxvae.types import Likelihood
from tests.flows.test_flows import AMORTIZED, FLOWS
from tests.models.test_autoencoder import PAIRS
from tests.models.test_vqvae import MODELS as VQVAES
from tests.nets.test_autoregressive import NETS
from tests.quantizers.test_quantizers import QUANTIZERS
from tests.runs.described import through_json, vamp_vae
from tests.test_protocols import LIKELIHOODS, MODELS, POSTERIORS, PRIORS, SHAPE

BATCH = 3
KEYS = jax.random.split(jax.random.key(0), BATCH)
IMAGES, LARGER = jnp.ones((BATCH, *SHAPE)), jnp.ones((BATCH, 8, 8, 1))


def image_decoder(net, shape=SHAPE):
    return nets.ImageDecoder(net, likelihoods.bernoulli().param_shapes(shape))


def semi_supervised():
    return SemiSupervisedVAE(
        classifier=nn.Sequential([nets.MLPEncoder((4,)), nn.Dense(3)]),
        encoder=nets.MLPEncoder((5,)),
        posterior=posteriors.GaussianPosterior(2),
        decoder=image_decoder(nets.MLP((6,))),
        likelihood=likelihoods.bernoulli(),
        num_classes=3,
        features=4,
    )


def autoregressive(net, context=None):
    shapes = likelihoods.categorical(5).param_shapes((4, 5))
    return nets.AutoregressiveDecoder(net, shapes, num_codes=5, embed_features=2, context=context, latent_axes=2)


class Case(NamedTuple):
    module: nn.Module
    inputs: tuple[Any, ...]
    method: str = "__call__"


Z = jnp.ones((BATCH, 2))
MODULES = {
    **{
        f"flow {name}": Case(make(3, 2), (jnp.ones((2, BATCH, 3)), jnp.ones((BATCH, 5)) if name in AMORTIZED else None))
        for name, make in FLOWS.items()
    },
    **{
        f"quantizer {name}": Case(quantizer, (jnp.ones((1, 2, 3, 6)), None), "evaluate")
        for name, quantizer in QUANTIZERS.items()
    },
    **{f"posterior {name}": Case(make(), (KEYS, jnp.ones((BATCH, 4)), 2)) for name, make in POSTERIORS.items()},
    **{
        f"prior {name}": Case(prior, (Z,), "log_prob")
        for name, make in PRIORS.items()
        if isinstance(prior := make(), nn.Module)
    },
    **{f"model {name}": Case(make(), (KEYS, IMAGES)) for name, make in MODELS.items()},
    **{f"vqvae {name}": Case(make(), (jnp.ones((2, 7, 8, 1)),)) for name, make in VQVAES.items()},
    **{f"pair {name}": Case(pair, (jnp.ones((1, *pair.shape)),), "up") for name, pair in PAIRS.items()},
    **{f"net {name}": Case(make(), (jnp.ones((BATCH, 4, 5, 2)),)) for name, make in NETS.items()},
    "autoencoder": Case(
        Autoencoder([nets_pair := PAIRS["dense"]], likelihoods.gaussian(1.0)), (jnp.ones((1, *nets_pair.shape)),)
    ),
    "ladder": Case(LadderNetwork(3, (4,)), (None, IMAGES)),
    "m2": Case(semi_supervised(), (KEYS, IMAGES)),
    "mlp": Case(nets.MLP((4, 3), activation=nn.tanh, dtype=jnp.bfloat16), (Z,)),
    "mlp encoder": Case(
        nets.MLPEncoder([4, 3], activation=functools.partial(nn.leaky_relu, negative_slope=0.1)), (IMAGES,)
    ),
    "conv": Case(nets.Conv(3, strides=(2, 2)), (LARGER,)),
    "conv transpose": Case(nets.ConvTranspose(3, strides=(2, 2)), (LARGER,)),
    "conv encoder": Case(nets.ConvEncoder((2, 3)), (LARGER,)),
    "conv decoder": Case(image_decoder(nets.ConvDecoder((3, 2), (8, 8, 1)), (8, 8, 1)), (Z,)),
    "gated encoder": Case(nets.GatedConvEncoder((2, 3), 4, 3), (LARGER,)),
    "gated decoder": Case(image_decoder(nets.GatedConvDecoder((8, 8, 1), (3, 2), 3), (8, 8, 1)), (Z,)),
    "resnet encoder": Case(nets.ResNetEncoder((2, 3), 1), (LARGER,)),
    "resnet decoder": Case(image_decoder(nets.ResNetDecoder((8, 8, 1), (3, 2), 1), (8, 8, 1)), (Z,)),
    "bottom up": Case(nets.BottomUp((nets.Group(2, 3, 1), nets.Group(4, 2, 1)), remat=True), (LARGER,)),
    "enlarge": Case(nets.Enlarge((8, 8, 1)), (jnp.ones((1, 2, 2, 4)),)),
    "map encoder": Case(nets.MapEncoder(4, (2, 3)), (LARGER,)),
    "map decoder": Case(nets.MapDecoder((8, 8, 1), (3, 2)), (jnp.ones((1, 2, 2, 4)),)),
    "dense map": Case(DenseMap((2, 3), 4), (Z,)),
    "decoder of a dict": Case(
        nets.ImageDecoder(nets.MLP((4,)), {"a": jax.ShapeDtypeStruct(SHAPE, jnp.float32), "b": {}}), (Z,)
    ),
    "autoregressive decoder": Case(
        autoregressive(nets.PixelCNN(2, 8, num_layers=2), GridContext(4, (4, 5), 3)),
        (jnp.zeros((BATCH, 2, 3), jnp.int32), jnp.zeros((BATCH, 4, 5), jnp.int32)),
    ),
    "relaxed decoder": Case(RelaxedDecoder(image_decoder(nets.MLP((4,)))), (Z,)),
    "vampprior": Case(vamp_vae(), (KEYS, IMAGES)),
}


def traced(case, module):
    """Variables of a module as shapes, and the program that it is, without compiling it."""
    call = functools.partial(type(module).__call__, train=False) if case.method == "evaluate" else case.method
    variables = jax.eval_shape(lambda key: module.init(key, *case.inputs, method=call), jax.random.key(0))
    program = functools.partial(module.apply, method=call, mutable=["codebook", "batch_stats"])
    jaxpr = jax.make_jaxpr(lambda variables: program(variables, *case.inputs))(variables)
    return variables, re.sub(r"0x[0-9a-f]+", "", str(jaxpr)), jaxpr.consts


def assert_same_program(case, module):
    (variables, text, consts), (others, other_text, other_consts) = traced(case, case.module), traced(case, module)
    assert jax.tree.structure(others) == jax.tree.structure(variables)
    assert jax.tree.leaves(others) == jax.tree.leaves(variables)
    assert other_text == text
    assert all(jnp.array_equal(*pair) for pair in zip(other_consts, consts, strict=True))


@pytest.mark.parametrize("name", MODULES)
def test_module_comes_back_with_its_parameters_and_its_program(name):
    case = MODULES[name]
    module = through_json(case.module)
    assert type(module) is type(case.module)
    assert module is not case.module
    assert describe(module) == describe(case.module)
    assert_same_program(case, module)


def test_every_public_module_is_in_the_table():
    public = {
        name
        for name in jaxvae.__all__
        if isinstance(value := getattr(jaxvae, name), type) and issubclass(value, nn.Module)
    }
    described = json.dumps([describe(case.module) for case in MODULES.values()])
    assert not {name for name in public if f'"jaxvae.{name}"' not in described}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihood_comes_back_with_its_functions(name):
    likelihood = LIKELIHOODS[name]()
    other = through_json(likelihood)
    assert type(other) is Likelihood
    params = other.param_shapes(SHAPE)
    assert params == likelihood.param_shapes(SHAPE)
    for function, arguments in {"log_prob": (params, IMAGES[0]), "mean": (params,), "log_pmf": (params,)}.items():
        programs = {
            value and re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(value)(*arguments)))
            for value in (getattr(one, function) for one in (likelihood, other))
        }
        assert len(programs) == 1, function
    assert describe(other) == describe(likelihood)


def test_arguments_of_constructors_come_back_defaults_included():
    likelihood = likelihoods.in_unit(likelihoods.logistic_mixture(3, num_channels=3), 256)
    inner = {"call": "jaxvae.logistic_mixture", "num_components": 3, "num_values": 256, "num_channels": 3}
    assert describe(likelihood) == {"call": "jaxvae.likelihoods.in_unit", "likelihood": inner, "num_values": 256}
    assert through_json(likelihood).param_shapes((2, 2, 3)) == likelihood.param_shapes((2, 2, 3))


@pytest.mark.parametrize("make", [priors.standard_normal, priors.fair_bernoulli])
def test_prior_without_parameters_comes_back(make):
    prior = through_json(make())
    z = jnp.array([[0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(prior.log_prob(z), make().log_prob(z))
    assert prior.kl_of == make().kl_of


def test_vampprior_shares_the_parameters_of_the_vae():
    description = describe(vamp_vae())
    assert description["prior"]["encoder"] == {"ref": "encoder"}
    other = through_json(vamp_vae())
    assert other.prior.encoder is other.encoder
    assert other.prior.posterior is other.posterior
    assert "encoder" not in jax.eval_shape(other.init, jax.random.key(0), KEYS, IMAGES)["params"]["prior"]


def test_equal_modules_that_are_not_the_same_stay_apart():
    apart = vamp_vae().clone(prior=priors.VampPrior(nets.MLPEncoder((4,)), posteriors.GaussianPosterior(2), 3, SHAPE))
    other = through_json(apart)
    assert other.prior.encoder is not other.encoder
    assert_same_program(Case(apart, (KEYS, IMAGES)), other)
