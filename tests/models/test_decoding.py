"""Decoders that do not fit their model: every model says so at its first trace, in one sentence."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli, gaussian, gaussian_learned_scale
from jaxvae.models import VAE, VQVAE, HierarchicalVAE, HierarchicalVQVAE, SemiSupervisedVAE
from jaxvae.nets import MLP, Conv, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.quantizers import VectorQuantizer

SHAPE, NUM = (8, 8, 1), 3
KEYS = jax.random.split(jax.random.key(0), NUM)
IMAGES = jnp.zeros((NUM, *SHAPE))


class Reshaped(nn.Module):
    """A dense layer of 64 outputs in some shape, which takes the shape of its input."""

    shape: object

    @nn.compact
    def __call__(self, z, x=None):
        return nn.Dense(64)(z).reshape(self.shape(z.shape))


class Grid(nn.Module):
    """The same of maps [B, h, w, D]."""

    shape: object

    @nn.compact
    def __call__(self, z, x=None):
        return nn.Dense(64)(z.reshape(len(z), -1)).reshape(self.shape(z.shape))


class Nothing(nn.Module):
    @nn.compact
    def __call__(self, z, x=None):
        nn.Dense(64)(z)


class WithoutImages(nn.Module):
    @nn.compact
    def __call__(self, z):
        return nn.Dense(64)(z).reshape(*z.shape[:-1], *SHAPE)


class Pair(nn.Module):
    """Both parameters of a Gaussian, as a tuple."""

    @nn.compact
    def __call__(self, z, x=None):
        mean = nn.Dense(64)(z).reshape(*z.shape[:-1], *SHAPE)
        return mean, mean


def vae(decoder, likelihood):
    return VAE(MLPEncoder((4,)), GaussianPosterior(2), decoder, likelihood), (KEYS, IMAGES)


def hierarchical(decoder, likelihood):
    posteriors, nets = [GaussianPosterior(2) for _ in range(2)], [MLPEncoder((4,)), MLP((4,))]
    return HierarchicalVAE(nets, posteriors, [MLP((4,))], [GaussianPosterior(2)], decoder, likelihood), (KEYS, IMAGES)


def semi_supervised(decoder, likelihood):
    classifier = nn.Sequential([MLPEncoder((4,)), nn.Dense(2)])
    model = SemiSupervisedVAE(classifier, MLPEncoder((4,)), GaussianPosterior(2), decoder, likelihood, 2, features=4)
    return model, (KEYS, IMAGES)


def vqvae(decoder, likelihood):
    return VQVAE(Conv(2, (4, 4), (4, 4)), VectorQuantizer(4, 2), decoder, likelihood), (IMAGES,)


def hierarchical_vqvae(decoder, likelihood):
    encoder, top_encoder, to_bottom = Conv(2, (4, 4), (4, 4)), Conv(2, (1, 1)), Conv(2, (1, 1))
    first, second = VectorQuantizer(4, 2), VectorQuantizer(4, 2)
    model = HierarchicalVQVAE(encoder, top_encoder, first, Conv(2), to_bottom, second, decoder, likelihood)
    return model, (IMAGES,)


OF_VECTORS = {"vae": vae, "hierarchical": hierarchical, "semi_supervised": semi_supervised}
OF_MAPS = {"vqvae": vqvae, "hierarchical_vqvae": hierarchical_vqvae}


def trace(make, decoder, likelihood=None, x=None):
    model, arguments = make(decoder, likelihood or bernoulli())
    arguments = arguments if x is None else (*arguments[:-1], x)
    return jax.eval_shape(functools.partial(model.init_with_output, jax.random.key(0)), *arguments)


@pytest.mark.parametrize("name", [*OF_VECTORS, *OF_MAPS])
@pytest.mark.parametrize("event", [(64,), (8, 8), (1, 8, 8)])
def test_parameters_that_would_broadcast_are_refused(name, event):
    if name in OF_VECTORS:
        make, decoder = OF_VECTORS[name], Reshaped(lambda shape: (*shape[:-1], *event))
    else:
        make, decoder = OF_MAPS[name], Grid(lambda shape: (shape[0], *event))
    got = ", ".join(map(str, (NUM, *event)))
    message = rf"decoder (Reshaped|Grid) gives parameters of shape \[(\d, )?{got}\], expected \[(\d, )?3, 8, 8, 1\]"
    for likelihood in (bernoulli(), gaussian(0.1)):
        with pytest.raises(UserError, match=message):
            trace(make, decoder, likelihood)


@pytest.mark.parametrize("name", [*OF_VECTORS, *OF_MAPS])
def test_parameters_of_the_right_shape_are_scored(name):
    if name in OF_VECTORS:
        trace(OF_VECTORS[name], Reshaped(lambda shape: (*shape[:-1], *SHAPE)))
    else:
        trace(OF_MAPS[name], Grid(lambda shape: (shape[0], *SHAPE)))


@pytest.mark.parametrize("name", OF_VECTORS)
def test_reshapes_that_forget_samples_or_examples_are_named(name):
    flat = Reshaped(lambda shape: (-1, *SHAPE))
    with pytest.raises(UserError, match=r"decoder Reshaped gives parameters of shape \[\d, 8, 8, 1\], expected \[\d, "):
        trace(OF_VECTORS[name], flat)
    first = Reshaped(lambda shape: (shape[0], *SHAPE))
    with pytest.raises(UserError, match=r"decoder Reshaped has a reshape that does not fit its latents of shape \[\d"):
        trace(OF_VECTORS[name], first)


@pytest.mark.parametrize("name", [*OF_VECTORS, *OF_MAPS])
def test_decoders_without_an_argument_for_images_are_named(name):
    make = {**OF_VECTORS, **OF_MAPS}[name]
    for decoder, first in ((WithoutImages(), "WithoutImages"), (nn.Sequential([nn.Dense(64), nn.relu]), "Dense")):
        message = f"{type(decoder).__name__} is called with latents and images, but {first} does not take two arguments"
        with pytest.raises(UserError, match=message):
            trace(make, decoder)


@pytest.mark.parametrize("name", OF_VECTORS)
def test_images_without_their_channel_are_refused(name):
    flat = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(4)])

    def make(decoder, likelihood):
        model, arguments = OF_VECTORS[name](decoder, likelihood)
        encoders = {"encoders": [flat, MLP((4,))]} if name == "hierarchical" else {"encoder": flat}
        return model.clone(**encoders), arguments

    decoder = Reshaped(lambda shape: (*shape[:-1], *SHAPE))
    with pytest.raises(UserError, match=r"\[\d, 3, 8, 8, 1\], expected \[\d, 3, 8, 8\], .* an image of \[8, 8\]: r"):
        trace(make, decoder, x=IMAGES[..., 0])


def test_another_structure_is_named():
    with pytest.raises(UserError, match=r"gives a tuple of 2, expected a GaussianParams of mean, log_var: return"):
        trace(vae, Pair(), gaussian_learned_scale())
    with pytest.raises(UserError, match=r"decoder Reshaped gives one array, expected a GaussianParams of mean, log_v"):
        trace(vae, Reshaped(lambda shape: (*shape[:-1], *SHAPE)), gaussian_learned_scale())
    with pytest.raises(UserError, match=r"The decoder Nothing gives nothing, expected one array"):
        trace(vae, Nothing())


def test_other_mistakes_of_a_decoder_are_its_own():
    class Broken(nn.Module):
        @nn.compact
        def __call__(self, z, x=None):
            return z + None

    with pytest.raises(TypeError, match="unsupported operand"):
        trace(vae, Broken())


@pytest.mark.parametrize("name", OF_VECTORS)
@pytest.mark.parametrize(
    ("keys", "found"),
    [(jax.random.key(0), "one key"), (jax.random.PRNGKey(0), "one key"), (KEYS[:2], r"key<fry>\[2\]"), (7, "int")],
)
def test_one_key_for_all_images_is_refused(name, keys, found):
    model, _ = OF_VECTORS[name](Reshaped(lambda shape: (*shape[:-1], *SHAPE)), bernoulli())
    with pytest.raises(UserError, match=rf"Noise takes a key for every example, \[3\], got {found}: make them by"):
        jax.eval_shape(lambda: model.init(jax.random.key(0), keys, IMAGES))


@pytest.mark.parametrize("name", OF_MAPS)
def test_keys_of_a_vqvae_are_those_of_a_step(name):
    model, _ = OF_MAPS[name](Grid(lambda shape: (shape[0], *SHAPE)), bernoulli())
    with pytest.raises(UserError, match="takes the StepKeys of a step, .* got an array: give StepKeys"):
        jax.eval_shape(lambda: model.init(jax.random.key(0), IMAGES, KEYS))
