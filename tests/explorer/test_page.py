import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.explorer import explore
from jaxvae.explorer.measures import SAMPLES, levels_of, measure, to_levels
from jaxvae.explorer.page import SCRIPTS, STYLES
from jaxvae.explorer.parts import functions_of
from jaxvae.explorer.weights import rounded
from tests.explorer.models import images, spec_of, untrained, vae

CLASSES = ("cat", "</script><b>dog")


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


@pytest.fixture(scope="module")
def trained():
    return untrained(vae(spec_of(2, classes=CLASSES)), images(2))


@pytest.fixture(scope="module")
def page(trained):
    return explore(trained, images(2), np.arange(40) % 2)


def test_page_is_one_file_that_asks_for_nothing(page):
    assert not re.findall(r"https?:|//cdn|@import|url\(|\bimport\b *[({\"']|\beval\(|new Function", page)
    assert re.search(r"""http-equiv="Content-Security-Policy"\s+content="default-src 'none';""", page)
    assert page.count("</script>") == 2
    assert not re.search("@[A-Z]+@", page)


def test_page_has_all_files_of_its_folder(request, page):
    folder = request.config.rootpath / "jaxvae" / "explorer" / "page"
    assert {path.name for path in folder.iterdir()} == {
        "template.html",
        *(f"{name}.js" for name in SCRIPTS),
        *(f"{name}.css" for name in STYLES),
    }
    for path in folder.iterdir():
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        assert max(map(len, text.splitlines())) <= 120, path
        assert path.name == "template.html" or text in page


def test_names_of_classes_and_titles_are_text(trained, page):
    assert data_of(page)["images"]["classes"] == list(CLASSES)
    again = explore(trained, title='<i>"A"</i> & @DATA@')
    assert data_of(again)["title"] == '<i>"A"</i> & @DATA@'
    assert "<h1>&lt;i&gt;&quot;A&quot;&lt;/i&gt; &amp; @DATA@</h1>" in again


def test_title_is_the_experiment_and_the_name_of_the_run(trained, tmp_path):
    assert data_of(explore(trained))["title"] == "small"
    assert data_of(explore(replace(trained, folder=tmp_path / "first")))["title"] == "small · first"


def test_activity_is_that_of_the_training_images_where_it_is_known(trained):
    latents = {"step": 3, "mean": [[0.0, 1.0, 2.0]], "std": [[0.5, 2.0, 0.1]]}
    data = data_of(explore(replace(trained, record={**trained.record, "latents": latents})))
    np.testing.assert_allclose(data["latents"]["activity"], [0.25, 4.0, 0.01], atol=1e-5)


def test_page_without_images_has_no_points(trained):
    data = data_of(explore(trained))
    assert data["images"] is None
    assert data["rounding"]["images"] == "images drawn from the model"
    assert 0 < data["rounding"]["mean"] < 0.01
    assert data["latents"]["activity"] == []


def test_codes_scores_and_activity_are_those_of_the_model(trained, page):
    data, functions = data_of(page), functions_of(trained.system)
    assert len(data["images"]["labels"]) == len(data["images"]["elbo"]) == data["images"]["shown"] == 40
    codes = np.frombuffer(base64.b64decode(data["images"]["codes"]), "<f2").reshape(40, 3).astype(np.float32)
    expected = replace(trained, params=rounded(trained.params)).encode(images(2))
    order = np.lexsort(expected.T), np.lexsort(codes.T)  # the images are in random order
    np.testing.assert_allclose(codes[order[1]], expected[order[0]], atol=2e-3)
    np.testing.assert_allclose(data["latents"]["activity"], expected.var(axis=0), rtol=1e-3)
    measured = measure(functions, trained.system, rounded(trained.params), images(2)[:1], 2)
    assert SAMPLES > 1
    assert np.abs(np.array(data["images"]["elbo"]) - measured.elbo).min() < 5  # other noise


