"""Find images that do not belong to normal ones: scores, p-values, verdicts, and where in an image it is."""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.applications.anomaly.combination import default_score
from jaxvae.applications.anomaly.detector import ANOMALY, NORMAL, SCORE, UNDECIDED
from jaxvae.applications.anomaly.floors import FLOORS
from jaxvae.applications.anomaly.scores import SCORES
from jaxvae.applications.anomaly.thresholds import false_alarm_band, smallest_calibration
from jaxvae.applications.compression.formats import CODEC
from jaxvae.commands.given import in_unit, load_model, said
from jaxvae.commands.normal_images import Normal, normal_images
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.verb_flags import AnomalyFlags
from jaxvae.data.notices import counted, listed
from jaxvae.data.readable import Readable, load_readable
from jaxvae.errors import UserError
from jaxvae.runs.detector import AnomalyDetector, Detected
from jaxvae.runs.detector_file import check_detector_place
from jaxvae.runs.files import write_json
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.load import load
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_anomalies, save_scores

FOUND = 3  # the status of a command that is to fail on an anomaly
ALPHA, SAMPLES = 0.05, 100
STRONG = 0.75  # of the images with a pixel that no normal one has: where red is full
SHOWN, NAMED = 50, 3  # strangest images on the sheet, and in the last line
UNREADABLE = "unreadable"
COLUMNS = ("path", "score", "p", "verdict", "reason", "left", "top", "right", "bottom")


def needed(trained: Trained) -> str:
    """Return the default score of a model; a `UserError` if it has none."""
    return default_score(trained.system)


