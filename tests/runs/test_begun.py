"""What is begun and refused leaves no folder; what is trained, resumed or somebody else's stays."""

import pytest

import jaxvae as jv
from jaxvae.runs.begun import absent, discard_unused, end, reserve_folder
from jaxvae.runs.train import begin
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC

RECORD = {"config": {}}


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_refused_run_leaves_nothing_not_even_the_folders_around_it(tmp_path):
    begin(tmp_path / "out" / "a" / "b", RECORD, resume=False)
    reserve_folder(tmp_path / "out" / "a", "now")
    assert "out/a/b/config.json" in contents(tmp_path)
    end(refused=True)
    assert contents(tmp_path) == []


def test_folders_that_were_there_stay(tmp_path):
    (tmp_path / "out").mkdir()
    begin(tmp_path / "out" / "a" / "b", RECORD, resume=False)
    end(refused=True)
    assert contents(tmp_path) == ["out"]


@pytest.mark.parametrize("trained", ["metrics.jsonl", "checkpoints/3/x", "summary.json", "part/config.json"])
def test_a_run_in_which_something_was_trained_stays(trained, tmp_path):
    begin(tmp_path / "a", RECORD, resume=False)
    (tmp_path / "a" / trained).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "a" / trained).write_text("{}")
    before = contents(tmp_path)
    end(refused=True)
    assert contents(tmp_path) == before


def test_a_run_that_is_resumed_stays(tmp_path):
    begin(tmp_path / "a", RECORD, resume=False)
    end()
    begin(tmp_path / "a", RECORD, resume=True)
    end(refused=True)
    assert (tmp_path / "a" / "config.json").exists()


def test_files_of_others_stay(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("")
    made = absent(folder)
    assert made == ()
    begin(folder, RECORD, resume=False)
    discard_unused(folder, made)
    end()
    assert contents(tmp_path) == ["mine", "mine/notes.txt"]


def test_what_a_first_trace_refuses_can_be_begun_again(tmp_path):
    system = BUILDS["vae"](SPEC)
    (player,) = system.trainable.players
    wrong = player._replace(loss=lambda params, model_state, inputs: 1.0)
    broken = system._replace(trainable=system.trainable._replace(players=(wrong,)))
    layout = jv.training.make_layout("scan")  # others are chosen by a trace of the loss
    with pytest.raises(jv.UserError, match="The loss of vae gives a float"):
        jv.train(broken, IMAGES, folder=tmp_path / "runs" / "a", layout=layout, **SIZES)
    assert contents(tmp_path) == []
