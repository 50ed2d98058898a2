"""The suites `sampling` and `evaluation`: what trained models are used for, with initial parameters."""

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.data import bumps
from benchmarks.models import MODELS, TWO_STAGES, Model, likelihood_of, make_model, two_stages
from benchmarks.options import Options
from benchmarks.records import Record, record, share
from benchmarks.timing import Measure, alternate, gemm_ceiling, spread, timed
from jaxvae.applications.likelihood import likelihood_estimator
from jaxvae.capabilities import Generates, require
from jaxvae.data import padded_batches
from jaxvae.evaluation.likelihood import LikelihoodEstimate
from jaxvae.sampling import autoregressive
from jaxvae.training import evaluation_keys, in_batches
from jaxvae.types import Array, Dataset, ModelState, Params, PRNGKey, Samples

VAES = ("mlp", "conv", "resnet")
PIXEL_BY_PIXEL = ("gated_pixelcnn", "binary_pixelcnn")
PARTS = 10  # of the test images, for the spread
TEST_IMAGES = 10_000


def sampling(options: Options) -> Iterator[Record]:
    """Measure draws: by prior and decoder; pixel by pixel, with what the cache saves; code by code and decoded."""
    ceiling = gemm_ceiling(quick=options.quick)
    chosen = options.chosen((*VAES, *PIXEL_BY_PIXEL, TWO_STAGES))
    models = {name: make_model(name) for name in VAES if name in chosen}
    measures = {name: sampler(model, options.num_samples) for name, model in models.items()}
    seconds = alternate(measures, 3 * options.repetitions, options.seconds) if models else {}
    for name, model in models.items():
        yield sampling_record("sampling", name, model, seconds[name], ceiling, options.num_samples, options.quick)
    for name in PIXEL_BY_PIXEL:
        if name in chosen:
            yield from pixel_by_pixel(name, ceiling, options)
    if TWO_STAGES in chosen:
        yield grids_at_a_time(TWO_STAGES, two_stages(), ceiling, options)[0]


def pixel_by_pixel(name: str, ceiling: float, options: Options) -> Iterator[Record]:
    """Measure draws with the cache, and without it, which costs a pass of the net for every pixel."""
    model, num = make_model(name), options.num_grids
    cached, seconds = grids_at_a_time(name, model, ceiling, options)
    yield cached
    params, _ = initial(model)
    decoder = MODELS[name](None)
    likelihood = likelihood_of(decoder)

    @jax.jit
    def draw(key: PRNGKey) -> Array:
        keys = jax.random.split(key, num)
        return autoregressive(decoder, params, keys, likelihood.sample, cached=False)

    naive = alternate({"naive": timed(lambda: draw(jax.random.key(0)))}, 1 if options.quick else 2, options.seconds)
    yield record(
        "sampling",
        f"{name}, {num} at a time / without a cache",
        against="without a cache",
        speedup=spread(naive["naive"].min() / seconds),
        uncached_seconds=float(naive["naive"].min()),
        repetitions=len(seconds),
        quick=options.quick,
    )


def grids_at_a_time(name: str, model: Model, ceiling: float, options: Options) -> tuple[Record, np.ndarray]:
    """Measure draws of few images, or grids, at a time; return the seconds of each draw, too."""
    num = options.num_grids
    seconds = alternate({name: sampler(model, num)}, options.repetitions, options.seconds)[name]
    return sampling_record("sampling", f"{name}, {num} at a time", model, seconds, ceiling, num, options.quick), seconds


def sampler(model: Model, num: int) -> Measure:
    """Return the measure of drawing some images, other ones at every call."""
    params, model_state = initial(model)
    generate = require(model.system, Generates).sample
    numbers = itertools.count()

    @jax.jit
    def draw(number: Array, params: Params, model_state: ModelState) -> Samples:
        return generate(jax.random.key(number), params, model_state, num)

    return timed(lambda: draw(np.uint32(next(numbers)), params, model_state))


def sampling_record(
    suite: str, case: str, model: Model, seconds: np.ndarray, ceiling: float, num: int, quick: bool
) -> Record:
    """Return the record of draws of `num` images at a time."""
    rate = spread(num / seconds)
    return record(
        suite,
        case,
        images_per_second=rate,
        seconds=float(np.median(seconds)),
        **share(rate.median, model.flops.decoding, ceiling),
        num_samples=num,
        repetitions=len(seconds),
        quick=quick,
    )


def evaluation(options: Options) -> Iterator[Record]:
    """Measure the NLL of Burda's L = 1 model by importance sampling, in the batches of the experiments' reports."""
    yield nll_record("evaluation", make_model("burda"), gemm_ceiling(quick=options.quick), options, 100, 10)


def nll_record(
    suite: str, model: Model, ceiling: float, options: Options, batch_size: int, chunk_size: int, case: str = "burda"
) -> Record:
    """Measure the NLL of the test set, `batch_size` images and `chunk_size` samples of each at a time.

    The images go through in up to ten parts, whose rates give the quartiles; the seconds are the sum of all.
    """
    params, model_state = initial(model)
    images = bumps(options.nll_images, seed=2)
    estimate = likelihood_estimator(model.system, options.nll_samples, chunk_size)
    size = min(batch_size, len(images))
    in_part = size * -(-len(images) // (size * PARTS))  # whole batches
    parts = [images[start : start + in_part] for start in range(0, len(images), in_part)]

    def run(part: np.ndarray) -> LikelihoodEstimate:
        return in_batches(
            lambda start, batch: estimate(params, model_state, evaluation_keys(start, size), batch.x),
            Dataset(part, None),
            size,
        )

    timed(lambda: run(images[:size]))()  # compilation
    seconds = np.array([timed(lambda part=part: run(part))() for part in parts])
    flops_per_image = model.flops.encoding + options.nll_samples * model.flops.decoding
    rate = len(images) / float(np.sum(seconds))
    fewer = len(images) < TEST_IMAGES
    return record(
        suite,
        f"{case}, NLL of {len(images)} images, k = {options.nll_samples}",
        seconds=float(np.sum(seconds)),
        images_per_second=spread(np.array([len(part) for part in parts]) / seconds),
        extrapolated_seconds_of_10000_images=TEST_IMAGES / rate if fewer else None,
        **share(rate, flops_per_image, ceiling),
        num_images=len(images),
        num_samples=options.nll_samples,
        batch_size=size,
        chunk_size=chunk_size,
        quick=options.quick,
    )


def initial(model: Model) -> tuple[Params, ModelState]:
    """Return untrained parameters: the speed does not depend on their values."""
    batch = next(padded_batches(Dataset(model.data(100), None), 100))[1]
    return jax.jit(model.system.trainable.init)(jax.random.key(0), jax.tree.map(jnp.asarray, batch))
