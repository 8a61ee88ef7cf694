"""Finalists, which are confirmed: the best distinct configurations, and the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from search_spaces.parameters import Value
from sweeps.capabilities import BY_SAMPLE
from sweeps.errors import UsageError
from sweeps.experiments.folds import FRESH
from sweeps.interval import Interval
from sweeps.records import Record, SweepInfo, ranked
from sweeps.wording import counted, fresh_name, is_share

CONTROL = "control-"
"""Prefix of the labels of finalists that come from random trials."""


@dataclass(frozen=True)
class Scored:
    """The metric that finalists are compared by.

    Within a confirmation its values are `oriented`: larger is better, a loss has the other sign.

    Attributes:
        metric: The metric, of a training on a fold and of a trial of the search.
        direction: Which way is better.
        unit: The unit of its values, as `Interval` has it.
    """

    metric: str
    direction: Literal["maximize", "minimize"]
    unit: Literal["share", "number"] = "share"

    @classmethod
    def by(cls, metric: str, direction: Literal["maximize", "minimize"]) -> Scored:
        """Return what trainings are compared by, in the unit of the metric."""
        unit: Literal["share", "number"] = "share" if is_share(metric) else "number"
        return cls(metric, direction, unit)

    def in_unit_of(self, finalists: Sequence[Finalist]) -> Scored:
        """Return the same, with plain numbers if its shares are beyond 1, such as percentages."""
        known = [one.searched for one in finalists if one.searched is not None]
        return self if all(0 <= value <= 1 for value in known) else replace(self, unit="number")

    @property
    def by_sample(self) -> str:
        """Name of the array with its value for each sample, where it is a mean over samples."""
        return f"{self.metric}{BY_SAMPLE}"

    @property
    def called(self) -> str:
        """Its name for people."""
        return fresh_name(self.metric)

    @property
    def sign(self) -> int:
        """The sign that makes a larger value better."""
        return 1 if self.direction == "maximize" else -1

    def distance(self, value: float) -> float | None:
        """Return how far a value is from perfect: 0 of a loss, else 1; None if it is beyond."""
        distance = value if self.direction == "minimize" else 1 - value
        return distance if distance > 0 else None

    def measured(self, oriented: Interval) -> Interval:
        """Return an interval of oriented values as one of the metric, in its unit and limits."""
        turned = oriented if self.sign > 0 else -oriented
        return self.difference(turned).within(self.metric)

    def difference(self, oriented: Interval) -> Interval:
        """Return an interval of differences in the unit of the metric; above 0 is better."""
        return replace(oriented, unit=self.unit)


ACCURACY = Scored.by("best_val_accuracy", "maximize")
"""The metric of classifiers."""


@dataclass(frozen=True)
class Finalist:
    """A configuration that is confirmed.

    Attributes:
        label: `trial-17`, or `baseline-tutorial`.
        trial: Number of its trial in the search.
        config: All parameters that its trial set.
        searched: Its score in the search, by the metric of the comparison; None where it has none.
        place: Its rank in the search, from 1; 0 if it comes from another search.
    """

    label: str
    trial: int
    config: Mapping[str, Value]
    searched: float | None
    place: int

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline, which people proposed, not the search."""
        return self.label.startswith("baseline-")

    @property
    def is_control(self) -> bool:
        """Whether it comes from random trials."""
        return self.label.startswith(CONTROL)


def best_distinct(best: Sequence[Record], top: int) -> list[tuple[int, Record]]:
    """Return the best distinct configurations of ranked trials, and the best baseline.

    Args:
        best: The complete trials, the best first.
        top: How many configurations.

    Returns:
        Each with its rank, from 1.
    """
    found: dict[str, tuple[int, Record]] = {}
    baseline = next((one for one in best if one.origin.startswith("baseline ")), None)
    for place, record in enumerate(best, 1):
        if len(found) < top or record is baseline:
            found.setdefault(repr(sorted(record.config.items())), (place, record))
    return list(found.values())


def choose_finalists(
    info: SweepInfo, records: Sequence[Record], top: int, scored: Scored
) -> list[Finalist]:
    """Return the best distinct configurations, the best first, then the best baseline.

    Raises:
        UsageError: There are fewer than two.
    """
    chosen = best_distinct(ranked(records, info.direction), top)
    if len(chosen) < 2:
        raise UsageError(
            f"sweep {info.name!r} has {counted(len(chosen), 'complete configuration')}; two or "
            "more can be compared"
        )
    return [finalist_of(record, place, scored) for place, record in chosen]


def leave_out(
    info: SweepInfo, finalists: Sequence[Finalist], trials: Sequence[int]
) -> list[Finalist]:
    """Return the finalists without those of some trials.

    Raises:
        UsageError: One of the trials is no finalist, or fewer than two finalists are left.
    """
    known = {finalist.trial: finalist.label for finalist in finalists}
    unknown = [trial for trial in trials if trial not in known]
    if unknown:
        raise UsageError(
            f"--leave-out {unknown[0]}: finalists of {info.name!r} are the trials "
            f"{', '.join(map(str, known))}"
        )
    left = [finalist for finalist in finalists if finalist.trial not in trials]
    if len(left) < 2:
        raise UsageError(
            f"--leave-out {' '.join(map(str, trials))}: {len(left)} of {len(finalists)} finalists "
            "are left; two or more can be compared (--top)"
        )
    return left


def on_fresh(finalist: Finalist, fresh: int) -> Finalist:
    """Return a finalist that is trained on the folds of a drawing; 0: those that are first used."""
    return replace(finalist, config={**finalist.config, FRESH: fresh}) if fresh else finalist


def label_of(record: Record) -> str:
    """Return the label of a trial as a finalist."""
    kind, _, name = record.origin.partition(" ")
    is_named = kind == "baseline" and name
    return f"baseline-{name}" if is_named else f"trial-{record.trial}"


def finalist_of(record: Record, place: int, scored: Scored) -> Finalist:
    """Return a trial as a finalist of a rank in the search."""
    trial, label = record.trial, label_of(record)
    searched = record.result.metrics.get(scored.metric) if record.result else None
    return Finalist(label, trial, dict(record.config), searched, place)
