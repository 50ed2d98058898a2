"""Quantizers side by side: the same networks, data and steps, and as many combinations of codes at every place.

What a quantizer is worth is how well images come back, and how many of its codes it uses; the table has both, on test
images and with the codes as training left them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from experiments import vq_vae
from experiments.common.codec import codec_experiment
from experiments.common.folder import FREE_FIELDS, run_record
from experiments.common.report import report, with_earlier, write_summary
from experiments.common.sweep import table, totals
from experiments.common.training import begin, of_part, train
from experiments.common.vae import cosine_adam
from experiments.run import Options, at_least, main, refuse, require, run_folder
from jaxvae import data
from jaxvae.quantizers import FSQ, LFQ, GroupedQuantizer, GumbelQuantizer, ResidualQuantizer
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Experiment

Name = Literal[
    "plain",
    "kmeans",
    "restart",
    "cosine",
    "rotation",
    "low_dim",
    "gradient",
    "residual",
    "grouped",
    "fsq",
    "lfq",
    "gumbel",
]
SHOWN = ("mse", "psnr", "reconstruction_bits_per_dim", "rate_bits_per_dim", "num_codes", "used_codes", "perplexity")


@dataclass(frozen=True)
class Config(vq_vae.Config):
    """What shapes a run; of the settings of one quantizer those count that the others leave open."""

    quantizers: tuple[Name, ...] = get_args(Name)
    """those to compare"""
    code_dim: int = 48
    low_dim: int = 8
    """channels of the codes of `low_dim`"""
    num_parts: int = 3
    """codes a place of `residual` and `grouped`, and channels of `fsq`: each of the root of --num-codes"""
    kl_weight: float = 0.1
    """of `gumbel`'s KL from uniform codes; at 1 the loss is a bound, in which codes can cost more than they save"""
    final_temperature: float = 0.0625
    """of `gumbel`, to which it falls from 1 by the same factor at every step"""

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = self.quantizers
        require("quantizers", chosen, 0 < len(chosen) == len(set(chosen)), "different ones")
        at_least(self, 1, "low_dim")
        at_least(self, 0, "kl_weight")
        divides = self.num_parts >= 1 and self.code_dim % self.num_parts == 0
        require("code_dim", self.code_dim, divides or "grouped" not in chosen, f"a multiple of {self.num_parts}")
        require("final_temperature", self.final_temperature, 0 < self.final_temperature <= 1, "0 to 1, not 0")
        exact = self.num_parts >= 1 and self.root**self.num_parts == self.num_codes and self.root >= 2
        exact = exact or not {"residual", "grouped", "fsq"} & set(chosen)
        require("num_parts", self.num_parts, exact, f"a root of --num-codes {self.num_codes} that is an integer")
        power = self.num_codes == 2**self.num_bits
        require("num_codes", self.num_codes, power or "lfq" not in chosen, "a power of 2, which lfq needs")
        require("levels", self.levels, self.levels == 1, "1: quantizers are compared on one grid")
        require("cosine", self.cosine, self.cosine, "True: `cosine` and `low_dim` of --quantizers are")
        straight = self.through == "straight_through"
        require("through", self.through, straight, "straight_through: `rotation` is one of --quantizers")

    @property
    def root(self) -> int:
        """Codes of each of `num_parts` that make `num_codes` together."""
        return round(self.num_codes ** (1.0 / max(self.num_parts, 1)))

    @property
    def num_bits(self) -> int:
        """Bits of one of `num_codes` codes."""
        return round(np.log2(self.num_codes))

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        small: Any = ("restart", "fsq")
        return replace(self, quantizers=small, num_codes=64, code_dim=12, channels=(8, 16), steps=100, eval_every=50)


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system of one quantizer together, the first of the list."""
    name = config.quantizers[0]
    gumbel = name == "gumbel"
    likelihood, prepare = config.pixels(spec)
    falls = lambda step: config.final_temperature ** jnp.minimum(step / config.steps, 1.0)  # noqa: E731
    return codec_experiment(
        name="quantizers",
        spec=spec,
        model=vq_vae.vqvae(config, spec, quantizer_of(name, config), likelihood),
        prepare=prepare,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        penalty_weight=config.kl_weight if gumbel else None,  # of a sum in nats, as log p(x | codes)
        temperature=falls if gumbel else None,
    )


def quantizer_of(name: Name, config: Config) -> nn.Module:
    """Return a quantizer by its name."""
    bare: dict[str, Any] = {"through": "straight_through", "cosine": False, "restart_below": 0.0}
    restarted: dict[str, Any] = bare | {"restart_below": config.restart_below}
    of_vectors: dict[str, dict[str, Any]] = {
        "plain": bare | {"kmeans_iterations": 0},
        "kmeans": bare,
        "restart": restarted,
        "cosine": restarted | {"cosine": True},
        "rotation": restarted | {"through": "rotation"},
        "low_dim": restarted | {"cosine": True, "code_dim": config.low_dim},
        "gradient": bare | {"update": "gradient"},
    }
    if name in of_vectors:
        return vq_vae.vector_quantizer(config, **of_vectors[name])
    root, parts, dim = config.root, config.num_parts, config.code_dim
    if name == "residual":
        return ResidualQuantizer(vq_vae.vector_quantizer(config, **restarted, num_codes=root), parts)
    if name == "grouped":
        return GroupedQuantizer(vq_vae.vector_quantizer(config, **restarted, num_codes=root, dim=dim // parts), parts)
    if name == "fsq":
        return FSQ((root,) * parts, dim)
    if name == "lfq":
        return LFQ(config.num_bits, dim, commitment_weight=config.commitment_weight)
    return GumbelQuantizer(config.num_codes, dim)


def run(config: Config, options: Options) -> Path:
    """Train every quantizer, evaluate each on the test part, print the table."""
    refuse(options, "a comparison of quantizers", "sweep", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    folder = run_folder("quantizers", options)
    record = run_record("quantizers", config, spec, len(splits.train.x))
    begin(folder, record, options.resume, FREE_FIELDS | {"quantizers"})
    rows: list[dict[str, Any]] = []
    finished = []
    for name in config.quantizers:
        place = folder / name
        one = train(replace(config, quantizers=(name,)), build, splits, spec, place, of_part(place, options))
        finished.append(one)
        if distributed.is_primary():
            found = report(one, splits)
            shown = {key: round(found["metrics"][key], 4) for key in SHOWN if key in found["metrics"]}
            rate = round(found["images_per_second"])
            valid = found["valid"]["reconstruction"]
            rows.append({"quantizer": name, **shown, "images_per_second": rate, "valid_reconstruction": valid})
    if distributed.is_primary():
        rows = with_earlier(folder, "quantizers", rows, ("quantizer",))
        print(table(rows))
        best = min(rows, key=lambda row: row["valid_reconstruction"])
        training = {"steps": config.steps, **totals(finished, config.batch_size)}
        write_summary(folder, "quantizers", training, {}, best=best["quantizer"], quantizers=rows)
    return folder


if __name__ == "__main__":
    main(Config, run, __doc__)
