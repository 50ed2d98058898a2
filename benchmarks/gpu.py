"""The suite `gpu`: everything worth knowing on one GPU, by one command and within minutes, the important first."""

import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.data import bumps
from benchmarks.inference import nll_record, sampler, sampling_record
from benchmarks.models import make_model
from benchmarks.options import Options
from benchmarks.peers import PEER_MODELS, Torch
from benchmarks.records import Record, compared, record, share
from benchmarks.steps import Steps, training_record
from benchmarks.sweeps import make_members, make_splits, make_training
from benchmarks.timing import alternate, gemm_ceiling, spread, timed
from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, Settings, fit, make_layout
from jaxvae.training.parallel import Kind
from jaxvae.types import Dataset, Splits

SUITE = "gpu"
DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}
LONG = 10  # times the usual number of steps in a program, which the host may not keep up with
LARGE = 8  # times the usual batch, which does not fill a GPU
NLL_SIZES = ((100, 10), (100, 100), (1000, 100))  # (images, samples of each) at a time; the first is the reports'
BURDA_BATCH = 256
BURDA_STEPS = 300_000  # about what Burda et al. trained for


def gpu(options: Options) -> Iterator[Record]:
    """Measure on a GPU.

    Raises:
      UserError: if there is none.
    """
    if jax.default_backend() != "gpu":
        raise UserError(f"The suite gpu needs a GPU, JAX has found {jax.default_backend()} alone: install jax[cuda13].")
    return everything(options)


def everything(options: Options) -> Iterator[Record]:
    """Measure on whatever device there is; no part begins after `options.minutes`."""
    began = time.perf_counter()
    ceilings = {name: gemm_ceiling(dtype or jnp.float32, options.quick) for name, dtype in DTYPES.items()}
    highest = {"float32 of the highest precision": gemm_ceiling(quick=options.quick, precision="highest")}
    for name, value in {**ceilings, **highest}.items():
        yield record(SUITE, f"GEMM {name}", gemm_flops_per_second=value, quick=options.quick)
    torch = Torch(options) if options.peer == "torch" else None
    prepared = functools.cache(lambda *case: _steps(options, *case))
    parts: list[tuple[str, Callable[[str], Iterator[Record]]]] = [
        ("mlp", lambda name: _training(name, options, ceilings, prepared, torch)),
        ("mlp", lambda name: _sweep(name, options, ceilings, prepared)),
        ("burda", lambda name: _nll(name, options, ceilings)),
        ("burda", lambda name: _fit(name, options, ceilings)),
        ("conv", lambda name: _training(name, options, ceilings, prepared, torch)),
        ("resnet", lambda name: _training(name, options, ceilings, prepared, torch)),
        *((name, lambda name: _training(name, options, ceilings, prepared, torch)) for name in ("resvae", "gated")),
        *((name, lambda name: _sampling(name, options, ceilings)) for name in ("mlp", "conv", "resnet")),
        ("gated_pixelcnn", lambda name: _training(name, options, ceilings, prepared, torch)),
        ("conv", lambda name: _sweep(name, options, ceilings, prepared)),
        ("resnet", lambda name: _sweep(name, options, ceilings, prepared)),
    ]
    chosen = options.chosen(tuple(dict.fromkeys(name for name, _ in parts)))
    try:
        for number, (name, part) in enumerate(parts):
            if time.perf_counter() - began > 60.0 * options.minutes:
                left = ", ".join(name for name, _ in parts[number:])
                print(f"warning: {options.minutes:g} minutes are over, parts left out: {left}.", file=sys.stderr)
                break
            if name in chosen:
                yield from part(name)
    finally:
        if torch:
            torch.close()


# ---------- private


def _steps(options: Options, name: str, dtype: str, kind: Kind, size: int = 1, length: int = 1) -> Steps:
    sizes = options.num_images, size * options.batch_size, length * options.num_steps
    return Steps(make_model(name, DTYPES[dtype]), make_layout(kind), *sizes)


