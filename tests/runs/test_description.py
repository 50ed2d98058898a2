"""Values through their description: what can be described comes back, what cannot is refused by its place."""

import dataclasses
import functools
import json
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import freeze

from jaxvae import likelihoods, nets, posteriors, priors
from jaxvae.data import binarize
from jaxvae.errors import UserError
from jaxvae.models import VAE
from jaxvae.nets.image import DenseMap
from jaxvae.runs.description import describe, rebuild
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.types import DataSpec
from tests.runs.described import through_json, vamp_vae
from tests.test_protocols import MODELS, PRIORS, SHAPE


def scaled(keys, x, num_values):
    return x / (num_values - 1)


class Stage(NamedTuple):
    name: str
    nets: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    below: Any
    model: Any = None


class Shared(nn.Module):
    first: nn.Module
    others: Any

    def __call__(self, x):
        for other in (self.first, *self.others.values()):
            x = other(x)
        return x


VALUES = {
    "numbers": (None, True, 0, -3, 2.5, "a", (), ((1,), (2, (3,)))),
    "floats": (math.inf, -math.inf, -0.0, 1e-300),
    "dicts": {"a": {"b": (1, 2)}, "": 3},
    "dicts of other keys": ({1: "a", (1, 2): 3}, {"a.b": 2}),
    "dicts like tags": ({"class": 1}, {"ref": "a"}, {"call": 2, "x": 3}, {"dict": 1, "float": 2}, {"float": "x"}),
    "types": (jnp.bfloat16, np.float32, jnp.dtype("bfloat16"), np.dtype("int8"), float, nn.Dense, VAE),
    "functions": (nn.relu, jnp.tanh, jax.nn.silu, jnp.add, np.tanh, jax.lax.rsqrt, binarize, scaled, jax.random.normal),
    "shapes": {"a": jax.ShapeDtypeStruct((2, 3), jnp.bfloat16), "b": jax.ShapeDtypeStruct((), jnp.int32)},
    "records": (DataSpec((2, 2, 1), 256, 10), Stage("a", (DataSpec((1,), 2, 0),))),
}


@pytest.mark.parametrize("name", VALUES)
def test_value_comes_back(name):
    assert repr(through_json(VALUES[name])) == repr(VALUES[name])
    assert through_json(VALUES[name]) == VALUES[name]


def test_lists_and_frozen_dicts_come_back_as_tuples_and_dicts():
    assert through_json(([1, [2]], freeze({"a": {"b": [3]}}))) == ((1, (2,)), {"a": {"b": (3,)}})


def test_partial_comes_back_and_is_not_called():
    partial = through_json(functools.partial(scaled, None, num_values=256))
    assert type(partial) is functools.partial
    assert (partial.func, partial.args, partial.keywords) == (scaled, (None,), {"num_values": 256})


@pytest.mark.parametrize(
    "value", [np.float32(0.1), jnp.bfloat16(0.1), np.int8(-3), np.bool_(True), jnp.float32(jnp.inf)]
)
def test_scalar_comes_back_with_its_type(value):
    other = through_json(value)
    assert other == value
    assert other.dtype == value.dtype
    assert other.shape == ()


def test_nan_comes_back():
    assert math.isnan(through_json(math.nan))
    assert json.dumps(describe(math.nan), allow_nan=False) == '{"float": "nan"}'


def test_names_are_public_ones():
    description = json.dumps(
        describe((VAE, likelihoods.bernoulli(), jax.nn.relu, jnp.dtype, DenseMap)[:3] + (DenseMap,))
    )
    for name in ("jaxvae.VAE", "jaxvae.bernoulli", "flax.linen.relu", "jaxvae.nets.image.DenseMap"):
        assert f'"{name}"' in description


def test_initialisers_are_left_out_and_numbers_are_not():
    class_ = nets.MLP((2,), kernel_init=nn.initializers.constant(3.0))
    assert set(describe(class_)) == {"class", "hidden", "activation", "dtype"}
    assert describe(priors.VampPrior(None, None, 3, SHAPE, init_mean=0.2))["init_mean"] == 0.2
    with pytest.raises(UserError, match="kernel_init"):  # without a default it could not be rebuilt
        describe(nets.masked._MaskedDense(np.float32(1.0), nn.initializers.constant(3.0), None))


# ---------- sharing


def test_modules_and_dataclasses_are_shared_in_any_place():
    net = nets.MLP((3,))
    below = Parts(net)
    parts = Parts(
        (below, {"a": below}), Stage("a", (functools.partial(scaled, net), Shared(net, {"x": net, "y.z": net})))
    )
    other = through_json(parts)
    first, same = other.below
    assert same["a"] is first
    partial, shared = other.model.nets
    assert first.below is partial.args[0] is shared.first is shared.others["x"] is shared.others["y.z"]


def test_dot_in_a_key_is_no_step_of_a_path():
    net = nets.MLP((3,))
    other = through_json(({"a": {"b": nets.MLP((4,))}, "a.b": net}, net))
    assert other[0]["a.b"] is other[1]


def test_reference_may_come_before_what_it_is_of():
    """A file may have been written with its keys in another order."""
    description = describe(vamp_vae())
    other = rebuild({"prior": description.pop("prior"), **description})
    assert other.prior.encoder is other.encoder
    other = rebuild(json.loads(json.dumps(describe(vamp_vae()), sort_keys=True)))
    assert other.prior.posterior is other.posterior


def test_parts_of_a_system_come_back():
    spec = DataSpec(SHAPE, 2, 0)
    parts = VAEParts(spec, vamp_vae(), functools.partial(binarize, num_values=2))
    other = through_json(parts)
    assert type(other) is VAEParts
    assert (other.spec, other.score, other.num_samples) == (spec, parts.score, 1)
    assert other.prepare.func is binarize


