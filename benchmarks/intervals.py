"""Error rates and power of the verdict of a confirmation, on finalists whose truth is known.

Every figure comes from `comparison.decide`, as `sweeps confirm` calls it. The generators do not
share its assumptions: fold effects with heavy tails, rare bad trainings of all finalists or of one,
effects by class, spreads from 1 to 20, differences of real trainings (finalists.py). False is
"better" if all are equal; the best is missed if it is said not to be the best. The last columns are
the power: how often a true lead is settled; wrong is "better" said of another than the true leader.

All finalists are trained on the first eight folds, and only the best two and the best baseline on
all, as in a confirmation; what is counted is said of those that are left. The true leader may be
left out, too. Some cases are also as `--quick` (the first four) and `--all` have them.

With --peeking, confirmations of 100 folds are looked at as often as their folds allow. A claim of
any look counts, whether later looks keep it or not.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.finalists import (
    ACCURACY,
    FOLDS_A_REPEAT,
    LUCKS,
    SAMPLES,
    limits,
    share_with_limits,
    simulated,
)
from benchmarks.markdown import markdown
from benchmarks.options import at_least_one, whole_numbers
from sweeps.confirm.best import LOOKS, Joint, claims_at
from sweeps.confirm.comparison import FIRST, FIRST_IF_QUICK, Verdict, best_of, decide, margin_of
from sweeps.confirm.finalists import Finalist
from sweeps.confirm.intervals import Outcomes
from sweeps.records.conclusions import LeftAfter

FLOOR: Final = 0.055
"""No error may be more frequent, in any generator; but see `RARE`."""
_OF_EQUALS: Final = ("false", "missed", "covered")
_OF_LEADS: Final = ("seen", "wrong", "left out")
_OF_PEEKING: Final = ("false at any look", "missed at any look")
_A_ROUND: Final = 250
RARE: Final = 0.065
"""The same for "rare bad in one": many confirmations contain none of them, by chance."""
FOLDS: Final = LOOKS[0]
_OTHERWISE: Final = [
    (luck, 6, first) for luck in ("normal", "rare bad in one") for first in (FIRST_IF_QUICK, FOLDS)
]
LEADS: Final = {2: 1.0, 6: 1.5, 12: 1.5}
"""True lead in points of which the power is measured, by the number of finalists."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, draws=(1000, ""))
    parser.add_argument("--leads", type=at_least_one, metavar="DRAWS",
                        help="draws with a true lead (default: a tenth of --draws)")  # fmt: skip
    parser.add_argument("--peeking", type=int, default=0, metavar="DRAWS",
                        help="draws of 100 folds, looked at six times (default 0)")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=math.inf,
                        help="make fewer draws if time is up (default: no limit)")  # fmt: skip
    parser.add_argument("--luck", choices=LUCKS, nargs="*", default=LUCKS, help="(default all)")
    parser.add_argument("--finalists", type=int, choices=LEADS, nargs="*", default=[*LEADS])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate every generator and number of finalists, in rounds of them all."""
    leads = options.leads or max(options.draws // 10, 1)
    cases = [(luck, count, FIRST) for count in options.finalists for luck in options.luck]
    cases += [
        (luck, count, first)
        for luck, count, first in _OTHERWISE
        if luck in options.luck and count in options.finalists
    ]
    found: dict[tuple[str, int, int], Counter[str]] = {case: Counter() for case in cases}
    rounds, begun, made = math.ceil(options.draws / _A_ROUND), time.monotonic(), 0
    while made < rounds and (not made or time.monotonic() - begun < 60 * options.minutes):
        for luck, count, first in cases:
            random = np.random.default_rng([made, count, LUCKS.index(luck)])
            own = found[luck, count, first]
            draw = partial(simulated, random, finalists=count, luck=luck)
            own += equals(draw, first, _part(options.draws, made, rounds))
            own += led(draw, LEADS[count], first, _part(leads, made, rounds))
            own += peek(draw, first, _part(options.peeking, made, rounds))
        made += 1
    counts = {
        name: sum(_part(asked, number, rounds) for number in range(made))
        for name, asked in (
            ("draws", options.draws),
            ("leads", leads),
            ("peeking", options.peeking),
        )
    }
    rows = [
        {"luck": luck, "finalists": count, "first": first}
        | {name: own[name] / counts["draws"] for name in _OF_EQUALS}
        | {name: own[name] / counts["leads"] for name in _OF_LEADS}
        | {name: own[name] / max(counts["peeking"], 1) for name in _OF_PEEKING}
        for (luck, count, first), own in found.items()
    ]
    return {**counts, "folds": FOLDS, "samples": SAMPLES, "rows": rows}


def _part(draws: int, number: int, rounds: int) -> int:
    """Return how many of so many draws a round makes."""
    return draws * (number + 1) // rounds - draws * number // rounds


Draw = Callable[..., Outcomes]
"""Simulates finalists, of which the first has a lead in points, on so many folds."""


def equals(draw: Draw, first: int, draws: int) -> Counter[str]:
    """Return how often equal finalists get a verdict that is wrong, or right, at the first look."""
    found: Counter[str] = Counter()
    for _ in range(draws):
        equal = verdict_of(*left_of(draw(0, folds=FOLDS), first))
        found["false"] += equal.is_settled
        # One that is named before anything is known of it.
        found["missed"] += not min(equal.standings, key=lambda one: one.trial).may_be_best
        quotable = equal.quotable
        found["covered"] += quotable.low <= ACCURACY <= quotable.high
    return found


def led(draw: Draw, lead: float, first: int, draws: int) -> Counter[str]:
    """Return how often a true leader, or another one, is called better at the first look."""
    found: Counter[str] = Counter()
    for _ in range(draws):
        left, outcomes, others = left_of(draw(lead, folds=FOLDS), first)
        better = verdict_of(left, outcomes, others)
        is_first = better.standings[0].trial == 0
        found["seen" if is_first else "wrong"] += better.is_settled
        found["left out"] += all(one.trial for one in left)
    return found


def peek(draw: Draw, first: int, draws: int) -> Counter[str]:
    """Return how often any of all looks at equals errs."""
    found: Counter[str] = Counter()
    for _ in range(draws):
        left, outcomes, _ = left_of(draw(0, folds=LOOKS[-1]), first)
        margin = margin_of(left)
        claims = [claims_at(Joint.of(outcomes.first(look)), margin) for look in LOOKS]
        found["false at any look"] += any(claim.better is not None for claim in claims)
        found["missed at any look"] += any(0 in claim.not_best for claim in claims)
    return found


def left_of(outcomes: Outcomes, first: int) -> tuple[list[Finalist], Outcomes, list[LeftAfter]]:
    """Return the finalists that go on after the first folds, their outcomes on all, and the others.

    Of more than two the last is the baseline.
    """
    labels = [f"trial-{number}" for number in range(outcomes.finalists)]
    if len(labels) > _ALL_OF_THE_SEARCH:
        labels[-1] = "baseline-first"
    finalists = [Finalist(label, n, {}, ACCURACY, n + 1) for n, label in enumerate(labels)]
    if first == FOLDS:
        return finalists, outcomes, []
    means = outcomes.by_fold[:, :first].mean(axis=1)
    going = best_of(finalists, dict(zip(labels, means, strict=True)))
    left = [
        LeftAfter(one.label, one.trial, first, float(means[one.trial]), ACCURACY)
        for one in finalists
        if one not in going
    ]
    places = [one.trial for one in going]
    return going, replace(outcomes, scores=outcomes.scores[places]), left


_ALL_OF_THE_SEARCH: Final = 2


def verdict_of(
    finalists: Sequence[Finalist], outcomes: Outcomes, left_after: Sequence[LeftAfter]
) -> Verdict:
    """Return the verdict of finalists that cost the same."""
    return decide(outcomes, finalists, {}, left_after=left_after)


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    asked = dict.fromkeys(_OF_EQUALS, "draws") | {"seen": "leads", "left out": "leads"}
    asked |= dict.fromkeys(_OF_PEEKING if result["peeking"] else (), "peeking")
    said = (
        f"{result['draws']} draws each, {result['leads']} with a true lead, {result['peeking']} of "
        f"{LOOKS[-1]} folds looked at after {', '.join(map(str, LOOKS))}; {result['samples']} "
        f"samples, {result['folds']} folds in repeats of {FOLDS_A_REPEAT}, all finalists on the "
        "first ones; 95 % limits in brackets"
    )
    rows = (
        [row["finalists"], row["first"], row["luck"],
         *(share_with_limits(row[key], result[draws]) for key, draws in asked.items())]
        for row in result["rows"]
    )  # fmt: skip
    names = {"false": 'false "better"', "missed": "best missed", "covered": "quotable covers",
             "seen": "a lead seen", "false at any look": '"better" at any look'}  # fmt: skip
    heads = ["finalists", "first folds", "fold effects", *(names.get(key, key) for key in asked)]
    return f"{said}\n\n{markdown(heads, rows)}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return the errors that are more frequent than their floor, beyond chance."""
    asked = {"false": "draws", "missed": "draws", "wrong": "leads"}
    asked |= dict.fromkeys(_OF_PEEKING, "peeking")
    return [
        f"{row['finalists']} finalists, {row['luck']}: {error} {row[error]}"
        for row in result["rows"]
        for error, draws in asked.items()
        if limits(row[error], result[draws])[0]
        > (RARE if row["luck"] == "rare bad in one" else FLOOR)
    ]
