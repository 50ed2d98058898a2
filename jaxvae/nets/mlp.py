"""Dense layers: from vectors or whole images to features.

References:
  He et al., "Delving deep into rectifiers", 2015, arXiv:1502.01852 (the initial kernels of layers before a relu).
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
from flax.typing import Dtype

from jaxvae.types import Array

Activation = Callable[[Array], Array]
Initializer = nn.initializers.Initializer


class MLP(nn.Module):
    """Dense layers with the activation after every one: [..., D] -> [..., hidden[-1]].

    Parameters: `dense_0`, `dense_1`, ..., each with `kernel` and `bias`.

    Attributes:
      hidden: the width of each layer.
      activation: elementwise function.
      kernel_init: of every kernel; the default keeps the scale of the signal through relu layers.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    hidden: Sequence[int]
    activation: Activation = nn.relu
    kernel_init: Initializer = nn.initializers.he_normal()
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, h: Array) -> Array:
        for i, width in enumerate(self.hidden):
            dense = nn.Dense(width, dtype=self.dtype, kernel_init=self.kernel_init, name=f"dense_{i}")
            h = self.activation(dense(h))
        return h


class MLPEncoder(nn.Module):
    """Features of flattened images: [..., H, W, C] -> [..., hidden[-1]].

    Parameters: those of `MLP`, under `mlp`.

    Attributes:
      hidden: the width of each layer.
      activation: elementwise function, after every layer.
      kernel_init: of every kernel.
      dtype: of the computation; parameters stay float32. None takes that of the input and the parameters together.
    """

    hidden: Sequence[int]
    activation: Activation = nn.relu
    kernel_init: Initializer = nn.initializers.he_normal()
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return MLP(self.hidden, self.activation, self.kernel_init, self.dtype, name="mlp")(flatten_image(x))


def flatten_image(x: Array) -> Array:
    """Make vectors of images or feature maps: [..., H, W, C] -> [..., H * W * C]."""
    return x.reshape(*x.shape[:-3], math.prod(x.shape[-3:]))
