"""Figures are PNG files of the expected size, and pictures show every pixel of their images."""

import sys

import numpy as np
import pytest
from PIL import Image

from jaxvae import viz
from jaxvae.errors import UserError
from jaxvae.viz import curves, detection, pictures, plots, spectra, study
from jaxvae.viz.canvas import ORANGE

RNG = np.random.default_rng(0)
DPI = 128
KL = np.array([0.0, 3.0, 1.0])


def read(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def has_color(pixels, color):
    rgb = [int(color[n : n + 2], 16) for n in (1, 3, 5)]
    return bool(np.all(pixels == rgb, axis=-1).any())


def test_save_scores_has_the_threshold_and_keeps_what_is_far_in_the_last_bar(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(detection, "write", lambda figure, path: drawn.append(figure))
    normal, scores = RNG.random(50), np.append(RNG.random(20), [1e9, np.inf])
    viz.save_scores(tmp_path / "a.png", normal, scores, 0.9, "kl")
    (axes,) = drawn[0].axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["normal images that calibrate: 50", "images: 22, 2 beyond", "threshold: 0.9"]
    assert axes.get_xlim()[1] < 10
    viz.save_scores(tmp_path / "a.png", np.zeros(3), np.zeros(2), None, "kl")  # all equal
    assert len(drawn[1].axes[0].get_legend().get_texts()) == 2
    viz.save_scores(tmp_path / "a.png", np.append(normal, np.inf), scores, None, "kl")  # no normal one is beyond
    assert drawn[2].axes[0].get_legend().get_texts()[0].get_text() == "normal images that calibrate: 51"


def test_save_roc_has_a_panel_for_every_variant_and_one_legend(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(detection, "write", lambda figure, path: drawn.append(figure))
    curves = {"default": ([0, 0.2, 1], [0, 0.9, 1]), "pca": ([0, 1], [0, 1])}
    viz.save_roc(tmp_path / "a.png", {"horizontal": curves, "vertical": curves}, ("pca",))
    assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["horizontal", "vertical"]
    lines = {line.get_label(): line for line in drawn[0].axes[1].lines}
    np.testing.assert_array_equal(lines["default"].get_ydata(), [0, 0.9, 1])
    assert (lines["default"].get_linestyle(), lines["pca"].get_linestyle()) == ("-", "--")
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["default", "pca"]


def test_save_score_histograms_keeps_what_is_far_in_the_last_bar(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(detection, "write", lambda figure, path: drawn.append(figure))
    far = RNG.random(50), np.append(RNG.random(20), [1e9, np.inf])
    panels = {"a": far, "b": (np.array([0, np.inf]), np.zeros(2))}
    viz.save_score_histograms(tmp_path / "a.png", panels, "default")
    first, _ = drawn[0].axes
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["normal: 50", "anomalies: 22, 2 beyond"]
    assert first.get_xlim()[1] < 10
    np.testing.assert_allclose(sum(bar.get_height() for bar in first.patches), 2.0)


# ---------- pictures


def test_save_grid_shows_every_pixel_enlarged(tmp_path):
    images = RNG.integers(0, 2, (5, 28, 28, 1))
    viz.save_grid(tmp_path / "grid.png", images, columns=3)
    pixels = read(tmp_path / "grid.png")
    side = 3 * 28  # pixels of an image, with 2 between images and 16 around them
    assert pixels.shape == (16 + 2 * side + 2 + 16, 16 + 3 * side + 4 + 16, 3)
    for index, image in enumerate(images):
        top, left = 16 + index // 3 * (side + 2), 16 + index % 3 * (side + 2)
        expected = np.kron(image[..., 0], np.ones((3, 3), int)) * 255
        for channel in range(3):
            np.testing.assert_array_equal(pixels[top : top + side, left : left + side, channel], expected)
    assert np.all(pixels[:, 16 + side : 16 + side + 2] == 255)
    assert np.all(pixels[16 + side + 2 :, 16 + 2 * side + 4 :] == 255)  # the sixth place is empty


def test_save_anomalies_shows_images_beside_their_maps_and_boxes(tmp_path):
    images, heat = RNG.random((7, 14, 14, 1)), np.zeros((7, 14, 14))
    heat[0, 4, 5], heat[1] = 2.0, -1.0
    viz.save_anomalies(
        tmp_path / "sheet.png", images, heat, {1: (2, 3, 6, 8)}, [f"image {i}" for i in range(7)], "title"
    )
    pixels, side, top = read(tmp_path / "sheet.png"), 6 * 14, 16 + 32
    expected = np.kron(np.rint(255 * images[0, ..., 0]), np.ones((6, 6)))
    np.testing.assert_array_equal(pixels[top : top + side, 16 : 16 + side, 0], expected)
    marked = pixels[top : top + side, 16 + side + 2 : 16 + 2 * side + 2]
    assert marked[6 * 4 + 3, 6 * 5 + 3].tolist() == [217, 26, 13]  # red
    grey = np.delete(marked.reshape(14, 6, 14, 6, 3)[:, 3, :, 3], 4, axis=0)
    assert (grey[..., 0] == grey[..., 1]).all()
    assert not has_color(marked, ORANGE)
    second = pixels[top : top + side, 16 + 2 * side + 16 : 16 + 4 * side + 18][:, side + 2 :]
    found = np.argwhere(np.all(second == [225, 112, 26], axis=-1))
    np.testing.assert_array_equal([found.min(axis=0), found.max(axis=0) + 1], [[18, 12], [48, 36]])


def test_save_grid_keeps_colors_and_limits_values(tmp_path):
    image = np.array([[[1.0, 0.5, 0.0], [2.0, -1.0, np.nan]]])
    viz.save_grid(tmp_path / "grid.png", image[None])
    pixels = read(tmp_path / "grid.png")
    assert pixels.shape == (42 + 32, 84 + 32, 3)
    assert pixels[20, 20].tolist() == [255, 128, 0]
    assert pixels[20, 95].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("num", "columns"), [(1, 1), (10, 4), (64, 8)])
def test_save_grid_is_square_by_default(tmp_path, num, columns):
    viz.save_grid(tmp_path / "grid.png", np.zeros((num, 84, 84, 1)))
    assert read(tmp_path / "grid.png").shape[1] == columns * 86 - 2 + 32


def test_save_grid_makes_room_for_a_title(tmp_path):
    viz.save_grid(tmp_path / "grid.png", np.ones((1, 28, 28, 1)), title="A title that is longer than its image")
    pixels = read(tmp_path / "grid.png")
    assert pixels.shape[0] == 84 + 32 + 32
    ink = np.argwhere(pixels.min(axis=-1) < 255)  # the image is as white as the paper
    assert len(ink) > 500
    assert ink[:, 0].max() < 16 + 32
    assert ink[:, 1].max() < pixels.shape[1] - 16


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 28, 3)), r"expected \[any, any, any, any\]"),
        (np.zeros((4, 28, 28, 2)), "1 or 3 channels"),
        (np.zeros((0, 28, 28, 1)), "no empty axis"),
        (np.full((1, 8, 8, 1), 255, np.uint8), "integers up to 255"),
    ],
)
def test_save_grid_refuses_what_is_not_images(tmp_path, images, message):
    with pytest.raises(ValueError, match=message):
        viz.save_grid(tmp_path / "grid.png", images)


