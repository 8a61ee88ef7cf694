"""Control requests: files by which another process controls a running sweep.

A file in the sweep's folder is the whole protocol. So everyone who may write into the folder may
control the sweep, whatever host the coordinator runs on. The coordinator looks for requests twice a
second and removes those that it has obeyed. A new start removes the requests to an earlier one.
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
        """Make a request: `STOP`, `STOP_NOW`, `PAUSE` or the result of `cancelling`.

        Raises:
            StoreError: It cannot be written.
        """
        write_atomically(self._path(request), b"", "control")

    def asked(self) -> frozenset[str]:
        """Return the requests that are not obeyed yet, or that stay in force (`PAUSE`)."""
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
    """Return the numbers of the trials that requests from `cancelling` name."""
    cancels = (request for request in requests if request.startswith(_CANCEL))
    numbers = (request.removeprefix(_CANCEL) for request in cancels)
    return frozenset(int(number) for number in numbers if number.isdecimal())
