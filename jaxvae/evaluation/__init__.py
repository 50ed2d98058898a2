"""What a trained model is judged by: likelihood, latents, images, features."""

from jaxvae.evaluation.images import histogram_nll, intensity_histogram, pixel_histogram, psnr, ssim
from jaxvae.evaluation.latents import (
    active_units,
    activity,
    diagnose_collapse,
    kl_per_dimension,
    mutual_information,
)
from jaxvae.evaluation.likelihood import LikelihoodEstimate, importance_estimate, jit_estimate
from jaxvae.evaluation.probes import (
    Probe,
    clustering_scores,
    knn_probe,
    linear_probe,
    mlp_probe,
    neighbour_graph,
    principal_components,
    spread_labels,
    spread_svm_error,
    standardized,
    svm_error,
)
from jaxvae.evaluation.spectrum import high_frequency_power, radial_power

__all__ = [
    "LikelihoodEstimate",
    "Probe",
    "active_units",
    "activity",
    "clustering_scores",
    "diagnose_collapse",
    "high_frequency_power",
    "histogram_nll",
    "importance_estimate",
    "intensity_histogram",
    "jit_estimate",
    "kl_per_dimension",
    "knn_probe",
    "linear_probe",
    "mlp_probe",
    "mutual_information",
    "neighbour_graph",
    "pixel_histogram",
    "principal_components",
    "psnr",
    "radial_power",
    "spread_labels",
    "spread_svm_error",
    "ssim",
    "standardized",
    "svm_error",
]
