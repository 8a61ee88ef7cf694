"""Finalists, which are confirmed: the best distinct configurations, and the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.records import Record, SweepInfo, ranked

SEARCH_SPLIT, REFIT_EPOCHS, TEMPERATURE = "search_split", "refit_epochs", "temperature"
"""Parameters of a `cross_validation` experiment that the searching experiment does not have."""
FRESH = "fresh"
"""Parameter of a `cross_validation` experiment: the number of the drawing of folds, from 0."""
AGAIN = "again"
"""Parameter of a `cross_validation` experiment: another seed on the same fold, from 0."""
METRIC = "block_accuracy"
SCORE = "best_val_accuracy"
"""Accuracy on the samples that chose the epoch.

These are the validation set in a search, and the inner part on a fold.
"""
CONTROL = "control-"
"""Prefix of the labels of finalists that come from random trials."""


@dataclass(frozen=True)
class Finalist:
    """A configuration that is confirmed.

    Attributes:
        label: `trial-17`, or `baseline-tutorial`.
        trial: Number of its trial in the search.
        config: All parameters that its trial set.
        searched: Its accuracy on the samples that scored the search; None where it has none.
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


def choose_finalists(info: SweepInfo, records: Sequence[Record], top: int) -> list[Finalist]:
    """Return the best distinct configurations, the best first, then the best baseline.

    Raises:
        UsageError: There are fewer than two.
    """
    found: dict[str, Finalist] = {}
    best = ranked(records, info.direction)
    baselines = [record for record in best if record.origin.startswith("baseline ")]
    for place, record in enumerate(best, 1):
        key = repr(sorted(record.spec.config.items()))
        if len(found) < top or record in baselines[:1]:
            found.setdefault(key, _finalist(record, place))
    if len(found) < 2:
        raise UsageError(
            f"sweep {info.name!r} has {len(found)} complete configurations; two or more can be "
            "compared"
        )
    return list(found.values())


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


def choose_best(info: SweepInfo, records: Sequence[Record]) -> Finalist | None:
    """Return the best trial of a sweep as a finalist; None if no trial is complete."""
    best = ranked(records, info.direction)
    return _finalist(best[0], 1) if best else None


def _finalist(record: Record, place: int) -> Finalist:
    kind, _, name = record.origin.partition(" ")
    trial = record.spec.trial
    label = f"baseline-{name}" if kind == "baseline" and name else f"trial-{trial}"
    searched = record.result.metrics.get(SCORE) if record.result else None
    return Finalist(label, trial, dict(record.spec.config), searched, place)