def test_save_reconstructions_puts_pairs_above_each_other(tmp_path):
    originals = RNG.integers(0, 2, (14, 84, 84, 1))
    viz.save_reconstructions(tmp_path / "pairs.png", originals, 1 - originals, title="")
    pixels = read(tmp_path / "pairs.png")[..., 0]
    assert pixels.shape == (16 + 2 * 172 + 12 - 2 + 16, 146 + 7 * 86 - 2 + 16)  # two rows of seven pairs
    for index, image in enumerate(255 * originals[..., 0]):
        top, left = 16 + index // 7 * 184, 146 + index % 7 * 86
        np.testing.assert_array_equal(pixels[top : top + 84, left : left + 84], image)
        np.testing.assert_array_equal(pixels[top + 86 : top + 170, left : left + 84], 255 - image)
    assert pixels[:, :146].min() < 100  # the labels


def test_save_manifold_has_no_seams(tmp_path):
    viz.save_manifold(tmp_path / "manifold.png", np.zeros((9, 28, 28, 1)), title="")
    pixels = read(tmp_path / "manifold.png")
    side = 3 * 84
    assert pixels.shape == (16 + side + 40 + 16, 16 + 72 + side + 16, 3)
    assert np.all(pixels[16 : 16 + side, 88 : 88 + side] == 0)
    with pytest.raises(ValueError, match=r"expected \[4,"):
        viz.save_manifold(tmp_path / "manifold.png", np.zeros((8, 28, 28, 1)))


