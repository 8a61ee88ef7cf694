"""`sweeps compare`: sweeps or trials side by side; reads only, needs no TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.console import complain
from sweeps.cli.options import HomeOption, JsonOption
from sweeps.cli.reporting import DataOption, write
from sweeps.workspace.names import trial_of


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
    from sweeps.render.comparing import compare as put_side_by_side
    from sweeps.render.comparing import comparison, render_comparison
    from sweeps.render.terminal import render_sections

    found = Home.resolve(home)
    asked = [(found.get(name), number) for name, number in map(trial_of, names)]
    trials = [(info, found.store(info.id), number) for info, number in asked]
    contestants = put_side_by_side(trials, data, complain).contestants
    if as_json:
        print(json.dumps([{"label": c.label, **c.row.to_dict()} for c in contestants], indent=1))
    elif output is None:
        Terminal().print(render_sections(comparison(contestants)), crop=False)
    if output is not None:
        write(output, render_comparison(contestants).encode())
        print(output)
