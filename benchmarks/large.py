"""A home of ten thousand trials: how it comes about, how long its commands take, what it weighs.

The trials of `nothing.yaml` train nothing and sleep 50 ms, in two workers. They have histories as
long as those of the digits, and neither counts nor weights, so that the records of the digits weigh
more. The same sweep is observed with a tenth of its trials and with all of them. A straight line
through both says what a hundred thousand and a million would take; it is computed, not tried.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.cluster.steady import spans_of
from benchmarks.process_tree import MEMORY_SECONDS, plain_environment, processes, run_tree
from benchmarks.timing import at_least_one

SPACE: Final = Path(__file__).with_name("nothing.yaml")
COMMANDS: Final = {
    "list": ("list",),
    "best": ("best", "nothing"),
    "trials": ("trials", "nothing"),
    "report": ("report", "nothing", "-o", "report.html"),
}
UI: Final = {"ui": "`ui`, until it answers", "view": "until the table of its view is there"}
AIMS: Final = {"list": 1, "best": 1, "trials": 1, "report": 10, "ui": 30, "view": 10}
"""Seconds that a command may take with ten thousand trials."""
PARTS: Final = {
    "records": ("records",),
    "mlflow.db": ("mlflow.db", "mlflow.db-wal"),
    "artifacts": ("artifacts",),
    "optuna.db": ("optuna.db",),
}
TIMES: Final = 3
"""Each command is timed so often; the one in the middle counts."""
ON_PAPER: Final = (100_000, 1_000_000)
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
    parser.add_argument("--trials", type=at_least_one, default=10_000, help="(default 10000)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the sweep in two steps, and its commands after each."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or find_spec("playwright") is None:
        raise RuntimeError("large: Chromium and the extra dev are needed")
    if options.trials < FEWEST:
        raise RuntimeError(f"large: {options.trials} trials are too few, {FEWEST} are the fewest")
    counts = [options.trials // 10, options.trials]
    with tempfile.TemporaryDirectory(prefix="large-") as name:
        folder = Path(name)
        rows = [observed(folder, count) for count in counts]
        rows[-1]["commands"] |= opened(folder, chromium)
        rows[-1] |= in_full_swing(folder, counts[0], rows[-1].pop("memory"))
    rows[0].pop("memory")
    return {"trials": options.trials, "rows": rows, "paper": on_paper(*rows)}


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


def opened(folder: Path, chromium: str) -> dict[str, dict[str, float]]:
    """Start `sweeps ui`, and open the address that it prints; return the seconds of both.

    Raises:
        RuntimeError: It ends before it answers.
    """
    from playwright.sync_api import sync_playwright

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = time.perf_counter()
    served = subprocess.Popen(
        [sys.executable, "-m", "sweeps", "ui", "nothing", "--home", "home", "--no-browser",
         "--port", str(port)],
        cwd=folder, env=plain_environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert served.stdout is not None
    try:
        said = next((line for line in served.stdout if line.startswith("MLflow UI: ")), None)
        if said is None:
            raise RuntimeError(f"large: `sweeps ui` ended with {served.wait()}")
        answered = time.perf_counter()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium)
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(300_000)
            asked = time.perf_counter()
            page.goto(said.split()[2])
            page.get_by_role("link", name=re.compile(r"^\d{4}")).first.wait_for()
            shown = time.perf_counter()
            browser.close()
    finally:
        tree = processes(served.pid)
        served.terminate()
        try:
            served.wait(60)
        except subprocess.TimeoutExpired:
            for one in tree:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
        served.stdout.close()
    return {"ui": {"seconds": answered - started}, "view": {"seconds": shown - asked}}


def _used(
    folder: Path, trials: int, *words: str, on_poll: Callable[[int], None] = lambda command: None
) -> dict[str, float]:
    used = run_tree(
        [sys.executable, "-m", "sweeps", *words, "--home", "home"],
        folder=folder,
        environment=plain_environment(),
        timeout_seconds=120 + 0.5 * trials,
        on_poll=on_poll,
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
    """Return Markdown: commands, sizes, the sweep in full swing, and what is computed from both."""
    rows = result["rows"]
    heads = " | ".join(f"{row['trials']} trials, s | CPU s | peak MB" for row in rows)
    lines = [f"| command | {heads} | asked |", f"|---|{'---:|' * (3 * len(rows) + 1)}"]
    for name in ("run", *COMMANDS, *UI):
        cells = " | ".join(_cells(row["commands"].get(name, {})) for row in rows)
        lines.append(f"| {UI.get(name, name)} | {cells} | {_verdict(result, name)} |")
    heads = " | ".join(f"{row['trials']} trials, MB | files" for row in rows)
    lines += ["", f"| in the home | {heads} |", f"|---|{'---:|' * 2 * len(rows)}"]
    for name in PARTS:
        cells = " | ".join(
            f"{row['bytes'][name] / 2**20:.1f} | {row['files'][name]}" for row in rows
        )
        lines.append(f"| {name} | {cells} |")
    cells = " | ".join(f"{row['report_bytes'] / 2**20:.1f} | 1" for row in rows)
    return "\n".join([*lines, f"| report.html | {cells} |", "", *_swing(rows[-1])])


def _cells(used: dict[str, float]) -> str:
    kinds = (("seconds", ".1f"), ("cpu_seconds", ".1f"), ("peak_mb", ".0f"))
    return " | ".join(f"{used[kind]:{digits}}" if kind in used else "" for kind, digits in kinds)


def _swing(row: dict[str, Any]) -> Iterator[str]:
    yield "| after the first tenth of the trials | | asked |"
    yield "|---|---:|---:|"
    yield f"| trials a second | {row['per_second']:.1f} of {WORKERS / SECONDS:.0f} | |"
    busy = row["per_second"] * SECONDS / WORKERS
    kept = "kept" if busy >= BUSY else "missed"
    yield f"| time that workers spend in trials | {busy:.1%} | {BUSY:.0%}: {kept} |"
    for name, (before, after) in row["grown"].items():
        kept = "kept" if after <= FLAT * before else "missed"
        yield f"| memory of the {name}, MB | {before:.0f} to {after:.0f} | flat: {kept} |"


def _verdict(result: dict[str, Any], name: str) -> str:
    if name not in AIMS or result["trials"] != 10_000:
        return ""
    kept = result["rows"][-1]["commands"][name]["seconds"] <= AIMS[name]
    return f"{AIMS[name]} s: {'kept' if kept else 'missed'}"
