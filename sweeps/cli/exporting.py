"""`sweeps export`: take a trained model away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import HomeOption, SweepArgument
from sweeps.cli.reporting import DataOption


def export(
    name: SweepArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    trial: Annotated[
        int | None,
        typer.Option(
            help="Number of the trial (default: the confirmed winner, or the best).", min=0
        ),
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
) -> None:
    """Write a model with configuration and a README that loads it and predicts.

    The model is written only if it answers as the one that was trained, where that can be told.
    """
    from sweeps.api import Sweep
    from sweeps.home import Home
    from sweeps.manage.exporting import export_trial

    found = Home.resolve(home)
    sweep = Sweep(found, found.get(name))
    chosen = sweep.champion() if trial is None else sweep.trial(trial)
    written = export_trial(chosen, folder, data)
    print(f"trial {chosen.slot} of sweep {chosen.sweep.name!r}:")
    for path in written:
        print(f"  {path}")
