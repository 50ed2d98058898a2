"""`report.html`: all that a run's folder has, on one page, whatever is in its names."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from jaxvae import viz
from jaxvae.errors import UserError
from jaxvae.reports.page_curves import curves_of
from jaxvae.reports.page_words import FIGURES, NUMBERS
from jaxvae.reports.report_page import page, write_report
from jaxvae.runs.files import write_json
from jaxvae.runs.measures import MAIN

RECORD = {
    "experiment": "experiments.binary_vae",
    "config": {"data": "folder:<b>&", "steps": 300, "shift": None},
    "spec": {"shape": [4, 4, 1]},
    "num_train": 4000,
    "data": "abc",
    "system": {"name": "binary_vae", "parts": {}},
}
SUMMARY = {
    "steps": 300,
    "best_step": 200,
    "seconds": 65.2,
    "date": "2026-01-01",
    "versions": {"jax": "0.10.0"},
    "metrics": {"nll": 89.5462, "nll_stderr": 1.09, "active_units": 3, "latent_dim": 8, "warning": "Few <samples>."},
    "overfitting": "It overfits.",
}


class Texts(HTMLParser):
    """Tags, attributes and texts of a page; every tag that is opened is closed."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "a <run>"
    (folder / "figures").mkdir(parents=True)
    write_json(folder / "config.json", RECORD)
    write_json(folder / "summary.json", SUMMARY)
    for name in ("samples", "curves", "latents"):
        viz.save_grid(folder / "figures" / f"{name}.png", np.zeros((4, 4, 4, 1)))
    lines = [{"step": step, "part": "train", "loss": 1 / step, "grad_norm": 2.0} for step in range(1, 1001)]
    lines += [{"step": 500, "part": "valid", "loss": 5.0}, {"step": 1000, "part": "valid", "loss": None}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_run_is_on_one_page_that_opens_offline(run):
    found = Texts(write_report(run).read_text())
    text = " ".join(found.texts)
    for expected in (
        "binary_vae: a <run>",
        "4,000 training images of 4x4x1 from folder:<b>&",
        "300 steps, best at 200",
        "89.55 ± 1.1",
        "nats per image",
        "3 of 8",
        "Lower is better.",
        "Few <samples>.",
        "It overfits.",
        "--shift",
        FIGURES["samples"],
        "--steps 600",
    ):
        assert expected in text, expected
    images = [attributes["src"] for tag, attributes in found.tags if tag == "img"]
    assert len(images) == 2  # the curves are drawn by the page
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert not [a for _, a in found.tags if any(str(a.get(k, "")).startswith("http") for k in ("src", "href"))]


def test_curves_are_thinned_to_means_and_only_of_finite_numbers(run):
    curves = curves_of(run)
    assert list(curves) == ["loss", "grad_norm"]
    train = curves["loss"]["train"]
    assert len(train) <= 400
    assert train[0] == (3, pytest.approx((1 + 1 / 2 + 1 / 3) / 3, rel=1e-5))
    assert train[-1][0] == 1000
    assert curves["loss"]["valid"] == [(500, 5.0)]


def test_data_of_the_curves_cannot_end_their_script(run):
    (run / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": s, "part": "train", "</script>": 1.0}) + "\n" for s in (1, 2))
    )
    text = write_report(run).read_text()
    data = re.search(r'id="curves-data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data[1]) == {"</script>": {"train": [[1, 1.0], [2, 1.0]], "valid": []}}


def test_a_study_has_a_row_for_each_run_and_links_to_their_pages(run):
    (run / "beta=1").mkdir()
    (run / "beta=1" / "report.html").touch()
    rows = [{"run": f"beta={beta}", "beta": beta, "metrics": {"nll": 90.0 + beta}} for beta in (1, 2)]
    found = Texts(page(run, {**RECORD, "sweep": {"beta": ["1", "2"]}}, {**SUMMARY, "runs": rows}))
    assert [a["href"] for tag, a in found.tags if tag == "a" and "/" in a["href"]] == ["beta=1/report.html"]
    assert {"beta=2", "92", "swept: beta"} <= set(found.texts)


def test_a_folder_with_less_has_a_page_with_less(tmp_path):
    write_json(tmp_path / "config.json", {"config": {}})
    write_json(tmp_path / "summary.json", {})
    Texts(write_report(tmp_path).read_text())


def test_what_is_no_run_has_none(tmp_path):
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        write_report(tmp_path)


def test_every_main_number_has_its_meaning():
    assert NUMBERS.keys() == MAIN.keys()
