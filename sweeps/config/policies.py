"""Policies of a sweep: which failures are tried again, how many trials are trained at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from search_spaces.bodies.importing import MAIN, script_name
from search_spaces.errors import did_you_mean
from sweeps.errors import UsageError

# The policy about trials that fail: how often each reason is tried again, when to give up.
#
# None of it is part of a sweep's fingerprint: it decides no trial, only how much trouble of the
# machine is put up with, and whoever resumes a sweep after such trouble may want more patience.


FailureReason = Literal["crash", "oom", "timeout", "error", "invalid"]
"""Why an attempt has no result: its process died, memory ran out, it took too long, it raised, or
it did what it does again whenever it is repeated, such as a mistake of the code."""

DEFAULT_RETRIES: Final[Mapping[str, int]] = {
    "crash": 2, "oom": 1, "timeout": 1, "error": 1, "invalid": 0,
}  # fmt: skip
DEFAULT_MAX_FAILURES_IN_ROW: Final = 5


@dataclass(frozen=True)
class FailurePolicy:
    """How failing trials are dealt with.

    Attributes:
        retries: How often a slot is tried again after a failure for each reason.
        trial_timeout_seconds: Longest time of one attempt; None for as long as it takes.
        max_failures_in_row: So many failed slots in a row end the sweep; 0 for no limit.
    """

    retries: Mapping[str, int]
    trial_timeout_seconds: float | None
    max_failures_in_row: int


def failure_policy(
    retries: Mapping[str, int],
    trial_timeout_seconds: float | None,
    max_failures_in_row: int | None,
    *,
    workers: int,
) -> FailurePolicy:
    """Check what was asked for; what was not is the default.

    Args:
        retries: Numbers by reason.
        trial_timeout_seconds: See `FailurePolicy`; above 0.
        max_failures_in_row: See `FailurePolicy`; None for the default.
        workers: How many worker processes there will be: without any, nothing can end a trial.

    Raises:
        UsageError: A reason or a number that there cannot be.
    """
    for reason, number in retries.items():
        if reason not in DEFAULT_RETRIES:
            known = ", ".join(get_args(FailureReason))
            hint = did_you_mean(str(reason), DEFAULT_RETRIES)
            raise UsageError(f"--retries {reason}={number}: unknown reason{hint}; known: {known}")
        _check_number(f"--retries {reason}={number}", number)
    limit = DEFAULT_MAX_FAILURES_IN_ROW if max_failures_in_row is None else max_failures_in_row
    _check_number(f"--max-failures-in-row {limit}", limit)
    _check_timeout(trial_timeout_seconds, workers)
    return FailurePolicy({**DEFAULT_RETRIES, **retries}, trial_timeout_seconds, limit)


def _check_number(what: str, number: object) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise UsageError(f"{what}: give a whole number from 0 on")


def _check_timeout(seconds: float | None, workers: int) -> None:
    if seconds is None:
        return
    if workers == 0:
        raise UsageError(
            f"--trial-timeout {seconds:g} with --workers 0: a trial in the calling process cannot "
            "be ended; give --workers 1 or more, or leave --trial-timeout out"
        )


@dataclass(frozen=True)
class Parallelism:
    """Worker processes, and how many of them have work. Decides no trial, only when it runs.

    Attributes:
        workers: Worker processes; 0 trains in the calling process.
        ask_ahead: How many trials may be in flight.
    """

    workers: int
    ask_ahead: int

    @property
    def at_once(self) -> int:
        """How many trials are trained at once, at most."""
        return max(1, min(self.workers, self.ask_ahead))

    @property
    def idle(self) -> int:
        """How many workers would never have work."""
        return max(0, self.workers - self.ask_ahead)

    def __str__(self) -> str:
        if self.workers == 0:
            return "none: one trial at once, in the calling process"
        text = f"{self.workers}, {self.at_once} at once"
        return f"{text} ({self.idle} idle: --ask-ahead is {self.ask_ahead})" if self.idle else text


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def how_many_workers(asked: int | None, experiment: str, executor: str | None = None) -> int:
    """Return how many workers a sweep is to have: as asked, else one a core.

    Args:
        asked: What the user said; None: nothing.
        experiment: Its import path. The space may be anywhere: workers are sent configurations.
        executor: The cluster that is to train.

    Raises:
        UsageError: Workers cannot have what exists in this process only.
    """
    if not experiment.startswith(f"{MAIN}:"):
        return usable_cores() if asked is None else asked
    if not asked and executor is None:
        return 0
    received = f"workers {asked}" if executor is None else f"executor {executor}"
    script = script_name()
    remedy = "put it into a file beside the space"
    if script is not None:
        name = experiment.partition(":")[2]
        remedy += f' (or write {script}:{name}, with what runs under `if __name__ == "{MAIN}":`)'
    raise UsageError(
        f"{received}: {experiment} exists in this notebook or script only, which no worker process "
        f"has; give workers=0, or {remedy}"
    )
