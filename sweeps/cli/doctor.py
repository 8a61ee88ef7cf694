"""`sweeps doctor`: compares records, study and MLflow, and repairs them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.console import answered
from sweeps.cli.exit_codes import FAILED, OK
from sweeps.cli.options import (
    CsvOption,
    HomeOption,
    JsonOption,
    SweepsArgument,
    TrackingOption,
    pasteable,
)

if TYPE_CHECKING:
    from sweeps.manage.doctor import Diagnosis


def doctor(
    name: SweepsArgument = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair study and MLflow from the records.")
    ] = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare records, study and MLflow; exit 1 if they differ.

    Of one sweep, or of all. Without --fix it only reads. A sweep that is running is left alone.
    """
    from sweeps.home import Home
    from sweeps.manage.doctor import examine_home, examine_sweep
    from sweeps.manage.doctor.repairing import repair_home, repair_sweep
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.sync import finish_deletions

    found = Home.resolve(home)
    found.check_exists()
    found.check_writable()  # SQLite's write-ahead log needs that even to read
    uri = resolve_tracking_uri(found.path, tracking_uri)
    readable = found.sweeps(lambda line: None)  # unreadable ones are a problem of the home
    infos = readable if name is None else [found.get(name)]
    if fix:
        finish_deletions(found, uri)
        repair_home(found, readable, uri, _say)
        for info in infos:
            repair_sweep(found, info, uri, _say)
    diagnoses = [examine_home(found, uri)] + [examine_sweep(found, info, uri) for info in infos]
    problems = [
        {"sweep": diagnosis.name or None, **problem.to_dict()}
        for diagnosis in diagnoses
        for problem in diagnosis.problems
    ]
    columns = ("sweep", "part", "what", "repair")
    if not answered(_document(diagnoses), problems, as_json=as_json, csv=csv, columns=columns):
        print(_report(diagnoses))
    raise typer.Exit(OK if all(diagnosis.agrees for diagnosis in diagnoses) else FAILED)


def _report(diagnoses: list[Diagnosis]) -> str:
    lines = []
    for diagnosis in diagnoses:
        where = f"sweep {diagnosis.name!r}" if diagnosis.name else "the home"
        lines += [f"{where} {note}" if "is running" in note else f"{where}: {note}"
                  for note in diagnosis.notes]  # fmt: skip
        lines += [f"{where}, {one.part}: {pasteable(one.what)}" for one in diagnosis.problems]
    count = sum(len(diagnosis.problems) for diagnosis in diagnoses)
    if not count:
        sweeps = len(diagnoses) - 1
        return "\n".join([*lines, f"all is well with {sweeps} sweep{'' if sweeps == 1 else 's'}"])
    repairs = {p.repair: None for diagnosis in diagnoses for p in diagnosis.problems}
    lines += [f"{count} problem{'' if count == 1 else 's'}. To repair:"]
    return "\n".join([*lines, *(f"  {pasteable(repair.value)}" for repair in repairs)])


def _document(diagnoses: list[Diagnosis]) -> dict[str, object]:
    return {
        "agrees": all(diagnosis.agrees for diagnosis in diagnoses),
        "diagnoses": [
            {
                "sweep": diagnosis.name or None,
                "agrees": diagnosis.agrees,
                "problems": [problem.to_dict() for problem in diagnosis.problems],
                "notes": list(diagnosis.notes),
            }
            for diagnosis in diagnoses
        ],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
