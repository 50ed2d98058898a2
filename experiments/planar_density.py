"""Planar flows fitted to two-dimensional densities by reverse KL (Rezende & Mohamed 2015, fig. 3) or likelihood.

The targets are a mixture of two Gaussians at +-(1.5, 1.5), a narrower one and the paper's energies U1 to U4. By default
a study: flows of every number of layers, from several random starts, for all targets as one program. What is stated is
a true KL divergence in nats, with log Z by quadrature: 0 is perfect, whatever constants the target comes with.

Reverse KL knows the density of the target: it minimises E_q[log q(z) - beta log p(z)], with beta rising from 0.01 to 1
(the paper's eq. 20), since without this flows lose modes; stated is KL(q || p). Maximum likelihood knows draws of the
target: it minimises -E_p[log q(z)]; stated is KL(p || q). Its layers map points to noise, which is their quick way.
"""

from dataclasses import dataclass, replace
from typing import Literal

from jaxvae.flows.planar_chain import Objective
from jaxvae.reports.flow_density import draw_study
from jaxvae.runs.config import TrainingConfig, at_least, require
from jaxvae.studies.cli import main
from jaxvae.systems.flow_density import SPEC, TARGETS, Base, TargetName, density_splits, flow_density_system
from jaxvae.training import cosine_adam
from jaxvae.types import DataSpec, Splits, System


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Configuration of a flow."""

    target: TargetName = "mixture"
    """target density; mixture and narrow have standard deviations of 1 and 0.5"""
    num_flows: int = 8
    """number of layers, K"""
    max_flows: int = 32
    """largest number of layers: flows of up to this depth share a program"""
    objective: Objective = "reverse_kl"
    """reverse KL to the target's density, or maximum likelihood of draws from it"""
    base: Base = "fixed"
    """base distribution: N(0, I), or a Gaussian with learned mean and scale"""
    anneal: float = 0.5
    """fraction of the steps over which beta of reverse KL is annealed from 0.01 to 1; 0 disables annealing"""
    gradient: Literal["path", "total"] = "path"
    """gradient estimator of reverse KL: path (sticking the landing; no variance at q = p) or total"""
    steps: int = 5_000
    batch_size: int = 256
    learning_rate: float = 1e-2
    clip_norm: float | None = 5.0
    eval_every: int = 500
    log_every: int = 250

    def __post_init__(self) -> None:
        super().__post_init__()
        require("target", self.target, self.target in TARGETS, f"one of {', '.join(TARGETS)}")
        at_least(self, 1, "max_flows")
        require("num_flows", self.num_flows, 0 <= self.num_flows <= self.max_flows, f"0 to {self.max_flows}")
        require("anneal", self.anneal, 0 <= self.anneal <= 1, "0 to 1")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_flows=2, max_flows=8, steps=300, eval_every=150)


SWEEP = {"num_flows": (2, 8, 15, 32), "target": tuple(TARGETS), "seed": tuple(range(8))}
QUICK_SWEEP = {"num_flows": (2, 8), "target": ("mixture",), "seed": (0, 1)}
ARRAYS = ("target", "num_flows", "base")  # in which the flows of one program may differ
DATA_FIELDS = ("objective", "batch_size")
DATA_SEED = 0  # of the draws of the targets: the same for all flows


def build(config: Config, spec: DataSpec) -> System:
    """Build the system."""
    return flow_density_system(
        name="planar_density",
        target=config.target,
        num_flows=config.num_flows,
        base=config.base,
        objective=config.objective,
        gradient=config.gradient,
        max_flows=config.max_flows,
        anneal_steps=config.anneal * config.steps,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )


def load(config: Config) -> tuple[Splits, DataSpec]:
    """Return draws of all targets, where the objective learns from draws."""
    return density_splits(config.objective, DATA_SEED, config.batch_size), SPEC


if __name__ == "__main__":
    study = {"sweep": SWEEP, "quick_sweep": QUICK_SWEEP, "arrays": ARRAYS, "draw": draw_study}
    main(Config, build, __doc__, load=load, data_fields=DATA_FIELDS, **study)