def run(flags: AnomalyFlags) -> None:
    """Score images and write what there is to say of them."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(), folder=True)
    kept = None if flags.save is None else check_detector_place(flags.save, flags.overwrite)
    _check_flags(flags)
    trained = load_model(flags)
    needed(trained)
    detector, how = _detector(flags, trained)
    images = load_readable(trained.spec, flags.data, part=flags.part, resize=flags.resize)
    print(f"{counted(len(images.dataset.x), 'image')} from {flags.data}, {said(trained.spec)}.")
    found = detector.detect(images.dataset.x)
    with writing(place) as folder:
        _write(folder, detector, images, found, _summary(flags, detector, how, images, found))
    if kept is not None:
        detector.save(kept, overwrite=flags.overwrite)
    _say(detector, images, found, place, kept)
    if flags.fail_on_anomaly and (found.verdicts == ANOMALY).any():
        sys.exit(FOUND)


# ---------- private


def _check_flags(flags: AnomalyFlags) -> None:
    """Raise a `UserError` for flags that do not go together, before anything is loaded."""
    if (flags.normal is None) == (flags.detector is None):
        given = "both" if flags.detector is not None else "neither"
        raise UserError(f"Of --normal SOURCE and --detector FILE {given} is given: expected one of them.")
    for name in ("score", "num_samples"):
        if flags.detector is not None and getattr(flags, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"The detector has its own {flag}: leave it out, or give --normal.")


def _detector(flags: AnomalyFlags, trained: Trained) -> tuple[AnomalyDetector, str]:
    """The detector, and how normal images were split, in words."""
    background = None if flags.background is None else load(flags.background, imports=flags.imports)
    if flags.detector is not None:
        found = AnomalyDetector.load(flags.detector, trained, background=background, alpha=flags.alpha)
        num = len(found.calibration_[SCORE])
        print(f"Detector {flags.detector}: {found.score}, {counted(num, 'normal image')} calibrate.")
        return found, f"detector {flags.detector}"
    made = AnomalyDetector(
        trained,
        flags.score,
        alpha=ALPHA if flags.alpha is None else flags.alpha,
        background=background,
        num_samples=SAMPLES if flags.num_samples is None else flags.num_samples,
        seed=flags.seed,
    )
    normal: Normal = normal_images(str(flags.normal), trained, made.alpha, resize=flags.resize)
    made.fit(normal.images, normal.labels, calibration=normal.calibration)
    fitted, held = made.num_fitted_, len(made.calibration_[SCORE])
    how = f"{normal.how}: {fitted:,} are fitted to, {held:,} calibrate"
    print(f"Normal images from {flags.normal}, {how}.")
    return made, how


def _summary(
    flags: AnomalyFlags, detector: AnomalyDetector, how: str, images: Readable, found: Detected
) -> dict[str, Any]:
    calibration, num = detector.calibration_, len(found.verdicts)
    held, alpha = len(calibration[SCORE]), detector.alpha
    counts = {name: int((found.verdicts == name).sum()) for name in (ANOMALY, NORMAL, UNDECIDED)}
    summary = {
        "data": flags.data,
        "normal": how,
        "model": {"name": detector.trained.system.name, "hash": fingerprint(detector.trained)},
        "score": detector.score,
        "parts": {part: SCORES[part].words for part in detector.score.split("+")},
        "alpha": alpha,
        "threshold": detector.threshold_ if detector.decides else None,
        "num_fitted": detector.num_fitted_,
        "num_calibrating": held,
        "num_calibrating_needed": smallest_calibration(alpha),
        "images": num,
        "verdicts": {**counts, UNREADABLE: len(images.reasons)},
        "unreadable": images.reasons,
        "floors": {
            name: {"is": floor.words, "anomalies": int((found.p[name] <= alpha).sum())}
            for name, floor in FLOORS.items()
        },
        "codec": CODEC,
        "map_level": detector.map_level_,
        "seed": detector.seed,
    }
    if detector.decides:
        low, high = false_alarm_band(alpha, held, num)
        summary["false_alarms_if_all_were_normal"] = {"from": low, "to": high, "probability": 0.95}
    return summary


def _write(
    folder: Path, detector: AnomalyDetector, images: Readable, found: Detected, summary: Mapping[str, Any]
) -> None:
    names = list(images.dataset.names)
    order = _strangest_first(found)
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *FLOORS])
        for i in order:
            numbers = f"{found.scores[SCORE][i]:.7g}", f"{found.p[SCORE][i]:.6g}"
            floors = (f"{found.scores[floor][i]:.7g}" for floor in FLOORS)
            writer.writerow([names[i], *numbers, found.verdicts[i], "", *found.boxes[i], *floors])
        for name, reason in images.reasons.items():
            writer.writerow([name, "", "", UNREADABLE, reason, *[""] * (4 + len(FLOORS))])
    write_json(folder / "summary.json", summary)
    _draw_sheet(folder / "sheet.png", detector, images, found, order[:SHOWN])
    threshold = detector.threshold_ if detector.decides else None
    save_scores(folder / "histogram.png", detector.calibration_[SCORE], found.scores[SCORE], threshold, detector.score)


def _draw_sheet(path: Path, detector: AnomalyDetector, images: Readable, found: Detected, shown: np.ndarray) -> None:
    """One scale of red for all images: from what normal ones have, to the worst pixel of a strong anomaly."""
    level, worst = detector.map_level_, found.maps.max(axis=(1, 2))
    top = max(2.0 * level, float(np.quantile(worst[worst > level], STRONG)) if (worst > level).any() else 0.0)
    marks = {NORMAL: "", ANOMALY: "! ", UNDECIDED: "? "}
    save_anomalies(
        path,
        in_unit(images.dataset._replace(x=images.dataset.x[shown]), detector.trained.spec),
        (found.maps[shown] - level) / max(top - level, 1e-6),
        {place: found.boxes[i] for place, i in enumerate(shown) if found.verdicts[i] != NORMAL},
        [f"{marks[found.verdicts[i]]}p {found.p[SCORE][i]:.3g}  {images.dataset.names[i][-14:]}" for i in shown],
        f"Strangest first, ! anomalies; red: pixels stranger than those of normal images ({level:.3g} to {top:.3g})",
    )


def _say(detector: AnomalyDetector, images: Readable, found: Detected, place: Path, kept: Path | None) -> None:
    alpha, num = detector.alpha, len(found.verdicts)
    floors = ", ".join(FLOORS)
    print(f"Score: {detector.score}; without a deep model, beside it: {floors}.")
    if detector.decides:
        strange = int((found.verdicts == ANOMALY).sum())
        low, high = false_alarm_band(alpha, len(detector.calibration_[SCORE]), num)
        print(
            f"{strange:,} of {counted(num, 'image')} {'is' if strange == 1 else 'are'} anomalous at alpha "
            f"{alpha:g}; of normal images alone it would be {low:,} to {high:,} (95 %)."
        )
    else:
        held, need = len(detector.calibration_[SCORE]), smallest_calibration(alpha)
        print(f"Undecided: {held:,} normal images calibrate, a verdict at alpha {alpha:g} needs {need:,} or more.")
    if images.reasons:
        print(f"Not readable: {listed(list(images.reasons))}; scores.csv has the reasons.")
    strangest = (f"{images.dataset.names[i]} (p {found.p[SCORE][i]:.3g})" for i in _strangest_first(found)[:NAMED])
    print(f"Strangest: {', '.join(strangest)}.")
    print(f"scores.csv, sheet.png, histogram.png and summary.json in {place}.")
    if kept is not None:
        print(f"Detector in {kept}: --detector {kept} finds anomalies with it, without --normal.")


def _strangest_first(found: Detected) -> np.ndarray:
    """Rows of the images, [N]; a score that is no number says that all went wrong, and comes first."""
    return np.argsort(-np.nan_to_num(found.scores[SCORE], nan=np.inf, posinf=np.inf), kind="stable")
