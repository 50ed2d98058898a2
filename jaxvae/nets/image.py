"""Networks from images to features and from latents to the parameters of p(x | z).

A decoder is two modules: a net, z [..., D] -> features [..., F] or a feature map [..., h, w, C], and one `ImageDecoder`
that reads the parameters of the likelihood from them, whatever their number and shapes.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import unfreeze

from jaxvae.types import Array


class ImageDecoder(nn.Module):
    """z -> the parameters of the likelihood, a pytree like `param_shapes` with the leading axes of z.

    From features [..., F] every leaf is read by one dense layer.

    Parameters: `net`; for every leaf a bias-free layer, `readout` where `param_shapes` is a single leaf and
    `readout_<key>` in a dict or NamedTuple; and `bias`, one pytree of the structure and shapes of `param_shapes` (those of
    one image, so a bias for each pixel), zero at first. A model sets it to the parameters of the mean image:

      params["decoder"]["bias"] = likelihood.init_bias(mean_image)

    Attributes:
      net: [..., D] -> [..., F].
      param_shapes: pytree of `jax.ShapeDtypeStruct`, the parameters of one image: `likelihood.param_shapes(shape)`.
    """

    net: nn.Module
    param_shapes: Any

    @nn.compact
    def __call__(self, z: Array, x: Array | None = None) -> Any:
        """Give the parameters of p(x | z).

        Args:
          z: latents, [..., D].
          x: the image; not read here, a pixel depends on z alone. Autoregressive decoders do read it.

        Returns:
          The pytree of `param_shapes`, each leaf [..., *shape].
        """
        del x
        shapes = unfreeze(self.param_shapes)  # Linen turns dicts that are attributes into FrozenDicts
        features = self.net(z)
        bias = self.param("bias", lambda key: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))

        def read(path: Any, leaf: jax.ShapeDtypeStruct, leaf_bias: Array) -> Array:
            name = "_".join(["readout", *(jax.tree_util.keystr((key,), simple=True) for key in path)])
            y = nn.Dense(math.prod(leaf.shape), use_bias=False, name=name)(features)
            y = y.reshape(*z.shape[:-1], *leaf.shape)
            return y + jnp.broadcast_to(leaf_bias, y.shape)

        return jax.tree_util.tree_map_with_path(read, shapes, bias)
