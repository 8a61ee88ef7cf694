"""Whether a fitted temperature helps, on images of fresh folds that did not fit it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.capabilities import CalibrationTerms, SupportsCalibration
from sweeps.confirm.checks import ask, failed
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.intervals import FEWEST_FOLDS, NO_IMAGE, crossed_estimate, stacked
from sweeps.experiment import Experiment
from sweeps.interval import Interval
from sweeps.records.conclusions import Calibration, CalibrationConclusion, Change, Measure

UNITS: Final = {"ece": "share", "nll": "nats"}
"""What measures are in."""


def measure_calibration(
    comparison: Comparison, experiment: Experiment
) -> CalibrationConclusion | None:
    """Return what temperatures do to each finalist.

    Every training has a temperature of its own, as one that is served has. A measure is a mean over
    images and folds, and its error is that of accuracies: what images and folds vary by, crossed.

    Args:
        comparison: The confirmation.
        experiment: What trained it.

    Returns:
        None if the experiment has no such ability, or a training did not keep what it needs.

    Raises:
        UsageError: The experiment failed to say.
    """
    if not isinstance(experiment, SupportsCalibration):
        return None
    found = {}
    for standing in comparison.verdict.standings:
        label = standing.finalist.label
        records = comparison.trainings.of(label, comparison.folds)
        results = [record.result for record in records if record.result is not None]
        terms = ask(experiment, "calibration_terms", results)
        if terms is None:
            return None
        images = [result.arrays["block_images"] for result in results]
        try:
            found[label] = calibration(terms, stacked(images, np.int64, NO_IMAGE))
        except Exception as error:  # such as shapes that are not those of its images
            raise failed(experiment, "calibration_terms", error) from error
    winner = comparison.verdict.recommended.finalist.label
    return CalibrationConclusion("calibration", winner, found)


def calibration(terms: CalibrationTerms, images: NDArray[np.int64]) -> Calibration:
    """Return what temperatures do to one configuration.

    Args:
        terms: Of its trainings.
        images: (trainings, n) which image each is of, or `NO_IMAGE`; every image in two trainings
            or more.
    """
    measures = {}
    for name, before in terms.before.items():
        after, unit = terms.after[name], UNITS.get(name, "share")
        found = (crossed_estimate(one, images) for one in (before, after, after - before))
        was, is_now, change = (one.interval(unit=unit) for one in found)
        measures[name] = Measure(was, is_now, change, _word(change, len(images)))
    heats = terms.temperatures
    mean = math.exp(float(np.mean(np.log(heats))))
    return Calibration(mean, min(heats), max(heats), measures)


def _word(change: Interval, folds: int) -> Change:
    if folds < FEWEST_FOLDS or not change.is_told_apart:
        return "cannot tell"
    return "lower" if change.high < 0 else "higher"
