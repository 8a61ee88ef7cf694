"""`sweeps rename`, `delete`, `share`, `import`, `archive`, `doctor`, `sync` ...: keep house."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.console import FAILED, OK, TRACKING_INCOMPLETE, answered, complain
from sweeps.cli.options import (
    CsvOption,
    DataOption,
    HomeOption,
    JsonOption,
    SweepArgument,
    SweepsArgument,
    TrackingOption,
    asks,
    find_sweep,
    pasteable,
    place_options,
)
from sweeps.config.options import RunOptions, default_of, option_of
from sweeps.errors import UsageError
from sweeps.tracking.projector import PARENT
from sweeps.wording import counted, printable
from sweeps.workspace.addresses import redacted

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.journal.events import Imported
    from sweeps.manage.doctor import Finding
    from sweeps.records import SweepInfo
    from sweeps.tracking.sync import SyncReport


def rename(
    name: SweepArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Give a sweep another name, in records and MLflow; its id stays."""
    from sweeps.manage.lifecycle import rename_sweep

    found, uri = _opened(home, tracking_uri)
    report = rename_sweep(found, found.get(name), new, tracking_uri=uri)
    print(f"sweep {name!r} is called {new!r} now")
    _tell_tracking(report)


def delete(
    name: SweepArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Delete a sweep for good.

    Its records and weights go, and its runs in MLflow.
    """
    from sweeps.manage.lifecycle import delete_sweep
    from sweeps.records import RecordError

    found, uri = _opened(home, tracking_uri)
    try:
        info = found.get(name)
    except RecordError:
        if "/" in name or name.startswith(".") or not (found.sweeps_folder / name).is_dir():
            raise
        info = None  # the id of one that cannot be read
    sweep_id, known = (info.id, info.name) if info else (name, name)
    count = 0 if info is None else len(found.store(sweep_id).state().ended)
    _check_agreed(f"delete sweep {known!r} with {count} recorded trials", yes=yes)
    delete_sweep(found, sweep_id, info, uri)
    if info is None:
        print(f"its runs in MLflow stay, since nothing tells which they are ({uri})")
    print(f"deleted sweep {known!r} ({sweep_id})")


def _check_agreed(question: str, *, yes: bool) -> None:
    """Ask whether it shall be done, unless that was said; end the command if not."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question}: say --yes; nothing was changed")
    if not typer.confirm(f"{question}?"):
        print("nothing was changed")
        raise typer.Exit(OK)


def share(
    name: SweepArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    home: HomeOption = None,
) -> None:
    """Write a sweep into one file, for `sweeps import` elsewhere."""
    from sweeps.manage.sharing import share_sweep

    found, info = find_sweep(home, name)
    size = share_sweep(found, info, file)
    print(f"sweep {info.name!r} is in {file} ({size / 1e6:.1f} MB)")
    print(f"on the other machine: sweeps import {shlex.quote(file.name)}")


_OF_A_NEW_SWEEP: Final = ("overrides", "data", "seed", "sampler", "pruner")
"""Options that decide the trials of the sweep that `import --space` begins."""


@asks("name", *_OF_A_NEW_SWEEP, "tracking_uri")
def import_(
    asked: RunOptions,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE | OLD_HOME",
            help="File of `sweeps share`, or home of an earlier version; with --space a CSV file, "
            "or the SQLite file of an Optuna study.",
        ),
    ],
    space: Annotated[
        str | None,
        typer.Option(help="Space of a new sweep whose sampler learns from results found there."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Optuna study, if the file has several.")
    ] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="THEIRS=OURS", help="A name there, and in the space."),
    ] = None,
    again: Annotated[
        int, typer.Option(help="So many of the best of them are tried anew, first.", min=0)
    ] = 3,
) -> None:
    """Take in a shared sweep, a former home, or results found elsewhere.

    A shared sweep is verified first, and taken in whole or not at all. Of a home all sweeps are
    taken over, in place if it is this home. With --space, results of a CSV file or an Optuna study
    teach the sampler of a new sweep, and are listed in its table and report. They are no trials of
    it; the best of them are tried anew by its first trials.
    """
    from sweeps.manage.importing import import_results, is_database

    if space is None:
        alone = [option for option, value in {"--study": study, "--map": renamed}.items() if value]
        alone += [option_of(n) for n in _OF_A_NEW_SWEEP if getattr(asked, n) != default_of(n)]
        is_table = source.lower().endswith(".csv") or is_database(Path(source))
        if alone or "://" in source or is_table:
            raise UsageError(
                f"{', '.join(alone) or source}: results found elsewhere become part of a new "
                "sweep; name its space (--space)"
            )
        if Path(source).is_dir():
            _import_former(Path(source), asked)
        else:
            _import_shared(Path(source), asked)
        return
    options = dataclasses.replace(asked, space=space)
    found = import_results(options, source, study=study, renamed=renamed or [], again=again)
    _tell_imported(options, *found)


