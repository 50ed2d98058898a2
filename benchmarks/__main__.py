"""`python -m benchmarks NAME...`: measure, add the records to a folder, print them as tables."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax

from benchmarks.applications import applications
from benchmarks.compiling import compilation
from benchmarks.draws import draws
from benchmarks.gpu import gpu
from benchmarks.inference import evaluation, sampling
from benchmarks.lookup import lookup
from benchmarks.models import MODELS, TWO_STAGES
from benchmarks.options import QUICK, Options
from benchmarks.records import Record, append, newest, num_cores, tables
from benchmarks.sweeps import sweep
from benchmarks.training import layouts, train_step
from jaxvae.errors import UserError

SUITES: dict[str, Callable[[Options], Iterator[Record]]] = {
    "train_step": train_step,
    "layouts": layouts,
    "sampling": sampling,
    "applications": applications,
    "evaluation": evaluation,
    "sweep": sweep,
    "draws": draws,
    "compile": compilation,
    "lookup": lookup,
    "gpu": gpu,
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, or 1 with a sentence for what a person can mend."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in SUITES]
    if unknown:
        parser.error(f"there is no suite {', '.join(unknown)}: expected one of {', '.join(SUITES)}.")
    if bool(chosen.names) == chosen.table:
        parser.error(f"give the names of suites ({', '.join(SUITES)}), or --table alone.")
    if chosen.peer and not {"train_step", "gpu"} & set(chosen.names):
        parser.error("--peer belongs to the suites train_step and gpu.")
    if chosen.table:
        print(tables(newest(chosen.out)) or f"There are no results in {chosen.out}.")
        return 0

    jax.config.update("jax_enable_compilation_cache", False)  # compilation is measured
    if chosen.cpu_devices:
        jax.config.update("jax_num_cpu_devices", chosen.cpu_devices)
    load = os.getloadavg()[0]
    if load > num_cores() / 4 and not chosen.quick:
        print(
            f"warning: other programs are running (load average {load:.1f}): timings will say little.", file=sys.stderr
        )
    try:
        options = _options(chosen)
        for name in chosen.names:
            records = []
            for one in SUITES[name](options):
                append(chosen.out, one)
                records.append(one)
                print(f"{name}: {one['case']} is done.", file=sys.stderr)
            print(f"{tables(records)}\n")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"suites: {', '.join(SUITES)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; kept out of --table")
    models = (*MODELS, TWO_STAGES)
    only = f"only these of {', '.join(models)}"
    parser.add_argument("--models", nargs="+", choices=models, default=[], metavar="MODEL", help=only)
    parser.add_argument("--peer", choices=["torch"], help="time PyTorch in turns with the models it has too")
    parser.add_argument("--repetitions", type=int, metavar="N", help="turns of a comparison")
    parser.add_argument("--nll-images", type=int, metavar="N", help="of the suite evaluation, instead of 10000")
    parser.add_argument("--cpu-devices", type=int, metavar="N", help="share the CPU among several devices, for layouts")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="only print the newest results of all suites in DIR")
    return parser


def _options(chosen: argparse.Namespace) -> Options:
    given = {"repetitions": chosen.repetitions, "nll_images": chosen.nll_images}
    for name, value in given.items():
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected at least 1.")
    given = {name: value for name, value in given.items() if value is not None}
    return (QUICK if chosen.quick else Options())._replace(models=tuple(chosen.models), peer=chosen.peer, **given)


if __name__ == "__main__":
    sys.exit(main())
