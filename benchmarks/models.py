"""The models that are timed, each as the `System` that a training takes.

`mlp` and `conv` are the nets of the usual PyTorch examples, made of the library's modules: 784-400-20 and back, and
4x4 kernels of stride 2 with 32 and 64 channels around 16 latents. They differ from those in one thing, a bias of the
output for every pixel. `conv_lax` is `conv` as other JAX code writes it, with `nn.Conv` and `nn.ConvTranspose`.
`planar` is `mlp` with ten planar flows, the same for all images, on the posterior. `resnet` adds a residual block to
every stage of `conv`. `resvae` has two and three of them, silu and 40 latents: the VAE of the table of likelihoods.
`gated` is the VAE that it is compared with, of gated 5x5 convolutions (van den Berg et al. 2018). `burda` is
784-200-200-50 with tanh (Burda et al. 2016).

`vq_vae` is a VQ-VAE of 4x4 kernels of stride 2 with 32 and 64 channels and 3x3 ones beside the grid of 7x7 codes: 512
codes of 64 channels by moving averages, trained by squared errors. `gated_pixelcnn` is a prior over grids of 7x7 codes
of 512 values: vectors of 64 for the codes, windows of 5x5 and five times 3x3, 64 gated channels. `binary_pixelcnn` is a
model of binary 28x28 images, of 16 channels and four layers. `two_stages` draws images by way of codes, with the first
of the two over those of `vq_vae`.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.typing import Dtype

from benchmarks import flops
from benchmarks.data import CODES_SIDE, NUM_CODES, SIDE, bumps, codes
from jaxvae.flows import PlanarFlow
from jaxvae.likelihoods import bernoulli, categorical, gaussian
from jaxvae.models import VAE, VQVAE
from jaxvae.nets import (
    MLP,
    AutoregressiveDecoder,
    ConvDecoder,
    ConvEncoder,
    GatedConvDecoder,
    GatedConvEncoder,
    ImageDecoder,
    MapDecoder,
    MapEncoder,
    MLPEncoder,
    PixelCNN,
    ResNetDecoder,
    ResNetEncoder,
)
from jaxvae.posteriors import FlowPosterior, GaussianPosterior
from jaxvae.quantizers import VectorQuantizer
from jaxvae.systems.autoregressive_parts import autoregressive_system
from jaxvae.systems.bounds import closed_bound, sampled_bound
from jaxvae.systems.code_prior import code_prior_system, code_spec, grid_shapes
from jaxvae.systems.pixels import binary_pixels, unchanged, unit_pixels
from jaxvae.systems.tokens import code_tokens, pixel_tokens
from jaxvae.systems.vae_parts import vae_system
from jaxvae.systems.vqvae_parts import VQVAEParts, vqvae_system
from jaxvae.types import Array, Batch, DataSpec, Likelihood, System

SPEC = DataSpec(shape=(SIDE, SIDE, 1), num_values=256, num_classes=0)


class Model(NamedTuple):
    """A model and what it costs."""

    name: str
    system: System
    flops: flops.Flops  # an image
    data: Callable[[int], np.ndarray]  # num -> examples


def make_model(name: str, dtype: Dtype | None = None) -> Model:
    """Return a model by its name in `MODELS`, its networks computing in `dtype`; None is float32."""
    vae = MODELS[name](dtype)
    if isinstance(vae, AutoregressiveDecoder):
        return _autoregressive(name, vae)
    if isinstance(vae, VQVAE):
        prepare, optimizer = unit_pixels(SPEC), optax.adam(1e-3)
        system = vqvae_system(name=name, spec=SPEC, model=vae, prepare=prepare, optimizer=optimizer)
        return Model(name, system, flops.of_codec(vae, SPEC.shape), bumps)
    system = vae_system(
        name=name,
        spec=SPEC,
        vae=vae,
        prepare=(binary_pixels if name == "burda" else unit_pixels)(SPEC),
        bound=(closed_bound if vae.has_closed_kl else sampled_bound)(vae),
        optimizer=optax.adam(1e-3),
        hparams={"beta": 1.0, "warmup_steps": 0, "free_bits": 0.0},
    )
    return Model(name, system, flops.of_vae(vae, SPEC.shape), bumps)


def mlp(dtype: Dtype | None) -> VAE:
    """784-400-20, 20-400-784, relu."""
    return _vae(MLPEncoder((400,), dtype=dtype), 20, MLP((400,), dtype=dtype), dtype)


def planar(dtype: Dtype | None) -> VAE:
    """`mlp` with ten planar flows."""
    vae = mlp(dtype)
    return vae.clone(posterior=FlowPosterior(vae.posterior, PlanarFlow(vae.posterior.latent_dim, 10)))


def conv(dtype: Dtype | None) -> VAE:
    """1-32-64 channels, 16 latents, 64-32-1 channels, relu."""
    return _vae(ConvEncoder((32, 64), dtype=dtype), 16, ConvDecoder((64, 32), SPEC.shape, dtype=dtype), dtype)


def conv_lax(dtype: Dtype | None) -> VAE:
    """`conv` of Linen's own layers."""
    return VAE(PlainEncoder(dtype), GaussianPosterior(16), PlainDecoder(dtype), bernoulli())


