"""Tell what a model is, what it was trained on, its numbers, and what it can do."""

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax

from jaxvae.applications.encoding import code_shapes
from jaxvae.capabilities import (
    Classifies,
    Codes,
    Completes,
    Decodes,
    Encodes,
    Generates,
    Infers,
    Scores,
    ScoresExactly,
    find,
)
from jaxvae.commands.flags import ModelFlags, called
from jaxvae.commands.given import load_model, said
from jaxvae.reports.console import lines
from jaxvae.runs.state import RunState, state_of
from jaxvae.runs.trained import Trained


class Verb(NamedTuple):
    """What is done with a model."""

    needs: tuple[tuple[type, ...], ...]  # all capabilities of one of the groups
    example: str  # what follows the place of the model


DATA = "--data SOURCE"
VERBS = {
    "sample": Verb(((Generates,),), "--num 64 --out samples.png"),
    "reconstruct": Verb(((Codes,), (Encodes, Decodes)), f"{DATA} --out DIR"),
    "interpolate": Verb(((Encodes, Decodes),), "A.png B.png --out between.png"),
    "traverse": Verb(((Encodes, Decodes),), "--out latents.png"),
    "complete": Verb(((Completes,),), f"{DATA} --mask MASK.png --out DIR"),
    "denoise": Verb(((Codes,), (Encodes, Decodes)), f"{DATA} --out DIR"),
    "encode": Verb(((Codes,), (Encodes,)), f"{DATA} --out codes.csv"),
    "decode": Verb(((Codes,), (Encodes, Decodes)), "codes.csv --out DIR"),
    "score": Verb(((Scores,), (ScoresExactly,)), f"{DATA} --out scores.csv"),
    "classify": Verb(((Classifies,),), f"{DATA} --out classes.csv"),
    "explore": Verb(((Infers, Decodes),), f"{DATA} --out explorer.html"),
    "export": Verb(((),), "--out DIR"),
}


@dataclass(frozen=True, kw_only=True)
class Flags(ModelFlags):
    """Which model."""


def run(flags: Flags) -> None:
    """Print what there is to know of a model."""
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
    for verb, (groups, example) in VERBS.items():
        takes_images = len(trained.spec.shape) == 3 or DATA not in example
        if takes_images and any(all(_has(trained, kind) for kind in kinds) for kinds in groups):
            print(f"  {called(verb)} {shlex.quote(str(place))} {example}")


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
    yield "parameters", f"{sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trained.params)):,}"
    codes = find(trained.system, Codes)
    if images and (codes is not None or find(trained.system, Encodes) is not None):
        shapes = code_shapes(trained.system, trained.params, trained.model_state)
        of = f" of {' and '.join(map(str, codes.num_codes))}" if codes else ""
        yield "codes", f"{' and '.join('x'.join(map(str, shape)) for shape in shapes)}{of}"
    yield "can", f"\n{' ' * 14}".join(dict.fromkeys(one.verb for one in trained.system.use if hasattr(one, "verb")))
    yield "written by", f"jaxvae {record.get('jaxvae', '?')}, {record.get('experiment', '?')}"


# ---------- private


def _has(trained: Trained, kind: type) -> bool:
    return any(isinstance(one, kind) for one in trained.system.use)
