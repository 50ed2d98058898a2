"""Planar flows fitted to densities in the plane by reverse KL (Rezende & Mohamed 2015, fig. 3) or maximum likelihood.

The targets are a mixture of two Gaussians at +-(1.5, 1.5) and the paper's energies U1 to U4. Flows of every number of
layers, from several random starts and from each kind of base, train for all targets as one program. What is stated is
a true KL divergence in nats, with log Z by quadrature: 0 is perfect, whatever constants the target comes with.

Reverse KL knows the density of the target: it minimises E_q[log q(z) - beta log p(z)], with beta rising from 0.01 to 1
(the paper's eq. 20), since without this flows lose modes; stated is KL(q || p). Maximum likelihood knows draws of the
target: it minimises -E_p[log q(z)]; stated is KL(p || q). Its layers map points to noise, which is their quick way.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.folder import progress_bar, run_record, writing
from experiments.common.plane import (
    DRAWS,
    LAYERS,
    Objective,
    divergence,
    log_density,
    normalized,
    on_all,
    on_path,
    transform,
)
from experiments.common.report import write_summary
from experiments.common.sweep import table
from experiments.common.training import begin
from experiments.common.vae import cosine_adam
from experiments.run import Options, TrainingConfig, at_least, main, refuse, require, run_folder
from jaxvae import viz
from jaxvae.targets import draw, energies, gaussian_mixture, on_grid
from jaxvae.training import Member, Settings, distributed, fit_sweep
from jaxvae.types import (
    Array,
    Batch,
    Dataset,
    DataSpec,
    Experiment,
    Metrics,
    Params,
    PRNGKey,
    Samples,
    Splits,
    StepInput,
)

TARGETS = {
    "mixture": gaussian_mixture(1.0),
    "narrow": gaussian_mixture(0.5),
    **{target.name: target for target in energies()},
}
Base = Literal["fixed", "learned"]
LABELS: dict[Objective, str] = {"reverse_kl": "KL(q || p)", "likelihood": "KL(p || q)"}
SPEC = DataSpec(shape=(2,), num_values=0, num_classes=0)
NUM_VALID = 2_000  # draws that choose the best step
NUM_TRAIN = 262_144  # draws of each target that maximum likelihood learns from
PICTURE, GRID = 4.5, 200  # half the width of what is drawn, and its cells a side
NUM_POINTS = 3_000
STAGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the layers after which draws are shown


@dataclass(frozen=True)
class Config(TrainingConfig):
    """What shapes a run."""

    targets: tuple[Literal["mixture", "narrow", "U1", "U2", "U3", "U4"], ...] = tuple(TARGETS)  # type: ignore[assignment]
    """mixture and narrow have standard deviations of 1 and 0.5"""
    num_flows: tuple[int, ...] = (2, 8, 15, 32)
    """layers K, a flow each"""
    objective: Objective = "reverse_kl"
    """fit the density of the target by reverse KL, or draws of it by maximum likelihood"""
    restarts: int = 8
    """random starts of each flow"""
    bases: tuple[Base, ...] = ("fixed",)
    """what the flow starts from: N(0, I), or a Gaussian whose mean and scale are learned"""
    anneal: float = 0.5
    """of reverse KL: share of the steps over which beta rises from 0.01 to 1; 0 anneals nothing"""
    gradient: Literal["path", "total"] = "path"
    """of reverse KL: through the samples alone (sticking the landing), without variance at q = p, or the whole one"""
    steps: int = 5_000
    batch_size: int = 256
    learning_rate: float = 1e-2
    clip_norm: float | None = 5.0
    eval_every: int = 500
    log_every: int = 250

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, least in (("num_flows", 0), ("targets", None), ("bases", None)):
            values = getattr(self, field)
            sound = len(set(values)) == len(values) > 0 and (least is None or min(values) >= least)
            require(field, values, sound, "distinct values" + ("" if least is None else f" of at least {least}"))
        at_least(self, 1, "restarts")
        require("anneal", self.anneal, 0 <= self.anneal <= 1, "0 to 1")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, targets=("mixture",), num_flows=(2, 8), restarts=2, steps=300, eval_every=150)


class Trained(NamedTuple):
    """One trained flow."""

    target: str
    num_flows: int
    base: Base
    params: Params
    kl: float  # KL(q || p), of maximum likelihood KL(p || q), nats
    stderr: float
    curve: list[float]  # KL at the evaluations


def build(config: Config, spec: DataSpec) -> Experiment:
    """Put the system together, with as many layers as the longest flow has.

    `hparams` say what a member uses of it: which target of the list, how many layers, and whether its base is learned.
    """
    most = max(config.num_flows)
    log_densities = [normalized(TARGETS[name]) for name in config.targets]

    def init(key: PRNGKey, batch: Batch) -> tuple[Params, dict[str, Any]]:
        u, w = jax.random.split(key)
        layers = {"u": 0.1 * jax.random.normal(u, (most, 2)), "w": 2**-0.5 * jax.random.normal(w, (most, 2))}
        layers["b"] = jnp.zeros(most)
        # The scale is a triangular matrix with its diagonal as logarithms.
        return {"layers": layers, "base": {"mean": jnp.zeros(2), "log_scale": jnp.zeros(2), "shear": jnp.zeros(())}}, {}

    def log_p(z: Array, hparams: Mapping[str, Array]) -> Array:
        return jax.lax.switch(jnp.asarray(hparams["target"], int), log_densities, z)

    def by_reverse_kl(params: Params, hparams: Mapping[str, Array], key: PRNGKey, _: Array, beta: Array) -> Metrics:
        noise = jax.random.normal(key, (2,))
        z, log_qz = (on_path if config.gradient == "path" else on_all)(params, hparams, noise)
        log_pz = log_p(z, hparams)
        return {"loss": log_qz - beta * log_pz, "kl": log_qz - log_pz}

    def by_likelihood(params: Params, hparams: Mapping[str, Array], _: PRNGKey, x: Array, beta: Array) -> Metrics:
        z = x[jnp.asarray(hparams["target"], int)]
        log_qz = log_density(LAYERS["likelihood"], params, hparams, z)
        return {"loss": -log_qz, "kl": log_p(z, hparams) - log_qz}

    bound = jax.vmap(by_reverse_kl if config.objective == "reverse_kl" else by_likelihood, (None, None, 0, 0, None))

    def loss(params: Params, model_state: Any, inputs: StepInput) -> tuple[Array, tuple[Any, Metrics]]:
        beta = jnp.minimum(1.0, 0.01 + inputs.step / (config.anneal * config.steps)) if config.anneal else jnp.ones(())
        metrics = jax.tree.map(jnp.mean, bound(params, inputs.hparams, inputs.keys.examples, inputs.batch.x, beta))
        return metrics.pop("loss"), (model_state, metrics)

    def evaluate(
        params: Params, model_state: Any, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        return bound(params, hparams, keys, batch.x, jnp.ones(()))

    hparams = {"target": 0.0, "num_flows": float(most), "learned_base": float(config.bases[0] == "learned")}

    def draws(key: PRNGKey, params: Params, model_state: Any, num: int) -> Samples:
        noise = jax.random.normal(key, (num, 2))
        z, _ = jax.vmap(functools.partial(transform, LAYERS[config.objective]), (None, None, 0))(params, hparams, noise)
        return Samples(z, None)

    return Experiment(
        name="planar_density",
        spec=spec,
        optimizer=cosine_adam(config.learning_rate, config.steps),
        hparams=hparams,
        init=init,
        loss=loss,
        evaluate=evaluate,
        sample=draws,
        prepare=lambda keys, x: x,
    )


def run(config: Config, options: Options) -> Path:
    """Fit every flow to every target, state the best, median and worst of the starts, draw them."""
    others = ("sweep", "init_from", "resume", "layout", "shard_params", "save_every")
    refuse(options, "flows, which all train as one program within minutes and save nothing on the way", *others)
    folder = run_folder("planar_density", options)
    record = run_record("planar_density", config, SPEC, config.batch_size)
    begin(folder, record, resume=False)
    began = time.perf_counter()
    flows = fit_flows(config, options)
    if not distributed.is_primary():
        return folder
    rows = summarize(flows)
    print(table(rows))
    training = {"steps": config.steps, "seconds": round(time.perf_counter() - began, 2)}
    kl = {name: min(row["best"] for row in rows if row["target"] == name) for name in config.targets}
    curves = [[flow.target, flow.num_flows, flow.base, *flow.curve] for flow in flows]
    write_summary(folder, "planar_density", training, {"kl": kl}, runs=rows, curves=curves)
    best = [min(group, key=lambda flow: flow.kl) for group in grouped(flows)]
    with writing(folder):
        for flow in best:
            leaves = jax.tree_util.tree_leaves_with_path(flow.params)
            arrays = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
            np.savez(folder / f"{flow.target}, K = {flow.num_flows}, {flow.base} base.npz", **arrays)
        for name in config.targets:
            chosen = [flow for flow in best if flow.target == name]
            picture(folder / "figures" / f"{name}.png", config.objective, name, chosen)
        viz.save_restarts(folder / "figures" / "kl.png", rows, LABELS[config.objective])
    return folder


def fit_flows(config: Config, options: Options) -> list[Trained]:
    """Train the flows of every target, number of layers, base and start as one program, and measure each."""
    kinds = [
        (target, base, num)
        for target in config.targets
        for base in config.bases
        for num in config.num_flows
        for _ in range(config.restarts)
    ]
    curves: list[list[float]] = [[] for _ in kinds]
    bar = progress_bar(total=config.steps, unit="step", desc=f"{len(kinds)} flows")

    def report_of(i: int) -> Any:
        def report(step: int, part: str, metrics: dict[str, float]) -> None:
            if part == "valid":
                curves[i].append(round(metrics["kl"], 5))
            elif i == 0 and bar is not None:
                bar.update(step - bar.n)

        return report

    members = [
        Member(
            seed=config.seed + i,
            hparams={
                "target": config.targets.index(target),
                "num_flows": num,
                "learned_base": float(base == "learned"),
                "learning_rate": config.learning_rate,
            },
            report=report_of(i),
        )
        for i, (target, base, num) in enumerate(kinds)
    ]
    settings = Settings(
        steps=config.steps,
        batch_size=config.batch_size,
        eval_every=config.eval_every,
        log_every=config.log_every,
        eval_batch_size=NUM_VALID,
        ema_decay=config.ema_decay,
        clip_norm=config.clip_norm,
        skip_norm=config.skip_norm,
        patience=config.patience,
    )
    splits = draws_of(config)
    results = fit_sweep(build(config, SPEC), splits, members, settings, num_devices=options.devices)
    if bar is not None:
        bar.close()
    flows = []
    for target in config.targets:
        measure = jax.jit(divergence(config.objective, TARGETS[target]))
        for i, (name, base, num) in enumerate(kinds):
            if name == target:
                kl, stderr = (float(value) for value in measure(results[i].best.params, members[i].hparams))
                diverged = results[i].failure and not results[i].loop.best_step
                params = jax.device_get(results[i].best.params)
                flows.append(Trained(target, num, base, params, float("inf") if diverged else kl, stderr, curves[i]))
    return flows


def draws_of(config: Config) -> Splits:
    """Return draws of all targets, [N, T, 2], an example one of each; reverse KL, which needs none, gets zeros."""

    def some(num: int, part: int) -> Dataset:
        if config.objective == "reverse_kl":
            return Dataset(np.zeros((num, 1), np.uint8), None)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), part), len(config.targets))
        of_each = [draw(key, TARGETS[name], num) for key, name in zip(keys, config.targets, strict=True)]
        return Dataset(np.stack(of_each, axis=1), None)

    num_train = NUM_TRAIN if config.objective == "likelihood" else config.batch_size
    return Splits(some(num_train, 0), some(NUM_VALID, 1), some(1, 2))


def summarize(flows: Sequence[Trained]) -> list[dict[str, Any]]:
    """Return best, median and worst of the starts of each kind of flow."""
    rows = []
    for group in grouped(flows):
        kls = sorted(flow.kl for flow in group)
        best = min(group, key=lambda flow: flow.kl)
        row = {"target": best.target, "num_flows": best.num_flows, "base": best.base, "restarts": len(group)}
        numbers = {"best": kls[0], "median": float(np.median(kls)), "worst": kls[-1], "stderr_of_best": best.stderr}
        rows.append({**row, **{key: round(value, 5) for key, value in numbers.items()}})
    return rows


def grouped(flows: Sequence[Trained]) -> list[list[Trained]]:
    """Return the starts of each kind of flow."""
    kinds = list(dict.fromkeys((flow.target, flow.base, flow.num_flows) for flow in flows))
    return [[flow for flow in flows if (flow.target, flow.base, flow.num_flows) == kind] for kind in kinds]


def picture(path: Path, objective: Objective, name: str, flows: Sequence[Trained]) -> None:
    """Draw the target, and for each flow its density, draws of it, and the same draws after parts of its layers."""
    layer = LAYERS[objective]
    axis, log_target = on_grid(TARGETS[name], GRID, PICTURE)
    grid = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), axis=-1)
    noise = jax.random.normal(jax.random.key(DRAWS), (NUM_POINTS, 2))
    densities = jax.jit(jax.vmap(jax.vmap(functools.partial(log_density, layer), (None, None, 0)), (None, None, 0)))
    forward = jax.jit(jax.vmap(functools.partial(transform, layer), (None, None, 0)))
    rows = []
    for flow in flows:
        hparams = {"num_flows": float(flow.num_flows), "learned_base": flow.base == "learned"}
        after = sorted({round(share * flow.num_flows) for share in STAGES})
        stages = {k: np.asarray(forward(flow.params, {**hparams, "num_flows": float(k)}, noise)[0]) for k in after}
        title = f"K = {flow.num_flows}, {flow.base} base: KL {flow.kl:.4f}"
        rows.append((title, np.exp(densities(flow.params, hparams, grid)), stages))
    viz.save_densities(path, name, np.exp(log_target - log_target.max()), rows, PICTURE)


if __name__ == "__main__":
    main(Config, run, __doc__)
