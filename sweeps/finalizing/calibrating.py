"""Whether a fitted temperature helps, on images of fresh blocks that did not fit it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sweeps.abilities import Calibrates, CalibrationTerms
from sweeps.experiment import Experiment
from sweeps.finalizing.intervals import FEWEST_BLOCKS, Estimate, crossed_estimate
from sweeps.finalizing.judging import Judged

Word = Literal["lower", "higher", "cannot tell"]


@dataclass(frozen=True)
class Measure:
    """One measure of how far probabilities are off: mean over blocks, with crossed error.

    Attributes:
        before: As the network says it.
        after: At its temperature.
        change: After minus before, image by image; negative is better.
        word: Whether the 95 % interval of the change is on one side of 0; with fewer than eight
            blocks that is not told.
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


def measure_calibration(judged: Judged, experiment: Experiment) -> dict[str, Calibration]:
    """Return what temperatures do to each finalist, by its label.

    Every block has a network and a temperature of its own, as one that is served has. A measure is
    the mean over blocks, and its error is that of accuracies: what images and blocks vary by,
    crossed, here of what each image adds to the measure.

    Args:
        judged: The confirmation.
        experiment: What trained it.

    Returns:
        Nothing if the experiment has no such ability, or a training did not keep what it needs.
    """
    if not isinstance(experiment, Calibrates):
        return {}
    found = {}
    for standing in judged.verdict.standings:
        label = standing.finalist.label
        terms, images = [], []
        for record in judged.trainings.of(label, judged.blocks):
            assert record.result is not None  # it is complete
            terms.append(experiment.calibration_terms(record.result))
            images.append(record.result.arrays["block_images"])
        whole = [one for one in terms if one is not None]
        if len(whole) < len(terms):
            return {}
        found[label] = _calibration(whole, np.array(images, np.int64))
    return found


def _calibration(terms: list[CalibrationTerms], images: np.ndarray) -> Calibration:
    temperatures = [one.temperature for one in terms]
    mean = math.exp(float(np.mean(np.log(temperatures))))
    measures = {}
    for name in terms[0].before:
        before = np.array([one.before[name] for one in terms])
        after = np.array([one.after[name] for one in terms])
        change = crossed_estimate(after - before, images)
        word = _word(change, len(terms))
        measures[name] = Measure(
            crossed_estimate(before, images), crossed_estimate(after, images), change, word
        )
    return Calibration(mean, min(temperatures), max(temperatures), measures)


def _word(change: Estimate, blocks: int) -> Word:
    low, high = change.interval()
    if blocks >= FEWEST_BLOCKS and high < 0:
        return "lower"
    return "higher" if blocks >= FEWEST_BLOCKS and low > 0 else "cannot tell"
