"""Memory and open files of every process of a long sweep: do they stay bounded?

One sweep trains small nets with its default number of workers. It is observed from outside when its
first trial is recorded, after a quarter, after half and shortly before the end. Resident memory
counts shared pages in every process that has them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown
from benchmarks.options import whole_numbers
from benchmarks.process_tree import processes, run_sweeps

SPACE = Path(__file__).with_name("small.yaml")
MOMENTS = ("start", "quarter", "half", "end")
ROLES = ("coordinator", "server", "worker")
"""Roles by depth in the tree of processes: workers are forked from the server."""
MEMORY_LIMIT = 1.5
"""Highest allowed memory of a role's largest process at the end, as a multiple of a quarter's."""
DESCRIPTOR_LIMIT = 8
"""Highest allowed increase in its descriptors; their number varies by a few at any moment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, trials=(500, ""), epochs=(8, "of a trial"))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one sweep and observe its processes four times."""
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        observer = Observer(Path(folder) / "home" / "sweeps", options.trials)
        used = run_sweeps(
            *("run", str(SPACE), "--trials", str(options.trials), "--quiet", "--strict"),
            *("--set", f"epochs={options.epochs}"),
            folder=Path(folder), timeout_seconds=120 + 10 * options.trials, on_poll=observer,
        )  # fmt: skip
    return {
        "trials": options.trials,
        "epochs": options.epochs,
        "wall_seconds": used.wall_seconds,
        "moments": observer.moments,
    }


class Observer:
    """Observes a tree of processes at certain moments of a sweep.

    Attributes:
        moments: For each of `MOMENTS` that was seen, the recorded trials and the processes. `end`
            is the last observation before the sweep ended.
    """

    def __init__(self, sweeps: Path, trials: int) -> None:
        self._sweeps = sweeps
        self._due = {"start": 1, "quarter": trials // 4, "half": trials // 2}
        self._last = range(trials - max(2, trials // 20), trials)  # before workers are ended
        self.moments: dict[str, dict[str, Any]] = {}

    def __call__(self, root: int) -> None:
        """Observe the processes if a moment has come."""
        journals = self._sweeps.glob("*/journal.jsonl")
        done = sum(path.read_bytes().count(b'\n{"kind":"ended ') for path in journals)
        for moment, due in self._due.items():
            if done >= max(1, due) and moment not in self.moments:
                self._look(moment, root, done)
        if done in self._last and done > self.moments.get("end", {}).get("trials", 0):
            self._look("end", root, done)

    def _look(self, moment: str, root: int, done: int) -> None:
        rows = [
            {
                "role": ROLES[min(process.depth, len(ROLES) - 1)],
                "pid": process.pid,
                "resident_mb": process.memory_bytes("Rss") / 1e6,
                "descriptors": process.descriptors(),
                "command": process.command[-100:],
            }
            for process in processes(root)
        ]
        rows = [row for row in rows if row["resident_mb"]]  # the others have just ended
        self.moments[moment] = {"trials": done, "processes": rows}


def table(result: dict[str, Any]) -> str:
    """Return one line for each process and moment, and whether a role has grown."""
    rows = (
        [moment, seen["trials"], row["role"], row["pid"], f"{row['resident_mb']:.0f}",
         row["descriptors"]]
        for moment, seen in result["moments"].items() for row in seen["processes"]
    )  # fmt: skip
    heads = ["moment", "trials", "process", "pid", "resident MB", "descriptors"]
    said = (
        f"{result['trials']} trials of {result['epochs']} epochs in {result['wall_seconds']:.0f} s"
    )
    verdicts = (_verdict(result["moments"], role) for role in ROLES)
    return "\n".join([said, "", markdown(heads, rows), "", *verdicts])


def _verdict(moments: dict[str, dict[str, Any]], role: str) -> str:
    """Compare the largest process of a role at the end with the one after a quarter."""
    quarter, end = (_most(moments.get(moment), role) for moment in ("quarter", "end"))
    if quarter is None or end is None:
        return f"{role}: none at a quarter or at the end"
    growth, more = end[0] / quarter[0], end[1] - quarter[1]
    bounded = growth <= MEMORY_LIMIT and more <= DESCRIPTOR_LIMIT
    return (
        f"{role}: {quarter[0]:.0f} MB at a quarter, {end[0]:.0f} at the end ({growth:.2f} times), "
        f"{quarter[1]} descriptors and {end[1]}: {'bounded' if bounded else 'GROWS'}"
    )


def _most(seen: dict[str, Any] | None, role: str) -> tuple[float, int] | None:
    rows = [row for row in seen["processes"] if row["role"] == role] if seen else []
    if not rows:
        return None
    return max(row["resident_mb"] for row in rows), max(row["descriptors"] for row in rows)
