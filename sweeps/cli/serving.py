"""`sweeps serve-tracking`: an MLflow server for a team, sound as it is, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from sweeps.cli.mlflow_server import (
    LOOPBACK,
    answering_to,
    check_port,
    name_in_url,
    say,
    serve,
)
from sweeps.errors import UsageError
from sweeps.workspace.addresses import redacted

_STORES: Final = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


def serve_tracking(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Of its files, and of its SQLite database.")
    ] = Path("mlflow-server"),
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            envvar="SWEEPS_TRACKING_STORE",
            help="Database, such as postgresql+psycopg://user@host/mlflow (default: SQLite).",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            metavar="NAME",
            help="A name by which others call it; needed beyond this machine.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1)] = 2,
) -> None:
    """Run an MLflow server for `--tracking-uri http://...`: runs, and files through it.

    It listens on this machine only unless told otherwise, checks by which name it is called, and
    takes files into DIR, so that whoever tracks needs no access to it.
    """
    if store is not None and not store.startswith(_STORES):
        raise UsageError(f"--store {redacted(store)!r}: allowed are {', '.join(_STORES)}...")
    if host not in LOOPBACK and not allowed_hosts:
        raise UsageError(
            f"--host {host}: name it as others call it, with the port, or any page they have open "
            f"could talk to it: --allowed-host NAME:{port}"
        )
    check_port(host, port)
    folder.mkdir(parents=True, exist_ok=True)
    uri = store or f"sqlite:///{folder.absolute() / 'mlflow.db'}"
    raise typer.Exit(_run(folder.absolute(), uri, host, port, allowed_hosts or [], workers))


def _run(
    folder: Path, uri: str, host: str, port: int, allowed_hosts: list[str], workers: int
) -> int:
    options = ["--workers", str(workers), "--serve-artifacts"]
    options += ["--artifacts-destination", (folder / "artifacts").as_uri()]
    options += answering_to(allowed_hosts)
    base = f"http://{name_in_url(host)}:{port}"
    say(f"starting an MLflow server on {redacted(uri)}, about 20 s ...")
    if host not in LOOPBACK:
        say(
            "anyone who can reach it can read and delete runs: put a proxy with passwords before it"
        )

    def announce() -> None:
        say(f"MLflow server: {base}")
        say(f"sweeps run SPACE --tracking-uri {base}; what exists: sweeps sync --to {base}")

    return serve(options, host, port, uri, announce)
