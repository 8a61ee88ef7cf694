"""Loads the data of a recorded trial and refuses them if their digest has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweeps.capabilities import SupportsExamination, Trained
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import check_same_code
from sweeps.experiments.script import ScriptExperiment
from sweeps.records import Record, RecordError, RecordStore, SweepInfo, is_same_data, source_of


class PreparedAgain:
    """An experiment and its data; each is loaded when it is first asked for."""

    def __init__(
        self,
        load: Callable[[], Experiment],
        data: PreparedData | None = None,
        source: str | None = None,
    ) -> None:
        """Remember how to load experiment and data.

        Args:
            load: Returns the experiment.
            data: Its data, if they are prepared already.
            source: The source of the data; None for the experiment's own.
        """
        self.load, self.source = load, source
        self._data = data

    def experiment_of(self, store: RecordStore, info: SweepInfo, record: Record) -> Experiment:
        """Return the experiment that trained a trial.

        Args:
            store: The records of the sweep that trained it.
            info: That sweep.
            record: The trial.

        Raises:
            UsageError: It cannot be loaded, or its code has changed since.
        """
        experiment = self.load()
        check_same_code(store, record, info.experiment, experiment)
        return experiment

    def of(self, record: Record) -> PreparedData:
        """Return the data that a trial was trained on.

        Raises:
            UsageError: The data cannot be loaded, or their digests differ from the recorded ones.
        """
        data = self._prepared(record)
        recorded = record.data
        if not is_same_data(data, recorded):
            raise UsageError(
                f"trial {record.spec.trial} was trained on other data ({recorded.get('name')}, "
                f"digest {recorded.get('digest')!s:.12}) than {data.name} ({data.digest:.12}); "
                "name them by --data"
            )
        return data

    def _prepared(self, record: Record) -> PreparedData:
        if self._data is None:
            seed = int(record.data.get("info", {}).get("split_seed", 0))
            try:
                source = self.source or source_of(record.data)
                self._data = self.load().prepare(source, seed)
            except (ValueError, OSError) as error:
                raise UsageError(f"its data: {error}") from None
        return self._data


def trained_of(store: RecordStore, info: SweepInfo, record: Record) -> Trained:
    """Return a recorded training with its result, arrays and weights (None if not kept).

    Raises:
        UsageError: It failed, so there is no result.
    """
    whole = store.read(record.spec.key)
    if whole.result is None:
        raise UsageError(f"trial {record.spec.trial} {record.outcome}: it has no result")
    try:
        weights = store.weights(record)
    except (UsageError, RecordError):
        weights = None
    name = f"{info.name}, trial {record.spec.trial}"
    return Trained(name, record.spec.config, whole.result, weights)


# Examines the mistakes of recorded trials by their experiment, from records alone.


class TooLittleKept(UsageError):  # noqa: N818, the name says what is wrong
    """A trial can never be examined, because its record holds too little for its experiment."""


class Examiner:
    """Examines trials of one sweep; prepares the data once, when it examines the first trial."""

    def __init__(self, again: PreparedAgain, experiment: str) -> None:
        """Remember the experiment and its data; nothing is loaded yet.

        Args:
            again: Loads the experiment and its data.
            experiment: Import path of the experiment, for messages.
        """
        self._again, self._name = again, experiment

    def experiment(self) -> Experiment:
        """Load the experiment."""
        return self._again.load()

    def examine(self, record: Record) -> Mapping[str, bytes]:
        """Return the mistakes of a trial as files by name; see `SupportsExamination`.

        Args:
            record: The trial, with its arrays.

        Raises:
            UsageError: The experiment supports no examination, the record holds too little
                (`TooLittleKept`), or the data are not those that the trial was trained on.
        """
        experiment = self._again.load()
        trial = f"trial {record.spec.trial}"
        if isinstance(experiment, ScriptExperiment):
            raise UsageError(
                "a script keeps no answers that could be examined; what it printed and wrote is "
                f"kept: sweeps trials NAME {record.spec.trial}, or sweeps export"
            )
        if not isinstance(experiment, SupportsExamination):
            raise UsageError(
                f"experiment {self._name!r} does not say what its trials get wrong; give it a "
                f"method `examine` (see `{SupportsExamination.__name__}` in sweeps/capabilities.py)"
            )
        if record.result is None:
            raise UsageError(f"{trial} {record.outcome} ({record.reason}): it has no result")
        data = self._again.of(record)
        try:
            return experiment.examine(record.spec.config, data, record.result)
        except ValueError as error:
            raise TooLittleKept(f"{trial} cannot be examined: {error}") from None
