"""Every verb on every kind of model that can have it, and one sentence for every other kind."""

import csv

import numpy as np
import pytest
from PIL import Image

import jaxvae as jv
from jaxvae.__main__ import VERBS, main
from jaxvae.data.npz import read_npz
from tests.commands.kinds import KINDS, SPEC
from tests.runs.packed import small

pytestmark = pytest.mark.slow
REFUSALS = (
    "expected one of|say their range|not of images|expected independent pixels|train a prior|conditional on classes"
)
OTHERS = {"train", "list", "info", "report", "compare", "export", "verify"}  # which all models have, or none
NAMES = [f"{name}/{i}.{ending}" for i, name in enumerate(SPEC.classes) for ending in ("bmp", "png")]
FILES = [f"{name}.png" for name in NAMES]  # of names that would be the same


def words(verb, place, photos, tmp_path, out):
    """A command of a verb."""
    paths = [f"{tmp_path}/photos/left/0.png", f"{tmp_path}/photos/right/2.bmp"]
    data = ["--data", photos]
    given = {
        "sample": ["--num", "6"],
        "interpolate": [*paths, "--num", "3"],
        "traverse": ["--image", paths[0], "--dims", "1", "0", "--num", "3"],
        "attribute": [*data, "--name", "left", "--num", "2"],
        "complete": [*data, "--mask", f"{tmp_path}/hole.png", "--num", "2"],
        "denoise": [*data, "--noise", "gaussian", "--level", "0.1", "--num-samples", "2"],
        "decode": [str(tmp_path / "codes.npz")],
        "evaluate": ["--data", f"npz:{tmp_path}/many.npz", "--num", "6"],
        "compress": ["--data", f"npz:{tmp_path}/masks.npz"],
        "decompress": [f"{tmp_path}/images.jvz"],
        "score": [*data, "--num-samples", "3"],
        "anomaly": ["--normal", photos, *data, "--num-samples", "3"],
    }
    return [verb, place, *given.get(verb, data), "--out", str(out)]


def endings(verb, kind):
    if verb == "explore":
        return [".html"]
    if verb in ("score", "classify"):
        return [".csv"]
    if verb in ("anomaly", "augment"):
        return [""]
    if verb == "compress":
        return [".jvz"]
    if verb == "evaluate":
        return [".json"]
    if verb == "encode":
        return [".csv", ".npz", *([] if kind in ("groups", "levels") else [".npy"])]
    return [".npz"] if kind == "flow" else ["", ".png", ".npz"]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in OTHERS])
@pytest.mark.parametrize("kind", KINDS)
def test_every_verb_on_every_kind(kind, verb, model, photos, tmp_path, capsys):
    place, able = model(kind), KINDS[kind][1]
    if verb == "decode" and kind == "gan":  # which encodes nothing
        np.savez(tmp_path / "codes.npz", paths=np.array(["a", "b"]), means=np.zeros((2, 32), np.float32))
    elif verb == "decode" and verb in able:
        main(["encode", place, "--data", photos, "--out", str(tmp_path / "codes.npz")])
    np.savez(tmp_path / "masks.npz", images=np.random.default_rng(0).integers(0, 2, (6, 8, 8)))
    np.savez(tmp_path / "many.npz", images=np.random.default_rng(1).integers(0, 256, (12, 8, 8), np.uint8))
    if verb == "decompress":
        (tmp_path / "images.jvz").write_bytes(small())
        if verb in able:
            main([*words("compress", place, photos, tmp_path, tmp_path / "images.jvz"), "--overwrite"])
    for ending in endings(verb, kind):
        out = tmp_path / f"out{ending}"
        command = words(verb, place, photos, tmp_path, out)
        if kind == "classes_vae" and verb in ("interpolate", "traverse"):  # whose images are files, of no class
            command += ["--label", "middle"]
        if verb in able:
            main(command)
            assert out.exists()
            assert str(out) in capsys.readouterr().out
        else:
            with pytest.raises(
                SystemExit,
                match=f"^error: .*({REFUSALS})",
            ):
                main(command)
            assert not out.exists()
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_info_and_export_are_of_every_kind(kind, model, tmp_path, capsys):
    main(["info", model(kind)])
    text = capsys.readouterr().out
    assert "parameters" in text
    for verb in VERBS:
        if verb not in OTHERS:
            assert (f" {verb} " in text.partition("Use it:")[2]) == (verb in KINDS[kind][1])
    main(["export", model(kind), "--out", str(tmp_path / "given"), "--licence", "CC0"])
    files = {path.name for path in (tmp_path / "given").iterdir()}
    drawn = {"samples.png"} if "sample" in KINDS[kind][1] and kind != "flow" else set()
    assert files == {"config.json", "model.safetensors", "card.md"} | drawn
    card = (tmp_path / "given" / "card.md").read_text()
    for part in ("# given", "| licence | CC0 |", "0123456789abcdef", 'jv.load("given")', "jax 0."):
        assert part in card
    assert ("![samples]" in card) == bool(drawn)
    loaded = jv.load(tmp_path / "given")
    assert loaded.record == jv.load(model(kind)).record


