"""A top-down hierarchical VAE: groups of latents on maps of growing size, inferred from the top group down."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.keys import check_keys
from jaxvae.models.decoding import decoded, score_latents
from jaxvae.models.top_down_group import Inferred, TopDownGroup
from jaxvae.nets.image import Double, Size
from jaxvae.nets.top_down import Group, group_sizes, map_sizes
from jaxvae.posteriors import GaussianPosterior
from jaxvae.posteriors.batching import draw_each
from jaxvae.priors import standard_normal
from jaxvae.types import Array, ELBOTerms, GaussianParams, Likelihood, Prior, PRNGKey


class TopDownVAE(nn.Module):
    """Latents z_1 ... z_L on maps of growing size; both directions go from the top group, z_1, down.

      p(x, z)  = p(z_1) p(z_2 | z_1) ... p(z_L | z_<L) p(x | z)
      q(z | x) = q(z_1 | x) q(z_2 | z_1, x) ... q(z_L | z_<L, x)

    One map h goes down and is what p(z_l | .) and q(z_l | .) share of the groups above; q reads the encoder's map too.

    Latents are in the coordinates of their prior: z_l = mean_p + sd_p e_l, and it is e_l ~ N(0, I) that is drawn,
    encoded and decoded, all groups side by side in one vector [D_1 + ... + D_L]; of the top group it is z_1 itself. So
    a part of the vector can be drawn anew, scaled by a temperature or moved on a path, and what is below follows.

    Attributes:
      groups: the top one first.
      encoder: images [B, H, W, C] -> maps [B, h, w, c] for every size, the smallest first: `BottomUp`.
      decoder: (the last h [..., h, w, c], x) -> the likelihood's parameters: an `ImageDecoder` with `latent_axes` 3.
      likelihood: of one image.
      image_shape: (H, W, C).
      prior: of z_1 as a vector.
      dtype: of the networks between; parameters and latents stay float32.
      remat: whether gradients compute the inside of every group anew: memory saved on GPU and TPU, none on the CPU.

    References:
      Sønderby et al., "Ladder Variational Autoencoders", 2016, arXiv:1602.02282 (inference from the top down).
      Vahdat & Kautz, "NVAE", 2020, arXiv:2007.03898; Child, "Very Deep VAEs", 2021, arXiv:2011.10650 (groups on maps).
    """

    groups: Sequence[Group]
    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    image_shape: Sequence[int]
    prior: Prior = standard_normal()
    dtype: Dtype | None = None
    remat: bool = False

    def setup(self) -> None:
        sizes = group_sizes(self.groups, self.image_shape)
        layer = nn.remat(TopDownGroup) if self.remat else TopDownGroup
        self.layers = [
            layer(group.channels, group.latents, is_top=i == 0, dtype=self.dtype) for i, group in enumerate(self.groups)
        ]
        self.start = self.param("start", nn.initializers.zeros_init(), (*sizes[0], self.groups[0].channels))
        self.doubles = [
            [Double(group.channels, to, dtype=self.dtype) for to in _between(one, size, self.image_shape)]
            for group, one, size in zip(self.groups[1:], sizes, sizes[1:], strict=False)
        ]
        self.of_map = [len(set(sizes[: i + 1])) - 1 for i in range(len(sizes))]  # of the encoder, for every group

    @property
    def group_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """(h, w, latents) of every group, in the order of the vector of all latents."""
        sizes = group_sizes(self.groups, self.image_shape)
        return tuple((*size, group.latents) for size, group in zip(sizes, self.groups, strict=True))

    @property
    def has_closed_kl(self) -> bool:
        """False: the KL of a group is of the samples of those above. See `kl_per_group`."""
        return False

    @property
    def has_gaussian_posterior(self) -> bool:
        """False: q(z | x) is Gaussian group by group alone."""
        return False

    def __call__(self, keys: PRNGKey, x: Array, num_samples: int = 1) -> ELBOTerms:
        """Return the terms of the bound: keys [B], x [B, H, W, C] -> log-densities [S, B] and [S, B, L]."""
        return self.terms_and_stats(keys, x, num_samples)[0]

    def terms_and_stats(
        self, keys: PRNGKey, x: Array, num_samples: int = 1, seen: Array | None = None
    ) -> tuple[ELBOTerms, GaussianParams]:
        """Return the terms of the bound and q of all latents given those above, [S, B, D], from one pass.

        The encoder sees x, or `seen`, [B, H, W, C]: with noise, say. log p(x) stays above the bound, whatever it sees.
        """
        maps = self.encoder(x if seen is None else seen)
        found, h = self._infer(maps, noise=self._noise(keys, x, num_samples))
        return ELBOTerms(self._log_px(h, x), self._log_pz(found.z), self._log_qz(found)), found.q

    def kl_per_group(self, terms: ELBOTerms, q: GaussianParams) -> Array:
        """Return KL(q(z_l | z_<l, x) || p(z_l | z_<l)) of every group, a mean over the samples above, [B, L], nats.

        In closed form; that of the top group is of the samples where its prior has none.
        """
        kl = [jnp.sum(part, axis=-1) for part in self._parts(distributions.normal_kl_to_standard(q))]
        if getattr(self.prior, "kl_of", "") != GaussianPosterior.family:
            kl[0] = terms.log_qz[..., 0] - terms.log_pz[..., 0]
        return jnp.mean(jnp.stack(kl, axis=-1), axis=0)

    # The functions of `objectives.dreg` and of completion; z is the vector of all latents.

    def draw(self, keys: PRNGKey, x: Array, num_samples: int) -> Array:
        """Return samples of q(z | x), [S, B, D]."""
        return self._infer(self.encoder(x), noise=self._noise(keys, x, num_samples))[0].z

    def log_joint(self, x: Array, z: Array) -> Array:
        """Return log p(x, z), x [B, H, W, C] and z [S, B, D] -> [S, B], nats."""
        return self._log_px(self._generate(z), x) + self.log_prior(z)

    def log_prior(self, z: Array) -> Array:
        """Return log p(z) of all latents, z [S, B, D] -> [S, B], nats."""
        return jnp.sum(self._log_pz(z), axis=-1)

    def log_posterior(self, x: Array, z: Array) -> Array:
        """Return log q(z | x), x [B, H, W, C] and z [S, B, D] -> [S, B], nats."""
        maps = self.encoder(x)
        # One latent of all images at a time: completions have hundreds of each, whose maps would fill the memory.
        return jax.lax.map(lambda z: jnp.sum(self._log_qz(self._infer(maps, z=z[None])[0])[0], axis=-1), z)

    def posterior_given(self, x: Array, z: Array) -> GaussianParams:
        """Return q(z_l | z_<l, x) of every group, x [B, H, W, C] and z [B, D] -> [B, D]."""
        q = self._infer(self.encoder(x), z=z[None])[0].q
        return jax.tree.map(lambda leaf: leaf[0], q)

    # What a trained model is used for.

    def latent_means(self, keys: PRNGKey, x: Array, num_samples: int) -> tuple[Array, ...]:
        """Return the mean of q(z_l | z_<l, x) at the means of the groups above, all side by side, ([B, D],).

        It is no mean over samples of these: those would be of other coordinates each. keys and num_samples are not
        used.
        """
        del keys, num_samples
        return (self._infer(self.encoder(x), noise=jnp.zeros((1, len(x), self._dim)))[0].z[0],)

    def decode(self, z: Array) -> Any:
        """Return the likelihood's parameters for latents [..., D] of all groups."""
        return decoded(self.decoder, self._generate(z))

    def prior_latents(self, keys: PRNGKey) -> Array:
        """Return latents of all groups drawn from the prior, keys [N] -> [N, D]."""
        check_keys(keys)
        top = math.prod(self.group_shapes[0])

        def one(key: PRNGKey) -> tuple[Array, Array]:
            of_top, of_others = jax.random.split(key)
            return self.prior.sample(of_top, (top,)), jax.random.normal(of_others, (self._dim - top,))

        return jnp.concatenate(jax.vmap(one)(keys), axis=-1)

    def draw_prior(self, keys: PRNGKey) -> Array:
        """Return latents of p(z), keys [N] -> [N, D]: all of them, which here are those that are decoded."""
        return self.prior_latents(keys)

    def temper(self, z: Array, temperature: Array) -> Array:
        """Return latents of the prior, [N, D], at a temperature [], or one for every group, [L]."""
        top, *others = self._parts(z)
        temperatures = jnp.broadcast_to(temperature, (len(self.groups),))
        prior: Any = self.prior
        scaled = [t * part for t, part in zip(temperatures[1:], others, strict=True)]
        return jnp.concatenate([prior.tempered(top, temperatures[0]), *scaled], axis=-1)

    # ---------- private

    @property
    def _dim(self) -> int:
        return sum(map(math.prod, self.group_shapes))

    def _parts(self, z: Array) -> list[Array]:
        """The latents [..., D_l] of every group."""
        check_shape("z", z, (*z.shape[:-1], self._dim))
        ends = list(itertools.accumulate(map(math.prod, self.group_shapes)))
        return jnp.split(z, ends[:-1], axis=-1)

    def _noise(self, keys: PRNGKey, x: Array, num_samples: int) -> Array:
        check_keys(keys, x.shape[0])
        nothing = jnp.zeros((len(x), self._dim))
        return draw_each(lambda key, stats: jax.random.normal(key, stats.shape), keys, nothing, num_samples)

    def _infer(
        self, maps: Sequence[Array], noise: Array | None = None, z: Array | None = None
    ) -> tuple[Inferred, Array]:
        """Go down with the encoder's maps: latents drawn with noise [S, B, D], or given ones, and the last h."""
        noises, given = (itertools.repeat(None) if one is None else self._parts(one) for one in (noise, z))
        h, found = self._first(noise if z is None else z), []
        for i, (layer, *source) in enumerate(zip(self.layers, noises, given, strict=False)):
            h, inferred = layer(self._enlarged(h, i), maps[self.of_map[i]][None], *source)
            found.append(inferred)
        return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=-1), *found), h

    def _generate(self, z: Array) -> Array:
        """Go down without images: z [..., D] -> the last h [..., h, w, c]."""
        h = self._first(z)
        for i, (layer, part) in enumerate(zip(self.layers, self._parts(z), strict=True)):
            h, _ = layer(self._enlarged(h, i), None, None, part)
        return h

    def _first(self, z: Any) -> Array:
        return jnp.broadcast_to(self.start, (*z.shape[:-1], *self.start.shape))

    def _enlarged(self, h: Array, index: int) -> Array:
        """The map of group `index` from that of the group above."""
        for double in self.doubles[index - 1] if index else ():
            h = double(h)
        return h

    def _log_px(self, h: Array, x: Array) -> Array:
        return score_latents(self.likelihood, self.decoder, h, x, latent_axes=3, reads_x=True)

    def _log_pz(self, z: Array) -> Array:
        top, *others = self._parts(z)
        of_normal = standard_normal().log_prob
        return jnp.stack([self.prior.log_prob(top), *map(of_normal, others)], axis=-1)

    def _log_qz(self, found: Inferred) -> Array:
        # By the noise: no difference of a latent and a mean is divided by a small deviation.
        of_noise = standard_normal().log_prob
        parts = zip(self._parts(found.noise), self._parts(found.q.log_var), strict=True)
        return jnp.stack([of_noise(e) - 0.5 * jnp.sum(log_var, axis=-1) for e, log_var in parts], axis=-1)


# ---------- private


def _between(above: Size, size: Size, image_shape: Sequence[int]) -> list[Size]:
    """The sizes from below one map's to another's, the smaller ones first."""
    sizes = map_sizes(image_shape)
    return sizes[sizes.index(size) : sizes.index(above)][::-1]
