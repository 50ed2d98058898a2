"""Compression: images as the words of an entropy coder, and back, under the probabilities of a trained model.

`coder` is what all ways of coding have in common, `bits_back` and others are these ways. `grids` and `values` make the
same probabilities on both sides, `pixels` those of images, `entropy` words of them.
"""

from jaxvae.lazy import names_when_used

__getattr__ = names_when_used(__name__)  # modules