def resnet(dtype: Dtype | None) -> VAE:
    """`conv` with a residual block in each of its four stages."""
    decoder = ResNetDecoder(SPEC.shape, num_blocks=1, dtype=dtype)
    return _vae(ResNetEncoder(num_blocks=1, dtype=dtype), 16, decoder, dtype)


def resvae(dtype: Dtype | None) -> VAE:
    """Two and three residual blocks at 14x14 and 7x7, of 32 and 64 channels, silu."""
    decoder = ResNetDecoder(SPEC.shape, (64, 32), (3, 2), dtype=dtype)
    return _vae(ResNetEncoder((32, 64), (2, 3), dtype=dtype), 40, decoder, dtype)


def gated(dtype: Dtype | None) -> VAE:
    """Five and five gated 5x5 convolutions of 32 and 64 channels, and a gated layer of 256 between them."""
    return _vae(GatedConvEncoder(dtype=dtype), 64, GatedConvDecoder(SPEC.shape, dtype=dtype), dtype)


def burda(dtype: Dtype | None) -> VAE:
    """784-200-200-50, 50-200-200-784, tanh."""
    decoder = MLP((200, 200), nn.tanh, dtype=dtype)
    return _vae(MLPEncoder((200, 200), nn.tanh, dtype=dtype), 50, decoder, dtype)


def vq_vae(dtype: Dtype | None) -> VQVAE:
    """1-32-64 channels, 64 of a code, 64-32-1 channels, relu; squared errors and commitment weigh the same a number."""
    likelihood = gaussian(sigma=0.5**0.5)
    decoder = ImageDecoder(
        MapDecoder(SPEC.shape, (64, 32), dtype=dtype), likelihood.param_shapes(SPEC.shape), dtype, latent_axes=3
    )
    quantizer = VectorQuantizer(NUM_CODES, 64, kmeans_iterations=0)
    return VQVAE(MapEncoder(64, (32, 64), dtype=dtype), quantizer, decoder, likelihood)


def gated_pixelcnn(dtype: Dtype | None) -> AutoregressiveDecoder:
    """Codes 512-64, 5x5 and five times 3x3 with 64 gated channels, 64-512."""
    shapes = categorical(NUM_CODES).param_shapes((CODES_SIDE, CODES_SIDE))
    net = PixelCNN(64, 64, num_layers=6, first_reach=2, dtype=dtype)
    return AutoregressiveDecoder(net, shapes, num_codes=NUM_CODES, embed_features=64, dtype=dtype)


def binary_pixelcnn(dtype: Dtype | None) -> AutoregressiveDecoder:
    """5x5 and three times 3x3 with 16 gated channels."""
    net = PixelCNN(1, 16, num_layers=4, first_reach=2, dtype=dtype)
    return AutoregressiveDecoder(net, bernoulli().param_shapes(SPEC.shape), dtype=dtype)


