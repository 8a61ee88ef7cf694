"""A home of ten thousand trials: how long its commands take, what it weighs, and how both grow.

The trials of `nothing.yaml` train nothing. They have histories as long as those of the digits, and
neither counts nor weights, so that the records of the digits weigh more. The same sweep is observed
with a tenth of its trials and with all of them. A straight line through both says what a hundred
thousand and a million would take; it is computed, not tried.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.process_tree import MEMORY_SECONDS, plain_environment, run_tree
from benchmarks.timing import at_least_one

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
ON_PAPER: Final = (100_000, 1_000_000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--trials", type=at_least_one, default=10_000, help="(default 10000)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the sweep in two steps, and its commands after each."""
    counts = [max(options.trials // 10, 1), options.trials]
    with tempfile.TemporaryDirectory(prefix="large-") as folder:
        rows = [observed(Path(folder), count) for count in counts]
    return {"trials": options.trials, "rows": rows, "paper": on_paper(*rows)}


def observed(folder: Path, trials: int) -> dict[str, Any]:
    """Run the sweep on to so many trials; return seconds, memory, bytes and files."""
    ran = _used(folder, trials, "run", str(SPACE), "--trials", str(trials), "--workers", "0",
                "--quiet", "--strict")  # fmt: skip
    found = {"run": ran} | {name: _used(folder, trials, *words) for name, words in COMMANDS.items()}
    parts = {name: list(_files(folder / "home", places)) for name, places in PARTS.items()}
    return {
        "trials": trials,
        "commands": found,
        "bytes": {name: sum(sizes) for name, sizes in parts.items()},
        "files": {name: len(sizes) for name, sizes in parts.items()},
        "report_bytes": (folder / "report.html").stat().st_size,
    }


def _used(folder: Path, trials: int, *words: str) -> dict[str, float]:
    used = run_tree(
        [sys.executable, "-m", "sweeps", *words, "--home", "home"],
        folder=folder,
        environment=plain_environment(),
        timeout_seconds=120 + 0.5 * trials,
        memory_seconds=0.0 if words[0] != "run" else MEMORY_SECONDS,  # at every poll
    )
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


def on_paper(few: dict[str, Any], many: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return what more trials would take, on straight lines through two observations.

    By number of trials: CPU seconds of each command, GB of each part of the home, GB of memory for
    reading the records (`memory`), and the number of files.
    """

    def at(trials: int, before: float, after: float) -> float:
        beyond = (trials - many["trials"]) / (many["trials"] - few["trials"])
        return float(after + (after - before) * beyond)

    if few["trials"] == many["trials"]:
        return {}
    found: dict[str, dict[str, float]] = {}
    for trials in ON_PAPER:
        used = [row["commands"] for row in (few, many)]
        memory = at(trials, *(commands["best"]["peak_mb"] for commands in used))
        found[str(trials)] = {
            **{name: at(trials, *(one[name]["cpu_seconds"] for one in used)) for name in COMMANDS},
            **{name: at(trials, *(row["bytes"][name] for row in (few, many))) / 2**30
               for name in PARTS},
            "memory": memory / 1024,
            "files": at(trials, *(sum(row["files"].values()) for row in (few, many))),
        }  # fmt: skip
    return found


def table(result: dict[str, Any]) -> str:
    """Return Markdown: commands, sizes, and what is computed from both."""
    rows = result["rows"]
    heads = " | ".join(f"{row['trials']} trials, s | CPU s | peak MB" for row in rows)
    lines = [f"| command | {heads} | asked |", f"|---|{'---:|' * (3 * len(rows) + 1)}"]
    for name in ("run", *COMMANDS):
        cells = " | ".join(
            f"{one['seconds']:.1f} | {one['cpu_seconds']:.1f} | {one['peak_mb']:.0f}"
            for one in (row["commands"][name] for row in rows)
        )
        lines.append(f"| {name} | {cells} | {_verdict(result, name)} |")
    heads = " | ".join(f"{row['trials']} trials, MB | files" for row in rows)
    lines += ["", f"| in the home | {heads} |", f"|---|{'---:|' * 2 * len(rows)}"]
    for name in PARTS:
        cells = " | ".join(
            f"{row['bytes'][name] / 2**20:.1f} | {row['files'][name]}" for row in rows
        )
        lines.append(f"| {name} | {cells} |")
    cells = " | ".join(f"{row['report_bytes'] / 2**20:.1f} | 1" for row in rows)
    return "\n".join([*lines, f"| report.html | {cells} |"])


def _verdict(result: dict[str, Any], name: str) -> str:
    if name not in AIMS or result["trials"] != 10_000:
        return ""
    kept = result["rows"][-1]["commands"][name]["seconds"] <= AIMS[name]
    return f"{AIMS[name]} s: {'kept' if kept else 'missed'}"
