"""The data of a report or a comparison, read once: records, and samples to look at."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from search_spaces.objectives import Objective, is_script
from sweeps.analysis.importance import Importance, importances
from sweeps.analysis.rows import TrialRow, trial_rows
from sweeps.analysis.summary import Summary, champion_of, summarize
from sweeps.analysis.table import parameter_names
from sweeps.capabilities import SupportsSamples
from sweeps.errors import ExperimentError, UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.loading import ask, failed, recorded_experiment
from sweeps.journal import Finished
from sweeps.records import (
    Conclusions,
    Record,
    RecordStore,
    SweepInfo,
    heard,
    is_same_data,
    leading,
)
from sweeps.records.conclusions import Conclusion, VerdictConclusion, newest

_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class LoadedSamples:
    """The validation samples that trials of a sweep were scored on.

    Attributes:
        source: The experiment, which draws them.
        data: The data it prepared, which have the sweep's digest.
        labels: (n,) class of each sample.
    """

    source: Experiment
    data: PreparedData = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, experiment: Experiment, data: PreparedData) -> LoadedSamples:
        """Ask an experiment, which is a `SupportsSamples`, for the labels of its samples.

        Raises:
            ExperimentError: It raised, or returned no whole numbers.
        """
        labels = ask(experiment, "validation_labels", data)
        try:
            return cls(experiment, data, np.asarray(labels, np.int64))
        except (TypeError, ValueError) as error:
            raise failed(experiment, "validation_labels", error) from None

    def picture(self, index: int) -> bytes:
        """Return one sample as a PNG.

        Raises:
            ExperimentError: The experiment raised, or returned no bytes.
        """
        drawn = ask(self.source, "picture", self.data, index)
        if not (isinstance(drawn, bytes) and drawn.startswith(_PNG)):
            what = "bytes of something else" if isinstance(drawn, bytes) else type(drawn).__name__
            error = TypeError(f"it returned {what}, not the bytes of a PNG")
            raise failed(self.source, "picture", error)
        return drawn


MOST_DRAWN: Final = 1000
"""Trials that a report shows at most."""


@dataclass(frozen=True)
class SweepData:
    """One sweep, as it is recorded now.

    Attributes:
        info: The facts that were fixed when it was created.
        store: The store of its records.
        records: All records, without arrays.
        asked: Number of trials asked for.
        ending: The end of its last start; None if it still runs, or was killed.
        samples: The samples it was scored on; None if they are not available.
        without_samples: Why they are not; empty if they are, or its experiment shows none.
    """

    info: SweepInfo
    store: RecordStore = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)
    asked: int
    ending: Finished | None
    samples: LoadedSamples | None = None
    without_samples: str = ""

    @classmethod
    def read(
        cls,
        info: SweepInfo,
        store: RecordStore,
        samples: LoadedSamples | None = None,
        records: Sequence[Record] | None = None,
    ) -> SweepData:
        """Return the data of a sweep; `records` are read from the store unless they are given."""
        known = tuple(store.read_all() if records is None else records)
        state = store.state()
        return cls(info, store, known, state.requested or 0, state.finished, samples)

    @cached_property
    def rows(self) -> list[TrialRow]:
        """One row a trial."""
        return trial_rows(self.records)

    @cached_property
    def summary(self) -> Summary:
        """Counts, best, baselines, failures."""
        ending = self.ending
        found = summarize(
            self.info,
            self.records,
            asked=self.asked,
            seconds=ending.seconds if ending else 0.0,
            stopped_by=ending.stopped_by if ending else None,
            failure_cause=ending.failure_cause if ending else None,
            time_split=ending.time_split if ending else None,
            rows=self.rows,
        )
        confirmed = heard(Conclusions(self.store).confirmed)
        return replace(found, champion=champion_of(confirmed))

    @cached_property
    def drawn(self) -> frozenset[int]:
        """Numbers of the trials that pictures and tables of a report show.

        All, but of a long sweep `MOST_DRAWN`: the best tenth of that, the baselines and the front,
        and others evenly chosen by number. A browser bears no more.
        """
        if len(self.rows) <= MOST_DRAWN:
            return frozenset(row.trial for row in self.rows)
        summary = self.summary
        named = (*summary.baselines, *summary.front, *self.ranking[: MOST_DRAWN // 10])
        wanted = {row.trial for row in named[:MOST_DRAWN]}
        others = [row.trial for row in self.rows if row.trial not in wanted]
        count = MOST_DRAWN - len(wanted)
        return frozenset(wanted | {others[n * len(others) // count] for n in range(count)})

    @property
    def not_all_drawn(self) -> str:
        """A sentence that says so if not all trials are drawn; empty if they are."""
        if len(self.drawn) == len(self.rows):
            return ""
        return (
            f" Shown are {len(self.drawn)} of {len(self.rows)} trials: the best, and others evenly "
            "chosen by number."
        )

    @cached_property
    def conclusions(self) -> list[Conclusion]:
        """The conclusions of confirmations and of test-set evaluations."""
        return Conclusions(self.store).all()

    @cached_property
    def verdict(self) -> VerdictConclusion | None:
        """The verdict of its confirmation; None until there is one, and where it is in words."""
        return newest(self.conclusions, VerdictConclusion)

    @cached_property
    def chosen(self) -> TrialRow | None:
        """The trial to look at: the confirmed winner's, else the leader of the search."""
        if self.verdict is not None and not self.info.has_front:
            confirmed = [row for row in self.ranking if row.trial == self.verdict.taken.trial]
            if confirmed:
                return confirmed[0]
        return self.leaders[0] if self.leaders else None

    @cached_property
    def finals(self) -> Mapping[int, Record]:
        """The attempt that decided each trial, by trial; trials without an outcome are left out."""
        return {r.trial: r for r in self.records if r.ends_trial}

    @cached_property
    def ranking(self) -> list[TrialRow]:
        """COMPLETE rows, the best first; of several objectives the front first."""
        by_trial = {row.trial: row for row in self.rows}
        return [by_trial[r.trial] for r in leading(self.records, self.info.objectives)]

    @cached_property
    def leaders(self) -> list[TrialRow]:
        """The COMPLETE rows, the best first; of several objectives only those on the front."""
        return list(self.summary.front) if self.info.has_front else self.ranking

    @cached_property
    def by_objective(self) -> list[SweepData]:
        """One view of the sweep for each objective, as if it had only that one."""
        several = self.info.objectives if self.info.has_front else ()
        return [self._seen_by(objective) for objective in several] or [self]

    def _seen_by(self, objective: Objective) -> SweepData:
        info = replace(
            self.info,
            metric=objective.metric,
            direction=objective.direction,
            other_objectives=(),
        )
        records = tuple(
            record
            if record.objective is None or record.result is None
            else msgspec.structs.replace(record, objective=_number(record, objective.metric))
            for record in self.records
        )
        return replace(self, info=info, records=records)

    @cached_property
    def varied(self) -> list[str]:
        """Parameters that differ between trials, in the order of the space."""
        names = parameter_names(self.rows, self.info.space)
        return [n for n in names if len({repr(row.params.get(n)) for row in self.rows}) > 1]

    @cached_property
    def importances(self) -> list[Importance]:
        """The importance of each varied parameter for the (first) objective, the greatest first."""
        ranking = [self.finals[row.trial] for row in self.ranking]
        return importances(ranking, self.varied, self.info.direction)

    def exported(self, trial: int) -> str:
        """Return in words what `sweeps export` can export of a trial; empty if nothing.

        The words are cautious: the experiment, which may not export its models, is not imported.
        """
        record = self.finals[trial]
        if is_script(self.info.experiment):
            return "what it wrote, and its command" if record.files_sha256 is not None else ""
        kept = record.weights_sha256 is not None
        return "as a file, if its experiment exports models" if kept else ""

    @property
    def is_higher_better(self) -> bool:
        """Whether the objective is maximised."""
        return self.info.direction == "maximize"

    @property
    def seconds(self) -> float:
        """Seconds of training, see `seconds_until`."""
        return max(self.seconds_until.values(), default=0.0)

    @cached_property
    def seconds_until(self) -> Mapping[int, float]:
        """Seconds of training up to the end of each trial, which is what a user waits for.

        Trainings side by side count once; the time in which nothing was trained does not count.
        """
        idle, covered = 0, 0
        starts: list[int] = []
        idle_before: list[int] = []
        for record in sorted(self.records, key=lambda record: record.started_at):
            if record.started_at > covered or not starts:
                idle += record.started_at - covered
                starts.append(record.started_at)
                idle_before.append(idle)
            covered = max(covered, record.finished_at)
        ends = {trial: record.finished_at for trial, record in self.finals.items()}
        return {
            trial: (end - idle_before[bisect_right(starts, end) - 1]) / 1000
            for trial, end in ends.items()
        }

    def full(self, trial: int) -> Record:
        """Return the deciding attempt of a trial with its arrays."""
        return self.store.read(self.finals[trial].key)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., classes) probabilities, finite however large the scores are."""
    # Subtracting the largest score leaves softmax as it is; exp overflows above 709.
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def logits(record: Record) -> NDArray[np.float32] | None:
    """Return (n_validation, classes) logits of the best epoch, None if the record has none."""
    return record.result.arrays.get("validation_logits") if record.result else None


def read_sweep(
    info: SweepInfo,
    store: RecordStore,
    source: str | None = None,
    complain: Callable[[str], None] = lambda line: None,
) -> SweepData:
    """Return the data of a report.

    Args:
        info: The sweep.
        store: The store of its records.
        source: Source of its data; None for the experiment's own.
        complain: Receives a line if its samples cannot be shown.

    Raises:
        UsageError: `source` is given, but is not the source of the sweep's data.
    """
    data = SweepData.read(info, store, records=store.read_all())
    try:
        experiment = recorded_experiment(info, store.folder.parent)
        samples = None  # of an experiment that shows none, or of other data than the sweep's
        if isinstance(experiment, SupportsSamples):
            seed = int(info.data.get("info", {}).get("split_seed", 0))
            prepared = experiment.prepare(source, seed)
            if is_same_data(prepared, info.data):
                samples = LoadedSamples.of(experiment, prepared)
    except (UsageError, ValueError, OSError) as error:
        if source is not None and not isinstance(error, ExperimentError):
            raise UsageError(f"--data {source}: {error}") from None
        complain(f"{info.name}: its samples cannot be shown: {error}")
        return replace(data, without_samples=str(error))
    if samples is None and source is not None:
        raise UsageError(f"--data {source}: not the data of sweep {info.name!r}; nothing written")
    return replace(data, samples=samples)


def _number(record: Record, metric: str) -> float | None:
    """Return a metric of an attempt; None if it has none, or NaN."""
    value = record.trained.metrics.get(metric) if record.trained else None
    return None if value is None or math.isnan(value) else value
