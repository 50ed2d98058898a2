"""What a prior over codes is judged by, together with its codec, and the images that the two generate."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.common.figures import NUM_SAMPLES, draw_samples
from experiments.common.folder import drawing, read_records
from experiments.common.judge_codec import coded, of_pixels
from experiments.common.loading import Finished
from experiments.common.report import print_metrics, write_summary
from experiments.common.training import evaluation_batch
from jaxvae import viz
from jaxvae.data import to_unit
from jaxvae.training import make_evaluator
from jaxvae.types import Splits

NUM_NEAREST = 24


def report_prior(finished: Finished, codes: Splits, codec: Finished, images: Splits) -> dict[str, Any]:
    """Evaluate on the test part, write `summary.json` and draw the figures.

    The bound is log p(x) >= log p(codes) + log p(x | codes), of the codes that the encoder gives.

    Args:
      finished: the prior.
      codes: its data.
      codec: whose codes they are.
      images: the codec's data, whose rows are those of the codes.

    Returns:
      The summary.
    """
    pixels = math.prod(codec.experiment.spec.shape)
    unit = 1.0 / (pixels * math.log(2.0))
    nll = _per_image(finished, codes.test, evaluation_batch(finished.experiment.spec))["nll"]
    given_codes = _per_image(codec, images.test, evaluation_batch(codec.experiment.spec))["reconstruction"]
    bound = nll.astype(np.float64) + given_codes
    metrics = {
        "nll_bound": float(np.mean(bound)),
        "nll_bound_stderr": float(np.std(bound) / np.sqrt(len(bound))),
        "nll_of_codes": float(np.mean(nll)),
        "nll_of_pixels_given_codes": float(np.mean(given_codes)),
        **({"bits_per_dim": float(np.mean(bound)) * unit} if of_pixels(codec) else {}),
        "rate_bits_per_dim": float(np.mean(nll)) * unit,
    }
    valid = _per_image(finished, codes.valid, evaluation_batch(finished.experiment.spec))
    scores = {name: float(np.mean(value)) for name, value in valid.items()}
    summary = write_summary(finished.folder, finished.experiment.name, finished.training, metrics, valid=scores)
    print_metrics(finished.folder, metrics)
    with drawing(finished.folder):
        _draw(finished, codec, images)
    return summary


def nearest_images(x: np.ndarray, among: np.ndarray, num_values: int, chunk: int = 5_000) -> np.ndarray:
    """Return the image that is nearest to each, by the Euclidean distance of pixels.

    Args:
      x: [N, H, W, C] in [0, 1].
      among: [M, H, W, C], as in a data set.
      num_values: values that a pixel of these takes.
      chunk: of them at a time.

    Returns:
      [N, H, W, C] in [0, 1].
    """
    flat = x.reshape(len(x), -1).astype(np.float32)
    best, nearest = np.full(len(x), np.inf, np.float32), np.zeros_like(x)
    for start in range(0, len(among), chunk):
        some = np.asarray(to_unit(jnp.asarray(among[start : start + chunk]), num_values))
        rows = some.reshape(len(some), -1)
        distance = np.sum(np.square(rows), axis=1)[None] - 2.0 * flat @ rows.T
        index = np.argmin(distance, axis=1)
        least = distance[np.arange(len(x)), index]
        nearest = np.where((least < best)[:, None, None, None], some[index], nearest)
        best = np.minimum(best, least)
    return nearest


# ---------- private


def _per_image(finished: Finished, dataset: Any, batch_size: int) -> dict[str, np.ndarray]:
    evaluate = make_evaluator(finished.experiment, min(batch_size, len(dataset.x)))
    return evaluate(finished.params, finished.model_state, dataset)


def _draw(finished: Finished, codec: Finished, images: Splits) -> None:
    folder = finished.folder / "figures"
    x = draw_samples(finished, NUM_SAMPLES).x
    viz.save_grid(folder / "samples.png", x, title="Generated images: codes drawn and decoded")
    nearest = nearest_images(x[:NUM_NEAREST], images.train.x, codec.experiment.spec.num_values)
    title = "Generated images over the nearest training images"
    viz.save_reconstructions(folder / "nearest.png", x[:NUM_NEAREST], nearest, title, ("generated", "nearest"))
    shown = images.test._replace(x=images.test.x[:NUM_NEAREST], labels=None)
    originals, _, reconstructions = coded(codec, shown)
    viz.save_reconstructions(
        folder / "reconstructions.png", originals, reconstructions, "Test images, decoded from codes"
    )
    viz.save_curves(folder / "curves.png", read_records(finished.folder))
