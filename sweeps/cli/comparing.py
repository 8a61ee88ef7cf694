"""`sweeps compare`: sweeps or trials side by side; reads only, needs no TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.console import complain
from sweeps.cli.options import HomeOption, JsonOption
from sweeps.cli.reporting import DataOption, write
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.report.comparing import Contestant


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="A B...", help="NAME: the best of a sweep; NAME:7: a trial of it."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write an HTML page.")
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare sweeps (each by its best trial) or trials: what differs, by how much, how surely."""
    from sweeps.cli.console import Terminal
    from sweeps.home import Home
    from sweeps.report.comparing import MOST, comparison, render_comparison
    from sweeps.report.terminal import render_sections

    if not 2 <= len(names) <= MOST:
        raise UsageError(f"compare: give 2 to {MOST} sweeps or trials, received {len(names)}")
    found = Home.resolve(home)
    contestants = [_contestant(found, name, data) for name in names]
    if as_json:
        print(json.dumps([{"label": c.label, **c.row.to_dict()} for c in contestants], indent=1))
    elif output is None:
        Terminal().print(render_sections(comparison(contestants)), crop=False)
    if output is not None:
        write(output, render_comparison(contestants).encode())
        print(output)


def _contestant(home: Home, text: str, source: str | None) -> Contestant:
    from sweeps.report.comparing import Contestant
    from sweeps.report.reading import read_sweep

    name, colon, number = text.partition(":")
    if colon and not number.isdecimal():
        raise UsageError(f"compare {text!r}: write NAME, or NAME:7 for trial 7 of it")
    info = home.get(name)
    data = read_sweep(info, home.store(info.id), source, complain)
    label = data.info.name
    if not colon:
        if not data.ranking:
            raise UsageError(f"sweep {label!r} has no complete trial yet; name one: {label}:0")
        if info.has_front:
            front = ", ".join(f"{label}:{row.slot}" for row in data.summary.front)
            raise UsageError(
                f"sweep {label!r} has several objectives, so no trial is best; name one of its "
                f"Pareto front: {front or 'empty yet'}"
            )
        row = data.ranking[0]
        return Contestant(f"{label}:{row.slot}", data, row)
    found = next((r for r in data.rows if r.slot == int(number)), None)
    if found is None or found.slot not in data.finals:
        raise UsageError(f"sweep {label!r} has no trial {number} with an outcome")
    return Contestant(f"{label}:{found.slot}", data, found)