def test_rounding_is_measured(trained, page):
    found = data_of(page)["rounding"]
    assert 0 < found["mean"] < found["largest"] < 0.01
    assert 0 < found["nats"] < 0.1


def test_labels_that_are_not_known_have_no_class(trained):
    data = data_of(explore(trained, images(2)[:6], [-1, 1, -1, 1, 1, -1]))
    assert sorted(data["images"]["labels"], key=str) == [0, 0, 0, None, None, None]
    assert data["images"]["classes"] == [CLASSES[1]]


@pytest.mark.slow
def test_levels_are_those_of_what_is_modelled():
    assert levels_of(vae(spec_of(2))) == 2
    assert levels_of(vae(spec_of(256))) == 2  # binarised
    assert levels_of(vae(spec_of(256), likelihood="gaussian")) == 256
    assert levels_of(vae(spec_of(16), likelihood="logistic_mixture")) == 16
    x = jnp.array([0, 3, 7, 8, 15], jnp.uint8)
    assert to_levels(x, 16, 2).tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(to_levels(x, 16, 16), np.array([0, 3, 7, 8, 15]) / 15, atol=1e-6)


class Normal(NamedTuple):
    """N(0, I), of which the page does not know that it is."""

    log_prob: Callable = jv.standard_normal().log_prob
    sample: Callable = jv.standard_normal().sample


@pytest.mark.slow
def test_bound_without_the_closed_divergence_has_the_same_mean():
    many = np.repeat(images(2)[:1], 400, axis=0)
    found = []
    for prior in (jv.standard_normal(), Normal()):
        trained = untrained(vae(spec_of(2), prior=prior), images(2))
        trained.params["posterior"]["statistics"]["bias"] += 1.5  # a divergence of several nats
        functions = functions_of(trained.system)
        assert functions.has_standard_prior() == (len(found) == 0)
        found.append(measure(functions, trained.system, trained.params, many, 2).elbo)
    closed, drawn = found
    assert closed.std() != drawn.std()
    error = np.hypot(closed.std(), drawn.std()) / np.sqrt(len(many))
    assert abs(closed.mean() - drawn.mean()) < 4 * error


@pytest.mark.slow
def test_learned_prior_has_draws_and_its_own_density():
    prior = jv.MixturePrior(num_components=2, latent_dim=3)
    trained = untrained(vae(spec_of(2), prior=prior), images(2))
    data = data_of(explore(trained))
    draws = np.frombuffer(base64.b64decode(data["latents"]["draws"]), "<f2").reshape(-1, 3)
    np.testing.assert_allclose(data["latents"]["mean"], draws.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(data["latents"]["std"], draws.std(axis=0), atol=0.02)
    assert "log_pz" in data["programs"]


@pytest.mark.parametrize(
    ("system", "match"),
    [
        (lambda: jv.systems.vqvae(spec_of(2), num_codes=8, code_dim=4, channels=(4,)), "cannot give q"),
        (lambda: jv.systems.autoregressive(spec_of(2), features=4, num_layers=2), "expected one of VAEs with a Gauss"),
        (lambda: vae(spec_of(2, channels=2)), r"examples of shape \[8, 8, 2\]: expected images"),
        (lambda: vae(spec_of(256, channels=3), likelihood="logistic_mixture"), "operation scan"),
    ],
)
def test_other_models_are_refused_in_one_sentence(system, match):
    system = system()
    shape = jax.eval_shape(
        system.trainable.init, jax.random.key(0), jv.Batch(jnp.zeros((2, *system.spec.shape)), None, jnp.ones(2))
    )
    params, state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shape)
    with pytest.raises(jv.UserError, match=match):
        explore(jv.Trained(system, params, state, {}))


def test_images_and_labels_are_checked(trained):
    with pytest.raises(jv.UserError, match="8x8"):
        explore(trained, np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(jv.UserError, match=r"labels have shape \[2\], expected one for each of 3"):
        explore(trained, images(2)[:3], [0, 1])
    with pytest.raises(jv.UserError):
        explore(trained, images(2)[:0])
