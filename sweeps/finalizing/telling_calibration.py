"""What temperatures do to the finalists' probabilities, in words and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sweeps.finalizing.calibrating import Calibration, Measure
from sweeps.finalizing.verdict import Verdict
from sweeps.records import Telling


@dataclass(frozen=True)
class _Shown:
    """How a measure is called and written."""

    name: str
    short: str
    unit: str
    scale: float
    digits: int

    def number(self, value: float, sign: str = "") -> str:
        return f"{self.scale * value:{sign}.{self.digits}f}"

    def span(self, measure: Measure, between: str) -> str:
        return between.join(self.number(end, "+") for end in measure.change.interval())


SHOWN: Final = {
    "ece": _Shown("calibration error", "ECE %", "points", 100, 2),
    "nll": _Shown("negative log-likelihood", "NLL", "nats", 1, 3),
}
SAYS: Final = {
    "lower": "is lower at the fitted temperature",
    "higher": "is higher at the fitted temperature",
    "cannot tell": "cannot be said to change",
}


def tell_calibration(verdict: Verdict, measured: Mapping[str, Calibration]) -> Telling:
    """Return whether calibration helps, the leader first.

    Args:
        verdict: Who takes part.
        measured: Of each of them, by label.
    """
    winner = verdict.recommended.finalist.label
    chosen = measured[winner]
    said = "; ".join(_said(name, measure) for name, measure in chosen.measures.items())
    lines = [
        f"A network that is served answers softmax(logits / T). T is fitted on the images that "
        f"stopped its training early (for {winner} {chosen.temperature:.2f}, from "
        f"{chosen.lowest:.2f} to {chosen.highest:.2f}) and judged on the block's other images. The "
        "most likely class, and so the accuracy, stays.",
        "ECE: how far the share right is from the confidence, in 15 bins of equal width, over the "
        "answers of all its networks together: where one is too sure and another not enough, that "
        "cancels, and the NLL counts it. Intervals of the change: 95 %, for other images and other "
        "seeds, crossed, each for itself.",
    ]
    columns = ["finalist", "T", "", "T = 1", "at T", "change", "so"]
    rows = [
        row
        for standing in verdict.standings
        for row in _rows(standing.finalist.label, measured[standing.finalist.label])
    ]
    title = "Are its probabilities right?"
    return Telling("calibration", title, f"{winner}: {said}.", columns, rows, lines)


def _said(name: str, measure: Measure) -> str:
    shown = SHOWN[name]
    return (
        f"its {shown.name} {SAYS[measure.word]}, {shown.number(measure.before.value)} to "
        f"{shown.number(measure.after.value)} {shown.unit} ({shown.span(measure, ' to ')})"
    )


def _rows(label: str, calibration: Calibration) -> Iterator[list[str]]:
    for name, measure in calibration.measures.items():
        shown = SHOWN[name]
        yield [
            label,
            f"{calibration.temperature:.2f}",
            shown.short,
            shown.number(measure.before.value),
            shown.number(measure.after.value),
            shown.span(measure, ".."),
            measure.word,
        ]
