"""The base configuration of adversarial systems."""

from dataclasses import dataclass
from typing import Literal

from jaxvae.runs.config import AugmentedConfig, at_least, require


@dataclass(frozen=True)
class AdversarialConfig(AugmentedConfig):
    """Configuration shared by adversarial systems: networks, losses, penalties and turns."""

    loss: Literal["relativistic", "non_saturating"] = "relativistic"
    """losses of discriminator and generator: of pairs of a real and a made one (R3GAN), or of each alone"""
    r1: float = 1.0
    """gamma, weight of the gradient penalty at what is real"""
    r2: float = 1.0
    """gamma, weight of the gradient penalty at what is made"""
    spectral_norm: bool = False
    """divide the kernels of the discriminator by their spectral norms, by power iteration"""
    alternating: bool = False
    """players take turns in a step, the discriminator first; by default all move at once"""
    latent_dim: int = 32
    """latent dimensions"""
    channels: tuple[int, ...] = ()
    """channels, of each halving of the image; by default as many halvings as lead to 8 pixels, the first one of 16"""
    hidden: int = 256
    """units of the dense layer between latents and maps, half as many in the discriminator"""
    learning_rate: float = 2e-3
    ema_decay: float = 0.99
    batch_size: int = 64
    steps: int = 4_000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "r1", "r2")
        at_least(self, 1, "latent_dim", "hidden")
        require("channels", self.channels, min(self.channels, default=1) >= 1, "numbers of at least 1")
