"""What quoted intervals cover and how wide they are, and what rare failures do to a verdict.

Equal finalists are drawn as `intervals` draws them. The plain interval is that of the same mean on
its metric's scale, which allows for no selection; their mean widths are compared. Where one of two
finalists fails now and then, many confirmations contain none of its failures: then nothing tells it
from a better one, and its errors have no bound. Each case is kept in a file of the cache, so that
it goes on if interrupted.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from benchmarks.finalists import AREA, FAILURES, limits, share_with_limits
from benchmarks.intervals import CACHE, COUNTS, COVERS, FEW, FOLDS, Case, kept
from benchmarks.markdown import markdown
from benchmarks.options import cache_folder, whole_numbers

CASES: Final = (
    *(Case("normal", count) for count in COUNTS),
    *(Case("normal", count, samples=FEW) for count in COUNTS),
    *(Case(AREA, count, samples=FEW) for count in (COUNTS[0], COUNTS[-1])),
    *(Case(luck, COUNTS[0]) for luck in FAILURES),
)
WIDEST: Final = 1.15
"""So many times as wide as the plain interval, where that covers, the quotable one may be."""
_COUNTED: Final = ("false", "missed", "covered", "plain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, draws=(1000, ""))
    parser.add_argument("--finalists", type=int, choices=COUNTS, nargs="*", default=COUNTS)
    cache_folder(parser, CACHE)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate every case, or take what was simulated of it before."""
    rows = []
    for case in (case for case in CASES if case.finalists in options.finalists):
        found = kept(options.cache, case, [options.draws, 0, 0])
        shares = {name: found[name] / options.draws for name in _COUNTED}
        times = found["wide"] / max(found["plain wide"], 1)
        about = {"luck": case.luck, "finalists": case.finalists, "samples": case.samples}
        rows.append({**about, **shares, "times as wide": times})
    return {"draws": options.draws, "folds": FOLDS, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    rows = [
        [row["finalists"], row["samples"], row["luck"],
         *(share_with_limits(row[name], result["draws"]) for name in _COUNTED),
         f"{row['times as wide']:.2f}"]
        for row in result["rows"]
    ]  # fmt: skip
    heads = ["finalists", "samples", "fold effects", 'false "better"', "best missed",
             "quotable covers", "plain covers", "times as wide"]  # fmt: skip
    said = f"{result['draws']} draws each, {result['folds']} folds; 95 % limits in brackets"
    return f"{said}\n\n{markdown(heads, rows)}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return the intervals that are too wide where the plain one covers, or that do not cover."""
    said = [
        (f"{row['finalists']} finalists, {row['samples']} samples, {row['luck']}", row)
        for row in result["rows"]
        if row["luck"] not in FAILURES
    ]
    return [
        f"{what}: {row['times as wide']} times as wide"
        for what, row in said
        if limits(row["plain"], result["draws"])[1] >= 0.95 and row["times as wide"] > WIDEST
    ] + [
        f"{what}: covered {row['covered']}"
        for what, row in said
        if limits(row["covered"], result["draws"])[1] < COVERS[row["luck"]]
    ]
