"""The Python of the pages runs as it stands, in order, page by page; only trainings are cut to a few steps."""

import re
import shutil

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.__main__ import main

SLOW = {"guides/generate.md", "guides/representations.md", "tutorials/compose.md", "tutorials/vqvae.md"}
STEPS = 2  # in place of those of the page


def blocks(path):
    """The Python blocks of a page as one program, with empty lines in place of the rest: errors name its lines."""
    inside, lines = False, []
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            inside = line == "```python"
        lines.append(line if inside and not line.startswith("```") else "")
    program = "\n".join(lines)
    return re.sub(r"\bsteps=[\d_]+", f"steps={STEPS}", program)


def pages(root):
    docs = root / "docs"
    return {str(path.relative_to(docs)): blocks(path) for path in sorted(docs.rglob("*.md"))}


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        names = [name for name, program in pages(metafunc.config.rootpath).items() if program.strip()]
        marked = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in names]
        metafunc.parametrize("page", marked)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What the pages suppose to be there: an array, a folder of images, finished runs."""
    from PIL import Image

    place = tmp_path_factory.mktemp("pages")
    splits, spec = jv.data.load("digits")
    np.save(place / "images.npy", splits.train.x[:200])
    (place / "codes.csv").write_text("path,z0\na.png,0.5\n")
    (place / "photos").mkdir()
    for i, image in enumerate(splits.train.x[:40, :, :, 0]):
        Image.fromarray(image).save(place / "photos" / f"{i}.png")
    few = splits._replace(train=jv.Dataset(splits.train.x[:100], None), valid=jv.Dataset(splits.valid.x[:50], None))
    trained = jv.train(jv.systems.vae(spec, net="mlp"), few, steps=STEPS, progress=False)
    trained.save(place / "run")
    main(["export", str(place / "run"), "--format", "stablehlo", "--out", str(place / "masks-functions")])
    for name in ("binary_vae/mnist", "autoencoder/denoising"):
        shutil.copytree(place / "run", place / "runs" / name)
    return place


@pytest.mark.slow
def test_page_runs(page, place, request, monkeypatch, capsys):
    monkeypatch.chdir(place)
    program = pages(request.config.rootpath)[page]
    before = set(place.iterdir())
    exec(compile(program, page, "exec"), {"__name__": "page"})
    capsys.readouterr()  # pages may print
    for new in set(place.iterdir()) - before:
        shutil.rmtree(new) if new.is_dir() else new.unlink()


def test_programs_are_found_and_shortened(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Page\n\n```python\ntrain(steps=2_000)\n```\n\n```sh\nls\n```\n")
    assert blocks(path).split("\n") == ["", "", "", "train(steps=2)", *[""] * 5]
