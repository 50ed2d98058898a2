"""The page in a browser: it computes what JAX computes, and answers to mouse, keyboard and finger."""

import functools
import io
import json
import math
import os
from pathlib import Path
from statistics import NormalDist

import jax
import numpy as np
import pytest
from PIL import Image

import jaxvae as jv
from jaxvae.explorer import explore
from jaxvae.explorer.parts import functions_of
from jaxvae.explorer.weights import rounded
from tests.explorer.models import images, spec_of, untrained, vae

pytestmark = pytest.mark.slow

KINDS = {
    "binary mlp": (2, 1, {"net": "mlp"}),
    "grey, binarised, conv": (256, 1, {"net": "conv"}),
    "grey mixture of logistics, mlp": (256, 1, {"likelihood": "logistic_mixture"}),
    "grey categorical, conv": (16, 1, {"net": "conv", "likelihood": "categorical"}),
    "grey gaussian resnet": (256, 1, {"net": "resnet", "likelihood": "gaussian"}),
    "colour gaussian conv": (256, 3, {"net": "conv", "likelihood": "gaussian"}),
    "colour gaussian resnet": (256, 3, {"net": "resnet", "likelihood": "gaussian"}),
    "learned prior": (2, 1, {"prior": jv.MixturePrior(num_components=2, latent_dim=3)}),
}


