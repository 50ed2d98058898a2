"""Tell what a model is, its numbers and what it can do; or what a file of compressed images has."""

import math
import shlex
from collections.abc import Iterator
from types import ModuleType

import jax

from jaxvae.applications.encoding import code_shapes
from jaxvae.capabilities import Codes, Encodes, GivenClasses, find
from jaxvae.commands import (
    anomaly,
    attribute,
    augment,
    classify,
    complete,
    compress,
    decode,
    decompress,
    denoise,
    encode,
    evaluate,
    explore,
    interpolate,
    reconstruct,
    sample,
    score,
    traverse,
)
from jaxvae.commands.compressed_info import is_compressed, print_compressed
from jaxvae.commands.flags import ImageFlags, called
from jaxvae.commands.given import load_model, said
from jaxvae.commands.run_flags import InfoFlags
from jaxvae.commands.verb_flags import FLAGS
from jaxvae.data.for_model import check_takes_images
from jaxvae.errors import UserError
from jaxvae.reports.console import lines
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.state import RunState, state_of
from jaxvae.runs.trained import Trained

DATA = "--data SOURCE"
# What follows the place of the model; every module says by `needed` which models it takes.
VERBS: dict[ModuleType, str] = {
    sample: "--num 64 --out samples.png",
    evaluate: "",
    reconstruct: f"{DATA} --out DIR",
    interpolate: "A.png B.png --out between.png",
    traverse: "--out latents.png",
    attribute: f"{DATA} --name smiling --attributes FILE.csv --out moved.png",
    complete: f"{DATA} --mask MASK.png --out DIR",
    denoise: f"{DATA} --out DIR",
    encode: f"{DATA} --out codes.csv",
    decode: "codes.csv --out DIR",
    compress: f"{DATA} --out images.jvz",
    decompress: "images.jvz --out DIR",
    score: f"{DATA} --out scores.csv",
    classify: f"{DATA} --out classes.csv",
    augment: f"{DATA} --out DIR",
    anomaly: f"--normal SOURCE {DATA} --out DIR",
    explore: f"{DATA} --out explorer.html",
}


def run(flags: InfoFlags) -> None:
    """Print what there is to know of a model, or of a file of compressed images."""
    if is_compressed(flags.run):
        print_compressed(flags.run)
        return
    trained = load_model(flags)
    place = trained.folder or flags.run
    state = state_of(place) if trained.folder else RunState("exported", trained.record, trained.summary)
    print(f"{place}: {trained.system.name}, {state}")
    for name, text in about(trained, state):
        print(f"  {name:<11} {text}")
    metrics = state.summary.get("metrics")
    if isinstance(metrics, dict):
        print("\nOn the test set:")
        print("\n".join(lines(metrics)))
    print("\nUse it:")
    examples = {_name(module): example for module, example in VERBS.items() if takes(module, trained)}
    if find(trained.system, GivenClasses) is not None:  # and image files have no class
        of_files = ("interpolate", "traverse")
        examples |= {verb: f"{examples[verb]} --label CLASS" for verb in of_files if verb in examples}
    for verb, example in {**examples, "export": "--out DIR"}.items():
        print(f"  {called(verb)} {shlex.quote(str(place))} {example}".rstrip())


def takes(verb: ModuleType, trained: Trained) -> bool:
    """Return whether a verb can be done with a model, by asking what would refuse it.

    Args:
      verb: the module of one of `VERBS`.
      trained: the model.
    """
    try:
        if issubclass(FLAGS[_name(verb)], ImageFlags):
            check_takes_images(trained.spec)
        verb.needed(trained)
    except UserError:
        return False
    return True


def about(trained: Trained, state: RunState) -> Iterator[tuple[str, str]]:
    """Yield what there is to know of a model, a name and a text each."""
    record, config, spec = trained.record, trained.config, trained.spec
    images = len(spec.shape) == 3
    yield "of", f"images of {said(spec)}" if images else f"rows of {spec.shape[0]} numbers"
    if spec.num_classes:
        yield "classes", f"{spec.num_classes}" + (f": {', '.join(spec.classes[:10])}" if spec.classes else "")
    size = f", resized to {config['image_size']}" if config.get("image_size") else ""
    source = f"{config['data']}{size}, " if config.get("data") else ""
    hashed = f", hash {trained.data_hash}" if trained.data_hash else ""
    yield "trained on", f"{source}{record.get('num_train', 0):,} {'images' if images else 'rows'}{hashed}"
    if record.get("init_from"):
        yield "begun from", record["init_from"]
    if state.summary.get("seconds") is not None:
        yield "training", f"{state.summary.get('steps', 0):,} steps in {state.summary['seconds']:,.0f} s"
    num_parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trained.params))
    yield "parameters", f"{num_parameters:,}, hash {fingerprint(trained)}"
    codes = find(trained.system, Codes)
    if images and (codes is not None or find(trained.system, Encodes) is not None):
        shapes = code_shapes(trained.system, trained.params, trained.model_state)
        of = f" of {' and '.join(map(str, codes.num_codes))}" if codes else ""
        yield "codes", f"{' and '.join('x'.join(map(str, shape)) for shape in shapes)}{of}"
    yield "can", f"\n{' ' * 14}".join(dict.fromkeys(one.verb for one in trained.system.use if hasattr(one, "verb")))
    yield "written by", f"jaxvae {record.get('jaxvae', '?')}, {record.get('experiment', '?')}"


# ---------- private


def _name(verb: ModuleType) -> str:
    return verb.__name__.rpartition(".")[2]
