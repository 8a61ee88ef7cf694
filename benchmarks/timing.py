"""Times whole processes from the outside, as a person waiting for them would."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Wall times of one command over several runs, in seconds."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.seconds)

    def as_json(self) -> dict[str, object]:
        """Return every run with its summary."""
        summary = {"min": min(self.seconds), "median": self.median, "max": max(self.seconds)}
        return asdict(self) | summary


def time_commands(
    commands: Mapping[str, Sequence[str]], *, runs: int, folder: Path | None = None
) -> list[Timing]:
    """Time commands in turn, round by round, so that a slow moment of the machine hits them all.

    Args:
        commands: Arguments of the commands by name. Each runs once beforehand, for the disk cache.
        runs: Number of timed rounds, at least 1.
        folder: Working folder of the commands.

    Raises:
        RuntimeError: A command failed; the message has the end of its output.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(runs + 1):
        for name, command in commands.items():
            duration = _run(command, folder)
            if round_ > 0:
                seconds[name].append(duration)
    return [Timing(name, tuple(values)) for name, values in seconds.items()]


def table(timings: Sequence[Timing], *, digits: int = 2) -> str:
    """Return a Markdown table with minimum, median and maximum of each command."""
    width = max(len(timing.name) for timing in timings)
    lines = [
        f"| {'command':{width}} | min s | median s | max s |",
        f"|{'-' * (width + 2)}|------:|---------:|------:|",
    ]
    for timing in timings:
        low, middle, high = min(timing.seconds), timing.median, max(timing.seconds)
        lines.append(
            f"| {timing.name:{width}} | {low:5.{digits}f} | {middle:8.{digits}f} "
            f"| {high:5.{digits}f} |"
        )
    return "\n".join(lines)


def at_least_one(text: str) -> int:
    """Read a number of runs, trials or rounds from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _run(command: Sequence[str], folder: Path | None) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    duration = time.perf_counter() - started
    if done.returncode != 0:
        output = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
    return duration
