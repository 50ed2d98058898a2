"""The command line itself: verbs, help, exit codes, and what is loaded before it answers."""

import subprocess
import sys

import pytest

from jaxvae import __main__ as program
from jaxvae.__main__ import VERBS, main
from jaxvae.commands.verb_flags import FLAGS
from tests.runs.test_state import RECORD, made


def python(*arguments, **options):
    line = [sys.executable, *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300, **options)


def ended(*words):
    """The status and the sentence of a command that does not succeed."""
    with pytest.raises(SystemExit) as error:
        main(words)
    return error.value.code


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_verbs_are_listed_with_what_they_do(words, capsys):
    main(words)
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in VERBS)
    assert "VERB --help shows its flags" in text


def test_every_module_of_a_verb_is_listed(request):
    folder = request.config.rootpath / "jaxvae" / "commands"
    verbs = {path.stem for path in folder.glob("*.py") if "\ndef run(" in path.read_text()}
    assert verbs == set(VERBS)
    assert len(VERBS) == len(set(VERBS))
    assert list(FLAGS) == list(VERBS)


def test_a_wrong_verb_names_the_right_one(capsys):
    assert ended("smaple", "runs/a") == 2
    assert "there is no verb 'smaple': did you mean sample?" in capsys.readouterr().err
    assert ended("nonsense") == 2
    assert "expected one of train, list, info" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_shows_its_flags(verb, capsys):
    assert ended(verb, "--help") == 0
    text = capsys.readouterr().out
    assert f"jaxvae {verb}" in text
    assert "FOLDER" in text if verb == "list" else "--data" in text if verb == "train" else "RUN" in text


def test_a_wrong_flag_ends_with_status_2(capsys):
    assert ended("list", "--fodler", "a") == 2
    assert "--fodler" in "".join(capsys.readouterr())


def test_without_tyro_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(program.importlib.util, "find_spec", lambda name: None)
    assert ended("list") == (
        'error: the command line needs tyro, which is not installed: pip install "jaxvae[experiments]".'
    )


def test_mistakes_and_interrupts_are_one_sentence(tmp_path, monkeypatch):
    assert (
        ended("list", str(tmp_path / "a")) == f"error: {tmp_path}/a is no folder: expected one in which there are runs."
    )

    def interrupted(place):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxvae.commands.list.find_runs", interrupted)
    assert ended("list", str(tmp_path)) == "error: interrupted; nothing half-written is left."


@pytest.mark.slow
def test_help_and_list_do_not_wait_for_jax(tmp_path):
    made(tmp_path / "a", RECORD, steps=(100,))
    for words in ([], ["list", str(tmp_path)], *([verb, "--help"] for verb in ("sample", "train", "denoise", "info"))):
        end = "try: main(WORDS)\nexcept SystemExit as e: assert not e.code\nassert 'jax' not in sys.modules"
        text = f"import sys\nfrom jaxvae.__main__ import main\n{end.replace('WORDS', str(words))}"
        assert python("-c", text).returncode == 0


@pytest.mark.slow
def test_a_closed_pipe_is_no_traceback(tmp_path):
    for number in range(300):
        made(tmp_path / f"run{number:05}", RECORD, steps=(100,))
    line = f"{sys.executable} -m jaxvae list {tmp_path} | head -1"
    found = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, timeout=300)
    assert found.stdout.startswith("run ")
    assert found.stderr == ""
