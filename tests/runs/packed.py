"""A coder that packs the bits of values into words, whatever the model: what tests of files need."""

import numpy as np

from jaxvae.applications.compression.coder import ImageCoder, Stream
from jaxvae.errors import UserError
from jaxvae.runs.compressed_file import Compressed, pack

MODEL = "0123456789abcdef"  # hash of a model
INITIAL_BITS = 64  # of two words that hold no image


def packed_coder(num_values):
    """(system, params, model_state) -> a coder of images of so many values; None stands for those of the system."""

    def image_coder(system, params, model_state, **options):
        del params, model_state, options
        values_of, shape = num_values or system.spec.num_values, system.spec.shape
        depth = max(1, (values_of - 1).bit_length())

        def encode(values):
            assert values.dtype == np.uint8
            bits = np.unpackbits(values[..., None], axis=-1)[..., 8 - depth :]
            packed = np.packbits(bits.ravel())
            words = np.frombuffer(packed.tobytes() + bytes(-len(packed) % 4), "<u4")
            return Stream(np.concatenate([np.uint32([7, 8]), words]).astype(np.uint32), {}, INITIAL_BITS)

        def decode(stream, num):
            size = num * int(np.prod(shape)) * depth
            if len(stream.words) != 2 + -(-size // 32) or stream.words[0] != 7:
                raise UserError("The words are none of this model.")
            bits = np.unpackbits(np.frombuffer(stream.words[2:].astype("<u4").tobytes(), np.uint8))[:size]
            whole = np.zeros((num, *shape, 8), np.uint8)
            whole[..., 8 - depth :] = bits.reshape(num, *shape, depth)
            return np.packbits(whole, axis=-1)[..., 0]

        bound, bits = (lambda values, number=number: np.full(len(values), number) for number in (10.0, 64.0 * depth))
        return ImageCoder("bits back", values_of, encode, decode, bound, bits)

    return image_coder


def small(**changes):
    """The contents of a file of one image of no model."""
    stream = Stream(np.arange(1, 6, dtype=np.uint32), {}, 40)
    fields = {"coder": "bits back", "stream": stream, "model": MODEL, "shape": (28, 28, 1), "num_values": 2}
    return pack(Compressed(**fields | {"num_images": 1, "checksum": 77} | changes))
