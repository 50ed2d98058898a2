"""The functions of a VAE that the page computes, as programs."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.capabilities import Infers, require
from jaxvae.errors import UserError
from jaxvae.explorer.builder import Program
from jaxvae.explorer.programs import program_of
from jaxvae.models import VAE
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.priors.normal import StandardNormal
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.types import Array, GaussianParams, Likelihood, Params, System


@dataclass(frozen=True)
class Functions:
    """The functions of one VAE, of one image [H, W, C] or one latent [D] each.

    Attributes:
      vae: the model.
    """

    vae: VAE

    def encode(self, params: Params, x: Array) -> GaussianParams:
        """Return q(z | x) of a prepared image, [D] each."""
        return jax.tree.map(lambda leaf: leaf[0], self.vae.apply({"params": params}, x[None], method="encode"))

    def decode(self, params: Params, z: Array) -> Any:
        """Return the parameters of p(x | z)."""
        return jax.tree.map(lambda leaf: leaf[0], self.vae.apply({"params": params}, z[None], method="decode"))

    def log_pz(self, params: Params, z: Array) -> Array:
        """Return log p(z), [] nats."""
        prior = nn.apply(lambda vae, z: vae.prior.log_prob(z), self.vae)
        return prior({"params": params}, z[None])[0]

    def has_standard_prior(self) -> bool:
        """Return whether p(z) is N(0, I)."""
        return isinstance(self.vae.prior, StandardNormal)

    def mean(self, of_x: Any) -> Array:
        """Return E[x | z] for the parameters of p(x | z)."""
        return self.vae.likelihood.mean(of_x)

    def log_px(self, of_x: Any, x: Array) -> Array:
        """Return log p(x | z) for the parameters of p(x | z), [] nats."""
        return self.vae.likelihood.log_prob(of_x, x)

    def likelihood_name(self) -> str:
        """Return the name of the likelihood, inside those that change its unit alone."""
        likelihood = self.vae.likelihood
        while likelihood.recipe is not None:
            inside = dict(likelihood.recipe.arguments).get("likelihood")
            if not isinstance(inside, Likelihood):
                return likelihood.recipe.constructor.__name__
            likelihood = inside
        return "of your own"

    def programs(self, params: Params, shape: tuple[int, ...]) -> dict[str, Program]:
        """Return the functions as programs by name, with the given parameters, for images of a shape."""
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        z = jax.ShapeDtypeStruct((self.vae.posterior.latent_dim,), jnp.float32)
        of_x = jax.eval_shape(self.decode, params, z)
        found = {
            "encode": program_of(self.encode, params, x),
            "decode": program_of(self.decode, params, z),
            "mean": program_of(lambda _, of_x: self.mean(of_x), (), of_x),
            "log_px": program_of(lambda _, of_x, x: self.log_px(of_x, x), (), of_x, x),
        }
        if not self.has_standard_prior():
            found["log_pz"] = program_of(self.log_pz, params, z)
        return found


def functions_of(system: System) -> Functions:
    """Return the functions of a VAE.

    Args:
      system: a VAE with a Gaussian posterior.

    Raises:
      UserError: if it is something else, or its pixels depend on each other, or it has other examples than images.
    """
    require(system, Infers)
    shape = system.spec.shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise UserError(f"{system.name} is of examples of shape {list(shape)}: expected images, grey or in colour.")
    vae: Any = getattr(system.parts, "vae", None)
    if not isinstance(system.parts, VAEParts) or not isinstance(vae, VAE):
        raise UserError(f"{system.name} cannot be explored: expected one of VAEs with one group of latents.")
    if vae.num_classes:
        raise UserError(
            f"{system.name} is conditional on classes, for which the page has no place: expected a VAE of all."
        )
    if isinstance(vae.decoder, AutoregressiveDecoder):
        raise UserError(f"{system.name} draws pixel by pixel, too slow for a page: expected independent pixels.")
    return Functions(vae)
