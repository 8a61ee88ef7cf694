"""Error rates and power of the verdict of a confirmation, on finalists whose truth is known.

Every figure comes from `comparison.decide`, as `sweeps confirm` calls it. The generators do not
share its assumptions: fold effects with heavy tails, rare bad trainings of all finalists or of one,
effects by class, spreads from 1 to 20 (finalists.py). A confirmation is looked at as often as its
folds allow. False is "better" if the finalist is none of the best, or all are equal; the best is
missed if it is said not to be the best. The last columns are the power: how often a true lead is
settled, and how often a finalist that is as good is called so.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

import numpy as np

from benchmarks.finalists import ACCURACY, FOLDS_A_REPEAT, LUCKS, SAMPLES, simulated
from benchmarks.timing import at_least_one
from sweeps.confirm.best import looks
from sweeps.confirm.comparison import Verdict, decide
from sweeps.confirm.finalists import Finalist
from sweeps.confirm.intervals import Outcomes

FLOOR: Final = 0.055
"""No error may be more frequent, in any generator; but see `RARE`."""
RARE: Final = 0.065
"""The same for "rare bad in one": many confirmations contain none of them, by chance."""
LEADS: Final = {2: 1.0, 6: 1.5}
"""True lead in points of which the power is measured, by the number of finalists."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--draws", type=at_least_one, default=1000, help="(default 1000)")
    parser.add_argument("--folds", type=at_least_one, default=20, help="at most (default 20)")
    parser.add_argument("--luck", choices=LUCKS, nargs="*", default=LUCKS, help="(default all)")
    parser.add_argument("--finalists", type=int, choices=LEADS, nargs="*", default=[*LEADS])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate every generator and number of finalists."""
    rows = [
        measure(luck, count, options.folds, options.draws)
        for count in options.finalists
        for luck in options.luck
    ]
    result = {"draws": options.draws, "folds": options.folds, "samples": SAMPLES, "rows": rows}
    if said := failures(result):
        raise RuntimeError(f"{table(result)}\n\nmore frequent than promised: {'; '.join(said)}")
    return result


def measure(luck: str, count: int, folds: int, draws: int) -> dict[str, Any]:
    """Return a row of shares of the draws."""
    found = dict.fromkeys(("false", "missed", "covered", "naive", "seen", "as_good"), 0)
    random = np.random.default_rng([folds, count, LUCKS.index(luck)])
    for _ in range(draws):
        equal = verdicts(simulated(random, 0, count, folds, luck=luck))
        found["false"] += any(verdict.is_settled for verdict in equal)
        found["missed"] += any(not may_be_best(verdict, 0) for verdict in equal)
        last, leader = equal[-1], equal[-1].standings[0]
        found["covered"] += last.quotable.score.low <= ACCURACY <= last.quotable.score.high
        low, high = leader.mean.interval().ends
        found["naive"] += low <= ACCURACY <= high
        found["as_good"] += any(standing.is_as_good for standing in last.standings[1:])
        better = verdicts(simulated(random, LEADS[count], count, folds, luck=luck))
        found["seen"] += any(v.is_settled and is_first(v) for v in better)
        found["false"] += any(v.is_settled and not is_first(v) for v in better)
    shares = {name: number / draws for name, number in found.items()}
    return {"luck": luck, "finalists": count, **shares}


def verdicts(outcomes: Outcomes) -> list[Verdict]:
    """Return the verdict of every look."""
    names = [Finalist(f"trial-{n}", n, {}, ACCURACY, n + 1) for n in range(outcomes.finalists)]
    found = [decide(outcomes.first(n), names, {}) for n in looks(outcomes.folds)]
    return found or [decide(outcomes, names, {})]


def may_be_best(verdict: Verdict, trial: int) -> bool:
    """Whether the finalist of a trial may be the best."""
    return next(s.may_be_best for s in verdict.standings if s.finalist.trial == trial)


def is_first(verdict: Verdict) -> bool:
    """Whether the leader is the first finalist."""
    return verdict.standings[0].finalist.trial == 0


def limits(share: float, draws: int) -> tuple[float, float]:
    """Return the 95 % limits of a share (Wilson 1927)."""
    from sweeps.interval import wilson

    return wilson(round(share * draws), draws).ends


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    draws = result["draws"]
    lines = [
        f"{draws} draws each, {result['samples']} samples, {result['folds']} folds in repeats of "
        f"{FOLDS_A_REPEAT}, verdicts at {', '.join(map(str, looks(result['folds'])))} folds; 95 % "
        "limits in brackets",
        "",
        '| finalists | fold effects | false "better" | best missed | quotable covers | mean covers '
        '| a lead seen | one of the equal called "as good" |',
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        shares = [row[key] for key in ("false", "missed", "covered", "naive", "seen", "as_good")]
        cells = " | ".join(_cell(share, draws) for share in shares)
        lines.append(f"| {row['finalists']} | {row['luck']} | {cells} |")
    return "\n".join(lines)


def _cell(share: float, draws: int) -> str:
    low, high = limits(share, draws)
    return f"{100 * share:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def failures(result: dict[str, Any]) -> list[str]:
    """Return the rows whose errors are more frequent than their floor, beyond chance."""
    found = []
    for row in result["rows"]:
        floor = RARE if row["luck"] == "rare bad in one" else FLOOR
        for error in ("false", "missed"):
            if limits(row[error], result["draws"])[0] > floor:
                found.append(f"{row['finalists']} finalists, {row['luck']}: {error} {row[error]}")
    return found
