"""Three planted defects are found from the command line, and what goes wrong is one sentence or one line."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.applications.anomaly.maps import Box

pytestmark = pytest.mark.slow
DEFECTS = {
    "crack": (slice(3, 12), slice(7, 8)),
    "hole": (slice(6, 9), slice(5, 8)),
    "speck": (slice(0, 3), slice(13, 16)),
}
RNG = np.random.default_rng(0)


def disc():
    rows, columns = np.mgrid[:16, :16]
    centre, radius = RNG.uniform(6.5, 8.5, 2), RNG.uniform(4.5, 6)
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2).astype(np.uint8) * 255


def write(folder, images):
    folder.mkdir(parents=True)
    for name, x in images.items():
        Image.fromarray(x).save(folder / f"{name}.png")
    return f"folder:{folder}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run trained on masks of discs, the folder of these, other normal ones, and one with three defects."""
    place = tmp_path_factory.mktemp("anomaly")
    good = write(place / "good", {f"{i:03}": disc() for i in range(250)})
    write(place / "fresh", {f"{i:03}": disc() for i in range(50)})
    new = {f"{i:03}": disc() for i in range(20)}
    for name, pixels in DEFECTS.items():
        new[name] = disc()
        new[name][pixels] = 255 - new[name][pixels]
    write(place / "new", new)
    splits, spec = jv.data.load(good)
    system = jv.systems.vae(spec, net="mlp", latent_dim=4, warmup_steps=50)
    jv.train(system, splits, steps=400, folder=place / "run", notes={"data": good, "image_size": None}, progress=False)
    return place


@pytest.fixture
def anomaly(place, tmp_path, monkeypatch, capsys):
    """(flags) -> rows of the table, the summary and the lines printed."""
    monkeypatch.chdir(place)
    numbers = iter(range(9))

    def run(*flags, model="run"):
        out = tmp_path / f"out{next(numbers)}"
        main(["anomaly", model, *map(str, flags), "--out", str(out)])
        rows = {row["path"]: row for row in csv.DictReader((out / "scores.csv").read_text().splitlines())}
        assert {path.name for path in out.iterdir()} == {
            *("scores.csv", "sheet.png", "histogram.png", "summary.json", ".jaxvae.json")
        }
        return rows, json.loads((out / "summary.json").read_text()), capsys.readouterr()

    return run


def refused(*flags):
    with pytest.raises(SystemExit) as error:
        main(["anomaly", *map(str, flags)])
    text = str(error.value.code)
    assert text.startswith("error: ")
    assert "\n" not in text
    return text


def test_three_planted_defects_are_found_with_their_places(anomaly, tmp_path):
    rows, summary, (text, _) = anomaly("--normal", "folder:good", "--data", "folder:new", "--save", tmp_path / "d.npz")
    assert set(list(rows)[:3]) == {f"{name}.png" for name in DEFECTS}
    for name, (down, across) in DEFECTS.items():
        row = rows[f"{name}.png"]
        assert row["verdict"] == "anomaly"
        assert float(row["p"]) == pytest.approx(1 / 26, rel=1e-5)  # of 25 images that calibrate
        box = Box(*(int(row[side]) for side in Box._fields))
        assert box.left < across.stop
        assert box.right > across.start
        assert box.top < down.stop
        assert box.bottom > down.start
    assert "of its own data its test images calibrate, which it has not seen: 200 are fitted to, 25 calibrate" in text
    assert summary["score"] == "corrected+worst_pixel+mahalanobis+neighbours"
    assert summary["score"] in text
    assert summary["verdicts"]["anomaly"] == sum(row["verdict"] == "anomaly" for row in rows.values())
    assert summary["threshold"] == pytest.approx(jv.AnomalyDetector.load(tmp_path / "d.npz", jv.load("run")).threshold_)

    again, _, _ = anomaly("--detector", tmp_path / "d.npz", "--data", "folder:new")
    assert again == rows
    out = ["--out", str(tmp_path / "failed")]
    with pytest.raises(SystemExit) as status:
        main(
            ["anomaly", "run", "--detector", str(tmp_path / "d.npz"), "--data", "folder:new", "--fail-on-anomaly", *out]
        )
    assert status.value.code == 3
    assert (tmp_path / "failed" / "scores.csv").exists()


