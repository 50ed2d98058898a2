"""The tables of the pages, a function each: (records, quoted) -> Markdown."""

from typing import Any

from benchmarks.pages.fields import bold_best, table
from benchmarks.records import Record

Records = dict[str, Record]

POSTERIORS = {
    "gaussian": "Gaussian",
    "planar": "planar",
    "radial": "radial",
    "iaf": "IAF",
    "triangular": "triangular Sylvester",
    "orthogonal": "orthogonal Sylvester",
    "householder": "Householder Sylvester",
}
PRIORS = {
    "normal": "N(0, I)",
    "mixture": "mixture of {num_components} Gaussians",
    "vamp": "VampPrior, {num_components} pseudo-inputs",
    "realnvp": "RealNVP, {num_flows} layers",
    "maf": "MAF, {num_flows} layers",
}
TARGETS = {"mixture": "mixture, sd 1", "narrow": "mixture, sd 0.5", **{name: name for name in ("U1", "U2", "U3", "U4")}}
QUANTIZERS = {
    "plain": "codes by moving averages, from normal ones",
    "kmeans": "codes start from the clusters of the first 1,000 images",
    "restart": "`kmeans`, and dead codes are restarted",
    "cosine": "`restart`, and codes and vectors have length 1",
    "rotation": "`restart` with the rotation trick",
    "low_dim": "`cosine` in {low_dim} of the {code_dim} channels",
    "gradient": "codes are learned by the gradient",
    "residual": "{num_parts} codes a place, each of what the last one leaves",
    "grouped": "{num_parts} codes a place, each of its part of the channels",
    "fsq": "{num_parts} channels rounded to a few levels",
    "lfq": "the signs of nine channels",
    "gumbel": "drawn by Gumbel-softmax",
}
DENOISERS = {
    "noisy": "noisy",
    "median": "median filter",
    "non-local means": "non-local means",
    "autoencoder_conv32": "autoencoder",
    "autoencoder_denoising32": "denoising autoencoder",
    "binary_vae_conv32": "VAE",
}
FEATURES = {
    "pixels": "pixels",
    "PCA-50": "PCA",
    "autoencoder_conv32": "autoencoder",
    "autoencoder_denoising32": "denoising autoencoder",
    "binary_vae_conv32": "VAE",
}
STAGES = {
    "phase_1": "first pair, a code of 500",
    "phase_2": "second pair, 250",
    "phase_3": "third pair, 32",
    "together": "then as a whole",
    "end_to_end": "as a whole from the start",
}
MODELS = {
    "VAE": "VAE, means of the pixels",
    "VAE, pixels drawn": "the same, pixels drawn",
    "PixelVAE": "PixelVAE, pixels drawn",
    "VQ-VAE": "VQ-VAE, means of the pixels",
}


def planar_density(records: Records, quoted: Record) -> str:
    """KL of every target and number of layers: best / median / worst of the restarts."""
    runs = records["planar_density"]["runs"]
    layers = sorted({run["num_flows"] for run in runs})
    cells = {
        (run["target"], run["num_flows"]): " / ".join(f"{run[which]:.4f}" for which in ("best", "median", "worst"))
        for run in runs
    }
    rows = [[name, *(cells[target, num] for num in layers)] for target, name in TARGETS.items()]
    return table(["target", *(f"K = {num}" for num in layers)], rows)


def planar_likelihood(records: Records, quoted: Record) -> str:
    """KL(p || q) of maximum likelihood: best / median of the restarts at the largest K."""
    runs = records["planar_density_likelihood"]["runs"]
    most = max(run["num_flows"] for run in runs)
    of = {run["target"]: f"{run['best']:.4f} / {run['median']:.4f}" for run in runs if run["num_flows"] == most}
    return table(["target", f"K = {most}"], [[name, of[target]] for target, name in TARGETS.items()])


def flow_posterior(records: Records, quoted: Record) -> str:
    """Posteriors with flows, and what each gains over the Gaussian one."""
    published = quoted["published"]["sylvester_gains"]
    rows = []
    for row in records["flow_posterior_static_mnist"]["variants"]:
        name = row["variant"]
        family = "sylvester" if name in ("triangular", "orthogonal", "householder") else name
        rows.append([POSTERIORS[name], *_comparison(row), published.get(family, "")])
    return table(["posterior", *COMPARED, "published gain"], rows)