@functools.cache
def model(kind):
    num_values, channels, choices = KINDS[kind]
    x = images(num_values, channels)
    return untrained(vae(spec_of(num_values, channels, ("a", "b")), **choices), x), x


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a kind of model, with images or without."""

    def open_page(kind="grey gaussian resnet", width=1600, *, with_images=True, touch=False, theme="light"):
        trained, x = model(kind)
        labels = np.arange(len(x)) % 2
        path = tmp_path / "page.html"
        path.write_text(explore(trained, x, labels) if with_images else explore(trained), encoding="utf-8")
        browser.resize(width, 900, touch=touch)
        browser.theme(theme)
        browser.open(path)
        browser.until("window.explorer?.scored")
        return browser

    yield open_page
    assert browser.errors == []


def numbers(browser, expression):
    return np.array(browser.evaluate(f"Array.from({expression})"))


def code(browser):
    return numbers(browser, "explorer.store.state.z")


def pixels(browser, selector):
    """Pixels of a canvas, [H, W, 3] from 0 to 255."""
    found = browser.evaluate(
        f"(() => {{ const c = document.querySelector({json.dumps(selector)});"
        "return [c.height, c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]; })()"
    )
    return np.array(found[2]).reshape(found[0], found[1], 4)[..., :3]


def shown_by_jax(kind, z):
    """What JAX decodes with the rounded parameters, as a canvas shows it."""
    trained, _ = model(kind)
    functions, params = functions_of(trained.system), rounded(trained.params)
    x = np.clip(functions.mean(functions.decode(params, np.asarray(z, np.float32))), 0, 1)
    return 255 * np.broadcast_to(x, (*x.shape[:2], 3))


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_those_of_jax_with_the_rounded_parameters(kind, opened):
    browser, (trained, x) = opened(kind), model(kind)
    functions, params = functions_of(trained.system), rounded(trained.params)
    own = numbers(browser, "explorer.store.state.x").reshape(x.shape[1:]).astype(np.float32)
    q = functions.encode(params, own)
    noise = np.array([0.3, -1.2, 0.7], np.float32)
    z = q.mean + np.exp(0.5 * q.log_var) * noise
    encoded = "explorer.model.encode(explorer.store.state.x)"
    np.testing.assert_allclose(numbers(browser, f"{encoded}.mean"), q.mean, atol=1e-3)
    np.testing.assert_allclose(numbers(browser, f"{encoded}.logVar"), q.log_var, atol=1e-3)
    decoded = np.clip(functions.mean(functions.decode(params, z)), 0, 1)
    found = numbers(browser, f"explorer.model.decode(Float32Array.from({np.asarray(z).tolist()}))")
    np.testing.assert_allclose(found, decoded.ravel(), atol=1e-3)
    likelihood = functions.log_px(functions.decode(params, z), own)
    if functions.has_standard_prior():
        divergence = jv.distributions.normal_kl_to_standard(q).sum()
    else:
        divergence = jv.distributions.normal_log_prob(q, z) - functions.log_pz(params, z)
    bound = browser.evaluate(f"explorer.model.bound(explorer.store.state.x, {encoded}, {noise.tolist()})")
    np.testing.assert_allclose(bound["likelihood"], likelihood, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(bound["divergence"], divergence, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["binary mlp", "colour gaussian conv"])
def test_a_slider_moves_its_latent_through_the_quantiles(kind, opened):
    browser = opened(kind)
    selector = "#" + browser.evaluate("document.querySelector('.slider input').id")
    d = int(selector.split("-")[1])
    before = code(browser)
    browser.click(selector, 0.8)
    after = code(browser)
    percent = browser.evaluate(f"document.querySelector('{selector}').valueAsNumber")
    assert 75 < percent < 85
    assert abs(after[d] - NormalDist().inv_cdf(percent / 100)) < 1e-4
    np.testing.assert_array_equal(np.delete(after, d), np.delete(before, d))
    np.testing.assert_allclose(pixels(browser, "#picture"), shown_by_jax(kind, after), atol=0.8)
    browser.evaluate(f"document.querySelector('{selector}').focus()")
    browser.key("ArrowLeft", 37)
    assert code(browser)[d] < after[d]
    assert browser.evaluate(f"document.querySelector('{selector}').getAttribute('aria-valuetext')").startswith("+0.")


def test_sliders_show_the_code_and_fold_what_does_nothing(opened):
    browser = opened()
    z = code(browser)
    for d in range(3):
        percent = browser.evaluate(f"document.querySelector('#latent-{d}').valueAsNumber")
        assert abs(percent - 100 * 0.5 * (1 + math.erf(z[d] / math.sqrt(2)))) < 0.1
    activity = browser.evaluate("explorer.data.latents.activity")
    order = browser.evaluate("[...document.querySelectorAll('.slider input')].map((input) => input.id)")
    assert order == [f"latent-{d}" for d in np.argsort(activity)[::-1]]


def test_samples_and_the_middle(opened):
    browser = opened()
    before = code(browser)
    browser.click("#random")
    drawn = code(browser)
    assert not np.allclose(drawn, before)
    np.testing.assert_allclose(pixels(browser, "#picture"), shown_by_jax("grey gaussian resnet", drawn), atol=0.8)
    browser.click("#middle")
    np.testing.assert_array_equal(code(browser), 0)


def test_drawing_is_encoded_reconstructed_and_scored(opened):
    browser = opened()
    browser.click("#clear")
    assert np.ptp(pixels(browser, "#own")) == 0
    blank = browser.evaluate("document.querySelector('#elbo').textContent")
    row_4 = [(0.2, 0.5625), (0.5, 0.5625), (0.8, 0.5625)]
    browser.drag("#own", row_4)
    own = pixels(browser, "#own")
    assert own[4, 2:6].min() > 200
    assert own[0].max() < 100
    mean = numbers(browser, "explorer.store.state.q.mean")
    np.testing.assert_array_equal(code(browser), mean)
    np.testing.assert_allclose(pixels(browser, "#reconstruction"), shown_by_jax("grey gaussian resnet", mean), atol=0.8)
    browser.until("!document.querySelector('#score').classList.contains('working')")
    drawn = browser.evaluate("document.querySelector('#elbo').textContent")
    assert drawn != blank
    assert "% of 40 images" in browser.evaluate("document.querySelector('#rank').textContent")
    browser.click("#erase")
    browser.drag("#own", row_4)
    assert pixels(browser, "#own")[4, 2:6].max() < 100


def test_score_is_the_bound_with_the_noise_of_the_page(opened):
    kind = "binary mlp"
    browser, (trained, _) = opened(kind), model(kind)
    functions, params = functions_of(trained.system), rounded(trained.params)
    x = numbers(browser, "explorer.store.state.x").reshape(8, 8, 1).astype(np.float32)
    q = functions.encode(params, x)
    kl = jv.distributions.normal_kl_to_standard(q).sum()

    def one(key):
        z = jv.distributions.normal_sample(key, q)
        return functions.log_px(functions.decode(params, z), x) - kl

    draws = jax.vmap(one)(jax.random.split(jax.random.key(0), 2000))
    found = browser.evaluate("explorer.elbo")
    assert abs(found - draws.mean()) < 4 * draws.std() / math.sqrt(64)


def test_pictures_of_any_size_are_fitted_into_the_image(opened, tmp_path):
    browser = opened()
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[:, 200:] = 255
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    path = tmp_path / "wide.png"
    path.write_bytes(stream.getvalue())
    node = browser.send("DOM.getDocument")["root"]["nodeId"]
    found = browser.send("DOM.querySelector", nodeId=node, selector="#file")["nodeId"]
    browser.send("DOM.setFileInputFiles", nodeId=found, files=[str(path)])
    browser.until("document.querySelector('#own-status').textContent.includes('wide.png is shown')")
    browser.settle()
    own = pixels(browser, "#own")[..., 0]
    background = own[0, 0]
    np.testing.assert_allclose(own[:2], background, atol=3)
    np.testing.assert_allclose(own[2:6, :3], 0, atol=3)
    np.testing.assert_allclose(own[2:6, 5:], 255, atol=3)


def test_the_map_gives_the_code_and_the_picture_of_an_image(opened):
    browser = opened()
    x, y, size = browser.evaluate("[...explorer.points[7].place, document.querySelector('#map').width]")
    browser.click("#map", x / size, y / size)
    shown = numbers(browser, "explorer.store.state.x")
    chosen = browser.evaluate("document.querySelector('#map-status').textContent")
    number = int(chosen.split()[1].strip(",:")) - 1  # images may lie on each other
    np.testing.assert_array_equal(shown, numbers(browser, f"explorer.points[{number}].x"))
    np.testing.assert_allclose(code(browser), numbers(browser, f"explorer.points[{number}].z"), atol=2e-3)
    assert ", class " in chosen


def test_the_map_moves_the_code_in_its_plane_alone(opened):
    browser = opened()
    for select, value in (("#across", 2), ("#upwards", 3)):
        browser.evaluate(
            f"(() => {{ const s = document.querySelector('{select}'); s.selectedIndex = {value};"
            "s.dispatchEvent(new Event('change')); })()"
        )
    first, second = browser.evaluate(
        "['#across', '#upwards'].map((s) => Number(document.querySelector(s).selectedOptions[0].textContent.slice(1)))"
    )
    browser.evaluate("document.querySelector('#map').focus()")
    before = code(browser)
    browser.key("ArrowRight", 39)
    browser.key("ArrowUp", 38)
    moved = code(browser) - before
    assert moved[first] > 0
    assert moved[second] > 0
    assert np.abs(np.delete(moved, [first, second])).max() < 1e-6
    browser.key("Enter", 13, "\r")
    assert browser.evaluate("document.querySelector('#map-status').textContent").startswith("Image ")


def test_the_decoded_plane_is_what_the_decoder_makes_of_it(opened):
    browser = opened("binary mlp")
    browser.evaluate(
        "(() => { const v = document.querySelector('#view'); v.value = 'decoded'; v.dispatchEvent(new Event('change'));"
        "})()"
    )
    browser.until("document.querySelector('#map').getContext('2d').getImageData(3, 3, 1, 1).data[3] === 255")
    tile = pixels(browser, "#map")
    tile = tile[: len(tile) // 11, : len(tile) // 11]
    browser.click("#map", 0.5 / 11, 0.5 / 11)
    assert tile.std() > 0
    assert abs(pixels(browser, "#picture").mean() - tile.mean()) < 2


def test_the_path_goes_from_one_code_to_the_other(opened):
    browser = opened()
    browser.click("#random")
    start = code(browser)
    browser.click("#keep-a")
    browser.click("#random")
    end = code(browser)
    browser.click("#keep-b")
    browser.click("#strip button:nth-child(5)")
    expected = jv.sampling.spherical(*(np.asarray(z, np.float32) for z in (start, end)), 9)
    np.testing.assert_allclose(code(browser), expected[4], atol=1e-4)
    for i in (0, 4, 8):
        found = pixels(browser, f"#strip button:nth-child({i + 1}) canvas")
        np.testing.assert_allclose(found, shown_by_jax("grey gaussian resnet", expected[i]), atol=0.8)
    browser.click("#position", 0.02)
    assert np.linalg.norm(code(browser) - start) < np.linalg.norm(code(browser) - end)
    browser.click("#play")
    moving = code(browser)
    browser.settle()
    assert not np.allclose(code(browser), moving)
    browser.click("#play")


def test_a_finger_draws_and_chooses(opened):
    browser = opened(width=400, touch=True)
    browser.tap("#clear")
    browser.tap("#own", 0.5625, 0.5625)
    assert pixels(browser, "#own")[4, 4, 0] > 150
    x, y, size = browser.evaluate("[...explorer.points[3].place, document.querySelector('#map').width]")
    browser.tap("#map", x / size, y / size)
    assert browser.evaluate("document.querySelector('#map-status').textContent").startswith("Image ")
    browser.tap("#latent-0", 0.9)
    assert code(browser)[0] > 1


def test_a_page_without_images_shows_the_decoded_plane(opened):
    browser = opened("learned prior", with_images=False)
    assert browser.evaluate("document.querySelector('#view').value") == "decoded"
    assert browser.evaluate("document.querySelector('#among').hidden")
    browser.click("#random")
    draws = numbers(browser, "explorer.data.latents.draws").reshape(-1, 3)
    assert np.abs(draws - code(browser)).sum(axis=1).min() < 1e-6


def test_every_control_has_a_name(opened):
    browser = opened()
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "combobox", "ColorWell", "img", "image", "application"}
    controls = [node for node in tree if not node["ignored"] and node["role"]["value"] in roles]
    assert len(controls) > 20
    assert [node for node in controls if not node.get("name", {}).get("value")] == []
    ids = browser.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_into_any_window(width, theme, opened, tmp_path):
    browser = opened(width=width, touch=width == 400, theme=theme)
    assert browser.evaluate("document.documentElement.dataset.theme") == theme
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    sides = browser.evaluate(
        "[...document.querySelectorAll('main *')].filter((e) => e.getClientRects().length)"
        ".map((e) => e.getBoundingClientRect()).flatMap((box) => [box.left, box.right])"
    )
    assert min(sides) >= -1
    assert max(sides) <= width + 1
    small = browser.evaluate(
        "[...document.querySelectorAll('button, select')].filter((e) => e.getClientRects().length)"
        ".map((e) => e.getBoundingClientRect()).filter((box) => Math.min(box.width, box.height) < 28).length"
    )
    assert small == 0
    folder = Path(os.environ.get("JAXVAE_SCREENSHOTS", tmp_path))  # to be looked at
    browser.screenshot(folder / f"explorer_{width}_{theme}.png")
    image = Image.open(folder / f"explorer_{width}_{theme}.png")
    assert image.size[0] == width
    assert (np.asarray(image.convert("L"))[5, 5] > 128) == (theme == "light")


def test_a_page_of_400_000_parameters_is_small_and_fast(browser, tmp_path):
    splits, spec = jv.data.load(np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8))
    trained = untrained(jv.systems.vae(spec, net="resnet", latent_dim=16), splits.train.x)
    assert 400_000 < sum(leaf.size for leaf in jax.tree.leaves(trained.params)) < 410_000
    text = explore(trained, splits.train.x)
    assert len(text.encode()) < 1_500_000
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.resize(1600, 900)
    browser.open(path)
    browser.until("window.explorer?.scored")
    assert browser.evaluate("document.querySelector('#facts').textContent").count("ms on this device") == 1
