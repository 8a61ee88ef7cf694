"""Whether a fitted temperature helps, on images of fresh folds that did not fit it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.capabilities import CalibrationTerms, SupportsCalibration
from sweeps.confirm.checks import ask, failed
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.intervals import FEWEST_FOLDS, Estimate, crossed_estimate
from sweeps.confirm.outcomes import NO_IMAGE, stacked
from sweeps.experiment import Experiment

Word = Literal["lower", "higher", "cannot tell"]


@dataclass(frozen=True)
class Measure:
    """One measure of how far probabilities are off: mean over folds, with crossed error.

    Attributes:
        before: As the network says it.
        after: At its temperature.
        change: After minus before, image by image; negative is better.
        word: Whether the 95 % interval of the change is on one side of 0; with fewer than eight
            folds that is not told.
    """

    before: Estimate
    after: Estimate
    change: Estimate
    word: Word


@dataclass(frozen=True)
class Calibration:
    """What temperatures do to one finalist.

    Attributes:
        temperature: Geometric mean over its trainings: each fitted its own.
        lowest: The smallest of them.
        highest: The largest of them.
        measures: By name.
    """

    temperature: float
    lowest: float
    highest: float
    measures: Mapping[str, Measure]


def measure_calibration(comparison: Comparison, experiment: Experiment) -> dict[str, Calibration]:
    """Return what temperatures do to each finalist, by its label.

    Every training has a temperature of its own, as one that is served has. A measure is a mean over
    images and folds, and its error is that of accuracies: what images and folds vary by, crossed.

    Args:
        comparison: The confirmation.
        experiment: What trained it.

    Returns:
        Nothing if the experiment has no such ability, or a training did not keep what it needs.

    Raises:
        UsageError: The experiment failed to say.
    """
    if not isinstance(experiment, SupportsCalibration):
        return {}
    found = {}
    for standing in comparison.verdict.standings:
        label = standing.finalist.label
        records = comparison.trainings.of(label, comparison.folds)
        results = [record.result for record in records if record.result is not None]
        terms = ask(experiment, "calibration_terms", results)
        if terms is None:
            return {}
        images = [result.arrays["block_images"] for result in results]
        try:
            found[label] = calibration(terms, stacked(images, np.int64, NO_IMAGE))
        except Exception as error:  # such as shapes that are not those of its images
            raise failed(experiment, "calibration_terms", error) from error
    return found


def calibration(terms: CalibrationTerms, images: NDArray[np.int64]) -> Calibration:
    """Return what temperatures do to one configuration.

    Args:
        terms: Of its trainings.
        images: (trainings, n) which image each is of, or `NO_IMAGE`; every image in two trainings
            or more.
    """
    measures = {}
    for name, before in terms.before.items():
        after = terms.after[name]
        change = crossed_estimate(after - before, images)
        measures[name] = Measure(
            crossed_estimate(before, images), crossed_estimate(after, images), change,
            _word(change, len(images)),
        )  # fmt: skip
    heats = terms.temperatures
    mean = math.exp(float(np.mean(np.log(heats))))
    return Calibration(mean, min(heats), max(heats), measures)


def _word(change: Estimate, folds: int) -> Word:
    low, high = change.interval()
    if folds >= FEWEST_FOLDS and high < 0:
        return "lower"
    return "higher" if folds >= FEWEST_FOLDS and low > 0 else "cannot tell"
