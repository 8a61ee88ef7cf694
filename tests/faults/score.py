"""What is counted over all cases and seeds, and the table that says it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.faults.evidence import FINISHED, Evidence

SCORE_FILE = "FAULT_SCORE"
"""Environment variable: file that gets the scores as JSON, a line each."""


@dataclass
class Score:
    """What one case with one seed came to.

    Attributes:
        ended: Whether it was run to an end; each is saved without one before the first is run.
        violations: What the oracle found, or the error that ended the case before.
        unpromised: What the oracle found beside, where no promise was made.
        lost: Finished trials that were lost or changed.
        running: Trials and MLflow runs left RUNNING.
        repeated: Trainings begun again.
        killed: Workers killed.
        seconds: Wall time.
        note: What the case measured beside.
    """

    case: int = 0
    title: str = ""
    seed: int = 0
    ended: bool = False
    passed: bool = False
    reason: str = ""
    violations: list[str] = field(default_factory=list)
    unpromised: list[str] = field(default_factory=list)
    lost: int = 0
    running: int = 0
    repeated: int = 0
    killed: int = 0
    seconds: float = 0.0
    note: str = ""
    looks: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, sweep: str, found: Evidence, wrong: Sequence[str], killed: int) -> None:
        """Take a look of the oracle; of several at one sweep the last one counts."""
        self.violations += wrong
        running = [trial for trial in found.trials if trial.state not in FINISHED]
        self.looks[sweep] = {
            "lost": sum(text.startswith("I1") for text in wrong),
            "running": len(running) + sum(run.status == "RUNNING" for run in found.runs),
            "repeated": sum(times - 1 for times in found.trainings.values()),
            "killed": killed,
        }
        for name in ("lost", "running", "repeated", "killed"):
            setattr(self, name, sum(look[name] for look in self.looks.values()))


def save(score: Score) -> None:
    """Append a score to the file that the environment names, if any; of several the last holds."""
    if path := os.environ.get(SCORE_FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(score)) + "\n")


def summary(scores: Sequence[Score]) -> str:
    """Return a line a case, and the line that is published."""
    lines = ["case                                                      seeds  seconds"]
    numbers = sorted({score.case for score in scores})
    for number in numbers:
        own = [score for score in scores if score.case == number]
        passed = sum(score.passed for score in own)
        seconds = sum(score.seconds for score in own)
        lines.append(f"{number:2} {own[0].title:<54} {passed} of {len(own)} {seconds:8.1f}")
        lines += [f"     seed {s.seed}: {line}" for s in own for line in _remarks(s)]
    whole = [n for n in numbers if all(s.passed for s in scores if s.case == n)]
    seeds = sorted({score.seed for score in scores})
    totals = [sum(getattr(s, n) for s in scores) for n in ("lost", "running", "repeated", "killed")]
    lines.append(
        f"{len(whole)} of {len(numbers)} faults over seeds {', '.join(map(str, seeds))}: finished "
        "trials lost {}, left RUNNING {}, attempts repeated {} / workers killed {}".format(*totals)
    )
    return "\n".join(lines)


def _remarks(score: Score) -> list[str]:
    wrong = [] if score.passed else [score.reason, *score.violations[:5]]
    return [line for line in [score.note, *wrong] if line]
