"""`python -m jaxvae report`: the page of a run from the files of its folder."""

import pytest

from jaxvae.__main__ import main
from jaxvae.runs.files import write_json


def test_a_page_is_written_without_the_model(tmp_path, capsys):
    write_json(tmp_path / "config.json", {"experiment": "experiments.beta_vae", "config": {"beta": 2.0}})
    write_json(tmp_path / "summary.json", {"metrics": {"nll": 91.25}})
    main(["report", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}: to open in a browser.\n"
    assert "91.25" in (tmp_path / "report.html").read_text()


def test_what_is_no_finished_run_is_said(tmp_path):
    write_json(tmp_path / "config.json", {"config": {}})
    with pytest.raises(SystemExit, match=r"error: .*summary\.json cannot be read"):
        main(["report", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"error: .*config\.json cannot be read"):
        main(["report", str(tmp_path / "nothing")])
