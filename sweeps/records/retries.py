"""Marks of failed trials that are to be run again (`sweeps retry`), beside their records.

Each command writes one file, atomically, which never changes. The file names failed attempts that
no longer end their trials: a reader of the records sees them so, and a later attempt ends the
trial. It also says how many trials had been proposed by then. The proposals of these trials took
the failure into account, and they do so again whenever they are repeated; later proposals see the
new outcome.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sweeps.errors import UsageError
from sweeps.records.record import Record
from sweeps.records.schema import AttemptKey, Count, read_numbered
from sweeps.workspace.files import write_atomically

_FILE: Final = "retry-{}.json"


@dataclass(frozen=True)
class Retry:
    """The mark of one command.

    Attributes:
        attempts: Keys (`<trial>-<attempt>`) of the failed attempts that no longer end their trials.
        opened: How many trials had been proposed when the command ran.
    """

    attempts: tuple[AttemptKey, ...]
    opened: Count


class Retries:
    """The marks of one sweep, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, attempts: Sequence[str], opened: int) -> None:
        """Mark attempts. The caller holds the sweep's lock.

        Raises:
            StoreError: The mark cannot be written; nothing of it is left.
        """
        path = self._folder / _FILE.format(len(self.all()) + 1)
        document = asdict(Retry(tuple(attempts), opened))
        write_atomically(path, json.dumps(document).encode(), "retry")

    def all(self) -> list[Retry]:
        """Return every mark in order.

        Raises:
            RecordError: One is damaged.
        """
        return list(read_numbered(self._folder, _FILE, Retry, "put a copy of it there"))

    def attempts(self) -> frozenset[str]:
        """Return the keys of the failed attempts that no longer end their trials."""
        return frozenset(key for mark in self.all() for key in mark.attempts)

    def opened_by(self) -> dict[int, int]:
        """Return for each marked trial how many trials had been proposed at its last mark."""
        return {trial_of(key): mark.opened for mark in self.all() for key in mark.attempts}

    def waiting(self, records: Sequence[Record]) -> list[int]:
        """Return the trials that were marked and have no new outcome yet."""
        ended = {record.spec.trial for record in records if record.ends_trial}
        return sorted(self.opened_by().keys() - ended)


def trial_of(key: str) -> int:
    """Return the trial number in the key of an attempt."""
    return int(key.partition("-")[0])


def trials_to_retry(
    sweep: str, records: Sequence[Record], waiting: Sequence[int], asked: Sequence[int]
) -> list[Record]:
    """Return the failed attempts that shall no longer end their trials.

    Args:
        sweep: Name of the sweep.
        records: All of its records, ordered by trial and attempt.
        waiting: Trials that were marked before and have no new outcome yet; they are run again
            without another mark.
        asked: Numbers of the trials to run again; empty for all that failed.

    Raises:
        UsageError: One of them did not fail; the message says which did.
    """
    final = {record.spec.trial: record for record in records if record.ends_trial}
    failed = {trial: record for trial, record in final.items() if record.outcome == "failed"}
    known = sorted({*failed, *waiting})
    which = f"failed are {', '.join(map(str, known))}" if known else "no trial failed"
    if not known and not asked:
        raise UsageError(f"sweep {sweep!r} has no failed trial to be run again")
    others = sorted({*asked} - {*known})
    if others:
        reason = _refusal(sweep, others, final, {record.spec.trial for record in records})
        raise UsageError(f"{reason}; {which}")
    return [failed[trial] for trial in sorted({*asked} or known) if trial in failed]


def _refusal(sweep: str, others: Sequence[int], final: dict[int, Record], begun: set[int]) -> str:
    """Return why the first of these trials, and others of the same kind, cannot be run again."""
    absent = [trial for trial in others if trial not in begun]
    if absent:
        return f"sweep {sweep!r} has no trial {absent[0]}"
    open_trials = [trial for trial in others if trial not in final]
    if open_trials:
        return f"trial {open_trials[0]} has no outcome yet: `sweeps run` goes on with it"
    diverged = [trial for trial in others if final[trial].outcome == "diverged"]
    if diverged:
        return (
            f"trial {diverged[0]} diverged (its numbers became NaN or infinite): that is an "
            "outcome, which samplers learn from"
        )
    state = final[others[0]].outcome.upper()
    alike = [str(trial) for trial in others if final[trial].outcome.upper() == state]
    return f"trials {', '.join(alike)} are {state}" if alike[1:] else f"trial {alike[0]} is {state}"
