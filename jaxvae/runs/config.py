"""Base configurations of experiments: fields are command-line flags and are written to `config.json`."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from jaxvae.choices import Net
from jaxvae.errors import UserError, shortened
from jaxvae.training.optimizers import OptimizerName

# More is a slip of the keyboard, which would end, or never end, after minutes of compilation.
MOST, MOST_STEPS, MOST_LAYERS = 10**6, 10**9, 200
LARGEST_SIDE = 4_096  # pixels
STEPS = frozenset({"steps", "eval_every", "log_every", "patience", "warmup_steps", "codec_steps", "phase_steps"})
LAYERS = frozenset({"num_blocks", "num_layers", "num_flows", "max_flows", "num_heads", "prior_layers"})


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of every training."""

    seed: int = 0
    """random seed of parameters, batches and noise"""
    steps: int = 3_000
    """training steps; a resumed run may ask for more, and its learning rate then decays over the longer run"""
    batch_size: int = 128
    """examples per step"""
    learning_rate: float = 1e-3
    """initial learning rate, decayed to 2 % along a cosine"""
    ema_decay: float = 0.0
    """decay of the exponential moving average of the parameters, which is what is evaluated; 0 disables it"""
    eval_every: int = 500
    """steps between evaluations on the validation set, each with a checkpoint"""
    log_every: int = 100
    """steps between records in metrics.jsonl"""
    patience: int = 0
    """evaluations without improvement before early stopping; 0 disables it"""
    clip_norm: float | None = None
    """gradients of a larger global norm are clipped to it"""
    skip_norm: float | None = None
    """steps with a gradient of larger or non-finite norm are skipped and counted, instead of ending the run"""

    def __post_init__(self) -> None:
        check_numbers(self)
        at_least(self, 1, "steps", "batch_size", "eval_every", "log_every")
        require("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        require("ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 to below 1")
        at_least(self, 0, "patience")
        for field in ("clip_norm", "skip_norm"):
            value = getattr(self, field)
            require(field, value, value is None or value > 0, "more than 0")
        require("seed", self.seed, 0 <= self.seed < 2**32, "0 to 2^32 - 1")


@dataclass(frozen=True)
class ImageConfig(TrainingConfig):
    """Configuration of every training on images."""

    default_size: ClassVar[int] = 28  # pixels a side of a folder's images that are larger than 64

    data: str = "digits"
    """your images: digits, folder:DIR, npz:FILE, idx:DIR, tfds:NAME, binarized_mnist:FILE, sprites or stacked:SOURCE"""
    image_size: int | None = None
    """side in pixels to resize images to; by default a folder's images larger than 64 become smaller, others stay"""
    precision: Literal["float32", "bf16"] = "float32"
    """arithmetic of the networks; parameters, log-densities and sums over pixels stay float32"""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.image_size
        require("image_size", size, size is None or 1 <= size <= LARGEST_SIDE, f"1 to {LARGEST_SIDE:,}")


@dataclass(frozen=True)
class AugmentedConfig(ImageConfig):
    """Configuration of every training on images that may be augmented."""

    shift: int | None = 0
    """data augmentation: pixels by which training images are moved at random, in the first nine tenths of the steps"""
    flip: bool = False
    """data augmentation: training images are mirrored left to right at random"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("shift", self.shift, self.shift is None or self.shift >= 0, "at least 0")


@dataclass(frozen=True)
class VAEConfig(AugmentedConfig):
    """Configuration of every training of a VAE."""

    nll_samples: int = 500
    """importance samples per test image for the NLL"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "nll_samples")


@dataclass(frozen=True)
class LatentConfig(VAEConfig):
    """Configuration shared by comparisons of VAEs."""

    net: Net = "mlp"
    """architecture of encoder and decoder"""
    latent_dim: int = 32
    """latent dimensions"""
    warmup_steps: int = 2_000
    """steps over which the weight of the KL rises from 0 to 1"""
    steps: int = 20_000
    eval_every: int = 1_000
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "latent_dim")
        at_least(self, 0, "warmup_steps")


