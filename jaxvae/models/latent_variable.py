"""The protocol of latent variable models: a Linen module that has it is trained and used like a `VAE`."""

from typing import Any, Protocol

from jaxvae.types import Array, ELBOTerms, Likelihood, PRNGKey


class LatentVariableModel(Protocol):
    """A model p(x, z) with an approximate posterior q(z | x), as a Linen module: `VAE`, `HierarchicalVAE`, yours.

    `jaxvae.systems.vae_system` trains, evaluates and samples it by these methods, which run in `apply`. A bound may ask
    for more, as `objectives.dreg` does, and a model that has more can do more: `draw`, `draw_prior`, `log_prior` and
    `log_posterior` complete images, `temper` draws them at other temperatures, and `group_shapes` with `kl_per_group`
    say what lies side by side in the vector that is decoded, see `TopDownVAE`. Decoder and likelihood are fields, not
    made in `setup`.
    """

    @property
    def decoder(self) -> Any:
        """What gives the likelihood's parameters; of an `AutoregressiveDecoder`, images are drawn pixel by pixel."""
        ...

    @property
    def likelihood(self) -> Likelihood:
        """Of one image, given the decoder's output."""
        ...

    @property
    def has_closed_kl(self) -> bool:
        """Whether `terms_and_stats` and `closed_kl` give KL(q(z | x) || p(z)) of every dimension, as those of `VAE`."""
        ...

    @property
    def has_gaussian_posterior(self) -> bool:
        """Whether `encode` gives q(z | x) of all latents as `GaussianParams`, as that of `VAE`."""
        ...

    def init(self, rngs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return variables, as every Linen module does."""
        ...

    def apply(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the model or one of its methods, as every Linen module does."""
        ...

    def __call__(self, keys: PRNGKey, x: Array, num_samples: int = 1) -> ELBOTerms:
        """Return the terms of the bound, keys [B] and x [B, H, W, C] -> log-densities [S, B] and [S, B, L]."""
        ...

    def latent_means(self, keys: PRNGKey, x: Array, num_samples: int) -> tuple[Array, ...]:
        """Return E_q[z_l | x] of every group of latents, [B, D_l], that which is decoded first."""
        ...

    def decode(self, z: Array) -> Any:
        """Return the likelihood's parameters for latents [..., D_1] of the group that is decoded."""
        ...

    def prior_latents(self, keys: PRNGKey) -> Array:
        """Return latents of that group drawn from the prior, keys [N] -> [N, D_1]."""
        ...
