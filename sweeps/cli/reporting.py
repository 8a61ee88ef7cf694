"""`sweeps report`: a sweep as one HTML page; reads only, needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.console import complain
from sweeps.cli.options import HomeOption, SweepArgument
from sweeps.errors import UsageError

DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="SOURCE", help="Its data, if not the experiment's own."),
]


def report(
    name: SweepArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.html.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write every chart as a PNG.")
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
) -> None:
    """Write a sweep as one HTML page that works offline: who won, how sure that is, what next."""
    from sweeps.analysis.reading import read_sweep
    from sweeps.home import Home
    from sweeps.render.reporting import draw_charts, render_report
    from sweeps.render.sections import report_sections

    found = Home.resolve(home)
    info = found.get(name)
    read = read_sweep(info, found.store(info.id), data, complain)
    if not read.records:
        raise UsageError(f"sweep {read.info.name!r} has no trial yet: nothing to report")
    path = output or Path(f"{read.info.name}.html")
    sections = report_sections(read)
    write(path, render_report(read, sections).encode())
    if figures is not None:
        for file, png in draw_charts(sections).items():
            write(figures / file, png)
        print(f"charts in {figures}")
    print(path)


def write(path: Path, content: bytes) -> None:
    """Write a file, making its folder.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
