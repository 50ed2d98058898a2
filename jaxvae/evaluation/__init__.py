"""Measures of trained models: likelihood, latents, images, features, sharpness."""

from jaxvae.evaluation.classifier import recognition
from jaxvae.evaluation.energy import energy_score
from jaxvae.evaluation.images import (
    histogram_nll,
    intensity_histogram,
    pixel_histogram,
    psnr,
    reconstruction_metrics,
    ssim,
)
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
    knn_graph,
    knn_probe,
    label_spreading,
    label_spreading_svm_error,
    linear_probe,
    mlp_probe,
    principal_components,
    standardized,
    svm_error,
)
from jaxvae.evaluation.samples import frechet_distance, modes, neighbourhoods, sample_measures
from jaxvae.evaluation.spectrum import high_frequency_power, power_spectrum

__all__ = [
    "LikelihoodEstimate",
    "Probe",
    "active_units",
    "activity",
    "clustering_scores",
    "frechet_distance",
    "diagnose_collapse",
    "energy_score",
    "high_frequency_power",
    "histogram_nll",
    "importance_estimate",
    "intensity_histogram",
    "jit_estimate",
    "kl_per_dimension",
    "knn_probe",
    "linear_probe",
    "mlp_probe",
    "modes",
    "mutual_information",
    "neighbourhoods",
    "knn_graph",
    "pixel_histogram",
    "principal_components",
    "psnr",
    "recognition",
    "reconstruction_metrics",
    "power_spectrum",
    "sample_measures",
    "label_spreading",
    "label_spreading_svm_error",
    "ssim",
    "standardized",
    "svm_error",
]