# ---------- refusals


def test_relaxed_prior_without_parameters_is_refused():
    """It is only trained with, and made anew by `relaxed`."""
    with pytest.raises(UserError, match="log_prob is .* of jax"):
        describe(PRIORS["relaxed_fair_bernoulli"]())


def maker():
    def inside(x):
        return x

    class Inside(nn.Module):
        pass

    return inside, Inside()


def changed(likelihood, **changes):
    return Parts({"vae": MODELS["vae"]().clone(likelihood=likelihood._replace(**changes))})


REFUSED = {
    "lambda": (
        lambda: nets.MLP((3,), activation=lambda x: x),
        "activation is .*<lambda> of tests.*`functools.partial`",
    ),
    "function inside another": (lambda: Parts({"f": maker()[0]}), r"below\.f is maker\.<locals>\.inside"),
    "class inside a function": (lambda: Parts(Stage("a", (1, maker()[1]))), r"below\.nets\.1 is .*Inside"),
    "method": (lambda: Parts(nets.MLP((3,)).init), r"below is .*init"),
    "array": (lambda: Parts(np.ones((2, 3))), r"below is an array of shape \[2, 3\]"),
    "random key": (lambda: Parts(jax.random.key(0)), r"below is of type key<fry>"),
    "complex number": (lambda: Parts(np.complex64(1j)), r"below is of type complex64"),
    "set": (lambda: Parts({1, 2}), "below is a set"),
    "another likelihood's function": (
        lambda: changed(likelihoods.bernoulli(), log_prob=likelihoods.gaussian(1.0).log_prob),
        r"below\.vae\.likelihood is",
    ),
    "function with another argument": (
        lambda: changed(likelihoods.gaussian(1.0), log_prob=likelihoods.gaussian(2.0).log_prob),
        "with other functions",
    ),
    "function left out": (lambda: changed(likelihoods.bernoulli(), init_bias=None), "with other functions"),
    "function changed deep inside": (
        lambda: changed(
            likelihoods.in_unit(likelihoods.categorical(4), 4),
            mean=likelihoods.in_unit(likelihoods.categorical(5), 4).mean,
        ),
        "with other functions",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_name_is_refused_by_its_place(name):
    make, match = REFUSED[name]
    with pytest.raises(UserError, match=match) as error:
        describe(make())
    assert "\n" not in str(error.value)


def test_traced_number_is_refused():
    with pytest.raises(UserError, match="temperature is a traced number"):
        jax.jit(lambda t: describe(posteriors.RelaxedBernoulliPosterior(2, t)) or t)(0.5)


def test_object_inside_of_itself_is_refused():
    parts = Parts([])
    parts.below.append(parts)
    with pytest.raises(UserError, match="inside of itself"):
        describe(parts)


DAMAGED = {
    "no name": {"class": 3},
    "name without a module": {"function": "relu"},
    "class of the future": {"class": "jaxvae.NewNet"},
    "function of the future": {"function": "jaxvae.systems.pixels.new"},
    "package of the future": {"class": "jaxvae.diffusion.UNet"},
    "class for a function": {"function": "jaxvae.VAE"},
    "function for a class": {"type": "flax.linen.relu"},
    "function for a class of fields": {"class": "flax.linen.relu"},
    "no constructor": {"call": "jaxvae.elbo"},
    "missing field": {"class": "jaxvae.MLP"},
    "unknown field": {"class": "jaxvae.MLP", "hidden": [3], "colour": 1},
    "field of the wrong kind": {"call": "jaxvae.bernoulli_mixture", "num_components": 0},
    "unknown argument": {"call": "jaxvae.bernoulli", "sharp": True},
    "parent": {"class": "jaxvae.MLP", "hidden": [3], "parent": 3},
    "reference to nothing": {"ref": "vae.encoder"},
    "reference to a number": [1, {"ref": "0"}],
    "reference beyond a list": [1, {"ref": "7"}],
    "reference to itself": {"class": "jaxvae.FlowPrior", "flow": {"ref": ""}},
    "references to each other": [
        {"class": "jaxvae.Inverted", "flow": {"ref": "1"}},
        {"class": "jaxvae.Inverted", "flow": {"ref": "0"}},
    ],
    "reference of a number": {"ref": 3},
    "partial of a number": {"partial": 3},
    "partial with more": {"partial": {"function": "flax.linen.relu"}, "more": 1},
    "partial of bad arguments": {"partial": {"function": "flax.linen.relu"}, "arguments": 3},
    "shape of no numbers": {"shape": "ab", "dtype": "float32"},
    "type of nothing": {"dtype": "float33"},
    "type of strings": {"dtype": "str"},
    "type without a name": {"shape": [], "dtype": None},
    "number of no type": {"scalar": 1, "dtype": "object"},
    "number too large": {"scalar": 300, "dtype": "int8"},
    "number of letters": {"scalar": "a", "dtype": "int8"},
    "float": {"float": "1.5"},
    "dict": {"dict": [1, 2]},
    "dict of dicts": {"dict": [[{}, 2]]},
    "no JSON": {1, 2},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_description_is_one_sentence(name):
    with pytest.raises(
        UserError, match="^The model (cannot be rebuilt: .*damaged|has a part .*damaged).*\\.$"
    ) as error:
        rebuild(DAMAGED[name])
    assert "\n" not in str(error.value)


def test_damage_names_its_place():
    description = describe(MODELS["vae"]())
    description["decoder"]["net"]["depth"] = 3
    with pytest.raises(UserError, match=r"decoder\.net is jaxvae\.MLP of .*depth.*'depth'"):
        rebuild(description)