def test_other_normal_images_are_split_and_few_of_them_decide_nothing(anomaly):
    rows, summary, (text, _) = anomaly("--normal", "folder:fresh", "--data", "folder:new", "--score", "corrected")
    assert (summary["num_fitted"], summary["num_calibrating"]) == (25, 25)
    assert "split by a fixed seed" in text
    rows, summary, (text, _) = anomaly(
        *("--normal", "folder:fresh", "--data", "folder:new", "--score", "kl", "--alpha", "0.01", "--fail-on-anomaly")
    )
    assert {row["verdict"] for row in rows.values()} == {"undecided"}
    assert summary["threshold"] is None
    assert summary["num_calibrating_needed"] == 99
    assert "Undecided: 40 normal images calibrate, a verdict at alpha 0.01 needs 99 or more." in text


def test_images_that_cannot_be_read_are_lines_with_their_reason(anomaly, place, tmp_path):
    sound = {path.stem: np.asarray(Image.open(path)) for path in sorted((place / "new").glob("*.png"))}
    source = write(tmp_path / "mixed", sound)
    (tmp_path / "mixed" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    (tmp_path / "mixed" / "text.png").write_text("no image")
    rows, summary, (text, _) = anomaly("--normal", "folder:good", "--data", source)
    assert len(rows) == len(sound) + 2
    assert rows["bad.png"]["verdict"] == rows["text.png"]["verdict"] == "unreadable"
    assert "cannot be read as an image" in rows["bad.png"]["reason"]
    assert set(summary["unreadable"]) == {"bad.png", "text.png"}
    assert "Not readable: bad.png, text.png" in text
    plain, _, _ = anomaly("--normal", "folder:good", "--data", "folder:new")
    assert {name: row for name, row in rows.items() if row["verdict"] != "unreadable"} == plain


def test_normal_images_that_cannot_be_read_are_left_out_and_named(anomaly, place, tmp_path):
    source = write(tmp_path / "mixed", {f"{i:03}": disc() for i in range(40)})
    (tmp_path / "mixed" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    _, summary, (_, notes) = anomaly("--normal", source, "--data", "folder:new", "--score", "kl")
    assert (summary["num_fitted"], summary["num_calibrating"]) == (20, 20)
    assert "note: 1 normal image is left out, bad.png: " in notes


def test_a_ratio_to_a_background_model(anomaly, place, tmp_path):
    flags = ["--normal", "folder:good", "--data", "folder:new", "--score", "ratio", "--num-samples", "5"]
    _, summary, _ = anomaly(*flags, "--background", "run", "--save", tmp_path / "d.npz")
    assert summary["verdicts"]["anomaly"] == 0  # a model that is its own background says nothing
    out = ["--data", "folder:new", "--out", tmp_path / "x"]
    assert "needs a background model" in refused("run", "--detector", tmp_path / "d.npz", *out)


def test_mistakes_are_one_sentence_and_leave_nothing(place, tmp_path, monkeypatch, model):
    monkeypatch.chdir(place)
    out, good = ["--data", "folder:new", "--out", tmp_path / "out"], ["--normal", "folder:good"]
    detector = (
        jv.AnomalyDetector(jv.load("run"), "kl").fit(np.stack([disc() for _ in range(20)])).save(tmp_path / "d.npz")
    )
    (tmp_path / "empty").mkdir()
    write(tmp_path / "large", {"a": np.zeros((20, 20), np.uint8)})
    for words, message in (
        (["run", *out], "neither is given: expected one of them"),
        (["run", *good, "--detector", detector, *out], "both is given"),
        (["run", "--detector", detector, "--score", "kl", *out], "The detector has its own --score"),
        (["run", *good, "--alpha", "1", *out], "alpha is 1, expected more than 0 and less than 1"),
        (["run", *good, "--score", "strange", *out], "There is no score 'strange'"),
        (["run", "--normal", f"folder:{tmp_path}/empty", *out], "has no PNG, JPEG"),
        (["digits-vae", "--detector", detector, *out], "is a detector of another model"),
        (
            ["digits-vae", "--normal", "digits", *out],
            "is 16x16 pixels, the model is of 28x28",
        ),
        (
            ["run", *good, "--data", f"folder:{tmp_path}/large", *out[2:]],
            "a.png is 20x20 pixels, the model is of 16x16",
        ),
        (["run", "--detector", tmp_path / "no.npz", *out], "does not exist"),
        (["run", *good, "--save", "d.txt", *out], "expected NAME.npz"),
        (["run", *good, "--save", detector, *out], "There is .*d.npz already"),
        ([model("m2"), *good, *out], "has no score of how strange images are"),
    ):
        assert re.search(message, refused(*words))
    assert {path.name for path in tmp_path.iterdir()} == {"d.npz", "empty", "large"}