def test_save_interpolations_frames_the_ends(tmp_path):
    images = RNG.integers(0, 2, (2, 4, 28, 28, 1))
    viz.save_interpolations(tmp_path / "paths.png", images, title="")
    pixels = read(tmp_path / "paths.png")
    assert pixels.shape == (16 + 94 + 84 + 24 + 16, 16 + 3 * 88 + 12 + 84 + 16, 3)
    for row in range(2):
        for column, left in enumerate([16, 110, 198, 292]):
            top = 16 + 94 * row
            expected = np.kron(images[row, column, ..., 0], np.ones((3, 3), int)) * 255
            np.testing.assert_array_equal(pixels[top : top + 84, left : left + 84, 0], expected)
            assert has_color(pixels[top : top + 84, left - 3 : left], ORANGE) == (column in (0, 3))


# ---------- plots


def record(step, part, elbo):
    return {"step": step, "part": part, "loss": -elbo + 1.0, "elbo": elbo, "reconstruction": -elbo - 20.0, "kl": 20.0}


RECORDS = [record(step, part, -90.0 - 1000.0 / step) for step in range(1, 50) for part in ("train", "valid")]
POWER = np.array([9.0, 4.0, 1.0, 0.1])
PLOTS = {  # name -> what draws it, size in inches
    "latents of 2": (
        lambda path: viz.save_latents(path, RNG.normal(size=(50, 2)), RNG.integers(0, 10, 50)),
        (7.5, 6.0),
    ),
    "latents of 1": (lambda path: viz.save_latents(path, RNG.normal(size=(50, 1))), (7.5, 6.0)),
    "latents of 5": (lambda path: viz.save_latents(path, RNG.normal(size=(50, 5)), np.arange(50)), (7.5, 6.0)),
    "collapsed latents": (lambda path: viz.save_latents(path, np.zeros((50, 5))), (7.5, 6.0)),
    "kl": (lambda path: viz.save_kl_per_dimension(path, KL, KL > 0.5), (8.0, 4.2)),
    "curves": (lambda path: viz.save_curves(path, RECORDS), (9.6, 7.0)),
    "rate-distortion": (lambda path: viz.save_rate_distortion(path, [9.0, 20.0], [99.0, 80.0], ["a", "b"]), (7.0, 5.4)),
    "one rate-distortion": (lambda path: viz.save_rate_distortion(path, [9.0], [99.0], ["β = 1"]), (7.0, 5.4)),
    "losses": (lambda path: viz.save_losses(path, {"a": [([1, 2, 3], [9.0, 2.0, 1.0])]}), (9.6, 3.9)),
    "code usage": (lambda path: viz.save_code_usage(path, [5, 0, 9, 1]), (8.0, 4.2)),
    "spectra": (lambda path: viz.save_spectra(path, POWER, {"A": {"m": POWER}, "B": {"m": POWER / 2}}), (9.6, 3.9)),
    "stages": (lambda path: viz.save_stages(path, {"a": ([1, 2], [9.0, 5.0]), "b": ([3], [4.0])}, "nats"), (8.0, 4.6)),
    "noise levels": (
        lambda path: viz.save_noise_levels(path, [0.1, 0.5], {"a": [30.0, 20.0]}, "PSNR [dB]"),
        (7.0, 4.6),
    ),
    "learning curve": (lambda path: viz.save_learning_curve(path, [10, 100], {"a": [1, 2]}, "nats"), (7.0, 4.6)),
}


