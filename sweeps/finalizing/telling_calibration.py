"""What temperatures do to the finalists' probabilities, in words and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sweeps.finalizing.calibrating import Calibration, Measure
from sweeps.finalizing.verdict import Verdict
from sweeps.records import Telling

NAMES: Final = {"ece": "calibration error", "nll": "negative log-likelihood"}
SCALES: Final = {"ece": (100, "points"), "nll": (1, "nats")}
"""By what a measure is multiplied to be shown, and what it then counts."""
SAYS: Final = {
    "lower": "is lower at the fitted temperature",
    "higher": "is higher at the fitted temperature",
    "cannot tell": "cannot be said to change",
}


def tell_calibration(verdict: Verdict, measured: Mapping[str, Calibration]) -> Telling:
    """Return whether calibration helps, the winner first.

    Args:
        verdict: Who takes part.
        measured: Of each of them, by label.
    """
    winner = verdict.recommended.finalist.label
    chosen = measured[winner]
    lead = f"{winner}: " + "; ".join(
        f"its {NAMES[name]} {SAYS[measure.word]} ({_change(name, measure)})"
        for name, measure in chosen.measures.items()
    )
    lines = [
        f"A network that is served answers softmax(logits / T). T is fitted on the images that "
        f"stopped its training early (for {winner} {chosen.temperature:.2f}, from "
        f"{chosen.lowest:.2f} to {chosen.highest:.2f}) and judged on the block's other images. The "
        "most likely class, and so the accuracy, stays.",
        "Calibration error: the distance of confidence and share right, in 15 bins of equal width "
        "(ECE), of one network on the images of one block; a perfect one would not have 0 on so "
        "few. Mean over blocks; intervals for other images and other seeds, crossed, each for "
        "itself.",
    ]
    columns = ["finalist", "T"]
    for name in chosen.measures:
        columns += [name.upper() + (", %" if name == "ece" else ", nats"), "at T", "change", "so"]
    rows = [_row(s.finalist.label, measured[s.finalist.label]) for s in verdict.standings]
    return Telling("calibration", "Are its probabilities right?", f"{lead}.", columns, rows, lines)


def _row(label: str, calibration: Calibration) -> list[str]:
    cells = [label, f"{calibration.temperature:.2f}"]
    for name, measure in calibration.measures.items():
        scale, _ = SCALES[name]
        digits = _digits(name)
        low, high = measure.change.interval()
        cells += [
            f"{scale * measure.before.value:.{digits}f}",
            f"{scale * measure.after.value:.{digits}f}",
            f"{scale * low:+.{digits}f}..{scale * high:+.{digits}f}",
            measure.word,
        ]
    return cells


def _change(name: str, measure: Measure) -> str:
    scale, unit = SCALES[name]
    digits = _digits(name)
    low, high = measure.change.interval()
    return (
        f"{scale * measure.before.value:.{digits}f} to {scale * measure.after.value:.{digits}f}, "
        f"by {scale * measure.change.value:+.{digits}f} {unit} "
        f"({scale * low:+.{digits}f} to {scale * high:+.{digits}f})"
    )


def _digits(name: str) -> int:
    return 2 if name == "ece" else 4
