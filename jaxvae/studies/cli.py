"""The command line of an experiment: flags from its configuration, one run or a study, errors in one sentence."""

import importlib.util
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxvae.data.places import located
from jaxvae.errors import Diverged, UserError
from jaxvae.exits import ending
from jaxvae.reports.report import report
from jaxvae.runs.begun import beginning, reserve_folder
from jaxvae.runs.compiled import keep_compiled_programs
from jaxvae.runs.config import TrainingConfig
from jaxvae.runs.folder import on_primary, open_folder
from jaxvae.runs.names import import_listed
from jaxvae.runs.options import Options
from jaxvae.runs.records import experiment_module
from jaxvae.runs.train import Build, train
from jaxvae.studies import flags
from jaxvae.studies.axes import NONE, Axes, parse_axes
from jaxvae.studies.experiment import Experiment, Selection, load_data, quick_axes
from jaxvae.studies.study import print_next, run_study
from jaxvae.training import distributed


def main(config_class: type[Any], build: Build | None, description: str | None, **options: Any) -> None:
    """Run an experiment from the command line.

    Flags are made from `config_class` and `Options`. A `UserError` ends with one sentence and status 1, a wrong flag or
    type with status 2.

    Args:
      config_class: a `TrainingConfig` with a method `quick`.
      build: (config, spec) -> System; None where `run` does everything.
      description: the module's docstring.
      options: the other fields of `Experiment`: `sweep`, `arrays`, `select`, `run`, ....
    """
    if importlib.util.find_spec("tyro") is None:
        sys.exit('The command line needs tyro: pip install "jaxvae[experiments]".')
    keep_compiled_programs()
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of what is meant
    module = experiment_module(build or options["run"])
    experiment = Experiment(module.rpartition(".")[2], config_class, build, **options)
    too_large = "the networks, --batch-size or the images"
    with ending("what was saved stays, and --resume goes on with it.", too_large), beginning():
        default = config_class()
        if "--quick" in sys.argv:
            default = default.quick()
        config, chosen, quick = flags.parse(
            default,
            f"python -m {module}",
            _introduction(module, description or "", experiment),
            trains=issubclass(config_class, TrainingConfig),
            sweeps=experiment.run is None,
        )
        given = _given(sys.argv[1:])
        if chosen.distributed:
            distributed.initialize(chosen.coordinator, chosen.num_processes, chosen.process_id, chosen.timeout)
        import_listed(chosen.imports)
        if experiment.run is not None:
            experiment.run(config, chosen)
        else:
            run_experiment(experiment, config, chosen, axes_of(experiment, config, chosen.sweep, given, quick=quick))


def run_experiment(experiment: Experiment, config: Any, options: Options, axes: Axes) -> Path:
    """Train one model on its data, or those of a study; evaluate on the test set, draw figures; return the folder.

    Args:
      experiment: what to run.
      config: of the run.
      options: how to run.
      axes: what is varied; {} trains the one model.
    """
    assert experiment.build is not None
    if options.one_at_a_time and not axes and not options.resume:
        raise UserError("--one-at-a-time is of a study: name what is varied, --sweep FIELD=VALUE,VALUE,...")
    folder = run_folder(experiment.name, options)
    if axes:
        run_study(experiment, config, axes, folder, options)
        return folder
    splits, spec = load_data(experiment, config)
    if experiment.check is not None:
        experiment.check([config], options, splits, spec)
    if experiment.members is not None:
        if options.resume:
            open_folder(folder, {}, resume=True)  # of a run that is no part of a study
        (row,) = experiment.members([config], [folder], options, splits, spec)
        if "failure" in row:
            raise Diverged(row["failure"])
        if distributed.is_primary():
            print_next(folder, folder)
        return folder
    chosen = experiment.select(config, splits) if experiment.select else Selection(splits)
    trained = train(config, experiment.build, chosen.trained_on(), spec, folder, options)
    if distributed.is_primary():
        report(trained, chosen.trained_on(), evaluation=experiment.evaluation)
    return folder


def axes_of(experiment: Experiment, config: Any, texts: Sequence[str], given: frozenset[str], *, quick: bool) -> Axes:
    """Return what is varied: what `--sweep` says, else the default study without the fields that are given as flags.

    Args:
      experiment: whose default study it is.
      config: whose fields are varied.
      texts: of `--sweep`.
      given: fields that were given as flags, which a default study does not vary.
      quick: whether `--quick` was given.

    Raises:
      UserError: if a field is both a flag and swept.
    """
    if tuple(texts) == (NONE,):
        return {}
    if texts:
        axes = parse_axes(texts, config)
        both = [name for name in axes if name in given]
        if both:
            flag = both[0].replace("_", "-")
            raise UserError(f"--{flag} and --sweep {both[0]}=... are both given: leave one of them out.")
        return axes
    default = experiment.sweep or {}
    if quick and default:
        default = experiment.quick_sweep or quick_axes(default)
    return {name: values for name, values in default.items() if name not in given}


def run_folder(name: str, options: Options) -> Path:
    """Return OUT/EXPERIMENT/NAME, the same in all processes; without a name it is date and time, and made at once."""
    if options.name is None and options.resume:
        raise UserError("--resume needs the --name of the run to continue.")
    parent = located(options.out, "--out ") / name
    if options.name:
        return parent / options.name
    names = [time.strftime("%Y%m%d-%H%M%S")]
    on_primary(lambda: names.append(reserve_folder(parent, names[0]).name))
    return parent / distributed.text_of_primary(names[-1])


# ---------- private


def _introduction(module: str, description: str, experiment: Experiment) -> str:
    """What `--help` opens with: what the experiment is, and lines to type."""
    example = f"python -m {module}"
    lines = [description.strip(), "", "Examples:", f"  {example} --quick"]
    if experiment.run is None and experiment.load is None:
        lines.append(f"  {example} --data folder:MY_IMAGES --name mine")
    if experiment.sweep:
        fields = " ".join(f"{name}={','.join(map(str, values))}" for name, values in experiment.sweep.items())
        lines += ["", f"By default a study: --sweep {fields}.", "One model: --sweep none."]
    return "\n".join(lines)


def _given(arguments: Sequence[str]) -> frozenset[str]:
    """The fields whose flags are on the command line, also as --no-FIELD and --FIELD=VALUE."""
    names = [word.partition("=")[0][2:].replace("-", "_") for word in arguments if word.startswith("--")]
    return frozenset({*names, *(name.removeprefix("no_") for name in names)})
