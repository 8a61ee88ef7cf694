"""What one reading of a test part says of a sweep, in words and tables; all from stored scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sweeps.finalizing.intervals import Estimate, crossed_difference, crossed_mean
from sweeps.finalizing.outcomes import Outcomes
from sweeps.finalizing.telling import span
from sweeps.records import Telling
from sweeps.records.readings import CHAMPION, Reading
from sweeps.report.numbers import counted


def tell_reading(
    reading: Reading, sweep: str, scores: Mapping[str, np.ndarray], readings: int
) -> Telling:
    """Return what a reading says of one of its sweeps.

    Args:
        reading: Which.
        sweep: Id of the sweep.
        scores: See `Ledger.scores`.
        readings: How many there are by now.
    """
    places = [place for place, entry in enumerate(reading.entries) if entry.sweep == sweep]
    files = {reading.entries[place].role: scores[f"correct_{place}"][0] != 0 for place in places}
    places = [place for place in places if reading.entries[place].role != CHAMPION]
    entries = [reading.entries[place] for place in places]
    correct = np.stack([scores[f"correct_{place}"] != 0 for place in places])
    trainings, n = correct.shape[1:]
    outcomes = Outcomes(correct, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))
    rows = []
    for number, entry in enumerate(entries):
        mean = crossed_mean(outcomes, number)
        gap = crossed_difference(outcomes, 0, number) if number else None
        rows.append([entry.role, entry.label, _percent(mean), *_gap(gap, len(entries))])
    winner = entries[0].label
    share = _percent(crossed_mean(outcomes, 0))
    lead = f"On the test part {winner}, the winner, recognises {share} %."
    lines = []
    baseline = next((k for k, entry in enumerate(entries) if entry.role == "baseline"), None)
    if baseline is not None:
        champion = files.get(CHAMPION, files["winner"])
        file = f"{winner}, trained on everything else," if CHAMPION in files else winner
        lines.append(_mcnemar(champion, files["baseline"], file, entries[baseline].label))
    if CHAMPION in files:
        share = f"{100 * files[CHAMPION].mean():.2f}"
        rows.append([CHAMPION, f"{winner}, refitted", share, "", ""])
    lines += [
        f"Means over {trainings} trainings each and {n} images; intervals are for new images and "
        "new seeds, all differences at once.",
        _count(reading, readings),
    ]
    columns = ["", "finalist", "test, %", "winner ahead by", "95 % interval"]
    note = f"The list of models was frozen on {reading.day}, before anything was scored."
    if reading.number > 1:
        note += f" It was made after {counted(reading.number - 1, 'reading')} could have been seen."
    ordinal = "read once" if readings == 1 else f"reading {reading.number} of {readings}"
    title = f"The test part, {ordinal}"
    return Telling(f"tested-{reading.name}", title, lead, columns, rows, lines, note)


def _percent(mean: Estimate) -> str:
    return f"{100 * mean.value:.2f}±{100 * (mean.interval()[1] - mean.value):.2f}"


def _gap(gap: Estimate | None, compared: int) -> list[str]:
    if gap is None:
        return ["", ""]
    low, high = gap.interval(compared)
    return [f"{100 * gap.value:+.2f}", span(low, high)]


def _mcnemar(first: np.ndarray, second: np.ndarray, champion: str, baseline: str) -> str:
    """Compare two files on the same images by the exact test of McNemar (1947)."""
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    p = float(binomtest(only_first, apart).pvalue) if apart else 1.0
    return (
        f"The champion's file against the baseline's of block 0: {champion} alone is "
        f"right on {only_first} images, {baseline} alone on {only_second} (McNemar's exact test, "
        f"p = {p:.2g}); these two files, not the configurations."
    )


def _count(reading: Reading, readings: int) -> str:
    part = f"test part {reading.digest[:8]}"
    count = f"Reading {reading.number} of {readings} of {part} in this home"
    return f"{count}, because: {reading.reason}." if reading.reason else f"{count}."
