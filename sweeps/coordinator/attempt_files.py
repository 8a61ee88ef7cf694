"""The files of a run: what it wrote and what is drawn; of a finalist, what it gets wrong, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sweeps.examining import Examiner
from sweeps.records import Record, RecordStore, SweepInfo, is_finalist

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
        """Return the files of an attempt by name; only what it wrote if it trained no epoch."""
        record = self._store.read(key)
        written = self._store.files(record)
        if record.result is None or not record.result.history:
            return written
        return {
            **written,
            **self._examiner.experiment().draw(record.spec, record.result),
            **self._evaluation(record),
        }

    def _evaluation(self, record: Record) -> dict[str, bytes]:
        if not is_finalist(self._info, record):
            return {}
        try:
            files = self._examiner.examine(record)
        except Exception:  # whatever it is (data that are gone): a run without them is one, too
            return {}
        return {f"{FOLDER}/{name}": content for name, content in files.items()}
