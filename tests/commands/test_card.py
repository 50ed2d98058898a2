"""What a card says of a model: the commands that make it again, its numbers, how its weights are kept."""

import jaxvae as jv
from jaxvae.commands.card import card, command_of, exported_by
from tests.runs.small import BUILDS, SPEC


def test_commands_are_flags_with_what_is_false_too():
    config = {"steps": 3, "channels": [4, 8], "flip": False, "cosine": True, "image_size": None, "data": "npz:a b.npz"}
    assert command_of({"experiment": "experiments.vqvae", "config": config}) == (
        "python -m experiments.vqvae --steps 3 --channels 4 8 --no-flip --cosine --data 'npz:a b.npz'"
    )
    config = {"model": "vae", "data": "digits", "eval_every": 3, "steps": 9}
    assert command_of({"experiment": "vae", "config": config}) == (
        "python -m jaxvae train --model vae --data digits --steps 9 --out RUN"
    )
    assert command_of({"experiment": "vae", "config": {"steps": 9}}) is None
    assert exported_by("a b", "CC0", True) == "python -m jaxvae export RUN --out 'a b' --licence CC0 --half"


def test_a_card_has_the_first_stage_and_the_data_of_both():
    stage = {"experiment": "experiments.vqvae", "config": {"steps": 3}, "data": "of images"}
    summary = {"metrics": {"nll": 2.5, "nll_stderr": 0.1}, "steps": 1_000}
    record = {"experiment": "experiments.vqvae_prior", "config": {"steps": 2}, "data": "of codes", "stage": stage}
    model = jv.Trained(BUILDS["vae"](SPEC), {}, {}, {**record, "summary": summary})
    text = card(model, "squares", "CC0", None, half=True)
    for line in (
        "| hash of the data | of images |",
        "| command of the first stage | `python -m experiments.vqvae --steps 3` |",
        "| command | `python -m experiments.vqvae_prior --steps 2` |",
        "| weights | rounded to 16-bit floats; they load as 32-bit floats |",
        "| negative log-likelihood (NLL) (`nll`) | 2.5 +- 0.1 | nats per image | lower is better |",
        "| steps | 1,000 |",
        'model = jv.load("squares")  # this folder',
    ):
        assert f"\n{line}\n" in text
    assert "weights" not in card(model, "squares", "CC0", None)
