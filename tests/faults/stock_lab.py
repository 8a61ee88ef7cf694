"""The stock recipe in the same laboratory: same kills, same oracle, read by the same SQL.

Its retried trials are new trials of the study; a chain of them counts as one trial, which ended as
its last one did. It is judged by what the documentation of Optuna and MLflow promises (`BEYOND`
says what that is not), so that nothing is asked of it that it does not set out to do.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.distributions import json_to_distribution

from tests.faults.evidence import (
    FINISHED,
    Attempt,
    Evidence,
    QueuedTrial,
    read_runs,
    read_trainings,
    reading,
)
from tests.faults.lab import Lab
from tests.faults.leftovers import children, temporary_files
from tests.faults.stock_recipe import METRIC, NAME

BEYOND = {
    "I2: MLflow run": "MLflow does not end the run of a process that was killed",
    "I3": "a run and its trial are two writes to two databases, which no rule ties together",
    "I7": "a seed repeats a study in one process that nothing disturbs",
    "I8": "a Python program that is interrupted, or whose disk is full, ends with its traceback; "
    "nobody starts a process again that was killed",
    "time": "nothing is said of the time that a new start takes",
    "I9": "who kills a process sees to its children",
}
"""Beginnings of violations that break no promise of the recipe's, and why.

Of I4 only fewer trials than asked for count: MaxTrialsCallback stops each process when it sees that
many complete ones, so that several may pass the total, and `catch` lets a trial fail beside them.
"""
_STATUSES = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}


class StockLab(Lab):
    """One worker, so that the total is exact, unless a case is about several."""

    workers = 1
    is_ours = False

    def command(self, trials: int, words: Sequence[str]) -> list[str]:
        """Return the command of the recipe; it leaves out options that it lacks."""
        start = [sys.executable, "-W", "ignore", "-m", "tests.faults.stock_recipe"]
        options = ["--home", str(self.home), "--trials", str(trials), "--seed", str(self.seed)]
        if "--workers" not in words:
            options += ["--workers", str(self.workers)]
        return [*start, *options, *words]

    def promises(self, violation: str) -> bool:
        """Whether a violation breaks what the documentation of Optuna and MLflow promises."""
        if counts := re.match(r"I4: (\d+) trials have an outcome, (\d+) were", violation):
            return int(counts[1]) < int(counts[2])
        if violation.endswith("for no fault of its own"):
            return False
        return not violation.startswith(tuple(BEYOND))

    def records(self) -> int:
        """Return how many trials have ended."""
        with suppress(sqlite3.Error):
            return sum(trial.state in FINISHED for trial in self._trials())
        return 0

    def runs(self) -> list[Any]:
        """Return its MLflow runs."""
        return read_runs(self.home / "mlflow.db", NAME)

    def worker_pids(self, process: subprocess.Popen[bytes]) -> list[int]:
        """Return the processes that optimise; not multiprocessing's own helper."""
        words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(process.pid)}
        return [pid for pid, line in words.items() if b"resource_tracker" not in line]

    def note_recorded(self) -> None:
        """Remember what the study says has ended well."""
        with suppress(sqlite3.Error):
            trials = self._evidence().trials
            self.recorded = {
                s.number: (s.value, dict(s.params)) for s in trials if s.state == "COMPLETE"
            }

    def read(self) -> Evidence:
        """Return what there is now, chains of retried trials taken together."""
        found = Evidence(METRIC, True)
        try:
            found = self._evidence()
            found.runs = self.runs()
        except sqlite3.Error as error:
            found.unreadable.append(f"{type(error).__name__}: {error}")
        found.leftovers = temporary_files(self.home)
        return found

    def _evidence(self) -> Evidence:
        found = Evidence(METRIC, True)
        trials = {trial.number: trial for trial in self._trials()}
        chains = self._chains(list(trials))
        trial_of = {number: n for n, chain in enumerate(chains) for number in chain}
        for n, chain in enumerate(chains):
            found.trials.append(replace(trials[chain[-1]], number=n))
            for position, number in enumerate(chain, 1):
                trial = trials[number]
                if trial.state in FINISHED:
                    last = trials[chain[-1]]
                    if trial.params.items() <= last.params.items():  # killed while it was suggested
                        trial = replace(trial, params=last.params)
                    found.attempts.append(_attempt(trial, n, position, trial.number == last.number))
        for number, attempt in read_trainings(self.trainings_file):
            found.begun.append((trial_of.get(number, number), attempt))
        complete = [s for s in found.trials if s.value is not None]
        best = max(complete, key=lambda s: (s.value or 0.0, -s.number), default=None)
        found.best = (best.number, best.value or 0.0) if best else None
        return found

    def _trials(self) -> list[QueuedTrial]:
        return read_study(self.home / "optuna.db", NAME)

    def _chains(self, numbers: list[int]) -> list[list[int]]:
        with closing(sqlite3.connect(self.home / "optuna.db", timeout=30)) as connection:
            rows = connection.execute(
                "SELECT number, value_json FROM trials JOIN trial_system_attributes"
                " USING (trial_id) WHERE key = 'failed_trial'"
            ).fetchall()
        first = {number: int(json.loads(text)) for number, text in rows}
        chains: dict[int, list[int]] = {}
        for number in sorted(numbers):
            chains.setdefault(first.get(number, number), []).append(number)
        return [chains[root] for root in sorted(chains)]


def _attempt(trial: QueuedTrial, number: int, position: int, is_last: bool) -> Attempt:
    status = _STATUSES[trial.state]
    state = trial.state if is_last else "RUNNING"
    return Attempt(str(trial.number), number, position, status, state, trial.value, trial.params)


def read_study(database: Path, name: str) -> list[QueuedTrial]:
    """Return the trials of a study, by number."""
    with reading(database) as connection:
        rows = connection.execute(
            "SELECT trial_id, number, state FROM trials JOIN studies USING (study_id)"
            " WHERE study_name = ? ORDER BY number",
            [name],
        ).fetchall()
        return [
            QueuedTrial(number, state, _value(connection, trial), _params(connection, trial))
            for trial, number, state in rows
        ]


def _params(connection: sqlite3.Connection, trial: int) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT param_name, param_value, distribution_json FROM trial_params WHERE trial_id = ?"
        " ORDER BY param_id",
        [trial],
    )
    return {n: json_to_distribution(d).to_external_repr(v) for n, v, d in rows}


def _value(connection: sqlite3.Connection, trial: int) -> float | None:
    special = {"INF_POS": math.inf, "INF_NEG": -math.inf}
    query = "SELECT value, value_type FROM trial_values WHERE trial_id = ?"
    row = connection.execute(query, [trial]).fetchone()
    return special.get(row[1], row[0]) if row else None
