"""Reads everything known about one sweep, once; nothing is written, created or locked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from optuna.trial import FrozenTrial

from sweeps.errors import UntrustedError
from sweeps.experiments.loading import check_trust
from sweeps.home import Home
from sweeps.records import Record, RecordStore, SweepInfo
from sweeps.study.copies import read_study
from sweeps.tracking.outage import one_line
from sweeps.tracking.preflight import check_store
from sweeps.tracking.reading import StoredChampion, StoredRun, read_champion, read_runs

# A problem and its repair.


class Repair(Enum):
    """The repair of a problem; its value is the text that the user sees."""

    DATABASE = "`sweeps doctor --fix` puts the file aside and writes it anew from the records"
    STUDY = "`sweeps doctor --fix` writes the study anew from the records"
    SEND = "`sweeps sync` or `sweeps doctor --fix` sends it"
    REPLACE = "`sweeps doctor --fix` deletes the run and sends it anew from the record"
    DISCARD = "`sweeps doctor --fix` deletes the run; MLflow keeps it in its bin"
    WEIGHTS = "`sweeps doctor --fix` puts the file aside; the trial's record stays"
    ASIDE = "`sweeps doctor --fix` writes the file anew from the records, or puts it aside"
    CLEAN = "`sweeps doctor --fix` or the next `sweeps run` clears it away"
    RUN = "the next `sweeps run` with the options of the sweep repairs it"
    WAIT = "try again when the store answers"
    BY_HAND = "bring the file back from a backup, or move it away"
    AS_SAID = "do what the line about the file says"


@dataclass(frozen=True)
class Problem:
    """One disagreement.

    Attributes:
        part: `records`, `study`, `mlflow`, `files` or `database`.
        what: A plain line about it.
        repair: Its repair.
        key: The attempt or file that it is about, if the repair needs it; else empty.
    """

    part: str
    what: str
    repair: Repair
    key: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return a JSON-compatible mapping."""
        return {"part": self.part, "what": self.what, "repair": self.repair.value}


@dataclass(frozen=True)
class Evidence:
    """One sweep as it is in records, study and MLflow.

    Attributes:
        records: Every whole record, ordered by trial and attempt, without its arrays.
        damaged: A line for each record that is not whole.
        trials: The trials of its study; None if there is no study.
        runs: Its runs in MLflow, deleted ones included.
        champion: The model that the alias of its registered model points to; None without one.
        away: Why MLflow could not be read; None if it was read.
    """

    home: Home
    info: SweepInfo
    records: Sequence[Record]
    damaged: Sequence[str]
    trials: Sequence[FrozenTrial] | None
    runs: Sequence[StoredRun]
    champion: StoredChampion | None
    away: str | None

    @property
    def store(self) -> RecordStore:
        """The records of the sweep."""
        return self.home.store(self.info.id)

    @cached_property
    def is_untrusted(self) -> bool:
        """Whether it is imported and not trusted; then no code is run, and runs lack pictures."""
        try:
            check_trust(self.info, self.home.records)
        except UntrustedError:
            return True
        return False

    @cached_property
    def retried(self) -> Collection[int]:
        """Numbers of the trials that failed and are, or were, run again."""
        return self.store.retries.opened_by().keys()

    @cached_property
    def final(self) -> Mapping[int, Record]:
        """For each trial with an outcome, by number, the record that decides it."""
        return {record.spec.trial: record for record in self.records if record.ends_trial}


def gather(home: Home, info: SweepInfo, tracking_uri: str) -> Evidence:
    """Read everything about one sweep.

    Raises:
        RecordError: A record is of another format version.
        UsageError: MLflow refuses access.
    """
    damaged: list[str] = []
    records = home.store(info.id).read_all(report=damaged.append)
    trials = read_study(home.studies, info.study_name)
    runs: list[StoredRun] = []
    champion: StoredChampion | None = None
    away = check_store(tracking_uri)
    if away is None:
        try:
            runs = read_runs(tracking_uri, info)
            champion = read_champion(tracking_uri, info)
        except Exception as error:
            away = one_line(error)
    return Evidence(home, info, records, damaged, trials, runs, champion, away)
