"""Planar flows fitted to two-dimensional densities as systems; flows of any depth, target and base share a program.

What a flow uses of the parameters, and its target, are hyper-parameters, which a study may vary; a step leaves them in
the model state, so that a trained flow knows its own.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvae import capabilities
from jaxvae.evaluation.divergence import divergence, normalized
from jaxvae.flows.planar_chain import (
    LAYERS,
    InUse,
    Layer,
    Objective,
    init_params,
    log_density,
    path_sample,
    sample,
    transform,
)
from jaxvae.systems.assemble import assembled
from jaxvae.systems.pixels import unchanged
from jaxvae.targets import Target, draw, energies, gaussian_mixture
from jaxvae.types import (
    Array,
    Batch,
    Dataset,
    DataSpec,
    Metrics,
    ModelState,
    Params,
    Player,
    Prepare,
    PRNGKey,
    Samples,
    Splits,
    StepInput,
    System,
)

TargetName = Literal["mixture", "narrow", "U1", "U2", "U3", "U4"]
Base = Literal["fixed", "learned"]
TARGETS: dict[str, Target] = {
    "mixture": gaussian_mixture(1.0),
    "narrow": gaussian_mixture(0.5),
    **{target.name: target for target in energies()},
}
SPEC = DataSpec(shape=(2,), num_values=0, num_classes=0)
NUM_VALID = 2_000  # draws that choose the best step
NUM_TRAIN = 262_144  # draws of each target that maximum likelihood learns from


class FitsDensity(NamedTuple):
    """The capability of a flow that is fitted to one of the targets."""

    divergence: Callable[[Params, ModelState], tuple[float, float]]  # KL from the target and its standard error, nats
    log_density: Callable[[Params, ModelState, Array], Array]  # points [N, 2] -> log q(z) [N]
    # (params, model_state, noise [N, 2], layers k) -> points [N, 2] after the first k
    points: Callable[[Params, ModelState, Array, Array], Array]

    verb = "be compared with a density in the plane"
    kinds = "flows of planar_density"


@dataclass(frozen=True, eq=False)
class FlowDensityParts:
    """The parts of flows fitted to two-dimensional densities, with their capabilities as methods.

    Attributes:
      spec: of a point.
      prepare: leaves draws of targets as they are.
      objective: `reverse_kl` learns from the density of the target, `likelihood` from draws of it.
      gradient: of reverse KL, `path`, through the samples alone, or `total`.
      max_flows: layers that there are parameters for.
    """

    spec: DataSpec
    prepare: Prepare
    objective: Objective
    gradient: Literal["path", "total"]
    max_flows: int

    def init(self, key: PRNGKey, batch: Batch, hparams: Mapping[str, float] | None = None) -> tuple[Params, ModelState]:
        """Return parameters of the deepest flow, and the state: target, number of layers and base, 0 by default."""
        state = hparams or dict.fromkeys(("target", "num_flows", "learned_base"), 0.0)
        return init_params(key, self.max_flows), {name: jnp.float32(value) for name, value in state.items()}

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return the loss and the integrand of the KL divergence of every draw."""
        return self.terms(params, hparams, keys, batch.x, jnp.ones(()))

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: see `jaxvae.capabilities`."""
        return capabilities.Generates(self.sample), FitsDensity(self.divergence, self.log_density, self.points)

    def sample(self, key: PRNGKey, params: Params, model_state: ModelState, num: int) -> Samples:
        """Sample points: see `capabilities.Generates`."""
        noise = jax.random.normal(key, (num, 2))
        return Samples(self.points(params, model_state, noise, model_state["num_flows"]), None)

    def points(self, params: Params, model_state: ModelState, noise: Array, num_flows: Array) -> Array:
        """Map noise to points by the first layers: see `FitsDensity`."""
        used = in_use(model_state)._replace(num_flows=num_flows)
        return jax.vmap(functools.partial(transform, self.layer), (None, None, 0))(params, used, noise)[0]

    def log_density(self, params: Params, model_state: ModelState, z: Array) -> Array:
        """Return log q(z) of points: see `FitsDensity`."""
        one = functools.partial(log_density, self.layer)
        return jax.vmap(one, (None, None, 0))(params, in_use(model_state), z)

    def divergence(self, params: Params, model_state: ModelState) -> tuple[float, float]:
        """Return the KL divergence between a flow and its target, and its standard error: see `FitsDensity`."""
        return divergence(self.objective, target_of(model_state))(params, in_use(model_state))

    @property
    def layer(self) -> Layer:
        """A planar layer in the direction that is fast to evaluate in training."""
        return LAYERS[self.objective]

    def terms(self, params: Params, hparams: Mapping[str, Array], keys: PRNGKey, x: Array, beta: Array) -> Metrics:
        """Return the loss and the integrand of the KL divergence, [B] each, nats.

        Args:
          params: of the flow.
          hparams: target, num_flows and learned_base.
          keys: of the flow's draws, [B].
          x: draws of all targets, [B, T, 2]; without meaning for reverse KL.
          beta: [], of reverse KL, weight of log p(z).
        """
        term = self._reverse_kl if self.objective == "reverse_kl" else self._likelihood
        return jax.vmap(term, (None, None, 0, 0, None))(params, hparams, keys, x, beta)

    def _reverse_kl(self, params: Params, hparams: Mapping[str, Array], key: PRNGKey, x: Array, beta: Array) -> Metrics:
        drawn = path_sample if self.gradient == "path" else sample
        z, log_qz = drawn(params, in_use(hparams), jax.random.normal(key, (2,)))
        log_pz = _log_p(z, hparams)
        return {"loss": log_qz - beta * log_pz, "kl": log_qz - log_pz}

    def _likelihood(self, params: Params, hparams: Mapping[str, Array], key: PRNGKey, x: Array, beta: Array) -> Metrics:
        z = x[jnp.asarray(hparams["target"], int)]
        log_qz = log_density(self.layer, params, in_use(hparams), z)
        return {"loss": -log_qz, "kl": _log_p(z, hparams) - log_qz}


@dataclass(frozen=True, eq=False)
class FlowDensityLoss:
    """The loss of a flow, with beta annealed from 0.01 to 1."""

    parts: FlowDensityParts
    anneal_steps: float

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        beta = jnp.minimum(1.0, 0.01 + inputs.step / self.anneal_steps) if self.anneal_steps else jnp.ones(())
        terms = self.parts.terms(params, inputs.hparams, inputs.keys.examples, inputs.batch.x, beta)
        metrics = jax.tree.map(jnp.mean, terms)
        return metrics.pop("loss"), (dict(inputs.hparams), metrics)


def flow_density_system(
    *,
    name: str,
    target: str,
    num_flows: int,
    base: Base,
    objective: Objective,
    gradient: Literal["path", "total"],
    max_flows: int,
    anneal_steps: float,
    optimizer: optax.GradientTransformation,
) -> System:
    """Return the system that fits a planar flow q to a two-dimensional density p.

      reverse KL:          loss = E_q[log q(z) - beta log p(z)],  beta = min(1, 0.01 + step / anneal_steps)
      maximum likelihood:  loss = -E_p[log q(z)]

    Args:
      name: of the system.
      target: p, one of `TARGETS`.
      num_flows: K, layers.
      base: what the flow starts from: N(0, I), or a Gaussian whose mean and scale are learned.
      objective: which loss; the layers map noise to points, or points to noise where they learn from these.
      gradient: of reverse KL, through the samples alone, which has no variance at q = p, or the total one.
      max_flows: layers that there are parameters for, at least K: systems that differ in K alone are one program.
      anneal_steps: of reverse KL; 0 has a beta of 1 throughout.
      optimizer: of the loss.

    Returns:
      The system; `target`, `num_flows` and `learned_base` are its hyper-parameters.
    """
    parts = FlowDensityParts(SPEC, unchanged, objective, gradient, max_flows)
    hparams = {
        "target": float(list(TARGETS).index(target)),
        "num_flows": float(num_flows),
        "learned_base": float(base == "learned"),
    }
    player = Player("flow", FlowDensityLoss(parts, anneal_steps), optimizer)
    return assembled(name, parts, [player], hparams=hparams, init=functools.partial(parts.init, hparams=hparams))


def density_splits(objective: Objective, seed: int, batch_size: int) -> Splits:
    """Return draws of all targets, [N, T, 2], an example one of each; reverse KL, which needs none, gets zeros.

    Args:
      objective: `reverse_kl` or `likelihood`.
      seed: of the draws.
      batch_size: of the training, which reverse KL has as many examples as.
    """

    def some(num: int, part: int) -> Dataset:
        if objective == "reverse_kl":
            return Dataset(np.zeros((num, 1), np.uint8), None)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), part), len(TARGETS))
        of_each = [draw(key, target, num) for key, target in zip(keys, TARGETS.values(), strict=True)]
        return Dataset(np.stack(of_each, axis=1), None)

    num_train = NUM_TRAIN if objective == "likelihood" else batch_size
    return Splits(some(num_train, 0), some(NUM_VALID, 1), some(1, 2))


def target_of(model_state: ModelState) -> Target:
    """Return the target of a trained flow."""
    return list(TARGETS.values())[int(model_state["target"])]


def in_use(hparams: Mapping[str, Array]) -> InUse:
    """Return how many layers and which base a flow uses, from its hyper-parameters or its model state."""
    return InUse(hparams["num_flows"], hparams["learned_base"])


# ---------- private


def _log_p(z: Array, hparams: Mapping[str, Array]) -> Array:
    log_densities = [normalized(target) for target in TARGETS.values()]
    return jax.lax.switch(jnp.asarray(hparams["target"], int), log_densities, z)
