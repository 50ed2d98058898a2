"""Decoders whose pixels depend on a latent and on the pixels before them: p(x | z) = prod_i p(x_i | x_<i, z).

The same module is the decoder of a VAE, a model of images by itself (without a latent) and a prior over grids of codes,
conditional on a class where that is wanted: what z is, is the business of `context`. It is evaluated for all pixels at
once, and pixel by pixel for sampling (`jaxvae.sampling.autoregressive`).
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import unfreeze
from flax.typing import Dtype

from jaxvae.errors import check_shape, check_values
from jaxvae.types import Array


class AutoregressiveDecoder(nn.Module):
    """(z, x) -> the parameters of the likelihood, those of a pixel from z and the pixels before it in raster order.

    Parameters: `net`; `context`; `embedding`, where there is one; `readout` or, where `param_shapes` is a dict or
    NamedTuple, `readout_<key>` for every leaf; and `bias`, one pytree of the structure and shapes of `param_shapes`, as
    in `ImageDecoder`.

    Attributes:
      net: an `AutoregressiveNet`.
      param_shapes: pytree of `jax.ShapeDtypeStruct`, the parameters of one image: `likelihood.param_shapes(shape)`,
        every leaf of shape (H, W, ...).
      num_codes: K, where x are codes [B, H, W], for which learned vectors stand; 0 for images [B, H, W, C] in [0, 1],
        which are scaled to [-1, 1].
      embed_features: length of the vectors of codes.
      context: z -> [..., F] or a map [..., H, W, F], as a decoder's net or `nn.Embed` for classes; None ignores z.
      latent_axes: of z, those of one image: 0 of a class, 1 of a vector, 2 of a grid of codes.
      dtype: of the readouts' products; biases are added, and parameters given, in the types of `param_shapes`.
    """

    net: Any
    param_shapes: Any
    num_codes: int = 0
    embed_features: int = 64
    context: nn.Module | None = None
    latent_axes: int = 1
    dtype: Dtype | None = None

    def setup(self) -> None:
        shapes = unfreeze(self.param_shapes)
        sizes = {leaf.shape[:2] for leaf in jax.tree.leaves(shapes)}
        if len(sizes) != 1:
            raise ValueError(
                f"Parameters of {sorted(sizes)} pixels cannot be read pixel by pixel, expected those of a likelihood "
                "whose every parameter belongs to a pixel of one image."
            )
        (self.size,) = sizes
        if self.num_codes:
            self.embedding = nn.Embed(self.num_codes, self.embed_features, dtype=self.dtype)

        def readout(path: Any, leaf: jax.ShapeDtypeStruct) -> nn.Dense:
            name = "_".join(["readout", *(jax.tree_util.keystr((key,), simple=True) for key in path)])
            small = nn.initializers.variance_scaling(0.1, "fan_in", "truncated_normal")
            features = math.prod(leaf.shape[2:])
            return nn.Dense(features, use_bias=False, dtype=self.dtype, kernel_init=small, name=name)

        self.readouts = jax.tree_util.tree_map_with_path(readout, shapes)
        zeros = lambda key: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)  # noqa: E731
        self.bias = self.param("bias", zeros)

    def __call__(self, z: Array | None, x: Array | None) -> Any:
        """Give the parameters of p(x | z).

        Args:
          z: latents [..., B, D], classes [..., B], grids of codes [..., B, h, w], or None.
          x: images [B, H, W, C] in [0, 1], or codes [B, H, W].

        Returns:
          The pytree of `param_shapes`, each leaf [..., B, *shape] and of its type there.

        Raises:
          ValueError: if x is None, of another size, or has a value outside; for such a class too.
        """
        if x is None:
            raise ValueError("An AutoregressiveDecoder needs x, got None: draw images by sampling.autoregressive.")
        check_shape("x", x, (None, *self.size) if self.num_codes else (None, *self.size, None))
        check_values("x", x, self.num_codes or 2)
        context, leading = self._context(z)
        leading = leading or x.shape[:1]
        inputs = self._inputs(x)
        inputs = jnp.broadcast_to(inputs, (*leading, *inputs.shape[1:])).reshape(-1, *inputs.shape[1:])
        features = self.net(inputs, context)
        params = self._read(features, self.bias)
        return jax.tree.map(lambda leaf: leaf.reshape(*leading, *leaf.shape[1:]), params)

    # Pixel by pixel, for z [B, ...]: see `jaxvae.sampling.autoregressive`.

    def start(self, num: int, z: Array | None) -> Any:
        """Return the cache before the first pixel of `num` images."""
        return self.net.start(num, self.size, self._context(z)[0])

    def start_row(self, cache: Any, i: Array) -> Any:
        """Return the cache at the beginning of row i."""
        return self.net.start_row(cache, i)

    def read(self, cache: Any, i: Array, j: Array) -> tuple[Any, Any]:
        """Return the parameters of pixel (i, j), each leaf [B, ...], and the cache."""
        features, cache = self.net.read(cache, i, j)
        return self._read(features, jax.tree.map(lambda bias: jnp.asarray(bias)[i, j], self.bias)), cache

    def write(self, cache: Any, x: Array, i: Array, j: Array) -> Any:
        """Return the cache with the value of pixel (i, j), [B, C] or a code [B]."""
        return self.net.write(cache, self._inputs(x), i, j)

    def _inputs(self, x: Array) -> Array:
        if self.num_codes:
            return self.embedding(x.astype(jnp.int32))
        return 2.0 * x.astype(jnp.float32) - 1.0

    def _context(self, z: Array | None) -> tuple[Array | None, tuple[int, ...]]:
        """The context with one leading axis, and the leading axes that it had."""
        if self.context is None or z is None:
            return None, ()
        if isinstance(self.context, nn.Embed):  # which would give NaN for a class that is not there
            check_values("z", z, self.context.num_embeddings)
        leading = z.shape[: z.ndim - self.latent_axes]
        context = self.context(z)
        return context.reshape(-1, *context.shape[len(leading) :]), leading

    def _read(self, features: Array, bias: Any) -> Any:
        features = nn.relu(features)

        def one(readout: nn.Dense, leaf_bias: Array) -> Array:
            y = readout(features).astype(leaf_bias.dtype)
            num_pixel_axes = features.ndim - 2
            y = y.reshape(*features.shape[:-1], *leaf_bias.shape[num_pixel_axes:])
            return y + jnp.broadcast_to(leaf_bias, y.shape)

        return jax.tree.map(one, self.readouts, bias, is_leaf=lambda leaf: isinstance(leaf, nn.Module))
