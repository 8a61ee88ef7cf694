"""What several nets in one graph would save on a core, where our engine trains one.

Microseconds that a step takes for each net: of our engine, with its validation after each epoch,
and of one graph that trains one, two, four or eight nets of the same shape and does nothing else
(`step/stacked.py`). All take turns on one core with one thread; medians of the epochs count.
Nothing of this is built: a sweep would need as many trials in flight with the same batch size and
the same number of layers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.step.server import Part
from benchmarks.throughput import save_digits
from benchmarks.timing import at_least_one

SHAPES: Final = (((25, 15), 16), ((25, 15), 32), ((25, 15), 128), ((72, 72), 16), ((72, 72), 64))
NETS: Final = (1, 2, 4, 8)
ASKED: Final = 1.5
"""How many times faster nets of 25-15 are to be."""
IMAGES: Final = 4000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--rounds", type=at_least_one, default=7, help="turns each (default 7)")
    parser.add_argument("--epochs", type=at_least_one, default=3, help="epochs a turn (default 3)")
    parser.add_argument("--shapes", type=at_least_one, default=len(SHAPES),
                        help=f"only the first of the {len(SHAPES)} shapes")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every shape."""
    core = max(os.sched_getaffinity(0))
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="stacked-") as folder:
        data = str(save_digits(Path(folder)))
        one, several = (stack.enter_context(Part(name, core)) for name in ("ours", "stacked"))
        one.ask("load", data=data)
        rows = [_measured(one, several, *shape, options) for shape in SHAPES[: options.shapes]]
    return {"rounds": options.rounds, "epochs": options.epochs, "rows": rows}


def _measured(
    one: Part, several: Part, units: tuple[int, ...], batch: int, options: argparse.Namespace
) -> dict[str, Any]:
    asked = {"widths": [400, *units, 10], "batch": batch, "images": IMAGES,
             "epochs": options.epochs}  # fmt: skip
    ours: list[float] = []
    stacked: dict[int, list[float]] = {nets: [] for nets in NETS}
    for _ in range(options.rounds):
        ours += one.ask("steps", **asked)
        for nets in NETS:
            stacked[nets] += several.ask("steps", **asked, nets=nets)
    print(f"{units}, batch {batch}: measured", file=sys.stderr)
    times = {str(nets): statistics.median(found) for nets, found in stacked.items()}
    return {"units": units, "batch": batch, "ours": statistics.median(ours), "stacked": times,
            "gains": {nets: times["1"] / time for nets, time in times.items()}}  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """Return Markdown: microseconds a step and net, and how many times faster than ours."""
    heads = " | ".join(f"{nets} in one graph" for nets in NETS)
    lines = [
        "microseconds a step and net (times faster than one in such a graph), one core, dropout on",
        "",
        f"| units, batch | our engine | {heads} |",
        f"|---|---:|{'---:|' * len(NETS)}",
    ]
    for row in result["rows"]:
        name = f"{'-'.join(map(str, row['units']))}, {row['batch']}"
        cells = (
            f"{row['stacked'][str(nets)]:.0f} ({row['gains'][str(nets)]:.2f})" for nets in NETS
        )
        lines.append(f"| {name} | {row['ours']:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)