def _import_shared(file: Path, asked: RunOptions) -> None:
    from sweeps.experiments.loading import what_runs
    from sweeps.manage.sharing import import_sweep

    found, uri = _opened(None if asked.home is None else str(asked.home), asked.tracking_uri)
    info, report = import_sweep(found, file, uri, name=asked.name)
    print(f"sweep {info.name!r}: {report.records} trials are here")
    if what_runs(info):
        print(
            "nothing that it names was run; before a command that has to, such as replay or "
            f"export: {pasteable(f'`sweeps trust {info.name} FOLDER`')}, where FOLDER has its code"
        )
    _tell_tracking(report)


def _import_former(old: Path, asked: RunOptions) -> None:
    from sweeps.home import Home, home_folder
    from sweeps.manage.doctor import repair
    from sweeps.manage.former import take_over
    from sweeps.records import RecordError
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.sync import sync_sweep

    if asked.name is not None or os.environ.get("SWEEPS_STORAGE"):
        raise UsageError(
            f"{old}: a home is imported without --name and without --storage; `sweeps share` and "
            "`sweeps import FILE` bring a sweep into a storage then"
        )
    home = Home(home_folder(asked.home))
    uri = resolve_tracking_uri(home.path, asked.tracking_uri)
    left_out: list[str] = []
    taken = take_over(home, old, lambda line: print(printable(line)), left_out.append)
    for line in left_out:
        complain(printable(line))
    pending, here = [], {info.id for info in taken}
    for info in (info for info in _to_send(home) if info.id in here):
        try:
            repair(home, [info], uri, lambda line: None)  # its runs may have former names
            pending += sync_sweep(home, info, uri).pending
        except (UsageError, RecordError) as error:
            complain(str(error))
            pending.append(info.name)
    if left_out:
        raise typer.Exit(FAILED)
    if pending:
        complain(f"MLflow lacks {counted(len(pending), 'run')}; `sweeps sync` sends them")
        raise typer.Exit(TRACKING_INCOMPLETE)


_SHOWN: Final = 50
"""So many results that were left out are listed."""


def _tell_imported(
    options: RunOptions,
    info: SweepInfo,
    imported: Imported,
    left_out: list[str],
    unused: list[str],
) -> None:
    from sweeps.cli.run import command_line
    from sweeps.runner.opening import describe_imported

    every = len(imported.trials) + len(left_out)
    print(f"sweep {info.name!r} was begun: {describe_imported(imported, every)}")
    for line in left_out[:_SHOWN]:
        print(printable(f"  left out, {line}"))
    if len(left_out) > _SHOWN:
        print(f"  and {counted(len(left_out) - _SHOWN, 'other')}")
    if unused:
        print(printable(f"not used: {', '.join(unused)}"))
    again = command_line(dataclasses.replace(options, name=info.name))
    print(f"next: {again} {place_options()}".strip())


def trust(
    name: SweepArgument,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Folder with its code.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
) -> None:
    """Allow an imported sweep to run the code that it names.

    Replay, export, confirm and `sweeps run` do that. Without trust, an imported sweep is read,
    reported and compared, but nothing of it is executed.
    """
    from sweeps.experiments.loading import what_runs
    from sweeps.home import Home
    from sweeps.manage.sharing import received_sweep, trust_sweep

    found = Home.resolve(home)
    found.check_writable()
    info = found.get(name)
    foreign = received_sweep(found, info)
    came = f"sweep {info.name!r} came with {foreign.file} (sha256 {foreign.archive[:12]})"
    runs = what_runs(info)
    if not runs:
        print(f"{came}. Its commands run only what ships here: it needs no trust")
        return
    where = f"from {folder.resolve()}" if folder else "as it is installed"
    print(f"{came}. Its commands will run {runs}, {where}")
    _check_agreed("trust it", yes=yes)
    trust_sweep(found, info, folder)
    print(f"sweep {info.name!r} is trusted")


