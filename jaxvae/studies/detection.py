"""Protocols of anomaly detection from the first training to the table: many models, of few programs, in one folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxvae.applications.anomaly.combination import default_score, parts_of
from jaxvae.data.notices import counted, listed, notice
from jaxvae.evaluation.protocols import Asked, Protocol
from jaxvae.reports.detection import Scorer
from jaxvae.reports.detection_figures import draw_detection
from jaxvae.reports.detection_table import Scored, printed_rows, questions_of, table_rows
from jaxvae.reports.false_alarms import false_alarms
from jaxvae.reports.summary import with_earlier, write_summary
from jaxvae.runs.folder import drawing
from jaxvae.runs.options import Options
from jaxvae.runs.train import Build, train_sweep
from jaxvae.runs.trained import Trained
from jaxvae.studies.table import table, totals
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Splits

TOGETHER = 30  # models in a program, which are in memory together
KEYS = ("protocol", "variant", "score")  # of a row


def run_protocol(
    name: str,
    configs: Sequence[Any],
    build: Build,
    protocol: Protocol,
    splits: Splits,
    spec: DataSpec,
    folder: Path,
    options: Options,
    *,
    slow: bool = False,
) -> list[dict[str, Any]]:
    """Train the models of a protocol in sub-folders, score its test images by them, and compare all scores.

    What is trained and scored already, in a folder that is resumed, is not so again.

    Args:
      name: of the protocol.
      configs: of its models, which differ in their seeds alone, in their order.
      build: (config, spec) -> System.
      protocol: models and test images.
      splits: the data.
      spec: of the data.
      folder: of all models, which has begun.
      options: how to run.
      slow: whether scores that take minutes are among them.

    Returns:
      The rows of the table: see `reports.detection_table.table_rows`.

    Raises:
      Diverged: if all trainings of a program diverged.
    """
    scored, trained = list[Scored](), list[Trained]()
    scorer = Scorer(protocol, splits, configs[0].nll_samples, slow=slow)
    chunks = [slice(start, start + TOGETHER) for start in range(0, len(configs), TOGETHER)]
    for number, part in enumerate(chunks):
        models = protocol.models[part]
        if distributed.is_primary() and len(chunks) > 1:
            print(f"Program {number + 1} of {len(chunks)}: {listed([one.name for one in models])}")
        found = _trained(configs[part], build, models, splits, spec, folder, options)
        for one, model in zip(models, found, strict=True) if distributed.is_primary() else ():
            if not model.training["best_step"]:
                notice(f"{one.name} diverged and is in no mean: {model.training.get('failure')}", "warning")
                continue
            scored.append(Scored(one, scorer.stored(model, one)))
            trained.append(model)
    if not distributed.is_primary():
        return []
    parts = parts_of(default := default_score(trained[0].system), trained[0].system)
    rows = [{"protocol": name, **row} for row in table_rows(protocol, scored, parts)]
    metrics = {f"auroc, {row['variant']}": row["auroc"] for row in rows if row["kind"] == "default"}
    kept = with_earlier(folder, "detection", rows, KEYS)
    alarms = false_alarms(protocol, scored)
    more = {"default_score": default, "detection": kept, "false_alarms": alarms}
    write_summary(folder, totals(trained, configs[0].batch_size), metrics, **more)
    with drawing(folder):
        draw_detection(folder / "figures", protocol, scored, parts, spec.num_values)
    _say(name, folder, protocol, scored, rows, default)
    if alarms:
        print(
            f"False alarms at alpha {alarms['alpha']:g} of normal test images, where others of them calibrate: "
            f"{alarms['mean_percent']:.2f} % on average of {alarms['splits']:,} splits, {alarms['in_band_percent']:g} "
            f"% of which are in the band that has {alarms['in_band_expected_percent']:g} % of such numbers."
        )
    return rows


# ---------- private


def _trained(
    configs: Sequence[Any],
    build: Build,
    models: Sequence[Asked],
    splits: Splits,
    spec: DataSpec,
    folder: Path,
    options: Options,
) -> list[Trained]:
    """Models that are trained as one program."""
    rows, valid_rows = [one.rows for one in models], [one.valid_rows for one in models]
    return train_sweep(configs, build, splits, spec, [folder / one.name for one in models], options, rows, valid_rows)


def _say(
    name: str, folder: Path, protocol: Protocol, scored: Sequence[Scored], rows: Sequence[dict[str, Any]], default: str
) -> None:
    cases = {question.case for _, question in questions_of(scored)}
    seeds = {one.seed for one, _ in scored}
    of = f"{counted(len(cases), 'class', 'classes')}, " if len(cases) > 1 else ""
    print(f"\n{name}: {of}{counted(len(seeds), 'seed')}, {counted(len(protocol.test.x), 'test image')}:\n")
    print(table(printed_rows(rows)))
    print(f"\n  default: {default}, the same in all rows and fitted to normal images alone")
    print("  floor: without a model, of the same images")
    print("  auroc: mean over classes and seeds, larger is better, 0.5 is chance; auroc_sd: between seeds")
    print("  auroc_low, auroc_high: the mean in 95 % of test sets that are drawn anew from this one")
    print("  average_precision: larger is better, that of chance is the share of anomalies")
    print("  fpr_at_95_tpr: share of false alarms where 95 % of the anomalies are found, smaller is better")
    if "lost" in rows[0]:
        print("  lost: AUROC that the contamination costs, against the smallest share")
    print(f"Figures:  {folder}/figures/ (roc.png, histogram.png, worst*.png)")
    print(f"Numbers:  {folder}/summary.json, with those of every class and seed")