def test_images_have_the_names_of_their_sources(model, photos, tmp_path):
    out = tmp_path / "out"
    main(["reconstruct", model("vae"), "--data", photos, "--out", str(out)])
    found = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert found == {"sheet.png", *FILES}
    images = jv.data.load_for(SPEC, photos).x
    expected = jv.load(model("vae")).reconstruct(images)
    for name, image in zip(FILES, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(out / name)), np.rint(255 * image[..., 0]))


def test_encoded_images_decode_to_their_reconstructions(model, photos, tmp_path):
    for kind in ("vae", "classes_vae", "vqvae", "groups", "levels"):
        for ending in (".csv", ".npz"):
            codes = str(tmp_path / f"{kind}{ending}")
            main(["encode", model(kind), "--data", photos, "--out", codes])
            for words in (["decode", model(kind), codes], ["reconstruct", model(kind), "--data", photos]):
                main([*words, "--out", str(tmp_path / f"{words[0]}.npz"), "--overwrite"])
            found = [read_npz(tmp_path / f"{verb}.npz") for verb in ("decode", "reconstruct")]
            np.testing.assert_array_equal(found[0]["images"], found[1]["images"])
            assert found[0]["paths"].tolist() == found[1]["paths"].tolist() == NAMES


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_codes_are_those_of_the_model(model, photos, tmp_path):
    main(["encode", model("vae"), "--data", photos, "--out", str(tmp_path / "a.csv")])
    found, trained = rows(tmp_path / "a.csv"), jv.load(model("vae"))
    means, stds = trained.posterior(jv.data.load_for(SPEC, photos).x)
    assert [row["path"] for row in found] == NAMES
    for i in range(3):
        np.testing.assert_array_equal(np.float32([row[f"z{i}"] for row in found]), means[:, i])
        np.testing.assert_array_equal(np.float32([row[f"sd{i}"] for row in found]), stds[:, i])


def test_scores_and_classes_are_those_of_the_model(model, photos, tmp_path, capsys):
    images = jv.data.load_for(SPEC, photos)
    main(
        ["score", model("vae"), "--data", photos, "--num-samples", "4", "--seed", "1", "--out", str(tmp_path / "a.csv")]
    )
    found = rows(tmp_path / "a.csv")
    expected = jv.load(model("vae")).score(images.x, num_samples=4, seed=1)
    assert list(found[0]) == ["path", "elbo", "log_likelihood", "stderr", "bits_per_dim"]
    np.testing.assert_allclose(np.float64([row["log_likelihood"] for row in found]), expected.log_likelihood, rtol=1e-6)
    assert "Least likely: " in capsys.readouterr().out
    main(["score", model("classes"), "--data", photos, "--out", str(tmp_path / "b.csv")])
    exact = jv.load(model("classes")).log_likelihood(images.x, labels=images.labels)
    np.testing.assert_allclose(np.float64([r["log_likelihood"] for r in rows(tmp_path / "b.csv")]), exact, rtol=1e-6)
    main(["score", model("vae"), "--data", photos, "--num-samples", "4", "--refit", "--out", str(tmp_path / "r.csv")])
    gap = jv.load(model("vae")).refit_posterior(images.x)
    found = np.float64([row["amortization_gap"] for row in rows(tmp_path / "r.csv")])
    np.testing.assert_allclose(found, gap.refitted_elbo - gap.elbo, rtol=1e-4, atol=1e-2)
    assert "amortisation gap" in capsys.readouterr().out

    main(["classify", model("m2"), "--data", photos, "--out", str(tmp_path / "c.csv")])
    found, probabilities = rows(tmp_path / "c.csv"), jv.load(model("m2")).classify(images.x)
    assert [row["class"] for row in found] == [SPEC.classes[i] for i in probabilities.argmax(1)]
    assert list(found[0]) == ["path", "class", "p(left)", "p(middle)", "p(right)"]
    wrong = (probabilities.argmax(1) != images.labels).sum()
    assert f"{wrong} of 6 images of a known class are in another one" in capsys.readouterr().out