def _training(
    name: str, options: Options, ceilings: dict[str, float], prepared: Callable[..., Steps], torch: Torch | None
) -> Iterator[Record]:
    """Steps one by one and as one program, in both types; many of them; large batches."""
    runs = {
        "step float32": prepared(name, "float32", "step"),
        "scan float32": prepared(name, "float32", "scan"),
        "scan bfloat16": prepared(name, "bfloat16", "scan"),
        "scan float32 long": prepared(name, "float32", "scan", 1, LONG),
        "scan float32 large": prepared(name, "float32", "scan", LARGE),
        "scan bfloat16 large": prepared(name, "bfloat16", "scan", LARGE),
    }
    runs = {f"{name} {case}": steps for case, steps in runs.items()}
    measures = {case: timed(steps) for case, steps in runs.items()}
    if torch and name in PEER_MODELS:
        measures |= torch.measures(name)
    seconds = alternate(measures, options.repetitions, options.seconds / 4)
    reference = f"{name} scan float32"
    rates = {case: steps.num_images / seconds[case] for case, steps in runs.items()}
    for case, steps in runs.items():
        ratio = {} if case == reference else compared(reference, rates[case] / rates[reference])
        yield training_record(SUITE, case, steps, seconds[case], ceilings[case.split()[2]], options.quick, **ratio)
    if torch and name in PEER_MODELS:
        yield from torch.records(SUITE, name, reference, seconds)


def _sweep(name: str, options: Options, ceilings: dict[str, float], prepared: Callable[..., Steps]) -> Iterator[Record]:
    """The members of a sweep as one program, in both types, beside one training."""
    members, splits = make_members(options), make_splits(options.num_images)
    models = {dtype: make_model(name, value) for dtype, value in DTYPES.items()}
    trainings = {dtype: make_training(model, splits, members, options) for dtype, model in models.items()}
    alone = prepared(name, "float32", "scan")
    measures = {"alone": timed(alone), **{dtype: timed(one.run) for dtype, one in trainings.items()}}
    seconds = alternate(measures, options.repetitions, options.seconds / 4)
    for dtype, model in models.items():
        rates = len(members) * alone.num_images / seconds[dtype]
        yield record(
            SUITE,
            f"{name} sweep {dtype}",
            images_per_second=spread(rates),
            **share(float(np.median(rates)), model.flops.training, ceilings[dtype]),
            **compared(f"{name} scan float32", rates * seconds["alone"] / alone.num_images),
            members=len(members),
            batch_size=options.batch_size,
            repetitions=len(rates),
            quick=options.quick,
        )


def _nll(name: str, options: Options, ceilings: dict[str, float]) -> Iterator[Record]:
    for dtype, value in DTYPES.items():
        for sizes in NLL_SIZES:
            case = f"{name} {dtype} by {sizes[0]} images, {sizes[1]} samples"
            yield nll_record(SUITE, make_model(name, value), ceilings[dtype], options, *sizes, case)


def _sampling(name: str, options: Options, ceilings: dict[str, float]) -> Iterator[Record]:
    options = options._replace(num_samples=10 * options.num_samples)
    model = make_model(name)
    measures = {name: sampler(model, options.num_samples)}
    seconds = alternate(measures, 3 * options.repetitions, options.seconds / 4)[name]
    yield sampling_record(
        SUITE, f"{name} sampling", model, seconds, ceilings["float32"], options.num_samples, options.quick
    )


def _fit(name: str, options: Options, ceilings: dict[str, float]) -> Iterator[Record]:
    """A whole training by `fit` as experiments do it: evaluations, checkpoints, compilation."""
    model = make_model(name)
    images = (255 * bumps(5 * options.num_images)).astype(np.uint8)
    splits = Splits(Dataset(images, None), *[Dataset(images[: options.num_images], None)] * 2)
    settings = Settings(options.fit_steps, BURDA_BATCH, eval_every=-(-options.fit_steps // 2), log_every=500)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with Checkpoints(folder) as checkpoints:
            result = fit(model.system, splits, settings, checkpoints=checkpoints, layout=make_layout("scan"))
        seconds = time.perf_counter() - began
    rate = result.images_per_second
    yield record(
        SUITE,
        f"{name} fit, {options.fit_steps} steps of {BURDA_BATCH}",
        seconds=seconds,
        compile_seconds=result.compile_seconds,
        images_per_second=rate,
        **share(rate, model.flops.training, ceilings["float32"]),
        extrapolated_seconds_of_300000_steps=BURDA_STEPS * BURDA_BATCH / rate,
        validation_loss=result.loop.best,
        quick=options.quick,
    )
