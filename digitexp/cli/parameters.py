"""`digitexp parameters`: everything a configuration may set."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def parameters(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every parameter with what it is, what is allowed and its default.

    `digitexp train --set NAME=VALUE` sets one, a space searches or fixes any of them.
    """
    from digitexp.parameters import PARAMETERS

    if as_json:
        told = {name: asdict(parameter) for name, parameter in PARAMETERS.items()}
        print(json.dumps(told, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("parameter", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("meaning, and what is allowed")
    for name, parameter in PARAMETERS.items():
        default = parameter.default
        shown = "" if "{i}" in name else "none" if default is None else str(default).lower()
        table.add_row(name, shown, f"{parameter.meaning}: {parameter.allowed}")
    Console(highlight=False).print(table)