@pytest.mark.parametrize("name", PLOTS)
def test_plots_are_drawn_at_their_size(tmp_path, name):
    draw, (width, height) = PLOTS[name]
    draw(tmp_path / "plot.png")
    pixels = read(tmp_path / "plot.png")
    assert abs(pixels.shape[1] - width * DPI) <= 1
    assert abs(pixels.shape[0] - height * DPI) <= 1
    assert pixels.min() < 100
    assert pixels[0].min() == pixels[-1].min() == pixels[:, 0].min() == pixels[:, -1].min() == 255  # nothing is cut off


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written, in place of their files."""
    figures = []
    for module in (curves, plots):
        monkeypatch.setattr(module, "write", lambda figure, path: figures.append(figure))
    return figures


def test_save_latents_draws_each_point_in_the_color_of_its_class(drawn):
    means = RNG.normal(size=(30, 2))
    labels = RNG.integers(3, 6, 30)
    viz.save_latents("", means, labels)
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["3", "4", "5"]
    cloud = axes.collections[0]
    shown = {tuple(point): index for point, index in zip(cloud.get_offsets().tolist(), cloud.get_array(), strict=True)}
    assert shown == {tuple(point): label - 3 for point, label in zip(means.tolist(), labels, strict=True)}
    legend_colors = [line.get_color()[:3] for line in axes.lines]
    np.testing.assert_allclose(legend_colors, cloud.cmap([0, 1, 2])[:, :3])


def test_save_latents_of_many_classes_has_no_legend(drawn):
    viz.save_latents("", RNG.normal(size=(30, 2)), np.arange(30))
    assert drawn[0].axes[0].get_legend() is None


def test_save_latents_of_more_dimensions_shows_principal_components(drawn):
    means = np.random.default_rng(0).normal(size=(4000, 3)) * np.array([1.0, 3.0, 2.0])  # variances 1, 9, 4 of 14
    viz.save_latents("", means)
    axes = drawn[0].axes[0]
    assert axes.get_xlabel() == "principal component 1 (64% of variance)"
    assert axes.get_ylabel() == "principal component 2 (29% of variance)"
    np.testing.assert_allclose(np.var(axes.collections[0].get_offsets(), axis=0), [9.0, 4.0], rtol=0.06)


def test_save_kl_per_dimension_sorts_and_marks(drawn):
    viz.save_kl_per_dimension("", KL, KL > 0.5)
    axes = drawn[0].axes[0]
    assert axes.get_title(loc="left") == "2 of 3 latent units active, KL 4.0 nats"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "0"]
    active, inactive = axes.containers
    assert [(bar.get_x() + 0.4, bar.get_height()) for bar in active] == [(0.0, 3.0), (1.0, 1.0)]
    assert [(bar.get_x() + 0.4, bar.get_height()) for bar in inactive] == [(2.0, 0.0)]


def test_save_curves_has_a_panel_for_each_recorded_metric(drawn):
    viz.save_curves("", RECORDS)
    viz.save_curves("", [{"step": 1, "part": "train", "loss": 3.0, "grad_norm": 1.0}])
    viz.save_curves("", [{**line, "loss": -line["elbo"]} for line in RECORDS])  # that loss is no news
    titles = [[axes.get_title(loc="left").split(",")[0] for axes in figure.axes] for figure in drawn]
    assert titles == [["Loss", "ELBO", "Reconstruction", "KL"], ["Loss"], ["ELBO", "Reconstruction", "KL"]]
    assert [line.get_label().split(",")[0] for line in drawn[0].axes[1].lines] == ["train", "valid"]
    with pytest.raises(ValueError, match="None of loss, elbo"):
        viz.save_curves("", [{"step": 1, "part": "train", "grad_norm": 1.0}])


def test_save_curves_is_not_flattened_by_its_first_value_nor_by_a_spike(drawn):
    elbo = -90.0 + np.sin(np.arange(200.0))
    elbo[0], elbo[120], elbo[150] = -540.0, -300.0, np.nan
    viz.save_curves("", [{"step": 100 * n, "part": "train", "elbo": value} for n, value in enumerate(elbo)])
    low, high = drawn[0].axes[0].get_ylim()
    assert -93.0 < low < -91.0
    assert -89.0 < high < -87.0


def test_save_curves_shows_the_kl_from_zero(drawn):
    viz.save_curves("", [{"step": n, "part": "valid", "kl": 20.0 + n / 100} for n in range(50)])
    low, high = drawn[0].axes[0].get_ylim()
    assert low == 0.0
    assert 21.0 < high < 23.0


def test_save_rate_distortion_draws_lines_of_equal_elbo_through_the_points(drawn):
    viz.save_rate_distortion("", [9.0, 20.0], [99.0, 80.0], ["β = 4", "β = 1"])
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["β = 4", "β = 1"]
    lines = [line for line in axes.lines if hasattr(line, "get_slope")]
    assert [(line.get_xy1(), line.get_slope()) for line in lines] == [((9.0, 99.0), -1.0), ((20.0, 80.0), -1.0)]


def test_save_learning_curve_has_a_logarithmic_axis_with_the_sizes(drawn):
    viz.save_learning_curve("", [100, 5000], {"a": [-170, -90], "b": [-160, -85]}, "log p(x) [nats]")
    axes = drawn[0].axes[0]
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["100", "5,000"]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[-170, -90], [-160, -85]]
    with pytest.raises(ValueError, match="c has shape"):
        viz.save_learning_curve("", [100, 5000], {"c": [1]}, "")


def test_save_learning_curve_has_bars_of_the_spreads_where_there_are_any(drawn):
    viz.save_learning_curve("", [100, 5000], {"a": [5.0, 3.0]}, "error [%]", spreads={"a": [0.5, np.nan]})
    (bars,) = drawn[0].axes[0].collections
    assert bars.get_segments()[0].tolist() == [[100, 4.5], [100, 5.5]]
    assert not any(np.isfinite(segment).all() and len(segment) for segment in bars.get_segments()[1:])
    with pytest.raises(ValueError, match="spreads of a has shape"):
        viz.save_learning_curve("", [100, 5000], {"a": [5.0, 3.0]}, "", spreads={"a": [1.0]})


def test_save_rows_puts_every_row_where_its_name_is(tmp_path, monkeypatch):
    placed = {}
    monkeypatch.setattr(
        pictures, "_save_tiles", lambda path, tiles, corners, title, labels, **_: placed.update(locals())
    )
    viz.save_rows("", {"a": np.zeros((3, 4, 4, 1)), "b": np.ones((3, 4, 4, 1))})
    tops = [top for top, _ in placed["corners"]]
    assert [tile.max() for tile in placed["tiles"]] == [0, 0, 0, 255, 255, 255]
    assert tops[:3] == [0, 0, 0]
    assert tops[3] == tops[4] == tops[5] > 0
    assert [label.text for label in placed["labels"]] == ["a", "b"]
    assert [label.y // tops[3] for label in placed["labels"]] == [0, 1]
    with pytest.raises(ValueError, match="b has shape"):
        viz.save_rows("", {"a": np.zeros((3, 4, 4, 1)), "b": np.ones((2, 4, 4, 1))})


def test_save_stages_draws_one_after_another(drawn):
    viz.save_stages("", {"phase_1": ([10, 20], [9.0, 8.0]), "together": ([30, 40], [7.0, 5.0])}, "nats")
    axes = drawn[0].axes[0]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[10, 20], [30, 40]]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[9, 8], [7, 5]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["phase_1", "together"]
    with pytest.raises(ValueError, match="a has shape"):
        viz.save_stages("", {"a": ([1, 2], [1.0])}, "")


def test_save_losses_draws_every_run_whole_and_without_its_first_record(drawn):
    runs = [([1, 2, 3], [200.0, 7.0, 6.0]), ([1, 2], [180.0, 9.0])]
    viz.save_losses("", {"K=0": runs, "K=5": runs[:1]})
    whole, rest = drawn[0].axes
    assert [line.get_ydata().tolist() for line in whole.lines] == [[200, 7, 6], [180, 9], [200, 7, 6]]
    assert [line.get_ydata().tolist() for line in rest.lines] == [[7, 6], [9], [7, 6]]
    assert [line.get_xdata().tolist() for line in rest.lines] == [[2, 3], [2], [2, 3]]
    assert [text.get_text() for text in whole.get_legend().get_texts()] == ["K=0", "K=5"]
    with pytest.raises(ValueError, match="A run of K=0 has 1 records of its loss, expected two"):
        viz.save_losses("", {"K=0": [([1], [2.0])]})


def test_save_spectra_keeps_the_colour_of_a_model(monkeypatch):
    figures = []
    monkeypatch.setattr(spectra, "write", lambda figure, path: figures.append(figure))
    viz.save_spectra("", POWER, {"A": {"m": POWER, "n": POWER / 2}, "B": {"n": POWER / 4}})
    colours = [{line.get_label(): line.get_color() for line in axes.lines} for axes in figures[0].axes]
    assert colours[0]["n"] == colours[1]["n"] != colours[0]["m"]
    assert [line.get_ydata().tolist() for line in figures[0].axes[1].lines] == [[4.0, 1.0, 0.1], [1.0, 0.25, 0.025]]
    with pytest.raises(ValueError, match=r"power of n has shape \[3\], expected \[4\]"):
        viz.save_spectra("", POWER, {"A": {"n": POWER[:3]}})


# ---------- missing packages


@pytest.mark.parametrize(("package", "dim"), [("matplotlib.figure", 2), ("sklearn.decomposition", 3)])
def test_missing_packages_are_named(tmp_path, monkeypatch, package, dim):
    monkeypatch.setitem(sys.modules, package, None)
    expected = {"matplotlib": "matplotlib", "sklearn": "scikit-learn"}[package.split(".")[0]]
    with pytest.raises(UserError, match=rf"{expected}, which is not installed; pip install \"jaxvae\[experiments\]\""):
        viz.save_latents(tmp_path / "latents.png", np.zeros((4, dim)))


def test_global_state_of_matplotlib_is_left_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    viz.save_grid(tmp_path / "grid.png", np.zeros((1, 8, 8, 1)), title="grid")
    assert dict(matplotlib.rcParams) == before


def test_save_study_shows_every_run_the_means_and_what_diverged(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(study, "write", lambda figure, path: figures.append(figure))
    values = {"gaussian": [90.0, 92.0], "planar": [89.0, float("nan")]}
    lines = {"gaussian": [([1, 2], [95.0, 91.0])] * 2, "planar": [([1, 2], [94.0, 90.0]), ([1], [99.0])]}
    viz.save_study(tmp_path / "study.png", values, lines, "NLL [nats]", "posterior", best="planar")
    learning, reached = figures[0].axes
    assert len(learning.lines) == 4
    assert [text.get_text() for text in learning.get_legend().get_texts()] == ["gaussian", "planar"]
    points = [line.get_ydata().tolist() for line in reached.lines]
    assert points == [[90.0, 92.0], [91.0, 91.0], [89.0]]  # two runs and their mean; one run alone
    assert [text.get_text() for text in reached.texts] == ["diverged"]
    assert (reached.get_xlabel(), reached.get_ylabel()) == ("posterior", "NLL [nats]")
