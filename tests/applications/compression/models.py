"""Small models with drawn parameters, whose images are coded."""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jaxvae.applications.compression.coders import image_coder
from jaxvae.capabilities import Generates, require
from jaxvae.likelihoods import categorical
from jaxvae.models import VAE, HierarchicalVAE
from jaxvae.nets import (
    MLP,
    AutoregressiveDecoder,
    GridContext,
    Group,
    ImageDecoder,
    MLPEncoder,
    PixelCNN,
    PixelRNN,
    Transformer,
)
from jaxvae.posteriors import GaussianPosterior
from jaxvae.quantizers import GroupedQuantizer, VectorQuantizer
from jaxvae.systems.assemble import loaded
from jaxvae.systems.autoregressive_parts import AutoregressiveParts
from jaxvae.systems.code_prior import CodePriorParts, code_spec, grid_shapes
from jaxvae.systems.first_stage import abstract_variables
from jaxvae.systems.pixels import pixels_of
from jaxvae.systems.tokens import block_tokens, pixel_tokens
from jaxvae.systems.top_down import top_down_vae
from jaxvae.systems.two_stages import of_images
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import VQVAEParts
from jaxvae.types import Batch, DataSpec, System

BINARY, GREY, COLOUR = DataSpec((6, 4, 1), 2, 0), DataSpec((4, 3, 1), 256, 0), DataSpec((3, 4, 3), 256, 0)
NETS = {
    "pixelcnn": lambda inputs, size: PixelCNN(inputs, 6, num_layers=2, first_reach=1),
    "pixelrnn": lambda inputs, size: PixelRNN(inputs, 6, num_layers=2, first_reach=1),
    "transformer": lambda inputs, size: Transformer(inputs, size, 8, num_layers=2, num_heads=2),
}


class Model(NamedTuple):
    system: System
    params: Any
    model_state: Any

    def coder(self, **options):
        return image_coder(*self, **options)

    def images(self, num, seed=0):
        """Values of images that the model draws."""
        draw = jax.jit(require(self.system, Generates).sample, static_argnums=3)
        x = draw(jax.random.key(seed), self.params, self.model_state, num).x
        return np.rint(np.asarray(x) * (self.coder().num_values - 1)).astype(np.uint8)


def model_of(parts, model_state=None, scale=1.0, seed=0):
    """A system of some parts with parameters by numpy: of layers, variance 1 / fan_in, and some noise."""
    batch = Batch(np.zeros((2, *parts.spec.shape), np.uint8), np.zeros(2, np.int32), np.ones(2, np.float32))
    params, of_model = jax.eval_shape(parts.init, jax.random.key(0), batch)
    return Model(loaded("small", of_images(parts), {}), drawn(params, scale, seed), model_state or of_model)


