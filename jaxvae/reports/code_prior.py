"""Report of a prior over codes with its VQ-VAE: a likelihood bound and generated images."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from jaxvae import viz
from jaxvae.applications.coding import encode_as_codes
from jaxvae.applications.likelihood import log_likelihood
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.capabilities import Codes, require
from jaxvae.data.notices import counted
from jaxvae.evaluation.nearest import nearest_images
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.reports.console import print_line, print_summary
from jaxvae.reports.figures import NUM_SAMPLES, draw_samples, figures_of, save_curves
from jaxvae.reports.introduction import Introduction
from jaxvae.reports.report_page import write_report
from jaxvae.reports.summary import write_summary
from jaxvae.reports.values import negative_log_px, validation_means
from jaxvae.runs.folder import drawing
from jaxvae.runs.trained import Trained
from jaxvae.systems.two_stages import HasStages
from jaxvae.types import Dataset, Splits

NUM_NEAREST = 24


def report_code_prior(
    prior: Trained, codes: Splits, codec: Trained, images: Splits, *, brief: bool = False
) -> dict[str, Any]:
    """Evaluate on the test set, write `summary.json` and draw the figures.

    Args:
      prior: the prior, a run with a folder.
      codes: its data.
      codec: the VQ-VAE whose codes they are.
      images: its data, whose rows are those of the codes.
      brief: whether one line is printed, as of a run of a study, instead of the summary.

    Returns:
      The summary.
    """
    assert prior.folder is not None
    metrics, draw = evaluate_code_prior(prior, codes, codec, images)
    summary = write_summary(prior.folder, prior.training, metrics, valid=validation_means(prior, codes))
    with drawing(prior.folder):
        draw()
        write_report(prior.folder)
    print_line(prior, summary) if brief else print_summary(prior, summary, introduce(codec, images))
    return summary


def introduce(codec: Trained, images: Splits) -> Introduction:
    """Return the introduction of a prior over codes of images."""
    size = "x".join(map(str, codec.spec.shape))
    source = f" from {codec.config['data']}" if codec.config.get("data") else ""
    return Introduction(
        f"trained on the codes of {counted(len(images.train.x), 'image')} of {size}{source}",
        f"On {counted(len(images.test.x), 'test image')}",
    )


def evaluate_code_prior(
    prior: Trained, codes: Splits, codec: Trained, images: Splits
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of a prior and its VQ-VAE, and a function that draws their figures.

    The bound is log p(x) >= log p(codes) + log p(x | codes), of the codes that the encoder gives.

    Args:
      prior: the prior.
      codes: its data.
      codec: the VQ-VAE whose codes they are.
      images: its data, whose rows are those of the codes.
    """
    unit, of_codec = bits_per_nat(codec.spec), require(codec.system, Codes)
    nll = -log_likelihood(prior.system, prior.params, prior.model_state, codes.test).astype(np.float64)
    coded = encode_as_codes(codec.system, codec.params, codec.model_state, images.test)
    given_codes = negative_log_px(codec, coded.x)
    bound = nll + given_codes
    metrics = {
        **mean_and_error("nll_bound", bound),
        "nll_of_codes": float(np.mean(nll)),
        "nll_of_pixels_given_codes": float(np.mean(given_codes)),
        **({"bits_per_dim": float(np.mean(bound)) * unit} if of_codec.discrete else {}),
        "rate_bits_per_dim": float(np.mean(nll)) * unit,
    }
    return metrics, lambda: draw_code_prior(prior, codec, images)


def evaluate_two_stages(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of a prior that was loaded with its VQ-VAE, and a function that draws their figures.

    Args:
      trained: both as one model of images.
      splits: the images.
    """
    stages, state = require(trained.system, HasStages), trained.model_state
    codec = replace(trained, system=stages.codec, params=state["params"], model_state=state["state"])
    coded = encode_as_codes(codec.system, codec.params, codec.model_state, splits.test)
    test = Dataset(np.concatenate([grid.reshape(len(grid), -1) for grid in coded.codes], axis=1), splits.test.labels)
    codes = splits._replace(test=test)  # which is the part that is looked at
    return evaluate_code_prior(replace(trained, system=stages.prior), codes, codec, splits)


def draw_code_prior(prior: Trained, codec: Trained, images: Splits) -> None:
    """Draw generated images, their nearest training images, reconstructions and training curves."""
    folder = figures_of(prior)
    x = np.asarray(draw_samples(prior, NUM_SAMPLES).x)
    viz.save_grid(folder / "samples.png", x, title="Samples: codes from the prior, decoded")
    nearest = nearest_images(x[:NUM_NEAREST], images.train.x, codec.spec.num_values)
    title = "Samples and their nearest training images"
    viz.save_reconstructions(folder / "nearest.png", x[:NUM_NEAREST], nearest, title, ("generated", "nearest"))
    shown = images.test._replace(x=images.test.x[:NUM_NEAREST], labels=None)
    coded = encode_as_codes(codec.system, codec.params, codec.model_state, shown)
    title = "Test images and their reconstructions from codes"
    viz.save_reconstructions(folder / "reconstructions.png", coded.x, coded.reconstructions, title)
    save_curves(prior)
