"""The suite `sweep`: many MLP VAEs as one program, against one after another."""

import itertools
from collections.abc import Iterator

import jax

from benchmarks.data import bumps
from benchmarks.models import Model, make_model
from benchmarks.options import Options
from benchmarks.records import Record, record
from benchmarks.timing import alternate, spread, timed
from jaxvae.training import Member, Settings, fit, fit_sweep, make_layout
from jaxvae.training.parallel import sweep_layout
from jaxvae.training.trainer import Training
from jaxvae.types import Dataset, Splits, System

ENDLESS = 10**9  # steps, of trainings that are only measured on their way


def sweep(options: Options) -> Iterator[Record]:
    """Measure 8 betas x 2 seeds: on the way, and as a whole with compilation."""
    model, members, splits = make_model("mlp"), make_members(options), make_splits(options.num_images)
    together = make_training(model, splits, members, options)
    alone = make_training(model, splits, members[:1], options)
    images = len(members) * options.batch_size * options.num_steps

    def one_after_another() -> None:
        for _ in members:  # one of them stands for all: they are the same program on other numbers
            alone.run()

    measures = {"sweep": timed(together.run), "separate": timed(one_after_another)}
    seconds = alternate(measures, options.repetitions, options.seconds)
    common = {"members": len(members), "batch_size": options.batch_size, "quick": options.quick}
    yield record(
        "sweep",
        "mlp, warm steps",
        images_per_second=spread(images / seconds["sweep"]),
        separate_images_per_second=spread(images / seconds["separate"]),
        against=f"{len(members)} trainings one after another",
        speedup=spread(seconds["separate"] / seconds["sweep"]),
        repetitions=len(seconds["sweep"]),
        **common,
    )

    settings = Settings(
        steps=options.sweep_epochs * options.num_steps,
        batch_size=options.batch_size,
        eval_every=options.sweep_epochs * options.num_steps,
        log_every=options.num_steps,
    )

    def whole_sweep() -> list:
        jax.clear_caches()
        return [result.best for result in fit_sweep(model.system, splits, members, settings)]

    def whole_separate() -> list:
        results = []
        for member in members:
            jax.clear_caches()  # each traces and compiles all of its programs, as a process of its own would
            system = with_hparams(model, member)
            results.append(fit(system, splits, settings, seed=member.seed, layout=make_layout("scan")).best)
        return results

    whole = {"sweep": timed(whole_sweep), "separate": timed(whole_separate)}
    seconds = alternate(whole, min(options.repetitions, 3), warm_up=False)
    yield record(
        "sweep",
        "mlp, whole with compilation",
        seconds=spread(seconds["sweep"]),
        separate_seconds=spread(seconds["separate"]),
        against=f"{len(members)} fits one after another",
        speedup=spread(seconds["separate"] / seconds["sweep"]),
        steps=settings.steps,
        repetitions=len(seconds["sweep"]),
        **common,
    )


def make_members(options: Options) -> list[Member]:
    """Return the members of a sweep: betas from 0.25 upwards by factors of the square root of 2, and seeds."""
    betas = [0.25 * 2 ** (i / 2) for i in range(options.num_betas)]
    return [Member(seed, {"beta": beta}) for beta, seed in itertools.product(betas, range(options.num_seeds))]


def with_hparams(model: Model, member: Member) -> System:
    """Return the system that trains as a member of a sweep does."""
    trainable = model.system.trainable
    return model.system._replace(trainable=trainable._replace(hparams={**trainable.hparams, **member.hparams}))


def make_splits(num_images: int) -> Splits:
    """Return synthetic images: a tenth as many to validate and test."""
    sizes = (num_images, max(num_images // 10, 1), max(num_images // 10, 1))
    return Splits(*(Dataset(bumps(size, seed), None) for seed, size in enumerate(sizes)))


def make_training(model: Model, splits: Splits, members: list[Member], options: Options) -> Training:
    """Return what `fit` (one member) or `fit_sweep` (several) drives; its `run` takes the steps of one program."""
    settings = Settings(ENDLESS, options.batch_size, eval_every=ENDLESS, log_every=options.num_steps)
    together = len(members) > 1
    layout = sweep_layout(len(members)) if together else make_layout("scan")
    return Training(model.system, splits, members, settings, layout, together=together)
