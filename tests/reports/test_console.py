"""What a run says at its end."""

from pathlib import Path

import numpy as np

from jaxvae.capabilities import Generates
from jaxvae.reports.console import lines, print_line, print_summary
from jaxvae.reports.introduction import introduce_examples
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset, DataSpec, Splits, System, Trainable

METRICS = {"nll": 85.4321, "nll_stderr": 0.234, "elbo": -90.0, "active_units": 12, "latent_dim": 16, "nll_k": 500}
TRAINING = {"steps": 3000, "best_step": 2500, "seconds": 61.2}


def trained(folder):
    trainable = Trainable(None, (), None, {})
    system = System("toy", DataSpec((4, 4, 1), 2, 0), None, trainable, (Generates(None),))
    return Trained(system, None, None, {"config": {"data": "digits"}, "system": {"parts": {}}}, folder, TRAINING)


def splits():
    part = lambda num: Dataset(np.zeros((num, 4, 4, 1)), None)  # noqa: E731
    return Splits(part(4000), part(500), part(500))


def test_main_numbers_have_their_units_and_say_what_is_better():
    assert lines(METRICS) == [
        "  negative log-likelihood (NLL)  85.43 +- 0.23  nats per image  (lower is better)",
        "  ELBO                           -90  nats per image  (higher is better)",
        "  active latent units            12 of 16",
    ]


def test_a_summary_says_what_was_trained_where_the_figures_are_and_what_to_type(tmp_path, capsys):
    (tmp_path / "figures").mkdir()
    for name in ("curves.png", "samples.png"):
        (tmp_path / "figures" / name).touch()
    summary = {**TRAINING, "metrics": METRICS | {"warning": "nothing is learnt"}}
    print_summary(trained(tmp_path), summary, introduce_examples(trained(tmp_path), splits()))
    text = capsys.readouterr().out
    assert "toy: trained on 4,000 images of 4x4x1 from digits, 3,000 steps, best at 2,500, 61 s." in text
    assert "On 500 test images:" in text
    assert "warning: nothing is learnt" in text
    assert f"{tmp_path}/figures/ (2 files; begin with samples.png)" in text
    assert f"-m jaxvae sample {tmp_path} --out samples.png" in text


def test_a_run_of_a_study_has_one_line(capsys):
    print_line(trained(Path("runs/a")), {"metrics": METRICS})
    assert capsys.readouterr().out == "runs/a: nll 85.43, elbo -90, active_units 12\n"