def test_samples_are_those_of_the_seed_label_and_temperature(model, tmp_path):
    def drawn(kind, *flags):
        main(["sample", model(kind), "--num", "5", *flags, "--out", str(tmp_path / "a.npz"), "--overwrite"])
        return read_npz(tmp_path / "a.npz")["images"]

    trained = jv.load(model("vae"))
    for flags, options in (
        (["--seed", "1"], {"seed": 1}),
        (["--means", "--temperature", "0.5"], {"means": True, "temperature": 0.5}),
    ):
        np.testing.assert_array_equal(drawn("vae", *flags), np.rint(255 * trained.sample(5, **options)))
    of_class = np.rint(255 * jv.load(model("classes")).sample(5, label=2))
    np.testing.assert_array_equal(drawn("classes", "--label", "2"), of_class)
    np.testing.assert_array_equal(drawn("classes", "--label", "right"), of_class)


def test_rows_of_data_are_images_too(model, photos, tmp_path):
    out = str(tmp_path / "a.npz")
    main(["interpolate", model("vae"), "1", "4", "--data", photos, "--num", "3", "--out", out])
    images = jv.data.load_for(SPEC, photos).x
    expected = jv.load(model("vae")).interpolate(images[1], images[4], 3)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["images"], np.rint(255 * expected))
    for number in ("6", "-1", "x"):
        with pytest.raises(SystemExit, match="expected a number from 0 to 5|Missing|2"):
            main(["interpolate", model("vae"), "1", number, "--data", photos, "--out", str(tmp_path / "b.npz")])


@pytest.mark.parametrize("method", ["means", "classifier"])
def test_images_are_moved_along_an_attribute_of_a_class_or_a_file(method, model, photos, tmp_path, capsys):
    has = np.array([False, True, True, False, True, False])
    lines = [f"{name},0,{int(mine)}" for name, mine in zip(NAMES, has, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["path,old,dark", *reversed(lines)]) + "\n")
    common = ["attribute", model("vae"), "--data", photos, "--num", "2", "--strengths", "0", "1.5", "--method", method]
    main([*common, "--name", "dark", "--attributes", str(tmp_path / "a.csv"), "--out", str(tmp_path / "a.npz")])
    printed = capsys.readouterr().out
    assert "dark: 3 images with it, 3 without; the direction tells" in printed
    assert "2 images, 2 strengths each, in" in printed
    trained, images = jv.load(model("vae")), jv.data.load_for(SPEC, photos).x
    expected = trained.move(images[[0, 5]], trained.attribute(images, has, method=method), (0, 1.5))
    found = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["images"], np.rint(255 * expected).reshape(4, 8, 8, 1))
    assert found["paths"].tolist() == [f"{name}/{i}" for name in (NAMES[0], NAMES[5]) for i in (0, 1)]
    main([*common, "--name", "left", "--out", str(tmp_path / "b.npz")])
    of_class = trained.attribute(images, np.arange(6) < 2, method=method)
    expected = trained.move(images[[0, 5]], of_class, (0, 1.5))
    np.testing.assert_array_equal(read_npz(tmp_path / "b.npz")["images"], np.rint(255 * expected).reshape(4, 8, 8, 1))


@pytest.mark.parametrize("kind", ["vae", "autoregressive"])
def test_completions_keep_known_pixels_bit_for_bit(kind, model, photos, tmp_path):
    command = ["complete", model(kind), "--data", photos, "--mask", str(tmp_path / "hole.png")]
    main([*command, "--num", "3", "--seed", "1", "--out", str(tmp_path / "out")])
    main([*command, "--num", "3", "--seed", "1", "--out", str(tmp_path / "a.npz")])
    images = jv.data.load_for(SPEC, photos).x[..., 0]
    unknown = np.asarray(Image.open(tmp_path / "hole.png")) > 0
    of_arrays = read_npz(tmp_path / "a.npz")["images"]
    for i, name in enumerate(FILES):
        folder = tmp_path / "out" / name.removesuffix(".png")
        assert {path.stem for path in folder.iterdir()} == {"0", "1", "2", "mean", "spread"}
        found = np.stack([np.asarray(Image.open(folder / f"{number}.png")) for number in range(3)])
        assert (found[:, ~unknown] == images[i][~unknown]).all()
        np.testing.assert_array_equal(found, of_arrays[i, ..., 0])
        mean, spread = (np.asarray(Image.open(folder / f"{name}.png"), float) for name in ("mean", "spread"))
        np.testing.assert_allclose(mean, found.mean(axis=0), atol=1)
        np.testing.assert_allclose(spread, 2 * found.std(axis=0), atol=2)
    assert len(np.unique(found[:, unknown], axis=0)) > 1