def learned_priors(records: Records, quoted: Record) -> str:
    """Priors, and what each gains over N(0, I)."""
    record = records["flow_prior_static_mnist"]
    names = {name: text.format(**record["config"]) for name, text in PRIORS.items()}
    rows = [
        [names[row["variant"]], f"{row['nll']:.2f}", f"{row['elbo']:.2f}", f"{row['kl']:.2f}", _with(row, "gain")]
        for row in record["variants"]
    ]
    return table(["prior", "NLL", "ELBO", "KL", "gain in NLL"], rows)


def mixture_bernoulli(records: Records, quoted: Record) -> str:
    """Mixtures of Bernoullis, and what they gain over one."""
    variants = records["mixture_bernoulli_static_mnist"]["variants"]
    rows = [[row["variant"].removeprefix("K="), *_comparison(row)] for row in variants]
    return table(["components", *COMPARED], rows)


def levers(records: Records, quoted: Record) -> str:
    """What each part of the main job is worth: one setting changed, the others as they are."""
    rows = []
    for row in records["binary_vae_levers"]["variants"]:
        nll, recognised = f"{row['nll']:.2f} ({row['sd']:.2f})", f"{row['recognised_samples']:.1%}"
        name = f"`{row['variant']}`" if row["variant"] else "the main job, without the mixture"
        rows.append([name, nll, _with(row, "gain"), f"{row['elbo']:.2f}", recognised, f"{row['seconds']:.0f}"])
    return table(["setting", "NLL", "gain in NLL", "ELBO", "samples recognised", "seconds of three"], rows)


def collapse(records: Records, quoted: Record) -> str:
    """A posterior that collapses, and one that a warm-up keeps from it."""
    rows = []
    for flag, name in (("", "binary_vae_collapse_plain"), ("`--warmup-steps 500`", "binary_vae_collapse_warmup")):
        metrics = records[name]["metrics"]
        numbers = (metrics["nll"], -metrics["elbo"], metrics["reconstruction"], metrics["kl"])
        rows.append([flag or "none", *(f"{number:.1f}" for number in numbers), str(metrics["active_units"])])
    histogram = records["binary_vae_collapse_plain"]["metrics"]["nll_of_independent_pixels"]
    rows.append(["(one histogram for all pixels)", f"{histogram:.1f}", "", "", "", ""])
    return table(["flag", "NLL", "-ELBO", "reconstruction", "KL", "active units of 16"], rows)


def quantizers(records: Records, quoted: Record) -> str:
    """Quantizers on the same nets."""
    record = records["quantizers_mnist"]
    rows = [
        [
            f"`{row['quantizer']}`: {QUANTIZERS[row['quantizer']].format(**record['config'])}",
            f"{row['used_codes']} of {row['num_codes']}",
            f"{row['perplexity']:.1f}",
            f"{row['mse']:.4f}",
            f"{row['psnr']:.1f}",
            f"{row['reconstruction_bits_per_dim']:.3f}",
            f"{row['images_per_second']:,.0f}",
        ]
        for row in record["quantizers"]
    ]
    head = ["quantizer", "codes used", "perplexity", "MSE", "PSNR, dB", "bits/dim given the codes", "images/s"]
    return table(head, rows)


def sharpness_digits(records: Records, quoted: Record) -> str:
    """Sharpness of three models of digits."""
    return _sharpness(records["blur_mnist"])


def sharpness_emoji(records: Records, quoted: Record) -> str:
    """Sharpness of three models of emoji."""
    return _sharpness(records["blur_emoji"])


def denoising(records: Records, quoted: Record) -> str:
    """Ways to take noise out of images, PSNR / SSIM by the level of the noise, the best of a level in bold."""
    found = {(row["level"], row["method"]): row for row in records["denoising_mnist"]["methods"]}
    levels = sorted({level for level, _ in found})
    columns = []
    for level in levels:
        rows = [found[level, method] for method in DENOISERS]
        psnrs, ssims = ([row[name] for row in rows] for name in ("psnr", "ssim"))
        first = bold_best([f"{value:.1f}" for value in psnrs], psnrs, highest=True)
        second = bold_best([f"{value:.2f}" for value in ssims], ssims, highest=True)
        columns.append([f"{psnr} / {ssim}" for psnr, ssim in zip(first, second, strict=True)])
    rows = [[name, *cells] for name, *cells in zip(DENOISERS.values(), *columns, strict=True)]
    return table(["method", *(f"{level:g}" for level in levels)], rows)


