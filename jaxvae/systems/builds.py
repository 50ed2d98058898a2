"""Ready-made systems: a VAE, a VQ-VAE and an autoregressive model with default networks and optimizers.

Their schedules follow the steps that `jaxvae.train` is asked for, see `jaxvae.systems.following`.
"""

import functools
from collections.abc import Sequence

from jaxvae import likelihoods
from jaxvae.choices import Net, PixelLikelihood
from jaxvae.errors import UserError, whole_number
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.quantizers import VectorQuantizer
from jaxvae.systems.augmentation import augmented
from jaxvae.systems.autoregressive_parts import autoregressive_system
from jaxvae.systems.bounds import closed_bound
from jaxvae.systems.following import FollowingOptimizer, ShareOfSteps
from jaxvae.systems.networks import AutoregressiveNetName, autoregressive_net, gaussian_vae
from jaxvae.systems.pixels import binary_pixels, pixels_of
from jaxvae.systems.tokens import block_tokens, pixel_tokens
from jaxvae.systems.vae_parts import beta_elbo_score, vae_system
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import vqvae_system
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, System

STEPS = 3_000  # over which the learning rate falls where no training says otherwise: `jaxvae.train` does
WARMUP = 1 / 6  # of the steps


def vae(
    spec: DataSpec,
    *,
    latent_dim: int = 16,
    net: Net = "conv",
    likelihood: PixelLikelihood | None = None,
    beta: float = 1.0,
    warmup_steps: int | None = None,
    shift: int | None = None,
    flip: bool = False,
    class_conditional: bool = False,
    learning_rate: float = 1e-3,
) -> System:
    """Return a VAE with a Gaussian posterior and the prior N(0, I), ready for `jaxvae.train`.

    Args:
      spec: of the images, as `jaxvae.data.load` gives it.
      latent_dim: D, dimensions of the latent.
      net: networks of encoder and decoder, `mlp`, `conv` or `resnet`.
      likelihood: `bernoulli`, for which grey images are binarised anew at every visit; `logistic_mixture` or
        `categorical` of 8-bit values; `gaussian`, a density. By default `bernoulli` of binary and of grey images, and
        `gaussian` of images in colour, of which a mixture of logistics draws worse ones and takes five times as long.
      beta: weight of the KL.
      warmup_steps: over which that weight rises from 0, against posterior collapse; by default a sixth of the training.
      shift: pixels by which training images are moved at random, so that it does not overfit; by default the more the
        fewer they are.
      flip: whether training images are mirrored left to right at random.
      class_conditional: whether it is a model of images given their class, p(x | class): see `jaxvae.models.VAE`. It
        is trained with labels, and its methods take them.
      learning_rate: of Adam, at the first step; it falls to 2 % over the training.

    Returns:
      The system.

    Raises:
      UserError: if the images have not the values of the likelihood, are smaller than the shift, have no labels where
        these are needed, or a number is impossible.
    """
    latent_dim = whole_number("latent_dim", latent_dim)
    by_default: PixelLikelihood = "bernoulli" if spec.num_values == 2 or spec.shape[-1] == 1 else "gaussian"
    of_pixels, prepare = pixels_of(likelihood or by_default, spec)
    warmup = ShareOfSteps(WARMUP, STEPS) if warmup_steps is None else warmup_steps
    if class_conditional and not spec.num_classes:
        raise UserError("class_conditional needs labels, which these images do not have.")
    model = gaussian_vae(net, latent_dim, of_pixels, spec, class_conditional=class_conditional)
    system = vae_system(
        name="vae",
        spec=spec,
        vae=model,
        prepare=prepare,
        bound=closed_bound(model),
        score=beta_elbo_score,
        optimizer=_adam(learning_rate),
        hparams={"beta": beta, "warmup_steps": warmup, "free_bits": 0.0},
    )
    return augmented(system, shift=shift, flip=flip)


def vqvae(
    spec: DataSpec,
    *,
    num_codes: int = 512,
    code_dim: int = 64,
    channels: Sequence[int] = (32, 64),
    likelihood: PixelLikelihood | None = None,
    learning_rate: float = 2e-3,
) -> System:
    """Return a VQ-VAE of one grid of codes, with a codebook of moving averages, ready for `jaxvae.train`.

    Args:
      spec: of the images, as `jaxvae.data.load` gives it.
      num_codes: K, codes of the codebook.
      code_dim: D, channels of a code.
      channels: of the encoder's layers, each of which halves height and width.
      likelihood: as of `vae`; by default `bernoulli` of binary images and `logistic_mixture` of others.
      learning_rate: of Adam, at the first step; it falls to 2 % over the training.

    Returns:
      The system.

    Raises:
      UserError: if the images have not the values of the likelihood, or a number is impossible.
    """
    num_codes, code_dim = whole_number("num_codes", num_codes), whole_number("code_dim", code_dim)
    channels = tuple(whole_number("channels", number) for number in channels)
    by_default: PixelLikelihood = "bernoulli" if spec.num_values == 2 else "logistic_mixture"
    of_pixels, prepare = pixels_of(likelihood or by_default, spec, num_components=5)
    quantizer = VectorQuantizer(num_codes, code_dim, cosine=True, restart_below=0.5)
    model = convolutional_vqvae(spec, quantizer, of_pixels, code_dim=code_dim, channels=channels)
    return vqvae_system(name="vqvae", spec=spec, model=model, prepare=prepare, optimizer=_adam(learning_rate))


def autoregressive(
    spec: DataSpec,
    *,
    net: AutoregressiveNetName = "pixelcnn",
    features: int = 32,
    num_layers: int = 6,
    learning_rate: float = 2e-3,
) -> System:
    """Return a PixelCNN, PixelRNN or Transformer of binarised pixels, whose likelihood is exact.

    Args:
      spec: of the images, as `jaxvae.data.load` gives it.
      net: network over the pixels; blocks of 2x2 of them are one token where they divide the images.
      features: channels of its layers.
      num_layers: of it.
      learning_rate: of Adam, at the first step; it falls to 2 % over the training.

    Returns:
      The system.

    Raises:
      UserError: if the images have several channels, or a number is impossible.
    """
    height, width, channels = spec.shape
    if channels > 1:
        raise UserError(f"autoregressive is of images of one channel, these have {channels}: take vae or vqvae.")
    features, num_layers = whole_number("features", features), whole_number("num_layers", num_layers)
    tokens = pixel_tokens(spec) if height % 2 or width % 2 else block_tokens(spec, 2)
    likelihood = likelihoods.categorical(tokens.num_codes) if tokens.num_codes else likelihoods.bernoulli()
    in_features = features if tokens.num_codes else channels
    decoder = AutoregressiveDecoder(
        autoregressive_net(net, in_features, (tokens.shape[0], tokens.shape[1]), features, num_layers, num_heads=4),
        likelihood.param_shapes(tokens.shape),
        num_codes=tokens.num_codes,
        embed_features=in_features,
        latent_axes=0,
    )
    return autoregressive_system(
        name="autoregressive",
        spec=spec,
        decoder=decoder,
        likelihood=likelihood,
        tokens=tokens,
        prepare=binary_pixels(spec),
        optimizer=_adam(learning_rate),
    )


# ---------- private


def _adam(learning_rate: float) -> FollowingOptimizer:
    return FollowingOptimizer(functools.partial(cosine_adam, learning_rate), STEPS)