def archive(
    name: SweepArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Bring it back.")] = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Hide a sweep in lists and in MLflow; nothing is lost.

    Running it brings it back, and so does --undo.
    """
    from sweeps.manage.lifecycle import archive_sweep, restore_sweep

    found, uri = _opened(home, tracking_uri)
    info = found.get(name)
    if undo:
        report = restore_sweep(found, info, uri)
        print(f"sweep {info.name!r} is back")
        _tell_tracking(report)
        return
    archive_sweep(found, info, uri)
    back = pasteable(f"`sweeps archive {info.name} --undo`")
    print(f"sweep {info.name!r} is archived; {back} brings it back")


def gc(
    name: SweepsArgument = None,
    keep_top: Annotated[
        int, typer.Option(help="Best trials of each sweep that keep their weights.", min=0)
    ] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is freed.")] = False,
    home: HomeOption = None,
) -> None:
    """Delete the weights of all but the best trials; records stay.

    Damaged files that were put aside go, too.
    """
    from sweeps.home import Home
    from sweeps.manage.lifecycle import collect_garbage
    from sweeps.records import heard

    found = Home.resolve(home)
    total = 0
    for info in found.sweeps() if name is None else [found.get(name)]:
        if name is None and found.is_running(info.id):
            print(f"{info.name}: is running, left alone")
            continue
        free = partial(collect_garbage, found, info, keep_top=keep_top, dry_run=dry_run)
        removed = free() if name is not None else heard(free)
        if removed is None:
            continue  # the reason was printed
        size = sum(bytes_ for _, bytes_ in removed)
        total += size
        print(f"{info.name}: {counted(len(removed), 'file')}, {size / 1e6:.1f} MB")
    print(f"{'would free' if dry_run else 'freed'} {total / 1e6:.1f} MB")


def note(
    name: SweepArgument,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRIAL] [TEXT]", help="An empty text removes the note."),
    ] = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note something about a sweep or a trial, or show the notes.

    Without a text the notes are shown.
    """
    from sweeps.journal.events import Noted
    from sweeps.records.notes import SWEEP, notes_of
    from sweeps.tracking.sync import sync_sweep
    from sweeps.workspace.names import check_text

    found, uri = _opened(home, tracking_uri)
    info = found.get(name)
    store = found.store(info.id)
    given = _note_words(words or [])
    if not given or (len(given) == 1 and given[0].isdecimal()):
        kept = [
            {"trial": None if subject == SWEEP else int(subject), "note": text}
            for subject, text in notes_of(store).items()
            if text and (not given or subject == given[0])
        ]
        if not answered(kept, kept, as_json=as_json, csv=csv, columns=("trial", "note")):
            for one in kept:
                trial = "" if one["trial"] is None else f"trial {one['trial']}: "
                print(printable(f"{trial}{one['note']}"))
        return
    if as_json or csv is not None:
        raise UsageError("--json and --csv show notes: leave the text out; nothing was noted")
    subject = given.pop(0) if len(given) > 1 and given[0].isdecimal() else SWEEP
    trials = {str(record.trial) for record in store.read_all()}
    if subject != SWEEP and subject not in trials:
        raise UsageError(f"sweep {info.name!r} has no trial {subject}")
    text = check_text("note", given[0].strip())
    found.check_writable()
    store.append(Noted(subject, text))
    whom = f"sweep {info.name!r}" if subject == SWEEP else f"trial {subject} of {info.name!r}"
    print(f"noted of {whom}" if text else f"removed the note of {whom}")
    if not found.is_running(info.id):  # else it sends the note when it ends
        _tell_tracking(sync_sweep(found, info, uri))


def _note_words(words: list[str]) -> list[str]:
    """Return the words if they are [TRIAL] [TEXT]; anything else might overwrite another note."""
    if len(words) > 2 or (len(words) == 2 and not words[0].isdecimal()):
        raise UsageError(
            f"note {' '.join(words)!r}: write sweeps note NAME [TRIAL] TEXT, the trial as a whole "
            "number, the text in quotes; nothing was noted"
        )
    return list(words)


def _opened(home: str | None, tracking_uri: str | None) -> tuple[Home, str]:
    from sweeps.home import Home
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.sync import finish_deletions

    found = Home.resolve(home)
    uri = resolve_tracking_uri(found.path, tracking_uri)
    finish_deletions(found, uri)  # of a process that was killed
    return found, uri


def _tell_tracking(report: SyncReport) -> None:
    if report.pending:
        complain(f"MLflow did not take everything ({report.error}); `sweeps sync` sends the rest")
        raise typer.Exit(TRACKING_INCOMPLETE)


def doctor(
    name: SweepsArgument = None,
    fix: Annotated[bool, typer.Option("--fix", help="Repair MLflow from the journal.")] = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare journal, files and MLflow; exit 1 if they differ.

    Of one sweep, or of all. Without --fix it only reads. A sweep that is running is left alone.
    """
    from sweeps.home import Home
    from sweeps.manage.doctor import DOUBT, examine_home, examine_sweep, repair
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.sync import finish_deletions

    found = Home.resolve(home)
    found.check_exists()
    found.check_writable()  # SQLite's write-ahead log needs that even to read
    uri = resolve_tracking_uri(found.path, tracking_uri)
    # Unreadable ones are a problem of the home.
    infos = found.sweeps(lambda line: None) if name is None else [found.get(name)]
    if fix:
        finish_deletions(found, uri)
        repair(found, infos, uri, say=_say)
    findings = {info.name: examine_sweep(found, info, uri) for info in infos}
    documents = [_document(None, examine_home(found, uri)), *starmap(_document, findings.items())]
    unwell = [name for name, those in findings.items() if DOUBT in {kind for kind, _, _ in those}]
    problems = [{"sweep": one["sweep"], **row} for one in documents for row in one["problems"]]
    columns = ("sweep", "part", "what", "repair")
    agrees = not problems
    document = {"agrees": agrees, "diagnoses": documents}
    if not answered(document, problems, as_json=as_json, csv=csv, columns=columns):
        print(_report(documents, unwell))
    raise typer.Exit(OK if agrees else FAILED)


def _document(sweep: str | None, found: list[Finding]) -> dict[str, Any]:
    from sweeps.manage.doctor import PARTS

    problems = [
        {"part": PARTS[kind], "what": what, "repair": kind}
        for kind, what, _ in found
        if kind in PARTS
    ]
    notes = [what for kind, what, _ in found if kind not in PARTS]
    return {"sweep": sweep, "agrees": not problems, "problems": problems, "notes": notes}


def _report(documents: list[dict[str, Any]], unwell: list[str]) -> str:
    lines, repairs = [], []
    for one in documents:
        where = "the home" if one["sweep"] is None else f"sweep {one['sweep']!r}"
        lines += [f"{where} {note}" if "is running" in note else f"{where}: {note}"
                  for note in one["notes"]]  # fmt: skip
        lines += [f"{where}, {p['part']}: {pasteable(p['what'])}" for p in one["problems"]]
        repairs += [problem["repair"] for problem in one["problems"]]
    if not repairs:
        sweeps = counted(len(documents) - 1, "sweep")
        verdict = f"all is well with {sweeps}"
        if unwell:
            verdict = (
                f"journal and MLflow agree in {sweeps}; not well: {', '.join(map(repr, unwell))}"
            )
        return "\n".join([*lines, verdict])
    lines += [f"{counted(len(repairs), 'problem')}. To repair:"]
    return "\n".join([*lines, *(f"  {pasteable(repair)}" for repair in dict.fromkeys(repairs))])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


_ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        "--tracking-uri",
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow store (default: in the home).",
    ),
]


def sync(
    name: SweepsArgument = None,
    home: HomeOption = None,
    tracking_uri: _ToOption = None,
    data: DataOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the runs that MLflow lacks, made from the journals.

    Of one sweep, or of all. Sending again adds nothing. Exit code 3 says that some runs are still
    missing or incomplete, for example because the data for their pictures are gone (--data names
    them). With --to, runs that were made offline are published on a server, as if they had been
    there from the start.
    """
    from sweeps.home import Home
    from sweeps.records import RecordError
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.preflight import check_store
    from sweeps.tracking.sync import sync_sweep

    if data is not None and name is None:
        raise UsageError("--data names the data of one sweep: give its name, sweeps sync NAME")
    found = Home.resolve(home)
    found.check_exists()
    found.check_writable()
    uri = resolve_tracking_uri(found.path, tracking_uri)
    infos = _to_send(found) if name is None else [found.get(name)]
    away = check_store(uri)
    if away is not None:
        _say(f"MLflow at {redacted(uri)} cannot be reached ({away}); trying for a while")
    reports: list[SyncReport] = []
    left_out: dict[str, str] = {}
    for info in infos:
        written = partial(_say_written, info.name)
        try:
            reports.append(sync_sweep(found, info, uri, on_written=written, source=data))
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


def _to_send(home: Home) -> list[SweepInfo]:
    """Return the sweeps that are not archived, in the order in which they are sent.

    Confirmations come first: a confirmed champion is registered from a run of its confirmation.
    """
    from sweeps.records import confirmed_by

    shown = [info for info in home.sweeps() if not home.store(info.id).state().is_archived]
    return sorted(shown, key=lambda info: confirmed_by(info.directory) is None)


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
    are = "is" if len(pending) == parents == 1 else "are"
    return (
        f"{store}: {written} runs sent; {' and '.join(missing)} {are} missing or incomplete "
        f"({error})"
    )


def _say_written(sweep: str, key: str) -> None:
    _say(f"{sweep}: {key}")
