"""The files of a run: what it wrote and what is drawn; of a finalist, what it gets wrong, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sweeps.abilities import Examines
from sweeps.errors import UntrustedError
from sweeps.examining import Examiner, TooLittleKept
from sweeps.records import Record, RecordStore, SweepInfo, is_finalist
from sweeps.tracking.outage import IncompleteError

FOLDER: Final = "evaluation"
"""Where, among the files of a run, that lies."""


class AttemptFiles:
    """Makes files from the records of one sweep; called in one thread, the projector's."""

    def __init__(
        self,
        info: SweepInfo,
        store: RecordStore,
        examiner: Examiner,
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            info: The sweep.
            store: Its records.
            examiner: Says what finalists get wrong.
        """
        self._info, self._store, self._examiner = info, store, examiner

    def __call__(self, key: str) -> Mapping[str, bytes]:
        """Return the files of an attempt by name; only what it wrote if it trained no epoch.

        Raises:
            IncompleteError: What a finalist gets wrong could not be said, such as where its data
                are gone; has the other files.
            UntrustedError: The sweep was imported; has what was written while it was trained.
        """
        record = self._store.read(key)
        written = self._store.files(record)
        if record.result is None or not record.result.history:
            return written
        try:
            experiment = self._examiner.experiment()
        except UntrustedError as error:
            raise UntrustedError(str(error), written) from None
        files = {**written, **experiment.draw(record.spec, record.result)}
        try:
            return {**files, **self._evaluation(record)}
        except Exception as error:
            what = f"`{FOLDER}/` of trial {record.spec.slot} of {self._info.name}"
            raise IncompleteError(what, error, files) from error

    def _evaluation(self, record: Record) -> dict[str, bytes]:
        able = isinstance(self._examiner.experiment(), Examines)
        if not (able and is_finalist(self._info, record)):
            return {}
        try:
            files = self._examiner.examine(record)
        except TooLittleKept:  # nor will there be more: a run without them is whole, too
            return {}
        return {f"{FOLDER}/{name}": content for name, content in files.items()}
