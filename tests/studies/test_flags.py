"""Flags: their help, their order, and what a person sees first."""

import sys
from dataclasses import dataclass

import pytest

from jaxvae.docstrings import docstrings
from jaxvae.errors import UserError
from jaxvae.runs.config import ImageConfig, at_least
from jaxvae.studies.flags import parse


@dataclass(frozen=True)
class Config(ImageConfig):
    """Configuration of a toy."""

    width: int = 3
    """units of the layer"""
    tied: bool = True
    """whether weights are shared"""
    steps: int = 7

    def __post_init__(self):
        super().__post_init__()
        at_least(self, 1, "width")


def parsed(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["toy", *flags])
    return parse(Config(), "python -m toy", "A toy.", trains=True, sweeps=True)


def test_configuration_and_options_come_back(monkeypatch):
    config, options, quick = parsed(
        monkeypatch, "--width", "5", "--no-tied", "--name", "x", "--sweep", "seed=0,1", "--quick"
    )
    assert config == Config(width=5, tied=False)
    assert (options.name, options.sweep, quick) == ("x", ("seed=0,1",), True)
    assert parsed(monkeypatch)[0] == Config()


def test_help_says_what_people_use_first_and_devices_last(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        parsed(monkeypatch, "--help")
    text = capsys.readouterr().out
    order = [
        "A toy.",
        "--data",
        "--steps",
        "--seed",
        "--name",
        "--quick",
        "--width",
        "--batch-size",
        "--keep",
        "--layout",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "units of the layer" in text
    assert "seed of parameters, batches and noise" in text  # of a base


def test_impossible_values_are_user_errors(monkeypatch):
    with pytest.raises(UserError, match="--width is 0, expected at least 1"):
        parsed(monkeypatch, "--width", "0")


def test_docstrings_are_those_below_the_fields():
    found = docstrings(Config)
    assert found["width"] == "units of the layer"
    assert found["steps"].startswith("training steps")
    assert all(text == " ".join(text.split()) for text in found.values())  # broken where the window ends alone
