"""A home of ten thousand trials: how it comes about, how long its commands take, what it weighs.

The trials of `nothing.yaml` train nothing and sleep 50 ms, in two workers. They have histories as
long as those of the digits, and neither counts nor weights, so that the sweeps of the digits weigh
more. The same sweep is observed with a tenth of its trials and with all of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.cluster.steady import spans_of
from benchmarks.markdown import kept, markdown
from benchmarks.options import whole_numbers
from benchmarks.process_tree import (
    MEMORY_SECONDS,
    run_sweeps,
)

SPACE: Final = Path(__file__).with_name("nothing.yaml")
COMMANDS: Final = {
    "list": ("list",),
    "best": ("best", "nothing"),
    "trials": ("trials", "nothing"),
    "report": ("report", "nothing", "-o", "report.html"),
}
AIMS: Final = {
    10_000: {"list": 0.7, "best": 0.7, "trials": 0.7, "report": 6},
    100_000: {"best": 2.5},
}
"""Seconds that a command may take, process start included, by the number of trials."""
PARTS: Final = {
    "sweeps": ("sweeps",),
    "mlflow.db": ("mlflow.db", "mlflow.db-wal"),
    "artifacts": ("artifacts",),
}
TIMES: Final = 3
"""Each command is timed so often; the one in the middle counts."""
WORKERS: Final = 2
SECONDS: Final = 0.05
"""What a trial sleeps."""
BUSY: Final = 0.9
"""Share of the time that workers were asked to be busy."""
MOST_FILES: Final = 0
"""Files of an attempt that has a few numbers only, as these have."""
FEWEST: Final = 100
"""Fewer trials say nothing of a sweep in full swing."""


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
        rows[-1]["per_second"] = per_second(folder, counts[0])
    return {"trials": options.trials, "rows": rows}


def observed(folder: Path, trials: int) -> dict[str, Any]:
    """Run the sweep on to so many trials; return seconds, memory, bytes and files."""
    ran = _used(folder, trials, "run", str(SPACE), "--trials", str(trials), "--workers",
                str(WORKERS), "--set", f"seconds={SECONDS}", "--quiet", "--strict")  # fmt: skip
    found = {"run": ran}
    for name, words in COMMANDS.items():
        times = [_used(folder, trials, *words) for _ in range(TIMES)]
        found[name] = sorted(times, key=lambda used: used["seconds"])[TIMES // 2]
    parts = {name: list(_files(folder / "home", places)) for name, places in PARTS.items()}
    return {
        "trials": trials,
        "commands": found,
        "bytes": {name: sum(sizes) for name, sizes in parts.items()},
        "files": {name: len(sizes) for name, sizes in parts.items()},
        "report_bytes": (folder / "report.html").stat().st_size,
    }


def per_second(folder: Path, begun: int) -> float:
    """Return how many trials a second ended after the first ones."""
    spans = sorted(spans_of(folder / "home", "nothing"))[begun:]
    return len(spans) / (max(end for _, end in spans) - spans[0][0])


def _used(folder: Path, trials: int, *words: str) -> dict[str, float]:
    used = run_sweeps(
        *words, folder=folder, timeout_seconds=120 + 0.5 * trials,
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
    swing = markdown(["after the first tenth of the trials", "", "asked"], _swing(rows), "lr")
    return "\n\n".join([commands, home, swing])


def _cells(commands: dict[str, dict[str, float]], name: str) -> Iterator[str]:
    used = commands.get(name, {})
    for kind, digits in (("seconds", ".1f"), ("cpu_seconds", ".1f"), ("peak_mb", ".0f")):
        yield f"{used[kind]:{digits}}" if kind in used else ""


def _swing(rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    row = rows[-1]
    yield ["trials a second", f"{row['per_second']:.1f} of {WORKERS / SECONDS:.0f}", ""]
    busy = row["per_second"] * SECONDS / WORKERS
    yield ["time that workers spend in trials", f"{busy:.1%}", f"{BUSY:.0%}: {kept(busy >= BUSY)}"]
    if len(rows) > 1:
        (before, files), (trials, more) = ((r["trials"], r["files"]["sweeps"]) for r in rows)
        each = (more - files) / (trials - before)
        yield ["files of a trial", f"{each:g}", f"{MOST_FILES}: {kept(each <= MOST_FILES)}"]


def _verdict(result: dict[str, Any], name: str) -> str:
    aims = AIMS.get(result["trials"], {})
    if name not in aims:
        return ""
    seconds = result["rows"][-1]["commands"][name]["seconds"]
    return f"{aims[name]} s: {kept(seconds <= aims[name])}"
