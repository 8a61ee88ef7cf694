"""Requests to a sweep that is running, made from another process: files in its folder.

A file is the whole protocol, so that whoever may write into the folder may control it, whatever
host the coordinator runs on. It looks twice a second; what it has obeyed it removes, and a start
clears away what was asked of an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import write_atomically

STOP: Final = "stop"
STOP_NOW: Final = "stop-now"
PAUSE: Final = "pause"
_CANCEL: Final = "cancel-"
_PREFIX: Final = "asked-to-"


class ControlRequests:
    """The requests in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, request: str) -> None:
        """Leave a request: `STOP`, `STOP_NOW`, `PAUSE` or a `cancelling(trial)`.

        Raises:
            StoreError: It cannot be written.
        """
        write_atomically(self._path(request), b"", "control")

    def asked(self) -> frozenset[str]:
        """Return the requests that are not obeyed yet, or that hold on (`PAUSE`)."""
        paths = self._folder.glob(f"{_PREFIX}*")
        return frozenset(path.name.removeprefix(_PREFIX) for path in paths)

    def withdraw(self, requests: Iterable[str]) -> None:
        """Remove requests, if they are there."""
        for request in requests:
            reached("withdraw.begun")
            self._path(request).unlink(missing_ok=True)
            reached("withdraw.done")

    def _path(self, request: str) -> Path:
        return self._folder / f"{_PREFIX}{request}"


def cancelling(trial: int) -> str:
    """Return the request to end one trial."""
    return f"{_CANCEL}{trial}"


def cancelled_trials(requests: Iterable[str]) -> frozenset[int]:
    """Return the trials that are to end."""
    cancels = (request for request in requests if request.startswith(_CANCEL))
    numbers = (request.removeprefix(_CANCEL) for request in cancels)
    return frozenset(int(number) for number in numbers if number.isdecimal())