MODELS: dict[str, Callable[[Dtype | None], VAE | VQVAE | AutoregressiveDecoder]] = {
    "mlp": mlp,
    "planar": planar,
    "conv": conv,
    "conv_lax": conv_lax,
    "resnet": resnet,
    "resvae": resvae,
    "gated": gated,
    "burda": burda,
    "vq_vae": vq_vae,
    "gated_pixelcnn": gated_pixelcnn,
    "binary_pixelcnn": binary_pixelcnn,
}
TWO_STAGES = "two_stages"  # of two of them, not trained here


class PlainEncoder(nn.Module):
    """Features of images, [..., 28, 28, 1] -> [..., 3136].

    Attributes:
      dtype: of the computation.
    """

    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for width in (32, 64):
            x = nn.relu(nn.Conv(width, (4, 4), (2, 2), dtype=self.dtype)(x))
        return x.reshape(*x.shape[:-3], -1)


class PlainDecoder(nn.Module):
    """Logits of latents, [..., D] -> [..., 28, 28, 1].

    Attributes:
      dtype: of the computation, but of the bias.
    """

    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, z: Array, x: Array | None = None) -> Array:
        del x
        h = nn.relu(nn.Dense(7 * 7 * 64, dtype=self.dtype)(z)).reshape(*z.shape[:-1], 7, 7, 64)
        h = nn.relu(nn.ConvTranspose(32, (4, 4), (2, 2), dtype=self.dtype)(h))
        logits = nn.ConvTranspose(1, (4, 4), (2, 2), use_bias=False, dtype=self.dtype)(h).astype(jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), SPEC.shape)
        return logits + jnp.broadcast_to(bias, logits.shape)


def two_stages() -> Model:
    """Return `gated_pixelcnn` as the prior over the codes of `vq_vae`."""
    codec, prior = make_model("vq_vae"), make_model("gated_pixelcnn")
    parts = codec.system.parts
    assert isinstance(parts, VQVAEParts)
    system = code_prior_system(
        name=TWO_STAGES,
        spec=code_spec(parts),
        decoders=[gated_pixelcnn(None)],
        shapes=grid_shapes(parts),
        codec=parts,
        codec_variables=None,
        optimizer=optax.adam(1e-3),
    )
    cost = flops.Flops(codec.flops.encoding, prior.flops.decoding + codec.flops.decoding, prior.flops.training)
    return Model(TWO_STAGES, system, cost, lambda num: codes(num).reshape(num, -1))


def likelihood_of(decoder: AutoregressiveDecoder) -> Likelihood:
    """Return the likelihood of what a decoder of `MODELS` draws, codes or binary pixels."""
    return categorical(NUM_CODES) if decoder.num_codes else bernoulli()


def num_params(model: Model) -> int:
    """Return how many numbers a model learns."""
    batch = Batch(jnp.asarray(model.data(1)), None, jnp.ones(1))
    params, _ = jax.eval_shape(model.system.trainable.init, jax.random.key(0), batch)
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _autoregressive(name: str, decoder: AutoregressiveDecoder) -> Model:
    coded = decoder.num_codes > 0
    spec = DataSpec((CODES_SIDE, CODES_SIDE), NUM_CODES, 0) if coded else SPEC
    system = autoregressive_system(
        name=name,
        spec=spec,
        decoder=decoder,
        likelihood=likelihood_of(decoder),
        tokens=code_tokens(spec.shape, NUM_CODES) if coded else pixel_tokens(spec),
        prepare=unchanged if coded else binary_pixels(spec),
        optimizer=optax.adam(1e-3),
    )
    return Model(name, system, flops.of_decoder(decoder, spec.shape), codes if coded else bumps)


def _vae(encoder: nn.Module, latent_dim: int, net: nn.Module, dtype: Dtype | None) -> VAE:
    likelihood = bernoulli()
    decoder = ImageDecoder(net, likelihood.param_shapes(SPEC.shape), dtype=dtype)
    return VAE(encoder, GaussianPosterior(latent_dim), decoder, likelihood)
