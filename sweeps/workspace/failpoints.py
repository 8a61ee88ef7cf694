"""Fail-points: named places, before and after every write, at which a test can end this process.

    SWEEPS_FAILPOINT=name[:n][:kill|raise|pause]

The n-th time (default: the first) that the process reaches the point of that name, it kills itself,
as a power cut would (`kill`, the default), raises an `OSError`, as a failing disk would (`raise`),
or stops until it is continued (`pause`). Without the variable nothing happens.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sweeps.errors import UsageError

VARIABLE: Final = "SWEEPS_FAILPOINT"
FILES: Final = ("text", "weights", "details")
STEPS: Final = ("begun", "opened", "written", "synced", "renamed", "done")
"""Steps of an atomic write: nothing done yet, the temporary file empty, its contents written, the
file fsynced, renamed, and the folder fsynced."""
APPENDED: Final = ("begun", "opened", "written", "synced", "done")
"""Steps of an append to the journal: nothing done yet, the file there and locked, the events
written, fsynced, and read again, with the lock released."""

OF_A_SWEEP: Final = (
    "home.begun",
    *(f"{file}.{step}" for file in FILES for step in STEPS),
    *("lock.opened", "lock.taken", "lock.signed", "lock.cleared"),
    *(f"journal.{step}" for step in APPENDED),
    *("drop.begun", "drop.done"),
    *("tracking.begun", "tracking.made", "tracking.named", "experiment.created"),
    *("parent.begun", "parent.created", "parent.valued", "parent.filed", "parent.running"),
    *("run.begun", "run.created", "run.valued", "run.filed", "run.ended"),
    *("end.named", "end.begun", "end.valued", "end.filed", "end.done"),
)
"""The fail-points of a sweep that runs, roughly in the order in which it reaches them: its files,
its lock, its journal, dropped weights, MLflow's store and experiment, the parent run, an attempt's
run, the end of the parent run."""

NAMES: Final = (
    *OF_A_SWEEP,
    *(
        f"{file}.{step}"
        for file in ("restored", "files", "checkpoint", "control", "conclusion", "taken")
        for step in STEPS
    ),
    *("delete.begun", "delete.done", "delete.unregistered"),
    "delete.untracked",
    *("withdraw.begun", "withdraw.done", "gc.begun", "gc.done", "share.begun", "share.packed"),
    *("import.unpacked", "import.done", "picture.begun", "picture.filed"),
    *("champion.begun", "champion.filed", "champion.named", "champion.versioned"),
    *("champion.done", "champion.renamed", "front.marked", "front.unmarked"),
)
"""All fail-points. Those beyond `OF_A_SWEEP` belong to a journal that is deleted while the sweep
runs, to files that trials write, to checkpoints of long ones, to pictures and a champion's model
(which not every experiment has), to a Pareto front, to control requests, to confirmations, to
changes by another host, and to the commands that delete, free, pack and unpack."""


def reached(name: str) -> None:
    """Say that the process is at the fail-point `name`, one of `NAMES`.

    Raises:
        UsageError: The environment variable is not valid.
        OSError: A test asked for it at this point (`raise`).
    """
    armed = _armed()
    if armed is not None and armed.name == name and next(armed.count) == armed.number:
        armed.act()


@dataclass(frozen=True)
class _Armed:
    name: str
    number: int
    act: Callable[[], None]
    count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))


@cache
def _armed() -> _Armed | None:
    text = os.environ.get(VARIABLE)
    return _parse(text) if text else None


def _parse(text: str) -> _Armed:
    name, *options = text.split(":")
    action = options.pop() if options and options[-1] in _ACTIONS else "kill"
    number = options.pop() if options else "1"
    if name not in NAMES or options or not number.isdecimal() or number == "0":
        raise UsageError(
            f"{VARIABLE}={text!r}: write name[:n][:kill|raise|pause], n from 1 on, the name one of "
            + ", ".join(NAMES)
        )
    return _Armed(name, int(number), _ACTIONS[action])


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise OSError(errno.EIO, f"fail-point {os.environ[VARIABLE]}")


def _pause() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


_ACTIONS: Final[Mapping[str, Callable[[], None]]] = {
    "kill": _kill,
    "raise": _raise,
    "pause": _pause,
}