@dataclass(frozen=True)
class OneGroupConfig(VAEConfig):
    """Configuration of a VAE of one group of latents with a Gaussian posterior: networks, prior and optimizer."""

    net: Net = "mlp"
    """architecture of encoder and decoder"""
    channels: tuple[int, ...] = (32, 64)
    """channels of conv, resnet and gated, of each halving of the image"""
    num_blocks: tuple[int, ...] = (1,)
    """residual blocks per stage of resnet, one number for all stages or one for each"""
    remat: bool = False
    """recompute activations of resnet blocks in the backward pass (rematerialisation): less memory, more time"""
    latent_dim: int = 32
    """latent dimensions"""
    prior: Literal["realnvp", "normal"] = "realnvp"
    """prior p(z): a normalizing flow that is learned with the rest, or N(0, I)"""
    num_flows: int = 4
    """coupling layers of the prior realnvp"""
    mixture: int = 80
    """components of a mixture of Gaussians that is fitted to the latents when the training has ended, for better
    samples: 95 % of the prior, realnvp 5 %; fewer for few images or where validation images are less likely, 0 for
    none, as for a model that is conditional on classes"""
    dropout: float = 0.0
    """probability that a feature of the encoder is dropped in training, against overfitting; the bound holds"""
    shift: int | None = None
    """data augmentation: pixels by which training images are moved at random; by default the more the fewer they are"""
    warmup_steps: int = 200
    """steps of linear KL warm-up from 0 to 1, against posterior collapse"""
    optimizer: OptimizerName = "adam"
    """optimizer"""
    weight_decay: float = 0.0
    """weight decay, times the learning rate"""
    ema_decay: float = 0.999
    eval_every: int = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "latent_dim", "num_flows")
        require("channels", self.channels, min(self.channels, default=1) >= 1, "numbers of at least 1")
        sound = min(self.num_blocks, default=0) >= 0 and len(self.num_blocks) in (0, 1, len(self.channels))
        require("num_blocks", self.num_blocks, sound, "one number of at least 0 for all --channels, or one for each")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 to below 1")
        at_least(self, 0, "warmup_steps", "weight_decay", "mixture")

    def networks(self) -> dict[str, Any]:
        """Return the arguments of `jaxvae.systems.networks.gaussian_vae` that are fields."""
        names = ("net", "latent_dim", "precision", "channels", "remat", "prior", "num_flows", "mixture")
        blocks = self.num_blocks if len(self.num_blocks) > 1 else self.num_blocks[0]
        return {"num_blocks": blocks, **{name: getattr(self, name) for name in names}}


def check_numbers(config: Any) -> None:
    """Raise a `UserError` that names the flag of the first number that is not finite or absurdly large."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, str | Path) and "\0" in str(value):
            raise UserError(f"--{field.name.replace('_', '-')} has a null character: leave it out.")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float):
                require(field.name, value, math.isfinite(number), "a finite number")
            elif isinstance(number, int) and field.name != "seed":
                most = MOST_STEPS if field.name in STEPS else MOST_LAYERS if field.name in LAYERS else MOST
                require(field.name, value, abs(number) <= most, f"at most {most:,}")


def at_least(config: Any, least: int, *fields: str) -> None:
    """Raise a `UserError` that names the flag of the first field below a number."""
    for field in fields:
        require(field, getattr(config, field), getattr(config, field) >= least, f"at least {least}")


def require(field: str, value: Any, holds: bool, expected: str) -> None:
    """Raise a `UserError` that names the flag of a field unless its value is possible."""
    if not holds:
        typed = " ".join(map(str, value)) or "empty" if isinstance(value, tuple) else str(value)  # as it was given
        raise UserError(f"--{field.replace('_', '-')} is {shortened(typed)}, expected {expected}.")
