"""How images are coded, whatever the model: what its words are made of, and what gives them back."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Stream(NamedTuple):
    """What an entropy coder made of images."""

    words: np.ndarray  # [W] uint32
    settings: Mapping[str, int]  # whole numbers >= 1 that decoding needs beside the words and the number of images
    initial_bits: int  # of the words, those that hold no image: with which bits back begins


class ImageCoder(NamedTuple):
    """Codes images under a trained model. Values are uint8 [N, H, W, C], 0 to num_values - 1."""

    name: str
    num_values: int  # V that a pixel takes
    encode: Callable[[np.ndarray], Stream]
    decode: Callable[[Stream, int], np.ndarray]  # (stream, N); a UserError where the words are none of this model
    bound: Callable[[np.ndarray], np.ndarray]  # nats of every image that the words are held against, [N]
    bits_of_each: Callable[[np.ndarray], np.ndarray]  # bits that each image adds to the words, [N]
    lossless: bool = True
