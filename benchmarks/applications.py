"""The suite `applications`: what a person calls on a trained model, against the bare jitted function below it.

And the start: seconds to the first images of a shipped model.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.data import bumps
from benchmarks.first_output import first_outputs
from benchmarks.inference import VAES, initial
from benchmarks.models import Model, make_model
from benchmarks.options import Options
from benchmarks.records import Record, record
from benchmarks.timing import Measure, alternate, spread, timed
from jaxvae.capabilities import Decodes, Encodes, require
from jaxvae.runs.trained import Trained

BATCH = 100  # images at a time in the bare functions, as in the methods: of 500, convolutions take twice as long
BOUND = 1.3  # times the bare function's seconds, that a method may take


def applications(options: Options) -> Iterator[Record]:
    """Measure `Trained.sample` and `Trained.encode` against the jitted decoder and encoder, and cold starts."""
    if not options.models:
        yield from first_outputs(options)
    num = 200 if options.quick else 10_000
    for name in options.chosen(VAES):
        model = make_model(name)
        trained = Trained(model.system, *initial(model), {"config": {}})
        images = bumps(num, seed=3)
        pairs = {
            "sample": (timed(lambda trained=trained: trained.sample(num)), bare_decoder(model, num)),
            "encode": (timed(lambda trained=trained, x=images: trained.encode(x)), bare_encoder(model, images)),
        }
        for verb, (method, bare) in pairs.items():
            seconds = alternate({"method": method, "bare": bare}, options.repetitions, options.seconds)
            ratios = seconds["method"] / seconds["bare"]
            yield record(
                "applications",
                f"{name}, {verb} {num:,}",
                seconds=float(np.median(seconds["method"])),
                images_per_second=spread(num / seconds["method"]),
                bare_seconds=float(np.median(seconds["bare"])),
                times_bare=spread(ratios),
                bound=BOUND,
                repetitions=len(ratios),
                quick=options.quick,
            )


def bare_decoder(model: Model, num: int) -> Measure:
    """Return the measure of decoding latents that are there, without any draw of pixels."""
    params, model_state = initial(model)
    decode = jax.jit(require(model.system, Decodes).decode)
    dim = latent_dim(model)
    z = np.random.default_rng(0).standard_normal((num, dim)).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), min(BATCH, num))

    def run() -> np.ndarray:
        parts = [decode(params, model_state, keys, jnp.asarray(z[i : i + BATCH])) for i in range(0, num, BATCH)]
        return np.concatenate([np.asarray(part) for part in parts])

    return timed(run)


def bare_encoder(model: Model, images: np.ndarray) -> Measure:
    """Return the measure of encoding images that are prepared."""
    params, model_state = initial(model)
    encode = jax.jit(require(model.system, Encodes).encode)
    x = images.astype(np.float32) / 255.0
    keys = jax.random.split(jax.random.key(0), min(BATCH, len(x)))

    def run() -> np.ndarray:
        parts = [encode(params, model_state, keys, jnp.asarray(x[i : i + BATCH]))[0] for i in range(0, len(x), BATCH)]
        return np.concatenate([np.asarray(part) for part in parts])

    return timed(run)


def latent_dim(model: Model) -> int:
    """Return the number of latent dimensions of a VAE."""
    params, model_state = initial(model)
    x = jnp.zeros((1, *model.system.spec.shape))
    keys = jax.random.split(jax.random.key(0), 1)
    shapes = jax.eval_shape(require(model.system, Encodes).encode, params, model_state, keys, x)
    return int(shapes[0].shape[-1])
