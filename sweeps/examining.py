"""What recorded trials get wrong: their experiment says it, from what was recorded alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweeps.abilities import Examines
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.records import Record


class Examiner:
    """Examines trials of one sweep; data are prepared once, when the first one is examined."""

    def __init__(
        self,
        load: Callable[[], Experiment],
        data: PreparedData | None = None,
        source: str | None = None,
    ) -> None:
        """Remember where things are; nothing is loaded yet.

        Args:
            load: Returns the sweep's experiment.
            data: Its data, where they are prepared already.
            source: Where they are to be had; None for the experiment's own.
        """
        self._load, self._data, self._source = load, data, source

    def examine(self, record: Record) -> Mapping[str, bytes]:
        """Return what a trial gets wrong as files by name; see `Examines`.

        Args:
            record: With its arrays.

        Raises:
            UsageError: The experiment does not say it, the trial kept too little, or these data
                are not what it was trained on.
        """
        experiment = self._load()
        trial = f"trial {record.spec.slot}"
        if not isinstance(experiment, Examines):
            raise UsageError(
                f"experiment {experiment.name!r} does not say what its trials get wrong; give it a "
                f"method `examine` (see `{Examines.__name__}` in sweeps/abilities.py)"
            )
        if record.result is None:
            raise UsageError(f"{trial} {record.outcome} ({record.reason}): it has no result")
        data = self._prepared(experiment, record)
        if (data.digest, data.split_digest) != (
            record.data.get("digest"),
            record.data.get("split_digest"),
        ):
            raise UsageError(
                f"{trial} was trained on other data ({record.data.get('name')}, digest "
                f"{record.data.get('digest')!s:.12}) than {data.name} ({data.digest:.12}); name "
                "them by --data, nothing was written"
            )
        try:
            return experiment.examine(record.spec.config, data, record.result)
        except ValueError as error:
            raise UsageError(f"{trial} cannot be examined: {error}") from None

    def _prepared(self, experiment: Experiment, record: Record) -> PreparedData:
        if self._data is None:
            seed = int(record.data.get("info", {}).get("split_seed", 0))
            try:
                self._data = experiment.prepare(self._source, seed)
            except (ValueError, OSError) as error:
                raise UsageError(f"its data: {error}") from None
        return self._data
