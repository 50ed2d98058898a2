"""Every figure: functions that take arrays and a path and write a PNG."""

from jaxvae.viz.codes import save_code_maps, save_code_usage
from jaxvae.viz.compared import save_compared
from jaxvae.viz.compression import save_quality, save_rates
from jaxvae.viz.curves import save_curves, save_losses, save_stages
from jaxvae.viz.densities import save_densities, save_restarts
from jaxvae.viz.detection import save_roc, save_score_histograms, save_scores
from jaxvae.viz.measures import save_measures
from jaxvae.viz.pictures import (
    save_anomalies,
    save_grid,
    save_interpolations,
    save_manifold,
    save_reconstructions,
    save_rows,
)
from jaxvae.viz.plots import (
    save_kl_per_dimension,
    save_latents,
    save_learning_curve,
    save_noise_levels,
    save_rate_distortion,
)
from jaxvae.viz.spectra import save_spectra
from jaxvae.viz.study import save_study

__all__ = [
    "save_anomalies",
    "save_code_maps",
    "save_code_usage",
    "save_compared",
    "save_curves",
    "save_densities",
    "save_grid",
    "save_interpolations",
    "save_kl_per_dimension",
    "save_latents",
    "save_learning_curve",
    "save_losses",
    "save_manifold",
    "save_measures",
    "save_noise_levels",
    "save_quality",
    "save_rate_distortion",
    "save_rates",
    "save_reconstructions",
    "save_restarts",
    "save_roc",
    "save_rows",
    "save_score_histograms",
    "save_scores",
    "save_spectra",
    "save_stages",
    "save_study",
]
