"""Command lines that nobody means: flags of every experiment with values that are absurd, hostile or contradictory."""

import importlib
import types
import typing

import numpy as np

from experiments.__main__ import experiments
from jaxvae.runs.options import Options

EXPERIMENTS = tuple(experiments())
TINY = {
    "steps": "2",
    "eval_every": "1",
    "batch_size": "8",
    "nll_samples": "2",
    "codec_steps": "2",
    "phase_steps": "2",
    "labels": "9",
}
CLUSTER = ("distributed", "coordinator", "num_processes", "process_id")
HUGE = ("100000000000000000000", "-100000000000000000000", "9" * 5000, "2147483648", "1000000000", "1000000")
ODD = ("", " 7 ", "--", "x", "True", "none", "1e5", "1e308", "1e-320", "0x10", "1_000", "٣", "０", "½", "1,5", "3;4")
NUMBERS = ("0", "-1", "1", "2", "3", "0.5", "1.0000001", "inf", "-inf", "nan", *HUGE, *ODD)
MILD = ("0", "1", "2", "3", "4", "5", "8", "16", "0.5", "0.1", "64", "1000000")
PATHS = (
    *(
        "",
        "/",
        "-",
        "--",
        ".",
        "..",
        "../x",
        "-x",
        "*",
        "%s",
        "{}",
        "~nobody",
        "~nobody/x",
        "/dev/null",
        "/proc/x",
        "none",
    ),
    *("a" * 5000, "/" * 3000, "x/" * 3000, "\0", "a\0b", "\n", "a b", "😀", "\udce4", "a\tb"),
)
DATA = (
    *("", ":", "x:y", "Digits", "digits:", "digits:x", "npz:", "folder:", "idx:", "tfds:", "binarized_mnist:"),
    *("stacked:", "stacked:x", "stacked:npz:.", "stacked:stacked:digits", "stacked:folder:/dev"),
    *("npz:.", "npz:/dev/zero", "npz:/dev/null", "npz:~not-a-user/x", "npz:\0", "npz:npz:x", "folder:/dev", "idx:/dev"),
    *("folder:" + "a/" * 3000, "npz:" + "a" * 5000, "tfds:../x", "binarized_mnist:/dev/zero", "folder:\udce4"),
)
SWEEPS = (
    *("none", "none none", "", "=", "seed", "seed=", "seed=0,0", "seed=0,1", "seed=-1", "seed=٣", "seed=0,x", "a=b=c"),
    *("seed=" + ",".join(map(str, range(50_000))), "seed=" + "9" * 6000, "seed=0 seed=1", "seed=0,1 steps=0,1", "\0=1"),
    *("nothing=1", "name=x", "sweep=x", "out=x", "data=digits,npz:x", "latent_dim=0,1", "latent_dim=1e3", "patience=x"),
    *("learning_rate=nan", "learning_rate=inf,1", "learning_rate=1e-3,2e-3", "batch_size=4,8", "hidden=3x3,"),
    *("likelihood=x", "precision=float64", "clip_norm=none,1", "image_size=4,8", "image_size=4,4097", "resume=true"),
)
TUPLES = (
    *("0", "-1", "1 1", "3 3", "0.5", "x", "inf", "nan", " ", "1000000", "100000000000000000000"),
    *(" ".join(["1000000"] * 5), " ".join(["1"] * 500)),
)


def command_line(name: str, inputs: dict[str, list[str]], rng: np.random.Generator) -> list[str]:
    """Draw a command line of an experiment: small sizes, and up to four other flags.

    Args:
      name: of the experiment.
      inputs: "data", sources of small images; "broken", sources that are none; "runs", folders of trained models.
      rng: of the draw.

    Returns:
      The words after `python -m experiments.NAME`.
    """
    config = importlib.import_module(f"experiments.{name}").Config
    kinds = {**typing.get_type_hints(config), **typing.get_type_hints(Options)}
    given = {field: value for field, value in {**TINY, "data": _drawn(inputs["data"], rng)}.items() if field in kinds}
    given |= {"out": "out"} | ({"name": "a"} if rng.random() < 0.8 else {})
    given |= {"sweep": "none"} if rng.random() < 0.5 else {}
    mild = rng.random() < 0.6  # what is possible one by one, and may contradict the others
    fields = [field for field in kinds if field not in (*CLUSTER, "timeout", *((*TINY, "out", "name") if mild else ()))]
    chosen = list(rng.choice(fields, min(len(fields), int(rng.integers(1, 5))), replace=False))
    if rng.random() < 0.1:
        chosen.append(_drawn(CLUSTER[1:], rng))
    for field in chosen:
        values = _mild(field, kinds[field], inputs) if mild else ()
        given[field] = _drawn(values or _hostile(field, kinds[field], inputs), rng)
    words = ["--quick"] if rng.random() < 0.7 else []
    for field, value in given.items():
        flag = "--" + {"imports": "import"}.get(field, field).replace("_", "-")
        several = field == "sweep" or typing.get_origin(kinds[field]) is tuple
        separate = value.split() if several and value.strip() else [] if kinds[field] is bool else [value]
        words += [f"{flag}={value}"] if rng.random() < 0.2 and not several else [flag, *separate]
    return words


def _hostile(field: str, kind: typing.Any, inputs: dict[str, list[str]]) -> typing.Sequence[str]:
    if field in ("data", "sweep"):
        return (*DATA, *inputs["broken"]) if field == "data" else SWEEPS
    if field == "out":
        return [path for path in PATHS if path not in ("/", "..", "../x", "/" * 3000)]  # where a folder may be made
    if words := _words(kind):
        return (*words, "", "x", words[0].upper())
    if typing.get_origin(kind) is tuple and field not in ("runs", "imports"):
        return TUPLES
    return NUMBERS if {int, float} & set(_options(kind)) else PATHS


def _mild(field: str, kind: typing.Any, inputs: dict[str, list[str]]) -> typing.Sequence[str]:
    if field in ("data", "runs", "codec", "encoder", "init_from"):
        return inputs["data" if field == "data" else "runs"]
    if int in _options(kind):
        return [number for number in MILD if "." not in number]
    return MILD if float in _options(kind) else _words(kind)


def _words(kind: typing.Any) -> list[str]:
    """The words that a field may be."""
    literal = [option for option in _options(kind) if typing.get_origin(option) is typing.Literal]
    return [str(value) for option in literal for value in typing.get_args(option)]


def _options(kind: typing.Any) -> tuple[typing.Any, ...]:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _drawn(values: typing.Sequence[str], rng: np.random.Generator) -> str:
    return values[int(rng.integers(len(values)))]
