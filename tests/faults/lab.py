"""A case's laboratory: starts a sweep in a home of its own, hurts it, resumes it, judges it.

Every process carries the case's marker in its environment, so that none can hide in a session of
its own; nothing is killed but what carries it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.home import Home
from tests.faults import experiment
from tests.faults.evidence import (
    Evidence,
    Run,
    acknowledged,
    read_home,
    read_runs,
    read_trainings,
    unasked,
)
from tests.faults.leftovers import MARKER, children, processes_of
from tests.faults.oracle import Asked, violations
from tests.faults.score import Score

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "tests" / "faults" / "faults.yaml"
WAIT_SECONDS = 120
"""Longest wait for anything; a generous bound, never a measure."""
ORPHAN_SECONDS = 5
"""How long workers may outlive a coordinator that was killed."""


@dataclass(frozen=True)
class Undisturbed:
    """A sweep that was left alone: its table, its wall time, and that to its first record."""

    table: list[Any]
    seconds: float
    cold_seconds: float


class Lab:
    """One case with one seed.

    Attributes:
        random: Decides when and whom to hurt; seeded.
        recorded: Trials that were safe before the last fault.
        killed: Workers killed so far; so many trainings may be begun again.
        lost_events: Whether the case took events from the journal.
        space: File or name of the space.
        tracking: SQLite file of the MLflow store; None: the home's own.
    """

    workers = 2
    is_ours = True

    def __init__(self, folder: Path, seed: int, migrated: Path) -> None:
        self.folder, self.seed, self.random = folder, seed, random.Random(seed)
        self.home, self.trainings_file = folder / "home", folder / "trainings"
        self.home.mkdir(parents=True)
        shutil.copy(migrated, self.home / "mlflow.db")
        self.migrated = migrated
        self.space: Path | str = SPACE
        self.marker = uuid.uuid4().hex
        self.recorded: dict[int, tuple[float | None, dict[str, Any]]] = {}
        self.killed = 0
        self.lost_events = False
        self.tracking: Path | None = None
        self.exit_code: int | None = None
        self.score = Score()
        self._errors = folder / "stderr"

    def command(self, trials: int, words: Sequence[str]) -> list[str]:
        """Return the command that begins or continues the sweep."""
        start = [sys.executable, "-m", "sweeps", "run", str(self.space), "--home", str(self.home)]
        options = ["--trials", str(trials), "--seed", str(self.seed), "--no-check-determinism"]
        if "--workers" not in words:
            options += ["--workers", str(self.workers)]
        return [*start, *options, *words]

    def start(
        self,
        trials: int,
        *words: str,
        seconds: float = 0.0,
        trouble: str = "",
        env: Mapping[str, str] | None = None,
        **popen: Any,
    ) -> subprocess.Popen[bytes]:
        """Start the sweep, or go on with it, in a session of its own.

        Args:
            trials: How many in total.
            *words: More options.
            seconds: Duration of a training.
            trouble: Which trials misbehave, see `experiment.TROUBLE`.
            env: More of the environment.
            **popen: More for `Popen`.
        """
        with self._errors.open("ab") as errors:
            return subprocess.Popen(
                self.command(trials, words),
                **{"stdout": subprocess.DEVNULL, "stderr": errors, "cwd": ROOT, **popen},
                start_new_session=True,
                env=self.environment(seconds=seconds, trouble=trouble) | dict(env or {}),
            )

    def environment(self, *, seconds: float = 0.0, trouble: str = "") -> dict[str, str]:
        """Return the environment of every process of the case."""
        left_out = {"MLFLOW_TRACKING_URI", "GITHUB_STEP_SUMMARY", "SWEEPS_HOME"}
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        return kept | {
            MARKER: self.marker,
            experiment.TRAININGS: str(self.trainings_file),
            experiment.SECONDS: str(seconds),
            experiment.TROUBLE: trouble,
            "PYTHONPATH": str(ROOT),
        }

    def run(self, trials: int, *words: str, **options: Any) -> int:
        """Run the sweep to its end; what it ended with is judged later."""
        process = self.start(trials, *words, **options)
        self.exit_code = process.wait(WAIT_SECONDS)
        return self.exit_code

    def wait_for(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a process that was started."""
        self.exit_code = process.wait(WAIT_SECONDS)
        return self.exit_code

    def records(self) -> int:
        """Return how many attempts are recorded."""
        found = 0
        for path in self.home.glob("sweeps/*/journal.jsonl"):
            with suppress(FileNotFoundError):  # a case takes it away
                found += path.read_bytes().count(b'\n{"kind":"ended 2"')
        return found

    def trainings(self) -> int:
        """Return how many trainings were begun."""
        return len(read_trainings(self.trainings_file))

    def until(
        self, condition: Callable[[], object], process: subprocess.Popen[bytes] | None = None
    ) -> bool:
        """Wait until something is so; False if the process ends before."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            if process is not None and process.poll() is not None:
                return bool(condition())
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.005)
        return True

    def until_recorded(self, process: subprocess.Popen[bytes], more: int) -> bool:
        """Wait until that many more attempts are recorded; False if the sweep ends before."""
        wanted = self.records() + more
        return self.until(lambda: self.records() >= wanted, process)

    def promises(self, violation: str) -> bool:
        """Whether what the oracle found breaks a promise; all nine rules are promises of ours."""
        return True

    def expect(self, holds: bool, violation: str) -> None:
        """Fail unless something holds; go on and note it if no promise was made."""
        if holds:
            return
        assert not self.promises(violation), violation
        self.score.unpromised.append(violation)

    def kill_all(self, process: subprocess.Popen[bytes]) -> None:
        """Kill every process of the case, then note what is safe."""
        while left := processes_of(self.marker):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait(WAIT_SECONDS)
        self.killed += self.workers
        self.note_recorded()

    def kill_coordinator(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the coordinator alone; its workers must be gone soon."""
        process.kill()
        process.wait(WAIT_SECONDS)
        end = time.monotonic() + ORPHAN_SECONDS
        while (left := processes_of(self.marker)) and time.monotonic() < end:
            time.sleep(0.02)
        self.expect(not left, f"I9: outlived their coordinator: {left}")
        self.killed += self.workers
        self.note_recorded()

    def worker_pids(self, process: subprocess.Popen[bytes]) -> list[int]:
        """Return the workers: the children of the coordinator's children."""
        return [worker for child in children(process.pid) for worker in children(child)]

    def note_recorded(self) -> None:
        """Remember what is safe now: it must never change again."""
        self.recorded = acknowledged(self.home)
        if not self.lost_events:
            early = unasked(self.home)
            self.expect(not early, f"I4: recorded before they were asked for: {early}")

    def stderr(self) -> str:
        """Return what the processes of the case have said so far."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    def evidence(self) -> Evidence:
        """Return what there is now; waits a moment for processes that are ending."""
        end = time.monotonic() + ORPHAN_SECONDS
        while (left := processes_of(self.marker)) and time.monotonic() < end:
            time.sleep(0.02)
        found = self.read()
        found.leftovers += [f"process {pid} is left: {command}" for pid, command in left.items()]
        return found

    def read(self) -> Evidence:
        """Return what the stores hold now."""
        return read_home(self.home, tracking=self.tracking, trainings=self.trainings_file)

    def runs(self) -> list[Run]:
        """Return the MLflow runs of the sweep."""
        (info,) = Home(self.home).sweeps()
        return read_runs(self.tracking or self.home / "mlflow.db", info.id)

    def sibling(self, name: str) -> Lab:
        """Return a laboratory with the same seed and a home of its own; its score is ours."""
        other = type(self)(self.folder / name, self.seed, self.migrated)
        other.score, other.space = self.score, self.space
        return other

    def undisturbed(self, trials: int, seconds: float = 0.0, trouble: str = "") -> Undisturbed:
        """Run the same sweep, left alone in a home of its own."""
        other = self.sibling(f"undisturbed-{uuid.uuid4().hex[:8]}")
        start = time.monotonic()
        with other.cleaned():
            process = other.start(trials, seconds=seconds, trouble=trouble)
            other.until_recorded(process, 1)
            cold = time.monotonic() - start
            assert other.wait_for(process) == 0, other.stderr()
            took = time.monotonic() - start
            return Undisturbed(other.evidence().table(), took, cold)

    def table(self, trials: int, trouble: str = "") -> list[Any]:
        """Return the table of the same sweep, left alone.

        Made once per session, with 24 trials at least: the first trials of a sweep do not depend
        on how many follow.
        """
        key = (type(self), self.space, self.seed, trouble)
        if len(_TABLES.get(key, [])) < trials:
            most = max(24, trials) if self.space == SPACE and not trouble else trials
            _TABLES[key] = self.undisturbed(most, trouble=trouble).table
        return _TABLES[key][:trials]

    def check(self, trials: int, **asked: Any) -> Evidence:
        """Let the oracle judge.

        Raises:
            AssertionError: It found violations; they are listed.
        """
        found = self.evidence()
        known = {"recorded": self.recorded, "workers_killed": self.killed}
        known["lost_events"] = self.lost_events
        known |= {"exit_code": self.exit_code, "stderr": self.stderr()}
        everything = violations(found, Asked(trials, **{**known, **asked}))
        wrong = [text for text in everything if self.promises(text)]
        self.score.add(self.marker, found, wrong, self.killed)
        self.score.unpromised += [text for text in everything if text not in wrong]
        assert not wrong, "\n".join(wrong)
        return found

    @contextmanager
    def cleaned(self) -> Iterator[Lab]:
        """Leave no process behind, however the case ends."""
        try:
            yield self
        finally:
            for pid in processes_of(self.marker):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


_TABLES: dict[tuple[Any, ...], list[Any]] = {}