def drawn(shapes, scale=1.0, seed=0):
    generator = np.random.default_rng(seed)

    def draw(leaf):
        if not np.issubdtype(leaf.dtype, np.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        by = scale * (1.0 / np.prod(leaf.shape[:-1]) ** 0.5 + 0.1) if leaf.ndim > 1 else 0.3 * scale
        return np.float32(by) * generator.standard_normal(leaf.shape, np.float32)

    return jax.tree.map(draw, shapes)


def vae(spec=BINARY, name="bernoulli", dim=3, prior=None):
    likelihood, prepare = pixels_of(name, spec, num_components=2)
    decoder = ImageDecoder(MLP((8,), nn.tanh), likelihood.param_shapes(spec.shape))
    model = VAE(MLPEncoder((8,), nn.tanh), GaussianPosterior(dim), decoder, likelihood)
    return model_of(VAEParts(spec, model if prior is None else model.clone(prior=prior), prepare))


def pixel_vae(spec=BINARY, name="bernoulli", net="pixelcnn"):
    """A VAE with an autoregressive decoder, its context a vector."""
    likelihood, prepare = pixels_of(name, spec, num_components=2)
    of_pixels = NETS[net](spec.shape[-1], spec.shape[:2])
    decoder = AutoregressiveDecoder(of_pixels, likelihood.param_shapes(spec.shape), context=MLP((4,), nn.tanh))
    model = VAE(MLPEncoder((8,), nn.tanh), GaussianPosterior(3), decoder, likelihood)
    return model_of(VAEParts(spec, model, prepare))


def top_down(spec=BINARY):
    likelihood, prepare = pixels_of("bernoulli", spec)
    model = top_down_vae(spec, likelihood, (Group(1, 3, 2), Group(2, 2, 1)))
    return model_of(VAEParts(spec, model, prepare))


def hierarchical(spec=BINARY, decoder=None):
    likelihood, prepare = pixels_of("bernoulli", spec)
    network = functools.partial(MLP, (6,), activation=nn.tanh)
    model = HierarchicalVAE(
        encoders=(MLPEncoder((6,), activation=nn.tanh), network(), network()),
        posteriors=tuple(map(GaussianPosterior, (4, 3, 2))),
        generators=(network(), network()),
        conditionals=tuple(map(GaussianPosterior, (4, 3))),
        decoder=decoder or ImageDecoder(network(), likelihood.param_shapes(spec.shape)),
        likelihood=likelihood,
    )
    return model_of(VAEParts(spec, model, prepare))


def autoregressive(spec=BINARY, name="bernoulli", net="pixelcnn", block=1, num_classes=0, scale=1.0):
    likelihood, prepare = pixels_of(name, spec, num_components=2)
    tokens = block_tokens(spec, block) if block > 1 else pixel_tokens(spec)
    likelihood = categorical(tokens.num_codes) if tokens.num_codes else likelihood
    decoder = AutoregressiveDecoder(
        NETS[net](5 if tokens.num_codes else spec.shape[-1], tokens.shape[:2]),
        likelihood.param_shapes(tokens.shape),
        num_codes=tokens.num_codes,
        embed_features=5,
        context=nn.Embed(num_classes, 4) if num_classes else None,
        latent_axes=0,
    )
    spec = spec._replace(num_classes=num_classes)
    return model_of(AutoregressiveParts(spec, decoder, likelihood, tokens, prepare), scale=scale)


def vqvae_parts(spec, name, levels=1, num_groups=1):
    likelihood, prepare = pixels_of(name, spec, num_components=2)
    quantizer = VectorQuantizer(8, 4 // num_groups, kmeans_iterations=0)
    quantizer = GroupedQuantizer(quantizer, num_groups) if num_groups > 1 else quantizer
    model = convolutional_vqvae(spec, quantizer, likelihood, code_dim=4, channels=(4, 4), levels=levels)
    return VQVAEParts(spec, model, prepare, 1.0)


def codes_and_prior(spec=GREY, name="logistic_mixture", levels=1, num_groups=1, num_classes=0):
    """A VQ-VAE under a prior of its codes."""
    codec = vqvae_parts(spec._replace(num_classes=num_classes), name, levels, num_groups)
    decoders, shapes = [], grid_shapes(codec)
    for level, shape in enumerate(shapes):
        size = (shape[0], int(np.prod(shape[1:])))
        context = nn.Embed(num_classes, 4) if num_classes else None
        decoders.append(
            AutoregressiveDecoder(
                PixelCNN(4, 6, 2, 1),
                categorical(8).param_shapes(size),
                num_codes=8,
                embed_features=4,
                context=GridContext(8, size, 4) if level else context,
                latent_axes=2 if level else 0,
            )
        )
    variables = drawn(abstract_variables(codec))
    prior = CodePriorParts(code_spec(codec), tuple(decoders), shapes, codec)
    return model_of(prior, dict(zip(("params", "state"), variables, strict=True)))


def assert_comes_back(coder, values):
    """Encode and decode, with the same words each time."""
    stream = coder.encode(values)
    again = coder.encode(values)
    np.testing.assert_array_equal(stream.words, again.words)
    assert stream.settings == again.settings
    assert stream.words.dtype == np.uint32
    assert all(isinstance(value, int) and value >= 1 for value in stream.settings.values())
    found = coder.decode(stream, len(values))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, values)
    return stream


def bits(stream):
    return 32 * len(stream.words)