def representations(records: Records, quoted: Record) -> str:
    """Probes of features, accuracy in per cent, the best of a probe in bold."""
    rows = records["representations_mnist"]["probes"]
    columns: list[list[Any]] = [[FEATURES[row["features"]] for row in rows], [str(row["dimensions"]) for row in rows]]
    for probe, form in (("linear", ".2f"), ("knn", ".2f"), ("mlp", ".2f"), ("clusters_nmi", ".3f")):
        values = [row[probe] for row in rows]
        columns.append(bold_best([format(value, form) for value in values], values, highest=True))
    head = ["features", "dimensions", "linear", "nearest neighbours", "a network", "clusters, NMI"]
    return table(head, [list(cells) for cells in zip(*columns, strict=True)])


def compression_static(records: Records, quoted: Record) -> str:
    """Lossless compression of static MNIST."""
    return _compression(records["compression_static_mnist"])


def stages(records: Records, quoted: Record) -> str:
    """An autoencoder trained in phases against one trained as a whole."""
    rows = [
        [
            STAGES[row["stage"]],
            f"{row['steps']:,}",
            f"{row['seconds']:.0f}",
            f"{row['reconstruction']:.1f}",
            f"{row['psnr']:.1f}",
        ]
        for row in records["stacked_autoencoder_phases_mnist"]["stages"]
    ]
    return table(["stage", "steps", "seconds", "reconstruction, nats", "PSNR, dB"], rows)


def pretraining(records: Records, quoted: Record) -> str:
    """Errors of classifiers that are pre-trained or not, by the number of known classes."""
    shifted, frozen = (records[f"finetune_{name}_mnist"]["errors"] for name in ("shift", "frozen"))
    labels = [row["labels"] for row in frozen]
    rows = [
        ["from scratch", *_errors(shifted, "scratch", labels)],
        ["pre-trained, fine-tuned", *_errors(shifted, "finetune", labels)],
        ["pre-trained, frozen, images as they are, rate 1e-2", *_errors(frozen, "frozen", labels)],
    ]
    return table(["known classes", *(f"{num:,}" for num in labels)], rows)


COMPARED = ["NLL", "ELBO", "KL", "gain in NLL", "KL saved"]


def _comparison(row: Record) -> list[str]:
    nll = f"{row['nll']:.2f} ({row['nll_sd']:.2f})"
    return [nll, f"{row['elbo']:.2f}", f"{row['kl']:.2f}", _with(row, "gain"), _with(row, "kl_saved")]


def _with(row: Record, name: str) -> str:
    """A gain with half of its interval, where there are several seeds."""
    if name not in row:
        return ""
    return f"{row[name]:.2f}" + (f" ± {row[f'{name}_within']:.2f}" if f"{name}_within" in row else "")


def _compression(record: Record) -> str:
    """Coders and formats on the same test images; what a format has not is left blank."""
    rows = []
    for row in [*record["models"], *record["formats"]]:
        above = f"{row['above_bound_percent']:.2f} %" if "above_bound_percent" in row else ""
        speeds = [f"{row[name]:,.0f}" if name in row else "" for name in ("encoded_per_second", "decoded_per_second")]
        name = f"{row['model']}, {row['coder']}" if "coder" in row else row["model"]
        rows.append([name, f"{row['images']:,}", f"{row['bits_per_dim']:.4f}", above, *speeds])
    rates = [row["bits_per_dim"] for row in [*record["models"], *record["formats"]]]
    for row, cell in zip(rows, bold_best([row[2] for row in rows], rates), strict=True):
        row[2] = cell
    head = ["coder", "test images", "bits/dim of the file", "above the bound", "images/s encoded", "images/s decoded"]
    return table(head, rows)


def _sharpness(record: Record) -> str:
    rows = []
    for row in record["models"]:
        cells = (("bits_per_dim", ".3f"), ("psnr", ".1f"), ("reconstructions", ".2f"), ("samples", ".2f"))
        rows.append([MODELS[row["model"]], *(format(row[name], form) if name in row else "" for name, form in cells)])
    bits = [row.get("bits_per_dim") for row in record["models"]]
    for row, cell in zip(rows, bold_best([row[1] for row in rows], bits), strict=True):
        row[1] = cell
    return table(["model", "bits/dim", "PSNR, dB", "sharpness of reconstructions", "sharpness of samples"], rows)


def _errors(errors: list[Record], method: str, labels: list[int]) -> list[str]:
    of = {row["labels"]: row for row in errors if row["method"] == method}
    return [f"{of[num]['error']:.2f} ({of[num]['error_sd']:.2f})" for num in labels]


TABLES = {
    made.__name__: made
    for made in (
        planar_density,
        planar_likelihood,
        flow_posterior,
        learned_priors,
        levers,
        mixture_bernoulli,
        collapse,
        quantizers,
        sharpness_digits,
        sharpness_emoji,
        denoising,
        representations,
        compression_static,
        stages,
        pretraining,
    )
}
