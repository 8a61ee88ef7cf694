"""A home of ten thousand trials: how it comes about, how long its commands take, what it weighs.

The trials of `nothing.yaml` train nothing and sleep 50 ms, in two workers. They have histories as
long as those of the digits, and neither counts nor weights, so that the records of the digits weigh
more. The same sweep is observed with a tenth of its trials and with all of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.cluster.steady import spans_of
from benchmarks.markdown import kept, markdown
from benchmarks.options import whole_numbers
from benchmarks.process_tree import (
    MEMORY_SECONDS,
    processes,
    run_sweeps,
)

SPACE: Final = Path(__file__).with_name("nothing.yaml")
COMMANDS: Final = {
    "list": ("list",),
    "best": ("best", "nothing"),
    "trials": ("trials", "nothing"),
    "report": ("report", "nothing", "-o", "report.html"),
}
AIMS: Final = {"list": 1, "best": 1, "trials": 1, "report": 10}
"""Seconds that a command may take with ten thousand trials."""
PARTS: Final = {
    "records": ("records",),
    "mlflow.db": ("mlflow.db", "mlflow.db-wal"),
    "artifacts": ("artifacts",),
    "optuna.db": ("optuna.db",),
}
TIMES: Final = 3
"""Each command is timed so often; the one in the middle counts."""
WORKERS: Final = 2
SECONDS: Final = 0.05
"""What a trial sleeps."""
BUSY: Final = 0.9
"""Share of the time that workers were asked to be busy."""
FEWEST: Final = 100
"""Fewer trials say nothing of a sweep in full swing."""
SAMPLE_SECONDS: Final = 1.0
"""Time between two readings of each process's memory."""
FLAT: Final = 1.1
"""Growth of a process's memory after the first tenth of the trials that passes for none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, trials=(10_000, ""))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the sweep in two steps, and its commands after each."""
    if options.trials < FEWEST:
        raise RuntimeError(f"large: {options.trials} trials are too few, {FEWEST} are the fewest")
    counts = [options.trials // 10, options.trials]
    with tempfile.TemporaryDirectory(prefix="large-") as name:
        folder = Path(name)
        rows = [observed(folder, count) for count in counts]
        rows[-1] |= in_full_swing(folder, counts[0], rows[-1].pop("memory"))
    rows[0].pop("memory")
    return {"trials": options.trials, "rows": rows}


def observed(folder: Path, trials: int) -> dict[str, Any]:
    """Run the sweep on to so many trials; return seconds, memory, bytes and files."""
    memory: list[tuple[float, dict[str, int]]] = []

    def read(command: int) -> None:
        if not memory or time.time() >= memory[-1][0] + SAMPLE_SECONDS:
            memory.append((time.time(), _memory(command)))

    ran = _used(folder, trials, "run", str(SPACE), "--trials", str(trials), "--workers",
                str(WORKERS), "--set", f"seconds={SECONDS}", "--quiet", "--strict",
                on_poll=read)  # fmt: skip
    found = {"run": ran}
    for name, words in COMMANDS.items():
        times = [_used(folder, trials, *words) for _ in range(TIMES)]
        found[name] = sorted(times, key=lambda used: used["seconds"])[TIMES // 2]
    parts = {name: list(_files(folder / "home", places)) for name, places in PARTS.items()}
    return {
        "trials": trials,
        "memory": memory,
        "commands": found,
        "bytes": {name: sum(sizes) for name, sizes in parts.items()},
        "files": {name: len(sizes) for name, sizes in parts.items()},
        "report_bytes": (folder / "report.html").stat().st_size,
    }


def _memory(command: int) -> dict[str, int]:
    """Return the memory of the coordinator, and the largest of the processes that it started."""
    tree = processes(command)
    others = [one.memory_bytes("Rss") for one in tree if one.pid != command]
    own = [one.memory_bytes("Rss") for one in tree if one.pid == command]
    return {"coordinator": sum(own), "largest worker": max(others, default=0)}


def in_full_swing(
    folder: Path, begun: int, memory: list[tuple[float, dict[str, int]]]
) -> dict[str, Any]:
    """Return how many trials a second ended after the first ones, and how each process has grown.

    Memory is compared between the first and the last tenth of that time, which is one start: MB
    before and after, the medians of what was read there; nothing if it was not read in both.
    """
    spans = sorted(spans_of(folder / "home", "nothing"))[begun:]
    first, last = spans[0][0], max(end for _, end in spans)
    tenth = (last - first) / 10
    read = {
        name: [
            [sizes[name] / 2**20 for at, sizes in memory if begin <= at <= begin + tenth]
            for begin in (first, last - tenth)
        ]
        for name in ("coordinator", "largest worker")
    }
    return {
        "per_second": len(spans) / (last - first),
        "grown": {
            name: [statistics.median(early), statistics.median(late)]
            for name, (early, late) in read.items()
            if early and late
        },
    }


def _used(
    folder: Path, trials: int, *words: str, on_poll: Callable[[int], None] = lambda command: None
) -> dict[str, float]:
    used = run_sweeps(
        *words, folder=folder, timeout_seconds=120 + 0.5 * trials, on_poll=on_poll,
        memory_seconds=0.0 if words[0] != "run" else MEMORY_SECONDS,  # at every poll
    )  # fmt: skip
    return {
        "seconds": used.wall_seconds,
        "cpu_seconds": used.cpu_seconds,
        "peak_mb": used.peak_bytes / 2**20,
    }


def _files(home: Path, places: tuple[str, ...]) -> Iterator[int]:
    for place in places:
        path = home / place
        found = path.rglob("*") if path.is_dir() else [path] if path.exists() else []
        yield from (one.stat().st_size for one in found if one.is_file())


def table(result: dict[str, Any]) -> str:
    """Return Markdown: commands, sizes, the sweep in full swing, and what is computed from both."""
    rows, each = result["rows"], [f"{row['trials']} trials" for row in result["rows"]]
    commands = markdown(
        ["command", *(head for trials in each for head in (f"{trials}, s", "CPU s", "peak MB")),
         "asked"],
        ([name, *(cell for row in rows for cell in _cells(row["commands"], name)),
          _verdict(result, name)] for name in ("run", *COMMANDS)),
        "lr",
    )  # fmt: skip
    sizes = {name: [(row["bytes"][name], row["files"][name]) for row in rows] for name in PARTS}
    sizes["report.html"] = [(row["report_bytes"], 1) for row in rows]
    home = markdown(
        ["in the home", *(head for trials in each for head in (f"{trials}, MB", "files"))],
        ([name, *(cell for size, files in both for cell in (f"{size / 2**20:.1f}", files))]
         for name, both in sizes.items()),
        "lr",
    )  # fmt: skip
    swing = markdown(["after the first tenth of the trials", "", "asked"], _swing(rows[-1]), "lr")
    return "\n\n".join([commands, home, swing])


def _cells(commands: dict[str, dict[str, float]], name: str) -> Iterator[str]:
    used = commands.get(name, {})
    for kind, digits in (("seconds", ".1f"), ("cpu_seconds", ".1f"), ("peak_mb", ".0f")):
        yield f"{used[kind]:{digits}}" if kind in used else ""


def _swing(row: dict[str, Any]) -> Iterator[list[str]]:
    yield ["trials a second", f"{row['per_second']:.1f} of {WORKERS / SECONDS:.0f}", ""]
    busy = row["per_second"] * SECONDS / WORKERS
    yield ["time that workers spend in trials", f"{busy:.1%}", f"{BUSY:.0%}: {kept(busy >= BUSY)}"]
    for name, (before, after) in row["grown"].items():
        flat = kept(after <= FLAT * before)
        yield [f"memory of the {name}, MB", f"{before:.0f} to {after:.0f}", f"flat: {flat}"]


def _verdict(result: dict[str, Any], name: str) -> str:
    if name not in AIMS or result["trials"] != 10_000:
        return ""
    seconds = result["rows"][-1]["commands"][name]["seconds"]
    return f"{AIMS[name]} s: {kept(seconds <= AIMS[name])}"
