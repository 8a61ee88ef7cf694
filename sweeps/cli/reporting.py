"""`sweeps report`: a sweep as one HTML page; reads only, needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.console import complain
from sweeps.cli.options import HomeOption, SweepArgument
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.records import SweepInfo
    from sweeps.report.data import LoadedSamples, SweepData

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
    from sweeps.home import Home
    from sweeps.report.reporting import draw_charts, render_report

    found = Home.resolve(home)
    read = read_sweep(found, found.get(name), data)
    if not read.records:
        raise UsageError(f"sweep {read.info.name!r} has no trial yet: nothing to report")
    path = output or Path(f"{read.info.name}.html")
    write(path, render_report(read).encode())
    if figures is not None:
        for file, png in draw_charts(read).items():
            write(figures / file, png)
        print(f"charts in {figures}")
    print(path)


def read_sweep(home: Home, info: SweepInfo, source: str | None) -> SweepData:
    """Read a sweep, and its samples if they can be had; why not is said in a line."""
    from sweeps.report.data import SweepData

    return SweepData.read(info, home.store(info.id), _samples(info, source))


def _samples(info: SweepInfo, source: str | None) -> LoadedSamples | None:
    from sweeps.experiment_loading import load_experiment
    from sweeps.report.samples import load_samples

    try:
        experiment = load_experiment(info.experiment, Path(info.directory or ".").resolve())
        samples = load_samples(experiment, info, source)
    except (UsageError, ValueError, OSError) as error:
        if source is not None:
            raise UsageError(f"--data {source}: {error}") from None
        complain(f"{info.name}: its samples cannot be shown: {error}")
        return None
    if samples is None and source is not None:
        raise UsageError(f"--data {source}: not the data of sweep {info.name!r}; nothing written")
    return samples


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
