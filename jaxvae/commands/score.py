"""Score images: ELBO, log-likelihood with its standard error, or the exact one, bits per dimension."""

import csv

import numpy as np

from jaxvae.capabilities import HasJoint, Infers, Scores, ScoresExactly, require, require_any
from jaxvae.commands.given import labels_given, load_images, load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.verb_flags import ScoreFlags
from jaxvae.runs.trained import Trained

NAMED = 3  # of the least likely images


def needed(trained: Trained) -> ScoresExactly | Scores:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require_any(trained.system, (ScoresExactly, Scores), "likelihood of images")


def run(flags: ScoreFlags) -> None:
    """Score images and write the numbers."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".csv",), folder=False)
    trained = load_model(flags)
    able = needed(trained)
    if flags.refit:
        require(trained.system, HasJoint)
        require(trained.system, Infers)
    dataset = load_images(flags, trained)
    labels = labels_given(trained, dataset.labels, flags.label, len(dataset.x))
    scores = trained.score(dataset.x, labels=labels, num_samples=flags.num_samples, seed=flags.seed)
    columns = {name: values for name, values in scores._asdict().items() if values is not None}
    if flags.refit:
        refitted = trained.refit_posterior(dataset.x, labels=labels, seed=flags.seed)
        columns["refitted_elbo"], gap = refitted.refitted_elbo, refitted.refitted_elbo - refitted.elbo
        columns["amortization_gap"] = gap
    with writing(place) as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *columns])
        for name, *values in zip(dataset.names, *columns.values(), strict=True):
            writer.writerow([name, *(f"{value:.7g}" for value in values)])
    nats = scores.log_likelihood.astype(np.float64)
    within = f" +- {nats.std(ddof=1) / np.sqrt(len(nats)):.2g}" if len(nats) > 1 else ""
    kind = "log p(x)" if labels is None else "log p(x | class)"
    if not isinstance(able, ScoresExactly):
        kind += f" by {flags.num_samples} importance samples"
    print(f"{', '.join(columns)} of {len(nats):,} images in {place}.")
    print(f"Mean {kind}: {nats.mean():.5g}{within} nats.")
    if flags.refit:
        print(f"Mean amortisation gap, which q fitted to every image adds to the ELBO: {gap.mean():.3g} nats.")
    if len(nats) > NAMED:
        least = (f"{dataset.names[i]} ({nats[i]:.4g})" for i in np.argsort(nats)[:NAMED])
        print(f"Least likely: {', '.join(least)}.")
