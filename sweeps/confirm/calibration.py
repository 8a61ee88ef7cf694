"""Measures whether a fitted temperature helps, on samples of fresh folds that did not fit it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.capabilities import FOLDS_A_REPEAT, SAMPLES, CalibrationTerms, SupportsCalibration
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.intervals import FEWEST_FOLDS, NO_SAMPLE, crossed_estimate, stacked
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.loading import ask, failed
from sweeps.records.conclusions import (
    Calibration,
    CalibrationConclusion,
    Change,
    Measure,
    MeasureName,
)

UNITS: Final = {"ece": "share", "nll": "nats"}
"""Units of the measures."""


def measure_calibration(
    comparison: Comparison, experiment: Experiment, data: PreparedData
) -> CalibrationConclusion | None:
    """Return how temperatures change the probabilities of each finalist.

    Every training has its own temperature, as a served model has. A measure is a mean over samples
    and folds. Its error is crossed like that of an accuracy: samples by folds.

    Returns:
        The measures, each from the repeats in which all trainings of a finalist left answers; those
        with fewer than two are missing. None if the experiment is no `SupportsCalibration`, a
        training did not keep what they need, or those of the finalist to take are missing.

    Raises:
        UsageError: The experiment raised, or its arrays have other shapes than its samples.
    """
    if not isinstance(experiment, SupportsCalibration):
        return None
    found = {}
    for standing in comparison.verdict.standings:
        label = standing.finalist
        folds = _with_answers(comparison, label)
        if len(folds) < 2 * FOLDS_A_REPEAT:
            continue
        records = comparison.trainings.of(label, folds)
        results = [record.result for record in records if record.result is not None]
        terms = ask(experiment, "calibration_terms", results, data)
        if terms is None:
            return None
        samples = [result.arrays[SAMPLES] for result in results]
        try:
            found[label] = calibration(terms, stacked(samples, np.int64, NO_SAMPLE))
        except Exception as error:  # such as shapes that are not those of its samples
            raise failed(experiment, "calibration_terms", error) from error
    winner = comparison.verdict.champion
    return CalibrationConclusion(winner, found) if winner in found else None


def _with_answers(comparison: Comparison, label: str) -> list[int]:
    """Return the folds of the repeats in which all trainings of a finalist left answers."""
    folds, found = comparison.folds, comparison.trainings.found
    repeats = (folds[n : n + FOLDS_A_REPEAT] for n in range(0, len(folds), FOLDS_A_REPEAT))
    whole = (repeat for repeat in repeats if all((fold, label) in found for fold in repeat))
    return [fold for repeat in whole for fold in repeat]


def calibration(terms: CalibrationTerms, samples: NDArray[np.int64]) -> Calibration:
    """Return how temperatures change the probabilities of one configuration.

    Args:
        terms: The terms of its trainings.
        samples: (trainings, n) the number of the sample each term is of, or `NO_SAMPLE`; every
            sample is in two trainings or more.
    """
    measures: dict[MeasureName, Measure] = {}
    names: tuple[MeasureName, ...] = ("ece", "nll")
    if unknown := terms.before.keys() - set(names):
        raise ValueError(f"measures {', '.join(sorted(unknown))}: allowed are ece and nll")
    for name in names:
        if name not in terms.before:
            continue
        before, after, unit = terms.before[name], terms.after[name], UNITS.get(name, "share")
        found = (crossed_estimate(one, samples) for one in (before, after, after - before))
        was, is_now, change = (one.interval(unit=unit) for one in found)
        word: Change = "cannot tell"
        if len(samples) >= FEWEST_FOLDS and change.is_told_apart:
            word = "lower" if change.high < 0 else "higher"
        measures[name] = Measure(was, is_now, change, word)
    temperatures = terms.temperatures
    mean = math.exp(float(np.mean(np.log(temperatures))))
    return Calibration(mean, min(temperatures), max(temperatures), measures)
