"""Loads the data of a recorded trial and refuses them if their digest has changed."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.capabilities import Trained
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import check_same_code
from sweeps.records import Record, RecordError, RecordStore, SweepInfo, is_same_data


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
                self._data = self.load().prepare(self.source, seed)
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
