"""Small VAEs of every kind, whose parameters are drawn and not trained: a page is to compute them, not to like them."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae as jv
from jaxvae.systems.bounds import sampled_bound
from jaxvae.systems.pixels import binary_pixels, pixels_of
from jaxvae.systems.vae_parts import vae_system
from jaxvae.types import Batch, DataSpec

SIDE = 8


def images(num_values=256, channels=1, num=40):
    """Blobs, as a data set has them: uint8 [N, 8, 8, C]."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centres, sizes = random.uniform(2, 6, (2, num, 1, 1)), random.uniform(1, 3, (num, 1, 1))
    blobs = np.exp(-((rows - centres[0]) ** 2 + (columns - centres[1]) ** 2) / sizes**2)[..., None]
    x = blobs * random.uniform(0.3, 1, (num, 1, 1, channels))
    return np.round(x * (num_values - 1)).astype(np.uint8)


def spec_of(num_values=256, channels=1, classes=()):
    return DataSpec((SIDE, SIDE, channels), num_values, len(classes), classes)


def vae(spec, net="mlp", *, likelihood=None, latent_dim=3, prior=None):
    """A system with few parameters."""
    likelihood, prepare = pixels_of(likelihood, spec) if isinstance(likelihood, str) else (likelihood, None)
    likelihood = likelihood or jv.bernoulli()
    encoder, decoder = {
        "mlp": lambda: (jv.MLPEncoder((12,)), jv.MLP((12,))),
        "conv": lambda: (jv.ConvEncoder((4, 6)), jv.ConvDecoder((6, 4), spec.shape)),
        "resnet": lambda: (
            jv.ResNetEncoder((4, 6), num_blocks=1),
            jv.ResNetDecoder(spec.shape, (6, 4), num_blocks=1),
        ),
    }[net]()
    shapes = likelihood.param_shapes(spec.shape)
    more = {} if prior is None else {"prior": prior}
    model = jv.VAE(encoder, jv.GaussianPosterior(latent_dim), jv.ImageDecoder(decoder, shapes), likelihood, **more)
    return vae_system(
        name="vae",
        spec=spec,
        vae=model,
        prepare=prepare or binary_pixels(spec),
        bound=sampled_bound(model),
        optimizer=jv.training.cosine_adam(1e-3, 10),
    )


def untrained(system, x, seed=0):
    """The system with parameters drawn about those of a new one, of which many would be zero."""
    batch = Batch(jnp.asarray(x[:8]), None, jnp.ones(len(x[:8])))
    params, state = system.trainable.init(jax.random.key(seed), batch)
    random = np.random.default_rng(seed)
    moved = jax.tree.map(lambda leaf: leaf + 0.2 * random.standard_normal(leaf.shape).astype(np.float32), params)
    return jv.Trained(system, moved, state, {"experiment": "tests.small", "config": {}})
