"""`sweeps sync`: sends the runs that MLflow lacks."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.console import answered
from sweeps.cli.exit_codes import OK, TRACKING_INCOMPLETE
from sweeps.cli.options import CsvOption, HomeOption, JsonOption, SweepsArgument
from sweeps.cli.results import DataOption
from sweeps.tracking.projector import PARENT

if TYPE_CHECKING:
    from sweeps.tracking.sync import SyncReport


def sync(
    name: SweepsArgument = None,
    home: HomeOption = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--tracking-uri",
            metavar="URI",
            envvar="MLFLOW_TRACKING_URI",
            help="MLflow store (default: in the home).",
        ),
    ] = None,
    data: DataOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the runs that MLflow lacks, made from the records.

    Of one sweep, or of all. Sending again adds nothing. Exit code 3 says that some runs are still
    missing or incomplete, for example because the data for their pictures are gone (--data names
    them). With --to, runs that were made offline are published on a server, as if they had been
    there from the start.
    """
    from sweeps.errors import UsageError
    from sweeps.home import Home
    from sweeps.records import RecordError, confirmed_by
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.preflight import check_store
    from sweeps.tracking.sync import sync_sweep
    from sweeps.workspace.addresses import redacted

    if data is not None and name is None:
        raise UsageError("--data names the data of one sweep: give its name, sweeps sync NAME")
    found = Home.resolve(home)
    found.check_exists()
    found.check_writable()
    uri = resolve_tracking_uri(found.path, tracking_uri)
    shown = [info for info in found.sweeps() if not found.store(info.id).is_archived]
    # Confirmations first: a confirmed champion is registered from a run of its confirmation.
    shown.sort(key=lambda info: confirmed_by(info.directory) is None)
    infos = [found.get(name)] if name is not None else shown
    away = check_store(uri)
    if away is not None:
        _say(f"MLflow at {redacted(uri)} cannot be reached ({away}); trying for a while")
    reports: list[SyncReport] = []
    left_out: dict[str, str] = {}
    for info in infos:
        try:
            reports.append(sync_sweep(found, info, uri, partial(_say_written, info.name), data))
        except (UsageError, RecordError) as error:  # it runs now, or a record is damaged
            if name is not None:
                raise
            left_out[info.name] = str(error)
            _say(f"left out: {error}")
    documents = [dataclasses.asdict(report) for report in reports]
    whole = {"sweeps": documents, "left_out": left_out}
    if not answered(whole, documents, as_json=as_json, csv=csv):
        print(_conclusion(reports, redacted(uri)))
    complete = all(not report.pending for report in reports)
    raise typer.Exit(OK if complete else TRACKING_INCOMPLETE)


def _conclusion(reports: list[SyncReport], store: str) -> str:
    total = sum(report.records for report in reports)
    written = sum(len(report.written) for report in reports)
    pending = [key for report in reports for key in report.pending]
    if not pending:
        sent = f"{written} of {total} runs were missing and are sent"
        return f"{store}: {sent if written else f'all {total} runs are there'}"
    parents = pending.count(PARENT)
    missing = [f"{len(pending) - parents} of {total} runs"] if len(pending) > parents else []
    if parents:
        missing.insert(0, "the parent run" if parents == 1 else f"{parents} parent runs")
    error = next(report.error for report in reports if report.error)
    return (
        f"{store}: {written} runs sent; {' and '.join(missing)} are missing or incomplete ({error})"
    )


def _say_written(sweep: str, key: str) -> None:
    _say(f"{sweep}: {key}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
