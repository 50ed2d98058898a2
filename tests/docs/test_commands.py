"""Commands of the pages: every experiment understands its own, and those beside a result are of its record."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from benchmarks import pictures
from jaxvae.commands.flags import parse
from jaxvae.commands.verb_flags import FLAGS
from jaxvae.studies import cli
from jaxvae.studies.experiment import Experiment

OTHER = ("pip", "python3 -m venv", "mkdocs", "python -m benchmarks")  # commands that are checked elsewhere
OLD_NAMES = {"vqvae": "vq_vae", "vqvae_prior": "vq_prior", "sharpness": "blur", "learned_priors": "flow_prior"}
# Beside a result without a record of their own: models that other commands use, and what was not run yet.
WITHOUT_RECORD = {"conv32", "denoising32", "cifar10", "not run yet"}
UNCOMPARED = {"data", "encoder", "codec", "runs", "seed", "log_every"}  # places, and what changes no result


def commands(text):
    """All commands of a page, those in sh blocks and those in its sentences."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M))
    lines = [line for line in blocks.splitlines() if line.strip() and not line.startswith("#")]
    sentences = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    inline = re.findall(r"`([^`\n]+)`", sentences)
    return lines + [code for code in inline if "-m experiments." in code or "-m jaxvae " in code]


def pages(root):
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def pytest_generate_tests(metafunc):
    if "command" in metafunc.fixturenames:
        root = metafunc.config.rootpath
        found = [
            (path.relative_to(root), command)
            for path in pages(root)
            for command in commands(path.read_text())
            if "-m experiments." in command and "experiments.NAME" not in command
        ]
        found += [(Path("pictures.py"), shlex.join(pictures.command(one))) for one in pictures.PICTURES]
        metafunc.parametrize(("page", "command"), found, ids=[f"{page.stem}-{i}" for i, (page, _) in enumerate(found)])


@pytest.fixture
def parsed(monkeypatch):
    """(command) -> the experiment, its configuration and what is swept, as the command line understands it."""

    def parse(command):
        words = shlex.split(command[command.index("-m experiments.") :])
        captured = []

        def asked(*args, **options):
            made = Experiment(*args, **options)
            if made.run is None:
                return made
            return made._replace(run=lambda config, chosen: captured.append((made, config, {})))

        monkeypatch.setattr(sys, "argv", [words[1], *words[2:]])
        monkeypatch.setattr(cli, "keep_compiled_programs", lambda: None)
        monkeypatch.setattr(cli.distributed, "initialize", lambda *args: None)
        monkeypatch.setattr(cli, "Experiment", asked)
        monkeypatch.setattr(
            cli, "run_experiment", lambda made, config, options, axes: captured.append((made, config, axes))
        )
        monkeypatch.delitem(sys.modules, words[1], raising=False)  # imported by another one
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return captured[0]

    return parse


def test_experiment_understands_the_command(page, command, parsed):
    del page
    experiment, _, _ = parsed(command)
    assert f"experiments.{experiment.name}" in command


def test_verbs_understand_their_commands(request):
    found = [
        words
        for path in pages(request.config.rootpath)
        for command in commands(path.read_text())
        if "-m jaxvae " in command
        and not {"VERB", "--help"} & set(words := shlex.split(command.partition("-m jaxvae ")[2]))
    ]
    assert len(found) > 10
    for verb, *words in found:
        parse(FLAGS[verb], verb, "", words)


def test_pages_have_no_other_commands(request):
    known = ("-m experiments", "-m jaxvae", "-m pytest", *OTHER)
    for path in pages(request.config.rootpath):
        for command in commands(path.read_text()):
            assert any(part in command for part in known), f"{path.name}: {command}"


@pytest.fixture(scope="module")
def records(request):
    folder = request.config.rootpath / "benchmarks" / "results"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_commands_beside_results_are_those_of_a_record(request, records, parsed):
    root = request.config.rootpath
    for path in sorted((root / "benchmarks" / "pages" / "templates").glob("*.md")):
        text = re.sub(r"not run yet.*?^```sh\n.*?^```", "", path.read_text(), flags=re.S | re.M)
        for command in commands(text):
            if "-m experiments." not in command or any(f"--name {name}" in command for name in WITHOUT_RECORD):
                continue
            experiment, config, axes = parsed(command)
            name = experiment.name
            of_name = [r["config"] for r in records if r["experiment"] in (name, OLD_NAMES.get(name, name))]
            differences = [differing(config, axes, record) for record in of_name]
            assert [] in differences, f"{path.name}: {command}: {min(differences, key=len)}"


def differing(config, axes, record):
    """The settings of a command that are not those of a record, of fields that both have as one value; None is open."""
    found = []
    for field, value in vars(config).items():
        of_record = record.get(field)
        plain = not isinstance(of_record, list) or isinstance(value, tuple)
        if value is None or field in axes or field in UNCOMPARED or field not in record or not plain:
            continue
        if (list(value) if isinstance(value, tuple) else value) != of_record:
            found.append((field, value, of_record))
    return found
