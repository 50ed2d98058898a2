"""What the main numbers of `summary.json` are: their names, units and directions."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Meaning(NamedTuple):
    """Name, unit and direction of a metric."""

    name: str
    unit: str
    better: str  # "lower", "higher", or "" where neither is


MAIN = {  # in the order in which they are printed
    "mig": Meaning("mutual information gap (MIG)", "of 1", "higher"),
    "nll": Meaning("negative log-likelihood (NLL)", "nats per image", "lower"),
    "nll_bound": Meaning("bound of the negative log-likelihood", "nats per image", "lower"),
    "nll_given_1_quadrants": Meaning("-log p(rest | lower left quadrant), at most", "nats per image", "lower"),
    "nll_given_2_quadrants": Meaning("-log p(right half | left half), at most", "nats per image", "lower"),
    "nll_given_3_quadrants": Meaning("-log p(lower right quadrant | rest), at most", "nats per image", "lower"),
    "elbo": Meaning("ELBO", "nats per image", "higher"),
    "kl": Meaning("KL divergence of posterior and prior", "nats per image", ""),
    "bits_per_dim": Meaning("bits/dim", "bits per pixel value", "lower"),
    "error": Meaning("classification error", "share of test images", "lower"),
    "reconstruction": Meaning("reconstruction error", "nats per image", "lower"),
    "foreground_of_samples": Meaning("foreground of samples", "of the pixels", ""),
    "recognised_samples": Meaning("samples that a classifier recognises", "of the samples", "higher"),
    "asked_class": Meaning("samples of the class that was asked for", "of the samples", "higher"),
    "energy_score": Meaning("energy score of samples", "distance of pixels", "lower"),
    "told_apart_test": Meaning("pairs that the discriminator tells apart", "of those of test images", ""),
    "psnr": Meaning("PSNR of reconstructions", "dB", "higher"),
    "active_units": Meaning("active latent units", "", ""),
    "used_codes": Meaning("codes used by test images", "", "higher"),
    "used_codes_0": Meaning("codes used by test images, coarse grid", "", "higher"),
    "used_codes_1": Meaning("codes used by test images, fine grid", "", "higher"),
    "perplexity": Meaning("perplexity of the codes", "", "higher"),
    "perplexity_0": Meaning("perplexity of the codes, coarse grid", "", "higher"),
    "perplexity_1": Meaning("perplexity of the codes, fine grid", "", "higher"),
    "mse": Meaning("mean squared error", "per pixel value", "lower"),
    "rate_bits_per_dim": Meaning("bits/dim of the codes", "bits per pixel value", "lower"),
    "sharpness": Meaning("sharpness of samples (data: 1)", "", ""),
    "sharpness_of_reconstructions": Meaning("sharpness of reconstructions (data: 1)", "", ""),
    "parameters": Meaning("parameters", "", ""),
    "factor_vae_score": Meaning("FactorVAE score", "of the votes", "higher"),
    "dci_disentanglement": Meaning("DCI disentanglement", "of 1", "higher"),
    "sap": Meaning("separated attribute predictability (SAP)", "of 1", "higher"),
    "images_seen": Meaning("images seen in the training", "", ""),
    "kl_divergence": Meaning("KL divergence from the target", "nats", "lower"),
}
OUT_OF = {  # a number that is a part of another: 12 of 16
    "active_units": "latent_dim",
    "used_codes": "num_codes",
    "used_codes_0": "num_codes_0",
    "used_codes_1": "num_codes_1",
}
BESIDE = {  # a number, and what it is to be compared with
    "mig": ("mig_ceiling", "a perfect code"),
    "sap": ("sap_ceiling", "a perfect code"),
    "dci_disentanglement": ("dci_disentanglement_ceiling", "a perfect code"),
    "factor_vae_score": ("factor_vae_score_ceiling", "a perfect code"),
    "foreground_of_samples": ("foreground", "data"),
    "bits_per_dim": ("bits_per_dim_of_independent_pixels", "independent pixels"),
    "recognised_samples": ("recognised_images", "test images"),
    "energy_score": ("energy_score_of_images", "training images"),
    "told_apart_test": ("told_apart_train", "training images"),
    **{
        f"nll_given_{num}_quadrants": (f"neighbours_given_{num}_quadrants", "nearest training images")
        for num in (1, 2, 3)
    },
}


def main_numbers(metrics: Mapping[str, Any]) -> dict[str, int | float]:
    """Return the numbers of a summary that are main ones, the most telling first."""
    return {name: metrics[name] for name in MAIN if isinstance(metrics.get(name), int | float)}


def written(metrics: Mapping[str, Any], name: str) -> str:
    """Return a main number as a person reads it, with its standard error, what it is a part of, or that of the data."""
    value = metrics[name]
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    if f"{name}_stderr" in metrics:
        text += f" +- {metrics[f'{name}_stderr']:.2g}"
    if OUT_OF.get(name) in metrics:
        text += f" of {metrics[OUT_OF[name]]:,}"
    other, of = BESIDE.get(name, ("", ""))
    if other in metrics:
        text += f" ({of}: {metrics[other]:.4g})"
    return text
