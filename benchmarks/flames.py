"""Where the time of a sweep goes: flame graphs of coordinator, projection and worker.

`sweeps run` on the default space under py-spy, which looks at every thread of every process fifty
times a second. Stacks are split by who they belong to: the coordinator's main thread, the thread
that writes to MLflow, and the processes that train. What waits for something is not counted.

`--evidence` draws them into `docs/evidence/flames/`: a row a call, the caller below, as wide as
its share of the samples; calls with less than half a per cent are left out.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from shutil import which
from typing import Any, Final

from benchmarks.process_tree import plain_environment
from benchmarks.timing import at_least_one

FOLDER: Final = Path(__file__).parent.parent / "docs" / "evidence" / "flames"
RATE: Final = 50
"""Looks a second."""
LEAST: Final = 0.005
"""Share of the samples below which a call is not drawn."""
PARTS: Final = ("coordinator", "projection", "worker")
COLOURS: Final[Mapping[str, str]] = {
    "sweeps": "#7fb3e6",
    "digitexp": "#8fd19e",
    "search_spaces": "#8fd19e",
    "optuna": "#d7a9e3",
    "mlflow": "#f2b872",
    "sqlalchemy": "#f5d08a",
    "tensorflow": "#f19c99",
    "keras": "#f6bdb9",
    "matplotlib": "#cfc7a4",
}
"""Of the packages; what else there is is grey."""
WIDTH: Final = 1000
ROW: Final = 17
_FRAME: Final = re.compile(r"^(?P<name>.*) \((?P<file>.*?)(?::\d+)?\)$")
_PROCESS: Final = re.compile(r'process \d+:".*?";(?=thread \(|process \d+:")')
_THREAD: Final = re.compile(r"^thread \([^)]*\)(?:: (?P<name>[^;]*))?;")

Stack = tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--space", default="mlp", help="(default mlp)")
    parser.add_argument("--trials", type=at_least_one, default=80, help="(default 80)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run a sweep under py-spy and draw what it saw."""
    spy = which("py-spy") or which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        raise RuntimeError(
            "flames: py-spy is not installed: pip install -e '.[bench]' -c constraints.txt"
        )
    with tempfile.TemporaryDirectory(prefix="flames-") as folder:
        raw = Path(folder) / "raw.txt"
        asked = [spy, "record", "--format", "raw", "--function", "--subprocesses", "--threads",
                 "--rate", str(RATE), "--output", str(raw), "--", sys.executable, "-m", "sweeps",
                 "run", options.space, "--trials", str(options.trials), "--home", f"{folder}/home",
                 "--no-confirm", "--quiet"]  # fmt: skip
        subprocess.run(asked, check=True, cwd=folder, env=plain_environment(), capture_output=True)
        parts = split(raw.read_text(encoding="utf-8").splitlines())
    if options.evidence:
        FOLDER.mkdir(exist_ok=True)
        for name, stacks in parts.items():
            (FOLDER / f"{name}.svg").write_text(drawn(name, stacks), encoding="utf-8")
    return {
        "space": options.space,
        "trials": options.trials,
        "parts": {
            name: {"seconds": sum(stacks.values()) / RATE, "packages": by_package(stacks)}
            for name, stacks in parts.items()
        },
    }


def split(lines: Sequence[str]) -> dict[str, Counter[Stack]]:
    """Return the stacks of each part, the outermost call first, with how often each was seen."""
    found: dict[str, Counter[Stack]] = {name: Counter() for name in PARTS}
    for line in lines:
        text, _, count = line.rpartition(" ")
        processes = _PROCESS.findall(text)
        thread = _THREAD.match(_PROCESS.sub("", text))
        calls = tuple(
            text.rpartition(processes[-1])[2].split(";") if processes else text.split(";")
        )
        if len(processes) > 1:
            part = "worker"
        elif thread is not None and thread["name"] == "sweeps-projector":
            part = "projection"
        else:
            part = "coordinator"
        kept = tuple(call for call in map(_named, calls) if call)
        if kept:
            found[part][kept] += int(count)
    return found


def _named(call: str) -> str:
    """Return a call as `package.module: function`; empty for what only starts others."""
    frame = _FRAME.match(call)
    if frame is None or call.startswith("thread ("):
        return ""
    file = frame["file"].rpartition("site-packages/")[2].removesuffix(".py")
    if file.startswith("<") or file == "threading":
        return ""
    return f"{file.replace('/', '.')}: {frame['name']}"


def by_package(stacks: Mapping[Stack, int]) -> dict[str, float]:
    """Return the share of samples whose innermost call that is of a known package is each one's."""
    shares: Counter[str] = Counter()
    for stack, count in stacks.items():
        known = [_package(call) for call in reversed(stack)]
        shares[next((name for name in known if name in COLOURS), "others")] += count
    total = sum(shares.values())
    return {name: count / total for name, count in shares.most_common()}


def _package(call: str) -> str:
    parts = call.partition(":")[0].split(".")
    return next((part for part in parts if part in COLOURS), parts[0])


@dataclass
class Call:
    """A call with all that it called."""

    count: int = 0
    calls: dict[str, Call] = field(default_factory=dict)


def tree(stacks: Mapping[Stack, int]) -> Call:
    """Return the stacks as one tree."""
    root = Call()
    for stack, count in stacks.items():
        root.count += count
        here = root
        for call in stack:
            here = here.calls.setdefault(call, Call())
            here.count += count
    return root


def drawn(name: str, stacks: Mapping[Stack, int]) -> str:
    """Return the flame graph of a part, as SVG."""
    root = tree(stacks)
    boxes = list(_boxes(root, root.count, 0.0, 0))
    height = (max((depth for _, _, depth, _ in boxes), default=0) + 2) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="11" role="img" aria-label="Flame graph: {name}">'
    ]
    for call, left, depth, share in boxes:
        x, width, y = WIDTH * left, WIDTH * share, height - (depth + 2) * ROW
        label = call.rpartition(".")[2]
        letters = int(width / 6)
        text = label if len(label) <= letters else f"{label[: letters - 1]}…" if letters > 4 else ""
        lines.append(
            f'<g><title>{escape(call)}: {100 * share:.1f} %</title><rect x="{x:.1f}" y="{y}" '
            f'width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" '
            f'fill="{COLOURS.get(_package(call), "#d0d0d0")}"/>'
            + (f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text>' if text else "")
            + "</g>"
        )
    return "\n".join([*lines, "</svg>", ""])


def _boxes(
    call: Call, total: int, left: float, depth: int
) -> Iterator[tuple[str, float, int, float]]:
    for name, inner in sorted(call.calls.items()):
        share = inner.count / total
        if share >= LEAST:
            yield name, left, depth, share
            yield from _boxes(inner, total, left, depth + 1)
        left += share


def table(result: dict[str, Any]) -> str:
    """Return Markdown: of each part the seconds, and whose code they are spent in."""
    lines = ["| | seconds | of them in |", "|---|---:|---|"]
    for name, part in result["parts"].items():
        shares = ", ".join(
            f"{package} {100 * share:.0f} %"
            for package, share in part["packages"].items()
            if share >= 0.02
        )
        lines.append(f"| {name} | {part['seconds']:.1f} | {shares} |")
    return "\n".join(lines)
