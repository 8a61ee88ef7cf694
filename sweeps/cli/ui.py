"""`sweeps ui`: MLflow's UI on this machine, on the right store, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.browsing import BrowserOption, open_page, wants_browser
from sweeps.cli.mlflow_server import (
    LOOPBACK,
    answering_to,
    check_port,
    name_in_url,
    say,
    serve,
)
from sweeps.cli.options import HomeOption, NewestSweepArgument
from sweeps.records.record import SweepInfo
from sweeps.tracking.locating import locate, server_address
from sweeps.tracking.view import charts_address, view_address
from sweeps.workspace.addresses import redacted


def ui(
    name: NewestSweepArgument = None,
    home: HomeOption = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow store, if not the home's own.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
    browser: BrowserOption = None,
) -> None:
    """Open the MLflow UI on a sweep: its trials, best first, and its charts."""
    from sweeps.home import Home
    from sweeps.tracking.address import resolve_tracking_uri

    found = Home.resolve(home)
    info = None if name is None else found.get(name)
    uri = resolve_tracking_uri(found.path, tracking_uri)
    raise typer.Exit(run_ui(found.path, uri, host, port, wants_browser(browser), info))


def run_ui(
    home: Path,
    tracking_uri: str,
    host: str,
    port: int,
    open_browser: bool,
    info: SweepInfo | None = None,
) -> int:
    """Serve the MLflow UI until Ctrl-C.

    Args:
        home: The sweeps' home; files of runs lie under it.
        tracking_uri: From `resolve_tracking_uri`. An MLflow server has a UI already: its address
            is printed, and nothing is started.
        host: Interface to listen on.
        port: Port to listen on.
        open_browser: Whether to open the page once it answers.
        info: Sweep to show; None for that of the newest run.

    Returns:
        Exit code: 0 after Ctrl-C, 1 if the server ended by itself.

    Raises:
        UsageError: There is nothing to show yet, or the port or host cannot be used.
    """
    if tracking_uri.startswith("http"):
        _announce(server_address(tracking_uri, info), open_browser)
        return 0
    experiment, sweep = locate(tracking_uri, info)
    check_port(host, port)
    base = f"http://{name_in_url(host)}:{port}"
    say(f"starting the MLflow UI on {redacted(tracking_uri)}, about 20 s ...")
    options = ["--workers", "1"]
    if host in LOOPBACK:
        options += answering_to()
    else:
        say(f"anyone who can reach {host}:{port} can read and delete runs: there is no password")
    artifacts = (home / "artifacts").absolute().as_uri()
    options += ["--default-artifact-root", artifacts]

    def announce() -> None:
        _announce(view_address(base, experiment, sweep), open_browser)
        if experiment and sweep:
            say(f"its charts: {charts_address(base, experiment, sweep)}")

    return serve(options, host, port, tracking_uri, announce)


def _announce(address: str, open_browser: bool) -> None:
    say(f"MLflow UI: {address}")
    if open_browser:
        open_page(address)
