"""Compares the runs of a sweep in MLflow with what the projection would write; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from sweeps.experiments.code import PreparedAgain
from sweeps.experiments.loading import recorded_experiment
from sweeps.records import RecordStore, SweepInfo, confirmed_by
from sweeps.records.confusion import WORST
from sweeps.records.schema import Report
from sweeps.tracking.champion import FOLDER, model_name
from sweeps.tracking.content import best_tags, dataset_key, trial_files, trial_run
from sweeps.tracking.parent import describe_end, ending_of, find_champion
from sweeps.tracking.pictures import PICTURES, pictured, plan_pictures
from sweeps.tracking.reading import StoredRun, read_champion, read_runs
from sweeps.tracking.runs import UNDRAWN
from sweeps.tracking.view import ON_FRONT, front_keys

_COMPARED: Final = (
    *("sweep", "state", "reason", "why", "retried", "trial_number", "attempt", "origin", "seed"),
    *(f"confusion_{rank}" for rank in range(1, WORST + 1)),
    "mlflow.parentRunId",
)
"""Tags of an attempt's run that earlier versions wrote alike."""


class Difference(NamedTuple):
    """A difference between MLflow and the journal.

    Attributes:
        what: A line about it.
        key: The attempt that it is about; empty for the sweep.
        is_fixed: Whether it is one of parameters or metrics, which cannot be changed in a run.
    """

    what: str
    key: str = ""
    is_fixed: bool = False


class Comparison:
    """The runs of one sweep, beside its records."""

    def __init__(self, store: RecordStore, info: SweepInfo, tracking_uri: str) -> None:
        """Read both.

        Whatever MLflow raises if its store cannot be read, passes through.
        """
        self._store, self._info, self._records = store, info, store.read_all()
        runs = read_runs(tracking_uri, info)
        self.half_copied = [path for run in runs for path in run.half_copied]
        active = [run for run in runs if not run.is_deleted]
        self._counts = Counter(run.key for run in active)
        self._runs = {run.key: run for run in active}  # the parent run has no key
        self._champion = read_champion(tracking_uri, info)

    def differences(self, report: Report) -> Iterator[Difference]:
        """Yield a line for each run that is not what the projection would write.

        Args:
            report: Receives a line about each damage of what the champion is made of.
        """
        records = {"": None, **{record.key: record for record in self._records}}
        for key, count in self._counts.items():
            if count > 1:
                yield Difference(f"{_run(key)}: there are {count}", key)
            if key not in records:
                found = self._runs[key].run_id
                yield Difference(f"{_run(key)} ({found}): the journal has no such attempt", key)
        front = front_keys(self._info, self._records)
        ranks = plan_pictures(pictured(self._store, self._info, self._records))
        for key in records if self._records else ():
            if (run := self._runs.get(key)) is None:
                yield Difference(f"{_run(key)} is missing", key)
                continue
            rank = str(ranks.get(key, "")).partition(",")[0]
            fixed, others = (
                self._attempt(key, run, rank, key in front) if key else self._parent(run)
            )
            if fixed or others:
                what = f"{_run(key)} differs from the journal: {', '.join([*fixed, *others])}"
                yield Difference(what, key, bool(fixed))
        if registered := self._registered(report):
            yield Difference(registered)

    def _parent(self, run: StoredRun) -> tuple[list[str], list[str]]:
        ending = ending_of(self._store, self._records)
        end = describe_end(self._info, self._records, self._store.asked() or 0, ending)
        tags = {**end.tags, **best_tags(end.best)}
        others = [f"tag {name}" for name, value in tags.items() if run.tags.get(name, "") != value]
        return [], [*_status(run, ending.status), *others]

    def _attempt(
        self, key: str, run: StoredRun, rank: str, is_on_front: bool
    ) -> tuple[list[str], list[str]]:
        info, record = self._info, self._store.read(key)  # with its arrays, one at a time
        content = trial_run(info, record, self._runs[""].run_id if "" in self._runs else "")
        # Of each metric MLflow shows the point of the last step.
        points = sorted(content.metrics, key=lambda one: (one.step, one.timestamp, one.value))
        last = {point.key: point.value for point in points}
        fixed = [name for name, text in content.params.items() if run.params.get(name) != text]
        fixed += [name for name, value in last.items() if run.metrics.get(name) != value]
        tags = {"trial_number": run.tags.get("slot", ""), **run.tags}  # its former name
        names = [n for n in _COMPARED if tags.get(n, "") != content.tags.get(n, "")]
        received = self._store.state().received
        others = {
            "end": run.end_time != content.end_time,
            "dataset": dataset_key(record.data) not in run.datasets,
            # Earlier versions drew more steps, and some in confirmations, too.
            "pictures": tags.get(PICTURES, "").partition(",")[0] != rank
            and not confirmed_by(info.directory),
            f"tag {ON_FRONT}": (tags.get(ON_FRONT) == "true") != is_on_front,
            # Without trust nothing is drawn.
            "what could not be drawn": UNDRAWN in tags and (received is None or received.trusted),
        }
        return fixed, [
            *_status(run, content.status),
            *(f"tag {name}" for name in names),
            *(name for name, differs in others.items() if differs),
            *sorted(trial_files(info, record, {}).keys() - run.files),
        ]

    def _registered(self, report: Report) -> str | None:
        """Return how the registered model differs from the champion's; None if it does not."""
        info, found = self._info, self._champion
        again = PreparedAgain(partial(recorded_experiment, info, self._store.folder.parent))
        best = find_champion(self._store, info, self._records, again, report)
        own = self._runs.get(best.key) if best is not None and not best.confirmation else None
        if best is None or not (best.confirmation or own):  # without its run, that is missing
            return None
        if found is None or found.digest != best.digest:
            now = f"points to trial {found.key}" if found else "is missing"
            if best.files() is None:  # nothing can be registered
                return None
            return f"the registered champion {now}; the best is trial {best.key}"
        if own is not None and (found.run_id != own.run_id or FOLDER not in own.files):
            return f"the registered champion's files are not in the run of trial {best.key}"
        if found.model != model_name(info):
            return f"the registered model is called {found.model}; it is to be {model_name(info)}"
        return None


def _run(key: str) -> str:
    return f"run of attempt {key}" if key else "the parent run"


def _status(run: StoredRun, wanted: str) -> list[str]:
    owner = ", and nobody runs it" if run.status == "RUNNING" else ""
    return [] if run.status == wanted else [f"status (it is {run.status}{owner})"]