def test_every_image_may_have_a_mask_of_its_own(model, photos, tmp_path):
    rng, masks = np.random.default_rng(1), tmp_path / "masks"
    for name in NAMES:
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 2, (8, 8), np.uint8) * 255).save((masks / name).with_suffix(".png"))
    command = ["complete", model("vae"), "--data", photos, "--num", "1", "--means"]
    main([*command, "--mask", str(masks), "--out", str(tmp_path / "a.npz")])
    unknown = np.stack([np.asarray(Image.open((masks / name).with_suffix(".png"))) > 0 for name in NAMES])
    images = jv.data.load_for(SPEC, photos).x
    expected = jv.load(model("vae")).complete(images, unknown, num=1, drawn=False)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["images"], np.rint(255 * expected))
    (masks / "left" / "0.png").unlink()
    with pytest.raises(SystemExit, match="has no mask for left/0.bmp"):
        main([*command, "--mask", str(masks), "--out", str(tmp_path / "b.npz")])


def test_masks_have_names_and_what_they_cover_has_a_probability(model, photos, tmp_path, capsys):
    images, out, scores = jv.data.load_for(SPEC, photos).x, tmp_path / "a.npz", tmp_path / "a.csv"
    words = {
        ("autoregressive", "bottom-half"): ("exact draws", ", exact. Mean"),
        ("autoregressive", "top-half"): ("approximate draws", "estimated by 3 importance samples"),
        ("vae", "1,2,5,8"): ("approximate draws", "estimated by 3 importance samples"),
    }
    for (kind, mask), said in words.items():
        command = ["complete", model(kind), "--data", photos, "--mask", mask, "--num", "1", "--num-samples", "3"]
        main([*command, "--scores", str(scores), "--out", str(out), "--overwrite"])
        text = capsys.readouterr().out
        assert all(part in text for part in said)
        expected = jv.load(model(kind)).conditional_log_likelihood(images, mask, num_samples=3)
        found = rows(scores)
        assert [row["path"] for row in found] == NAMES
        np.testing.assert_allclose([float(row["log_p_unknown_given_known"]) for row in found], expected, rtol=1e-6)
    with pytest.raises(SystemExit, match="There is no mask 'lower-half': expected one of left-half"):
        main(["complete", model("vae"), "--data", photos, "--mask", "lower-half", "--out", str(tmp_path / "b.npz")])


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((8, 8), np.uint8), "has no white pixels"),
        (np.full((9, 8), 255, np.uint8), "is 8x9 pixels, the model is of 8x8: pass --resize"),
        (np.arange(64, dtype=np.uint8).reshape(8, 8), "has grey images, expected black and white ones"),
    ],
)
def test_masks_that_are_none_are_one_sentence(mask, sentence, model, photos, tmp_path):
    Image.fromarray(mask).save(tmp_path / "mask.png")
    command = ["complete", model("vae"), "--data", photos, "--mask", str(tmp_path / "mask.png")]
    with pytest.raises(SystemExit, match=sentence):
        main([*command, "--out", str(tmp_path / "a.npz")])
    with pytest.raises(SystemExit, match="There is no image"):
        main([*command[:-1], str(tmp_path / "nowhere.png"), "--out", str(tmp_path / "a.npz")])


def test_noisy_images_need_no_noise_and_masks_may_be_grey(model, photos, tmp_path):
    main(["denoise", model("vae"), "--data", photos, "--num-samples", "2", "--out", str(tmp_path / "a.npz")])
    images = jv.data.load_for(SPEC, photos).x
    expected = jv.load(model("vae")).denoise(images / np.float32(255), num_samples=2)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["images"], np.rint(255 * expected))
    with pytest.raises(SystemExit, match="--noise and --level belong together"):
        main(["denoise", model("vae"), "--data", photos, "--noise", "masking", "--out", str(tmp_path / "b.npz")])


@pytest.mark.parametrize(
    ("kind", "verb", "shown"),
    [
        ("vae", "encode", ["encoding", "encoding"]),
        ("vqvae", "reconstruct", ["encoding", "decoding"]),
        ("vae", "denoise", ["denoising"]),
        ("autoregressive", "score", ["log-likelihood"]),
        ("m2", "classify", ["classes"]),
    ],
)
def test_what_takes_long_shows_a_bar(kind, verb, shown, model, photos, tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr("jaxvae.training.evaluate.progress", lambda items, name, total: found.append(name) or items)
    main(words(verb, model(kind), photos, tmp_path, tmp_path / f"out{endings(verb, kind)[0]}"))
    assert found == shown
