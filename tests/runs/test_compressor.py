"""Images of a model to bytes and back, whatever codes them."""

import dataclasses
import sys
import zlib

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.applications.compression.coders import image_coder
from jaxvae.runs import compressed_file, compressor
from jaxvae.runs.compressed_file import pack, unpack
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.records import run_record
from jaxvae.runs.trained import Trained
from tests.drawn import normal_like
from tests.runs.packed import INITIAL_BITS, packed_coder

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 8, 8, 1), np.uint8)
BINARY = RNG.integers(0, 2, (5, 8, 8, 1), np.uint8)


def untrained(num_values, seed=0):
    system = jv.systems.vae(jv.DataSpec((8, 8, 1), num_values, 0), latent_dim=3, net="mlp")
    params = normal_like(jax.eval_shape(lambda: system.trainable.init(jax.random.key(seed), EXAMPLE))[0], 0.1 + seed)
    return Trained(system, params, {}, run_record(system, {}, 10))


EXAMPLE = jv.Batch(np.zeros((2, 8, 8, 1), np.uint8), None, np.ones(2, np.float32))
MODEL = {num_values: untrained(num_values) for num_values in (2, 256)}


@pytest.fixture(autouse=True)
def packed(monkeypatch):
    """The coder of all models packs bits."""
    monkeypatch.setattr(compressor, "image_coder", packed_coder(None))


@pytest.mark.parametrize("num_values", [2, 256])
def test_images_come_back(num_values):
    model, x = MODEL[num_values], BINARY if num_values == 2 else GREY
    for images in (x, x[:1], x[..., 0], x.astype(np.float64) / (num_values - 1), x.astype(np.int64)):
        back = model.decompress(model.compress(images))
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, x[: len(images)])
    assert model.compress(x) == model.compress(x)


def test_black_and_white_come_back_as_zeros_and_ones():
    for images in (BINARY * 255, BINARY.astype(bool)):
        np.testing.assert_array_equal(MODEL[2].decompress(MODEL[2].compress(images)), BINARY)


def test_a_coder_of_binarised_images_takes_black_and_white_ones(monkeypatch):
    """Its model was trained on grey images."""
    monkeypatch.setattr(compressor, "image_coder", packed_coder(2))
    np.testing.assert_array_equal(MODEL[256].decompress(MODEL[256].compress(BINARY)), BINARY)
    with pytest.raises(jv.UserError, match="The images are grey, the model is of black and white ones"):
        MODEL[256].compress(GREY)


def test_a_file_says_what_it_is():
    data = MODEL[256].compress(GREY)
    found = unpack(data).compressed
    assert found.model == fingerprint(MODEL[256])[:8]
    assert (found.coder, found.shape, found.num_values, found.num_images) == ("bits back", (8, 8, 1), 256, 5)
    assert found.checksum == zlib.crc32(GREY.tobytes())
    assert found.stream.initial_bits == INITIAL_BITS
    assert (found.names, found.lossless, found.binarized) == (None, True, "")


def test_images_that_are_none_of_the_model_are_refused():
    for images, message in (
        (GREY / 255 + 0.001 * (GREY < 200), "floats between the 256 values of the model's pixels: round them"),
        (np.zeros((2, 4, 4), np.uint8), "The images are of 4x4 pixels"),
        (np.zeros((0, 8, 8), np.uint8), "expected at least one image"),
    ):
        with pytest.raises(jv.UserError, match=message):
            MODEL[256].compress(images)


def test_what_is_no_file_of_the_model_is_refused(monkeypatch):
    model = MODEL[256]
    data = model.compress(GREY)
    other = dataclasses.replace(model, params=jax.tree.map(lambda leaf: leaf + 1, model.params))
    with pytest.raises(jv.UserError, match="written with another model, of hash [0-9a-f]{8}, not with vae of hash"):
        other.decompress(data)
    with pytest.raises(jv.UserError, match="8x8 pixels, 1 channel and 256 values, the model's are of .* 2 values"):
        MODEL[2].decompress(data)
    with pytest.raises(jv.UserError, match="The data are of type str, expected the bytes that compress gives"):
        model.decompress("a.jvz")
    installed = compressed_file.version
    later = lambda name: "0.6.1" if name == "constriction" else installed(name)  # noqa: E731
    monkeypatch.setattr(compressor, "version", later)
    with pytest.raises(jv.UserError, match=r"constriction 0\.5, whose words constriction 0\.6, which is installed"):
        model.decompress(data)


def test_other_pixels_than_were_coded_are_refused():
    model = MODEL[256]
    found = unpack(model.compress(GREY)).compressed
    with pytest.raises(jv.UserError, match="does not decode to what was coded: this device"):
        model.decompress(pack(found._replace(checksum=found.checksum ^ 1)))
    short = found.stream._replace(words=found.stream.words[:-1])
    with pytest.raises(jv.UserError, match="does not decode to what was coded: this device"):
        model.decompress(pack(found._replace(stream=short)))


def test_pixels_of_a_lossy_coder_may_be_rounded_otherwise_elsewhere(monkeypatch):
    whole = packed_coder(None)

    def halved(*model, **options):
        coder = whole(*model)
        return coder._replace(name="codes", encode=lambda x: coder.encode(x // 2 * 2), lossless=False)

    monkeypatch.setattr(compressor, "image_coder", halved)
    data = MODEL[256].compress(GREY)
    np.testing.assert_array_equal(MODEL[256].decompress(data), GREY // 2 * 2)
    assert unpack(data).compressed.checksum is None


def test_without_constriction_it_says_what_to_install(monkeypatch):
    data = MODEL[256].compress(GREY)
    monkeypatch.setitem(sys.modules, "constriction", None)
    for call in (lambda: MODEL[256].compress(GREY), lambda: MODEL[256].decompress(data)):
        with pytest.raises(jv.UserError, match=r'constriction, .*: pip install "jaxvae\[compression\]"'):
            call()


def test_three_hundred_damaged_files_are_one_sentence_each():
    rng, data = np.random.default_rng(2), MODEL[256].compress(GREY)
    for _ in range(300):
        bad = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            bad[rng.integers(len(bad))] ^= int(rng.integers(1, 256))
        if bad == data:
            continue
        with pytest.raises(jv.UserError) as error:
            MODEL[256].decompress(bytes(bad))
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_words_of_bits_back_that_are_damaged_are_one_sentence(monkeypatch):
    """Their check sums belong to them, so that the coder itself meets them."""
    monkeypatch.setattr(compressor, "image_coder", image_coder)
    model, rng = MODEL[2], np.random.default_rng(3)
    images = rng.integers(0, 2, (40, 8, 8), np.uint8)
    data = model.compress(images)
    np.testing.assert_array_equal(model.decompress(data)[..., 0], images)
    found = unpack(data).compressed
    for number in range(60):
        words, settings, num = found.stream.words.copy(), dict(found.stream.settings), 40
        if number % 3 == 0:
            words[rng.integers(len(words))] ^= np.uint32(1) << np.uint32(rng.integers(32))
        elif number % 3 == 1:
            words = words[: rng.integers(len(words))]
        else:
            name = str(rng.choice(list(settings)))
            settings[name] = int(rng.choice([settings[name] + 1, 1, 255, 2**20]))
            num = 40 if settings != found.stream.settings else 41
        stream = found.stream._replace(words=words, settings=settings, initial_bits=0)
        try:
            back = model.decompress(pack(found._replace(stream=stream, num_images=num)))
        except jv.UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(back[..., 0], images)  # a setting that changes nothing
