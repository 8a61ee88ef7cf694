"""Error rates and power of the verdict of a confirmation, on finalists whose truth is known.

Every figure comes from `comparison.decide`, as `sweeps confirm` calls it. The generators do not
share its assumptions: fold effects with heavy tails, rare bad trainings of all finalists or of one,
effects by class, spreads from 1 to 20, differences of real trainings, an AUC near 1 (finalists.py).
False is "better" if all are equal; the best is missed if it is said not to be the best. The last
columns are the power: how often a true lead is settled; wrong is "better" said of another than the
true leader.

All finalists are trained on the first eight folds, and only the best two and the best baseline on
all, as in a confirmation; what is counted is said of those that are left. The true leader may be
left out, too. Some cases are also as `--quick` (the first four) and `--all` have them.

With --peeking, confirmations of 100 folds are looked at as often as their folds allow. A claim of
any look counts, whether later looks keep it or not. Each case is kept in a file of the cache, so
that it goes on with the next case where it was interrupted, if nothing of the method has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import finalists as generators
from benchmarks.finalists import (
    AREA,
    FAILURES,
    FOLDS_A_REPEAT,
    LUCKS,
    SAMPLES,
    TRUTHS,
    limits,
    share_with_limits,
    simulated,
)
from benchmarks.markdown import markdown
from benchmarks.options import at_least_one, cache_folder, whole_numbers
from sweeps import by_sample, interval
from sweeps.confirm import best, comparison, intervals
from sweeps.confirm import finalists as scoring
from sweeps.confirm.best import LOOKS, Joint, claims_at
from sweeps.confirm.comparison import FIRST, FIRST_IF_QUICK, best_of, decide, margin_of
from sweeps.confirm.finalists import ACCURACY, Finalist, Scored
from sweeps.confirm.intervals import Outcomes
from sweeps.records.conclusions import LeftAfter, Verdict
from sweeps.workspace.files import write_atomically

FLOOR: Final = 0.055
"""No error may be more frequent, in any generator; but see `RARE`."""
COVERS: Final = {"normal": 0.94, AREA: 0.93}
"""What the interval to quote covers at least with few samples."""
_OF_EQUALS: Final = ("false", "missed", "covered")
WIDE: Final = 10**8
"""Widths are counted in parts of so many."""
_OF_LEADS: Final = ("seen", "wrong", "left out")
_OF_PEEKING: Final = ("false at any look", "missed at any look")
RARE: Final = 0.065
"""The same for "rare bad in one": many confirmations contain none of them, by chance."""
FOLDS: Final = LOOKS[0]
FEW: Final = 200
CACHE: Final = Path(__file__).parent / "results" / "intervals"
_DECIDES: Final = (
    generators, best, by_sample, comparison, scoring, interval, intervals, sys.modules[__name__],
)  # fmt: skip
"""Modules of which any change makes the cases anew."""


@dataclass(frozen=True)
class Case:
    """So many finalists with one kind of luck, of which some are left after the first folds."""

    luck: str
    finalists: int
    first: int = FIRST
    samples: int = SAMPLES

    @property
    def scored(self) -> Scored:
        """The metric that the finalists are compared by."""
        return Scored.by("best_val_auc", "maximize") if self.luck == AREA else ACCURACY

    @property
    def truth(self) -> float:
        """What equal finalists have of it."""
        return TRUTHS.get(self.luck, generators.ACCURACY)

    @property
    def lead(self) -> float:
        """True lead in points of which the power is measured."""
        if self.luck == AREA:
            return 0.5
        return (1.0 if self.finalists == _ALL_OF_THE_SEARCH else 1.5) * (4 if self.is_small else 1)

    @property
    def is_small(self) -> bool:
        """Whether there are few samples."""
        return self.samples == FEW

    def drawn(self, random: np.random.Generator, lead: float, folds: int) -> Outcomes:
        """Return outcomes in which the first finalist has a lead in points."""
        sizes = (self.samples // FOLDS_A_REPEAT,) * FOLDS_A_REPEAT
        return simulated(random, lead, self.finalists, folds, luck=self.luck, sizes=sizes)


COUNTS: Final = (2, 6, 12)
CASES: Final = (
    *(Case(luck, count) for count in COUNTS for luck in LUCKS if luck != AREA),
    *(
        Case(luck, 6, first)
        for luck in ("normal", "rare bad in one")
        for first in (FIRST_IF_QUICK, FOLDS)
    ),
    *(Case("normal", count, samples=FEW) for count in COUNTS),
    *(Case(AREA, count, samples=FEW) for count in (2, 12)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, draws=(1000, ""))
    parser.add_argument("--leads", type=at_least_one, metavar="DRAWS",
                        help="draws with a true lead (default: a tenth of --draws)")  # fmt: skip
    parser.add_argument("--peeking", type=int, default=0, metavar="DRAWS",
                        help="draws of 100 folds, looked at six times (default 0)")  # fmt: skip
    parser.add_argument("--luck", choices=LUCKS, nargs="*", default=LUCKS, help="(default all)")
    parser.add_argument("--finalists", type=int, choices=COUNTS, nargs="*", default=COUNTS)
    cache_folder(parser, CACHE)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate every case, or take what was simulated of it before."""
    asked = [options.draws, options.leads or max(options.draws // 10, 1), options.peeking]
    rows = []
    for case in CASES:
        if case.luck in options.luck and case.finalists in options.finalists:
            found = kept(options.cache, case, asked)
            rows.append({
                "luck": case.luck, "finalists": case.finalists, "first": case.first,
                "samples": case.samples,
            } | {
                name: found[name] / max(draws, 1)
                for names, draws in zip((_OF_EQUALS, _OF_LEADS, _OF_PEEKING), asked, strict=True)
                for name in names
            })  # fmt: skip
    counts = dict(zip(("draws", "leads", "peeking"), asked, strict=True))
    return {**counts, "folds": FOLDS, "rows": rows}


def kept(cache: Path, case: Case, asked: Sequence[int]) -> Counter[str]:
    """Return the counts of one case, which are made unless they were.

    Asked are draws of equal finalists, of a true leader, and of 100 folds.
    """
    path = cache / f"{_digest(case, asked)}.json"
    if path.exists():
        return Counter(json.loads(path.read_text()))
    kinds = [*LUCKS, *FAILURES]
    random = np.random.default_rng([kinds.index(case.luck), case.finalists, case.samples])
    draws, leads, peeking = asked
    found = equals(case, random, draws) + led(case, random, leads) + peek(case, random, peeking)
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(found).encode(), "benchmark")
    return found


def _digest(case: Case, asked: Sequence[int]) -> str:
    """Return a name that changes with the case, and with whatever code decides its counts."""
    whole = repr((astuple(case), asked)) + "".join(map(inspect.getsource, _DECIDES))
    return hashlib.sha256(whole.encode()).hexdigest()[:24]


def equals(case: Case, random: np.random.Generator, draws: int) -> Counter[str]:
    """Return how often equal finalists get a verdict that is wrong, or right, at the first look.

    Beside the quotable interval also what a plain one of the same mean covers, which allows for no
    selection, and how wide both are, in parts of `WIDE`.
    """
    found: Counter[str] = Counter()
    for _ in range(draws):
        equal = verdict_of(*left_of(case.drawn(random, 0, FOLDS), case), case.scored)
        found["false"] += equal.settled
        # One that is named before anything is known of it.
        found["missed"] += not min(equal.standings, key=lambda one: one.trial).may_be_best
        quotable = equal.quotable
        found["covered"] += quotable.low <= case.truth <= quotable.high
        plain = next(one.accuracy for one in equal.standings if one.finalist == equal.champion)
        found["plain"] += plain.low <= case.truth <= plain.high
        found["wide"] += round(WIDE * (quotable.high - quotable.low))
        found["plain wide"] += round(WIDE * (plain.high - plain.low))
    return found


def led(case: Case, random: np.random.Generator, draws: int) -> Counter[str]:
    """Return how often a true leader, or another one, is called better at the first look."""
    found: Counter[str] = Counter()
    for _ in range(draws):
        left, outcomes, others = left_of(case.drawn(random, case.lead, FOLDS), case)
        better = verdict_of(left, outcomes, others, case.scored)
        is_first = better.standings[0].trial == 0
        found["seen" if is_first else "wrong"] += better.settled
        found["left out"] += all(one.trial for one in left)
    return found


def peek(case: Case, random: np.random.Generator, draws: int) -> Counter[str]:
    """Return how often any of all looks at equals errs."""
    found: Counter[str] = Counter()
    for _ in range(draws):
        left, outcomes, _ = left_of(case.drawn(random, 0, LOOKS[-1]), case)
        margin = margin_of(left, case.scored)
        claims = [claims_at(Joint.of(outcomes.first(look)), margin) for look in LOOKS]
        found["false at any look"] += any(claim.better is not None for claim in claims)
        found["missed at any look"] += any(0 in claim.not_best for claim in claims)
    return found


def left_of(outcomes: Outcomes, case: Case) -> tuple[list[Finalist], Outcomes, list[LeftAfter]]:
    """Return the finalists that go on after the first folds, their outcomes on all, and the others.

    Of more than two the last is the baseline.
    """
    labels = [f"trial-{number}" for number in range(outcomes.finalists)]
    if len(labels) > _ALL_OF_THE_SEARCH:
        labels[-1] = "baseline-first"
    finalists = [Finalist(label, n, {}, case.truth, n + 1) for n, label in enumerate(labels)]
    if case.first == FOLDS:
        return finalists, outcomes, []
    means = outcomes.by_fold[:, : case.first].mean(axis=1)
    going = best_of(finalists, dict(zip(labels, means, strict=True)))
    left = [
        LeftAfter(one.label, one.trial, case.first, float(means[one.trial]), case.truth)
        for one in finalists
        if one not in going
    ]
    places = [one.trial for one in going]
    return going, replace(outcomes, scores=outcomes.scores[places]), left


_ALL_OF_THE_SEARCH: Final = 2


def verdict_of(
    finalists: Sequence[Finalist],
    outcomes: Outcomes,
    left_after: Sequence[LeftAfter],
    scored: Scored = ACCURACY,
) -> Verdict:
    """Return the verdict of finalists that cost the same."""
    return decide(outcomes, finalists, {}, scored=scored, left_after=left_after)


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    asked = dict.fromkeys(_OF_EQUALS, "draws") | {"seen": "leads", "left out": "leads"}
    asked |= dict.fromkeys(_OF_PEEKING if result["peeking"] else (), "peeking")
    said = (
        f"{result['draws']} draws each, {result['leads']} with a true lead, {result['peeking']} of "
        f"{LOOKS[-1]} folds looked at after {', '.join(map(str, LOOKS))}; {result['folds']} folds "
        f"in repeats of {FOLDS_A_REPEAT}, all finalists on the first ones; 95 % limits in brackets"
    )
    rows = (
        [row["finalists"], row["samples"], row["first"], row["luck"],
         *(share_with_limits(row[key], result[draws]) for key, draws in asked.items())]
        for row in result["rows"]
    )  # fmt: skip
    names = {"false": 'false "better"', "missed": "best missed", "covered": "quotable covers",
             "seen": "a lead seen", "false at any look": '"better" at any look'}  # fmt: skip
    heads = ["finalists", "samples", "first folds", "fold effects",
             *(names.get(key, key) for key in asked)]  # fmt: skip
    return f"{said}\n\n{markdown(heads, rows)}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return the errors that are more frequent than their floor, beyond chance.

    With few samples, also intervals that cover less than `COVERS`.
    """
    asked = {"false": "draws", "missed": "draws", "wrong": "leads"}
    asked |= dict.fromkeys(_OF_PEEKING, "peeking")
    said = [
        (f"{row['finalists']} finalists, {row['first']} first folds, {row['luck']}", row)
        for row in result["rows"]
    ]
    return [
        f"{what}: {error} {row[error]}"
        for what, row in said
        for error, draws in asked.items()
        if limits(row[error], result[draws])[0]
        > (RARE if row["luck"] == "rare bad in one" else FLOOR)
    ] + [
        f"{what}: covered {row['covered']}"
        for what, row in said
        if row["samples"] == FEW
        and limits(row["covered"], result["draws"])[1] < COVERS[row["luck"]]
    ]
