"""`sweeps list`, `best`, `trials`, `compare`, `report`, `export`, `replay`: what was recorded.

The first five, and `sweeps` alone, only read and need no TensorFlow.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from search_spaces.errors import listing
from sweeps.cli.console import FAILED, OK, Terminal, answered, complain
from sweeps.cli.options import (
    CsvOption,
    DataOption,
    HomeOption,
    JsonOption,
    SweepArgument,
    TrackingOption,
    command_to_go_on,
    find_sweep,
    place_options,
)
from sweeps.errors import UsageError
from sweeps.wording import counted, in_a_row, percent
from sweeps.workspace.names import trial_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sweeps.analysis.rows import TrialRow
    from sweeps.analysis.summary import ListingRow
    from sweeps.home import Home
    from sweeps.records import Record, RecordStore, SweepInfo
    from sweeps.runner.replaying import Replayed


MOST_SHOWN: Final = 100
"""Trials that a table in the terminal has at most."""
WIDE_CHARACTERS: Final = 100
_DIFFERENCES_SHOWN: Final = 5


def report(
    name: SweepArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.html.")
    ] = None,
    methods: Annotated[
        bool,
        typer.Option(
            "--methods",
            help="Instead, print a paragraph for a paper: how it was searched and confirmed. "
            "--output FILE.tex writes it as LaTeX, other files as text.",
        ),
    ] = False,
    data: DataOption = None,
    home: HomeOption = None,
) -> None:
    """Write a sweep as one HTML page.

    It works offline, and says who won, how sure that is, and what to do next.
    """
    from sweeps.analysis.data import read_sweep
    from sweeps.render.sections import render_report

    found, info = find_sweep(home, name)
    if methods:
        _write_methods(found, info, output)
        return
    read = read_sweep(info, found.store(info.id), data)
    if not read.records:
        raise UsageError(f"sweep {read.info.name!r} has no trial yet: nothing to report")
    path = output or Path(f"{read.info.name}.html")
    write(path, render_report(read).encode("utf-8", "replace"))
    print(path)


def _write_methods(home: Home, info: SweepInfo, output: Path | None) -> None:
    from sweeps.records import Conclusions
    from sweeps.render.answer import in_lines
    from sweeps.render.methods import latex, methods

    text = methods(info, Conclusions(home.store(info.id)).all())
    if output is not None and output.suffix == ".tex":
        text = latex(text)
    lines = "\n".join(in_lines([text], indent=""))
    if output is None:
        print(lines)
    else:
        write(output, f"{lines}\n".encode("utf-8", "replace"))
        print(output)


def write(path: Path, content: bytes) -> None:
    """Write a file, making its folder.

    Raises:
        UsageError: It cannot be written; a former one is left as it was.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):  # such as /dev/stdout
            path.write_bytes(content)
            return
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


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
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put sweeps or trials side by side.

    A sweep is compared by its best trial: what differs, by how much, and how surely.
    """
    from sweeps.home import Home
    from sweeps.render.comparing import compare as put_side_by_side
    from sweeps.render.summaries import render_sections

    found = Home.resolve(home)
    asked = [(found.get(name), number) for name, number in map(trial_of, names)]
    trials = [(info, found.store(info.id), number) for info, number in asked]
    compared = put_side_by_side(trials, data, complain)
    documents = compared.to_dicts() if as_json or csv is not None else []
    if not answered(documents, documents, as_json=as_json, csv=csv) and output is None:
        _print(render_sections(compared.sections()))
    if output is not None:
        write(output, compared.page().encode("utf-8", "replace"))
        if not as_json and csv is None:
            print(output)


def list_sweeps(
    show_all: Annotated[bool, typer.Option("--all", "-a", help="Archived ones, too.")] = False,
    home: HomeOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sweeps of a home, the newest first.

    What a confirmation trains (NAME-confirmation, NAME-control) is named below its
    sweep; in JSON and CSV it has rows of its own, with the sweep as `companion_of`.
    """
    from sweeps.analysis.summary import ListingRow
    from sweeps.home import Home

    found = Home.resolve(home)
    rows = listed(found, [i for i in found.sweeps() if show_all or not _is_archived(found, i)])
    documents = [row.to_dict() for row in rows]
    columns = [field.name for field in fields(ListingRow)]
    if answered(documents, documents, as_json=as_json, csv=csv, columns=columns):
        return
    if rows:
        _print_listing(rows)
    else:
        print(_how_to_begin(found))


def show_home(home: HomeOption = None) -> None:
    """Show what is in the home, and what to do next: `sweeps` without a command."""
    from sweeps.home import Home
    from sweeps.render.summaries import render_commands

    found = Home.resolve(home)
    rows = listed(found, [info for info in found.sweeps() if not _is_archived(found, info)])
    if not rows:
        print(_how_to_begin(found))
        return
    own = [row for row in rows if row.companion_of is None]
    print(f"{found.path}, the newest of {len(own)} sweeps first:\n" if len(own) > 1 else found.path)
    _print_listing(rows)
    place = f" {place_options()}".rstrip()
    commands = {
        f"{command}{place}": hint
        for command, hint in _next_commands(own, found.get(own[0].name)).items()
    }
    if own[0].state in {"UNFINISHED", "EMPTY"}:
        name, left = own[0].name, f"{own[0].done} of {own[0].asked or '?'} trials are done"
        again = command_to_go_on(found, own[0].id)
        hint = "go on" if again else f"repeat the command that began {name}"
        commands = {again or "sweeps run ...": f"{left}: {hint}", **commands}
    Terminal().print("\nNext:", render_commands(commands), sep="\n", soft_wrap=True)
    print("\nAll commands: sweeps --help")


def _is_archived(home: Home, info: SweepInfo) -> bool:
    return home.store(info.id).state().is_archived


def listed(home: Home, infos: Sequence[SweepInfo]) -> list[ListingRow]:
    """Return sweeps of a home as rows of a list."""
    from sweeps.analysis.summary import champion_of, listing_rows
    from sweeps.records import Conclusions, heard

    stores = {info.id: home.store(info.id) for info in infos}
    return listing_rows(
        [(i, records) for i in infos if (records := heard(stores[i.id].read_all)) is not None],
        asked={i: n for i, store in stores.items() if (n := store.state().requested) is not None},
        running={i for i in stores if home.is_running(i)},
        archived={i for i, store in stores.items() if store.state().is_archived},
        champions={
            i: champion_of(heard(Conclusions(store).confirmed)) for i, store in stores.items()
        },
    )


def _print_listing(rows: Sequence[ListingRow]) -> None:
    from sweeps.render.summaries import render_listing

    console = Terminal()
    console.print(render_listing(rows, is_wide=console.width >= WIDE_CHARACTERS))


def _how_to_begin(home: Home) -> str:
    from sweeps.render.verdict import with_hints

    commands = {
        f"sweeps run smoke {place_options()}".strip(): "a first look, in less than a minute",
        f"sweeps run mlp {place_options()}".strip(): "a whole search, and its confirmation",
        "sweeps init FOLDER": "an experiment of your own: Keras or any program",
    }
    lines = ["".join(parts) for parts in with_hints(commands)]
    return "\n".join([f"no sweeps in {home.path} yet; begin with one of:", *lines])


def _next_commands(rows: Sequence[ListingRow], newest: SweepInfo) -> dict[str, str]:
    """Return the commands that make sense now, with a word on each: about the newest sweeps."""
    from sweeps.records.sweep import has_folds

    found: dict[str, str] = {}
    for row in rows:
        if row.state == "RUNNING":
            found[f"sweeps status {shlex.quote(row.name)}"] = "follow it"
    row = rows[0]
    name = shlex.quote(row.name)
    if row.failed and row.failed == row.done:
        found[f"sweeps trials {name}"] = "every trial failed: see why"
        found[f"sweeps retry {name}"] = "run them again, once the cause is mended"
    elif row.champion is not None:
        found[f"sweeps report {name}"] = "who won, how surely, as one HTML page"
        found[f"sweeps export {name} model"] = f"take the champion away ({row.champion.finalist})"
    elif row.done > row.failed and row.state != "RUNNING":
        found[f"sweeps ui {name}"] = "its runs and charts in MLflow"
        is_ended = row.front is None and row.state == "FINISHED"
        if is_ended and has_folds(newest.experiment, newest.data):
            found[f"sweeps confirm {name}"] = "is its best really better, on fresh folds?"
        else:
            found[f"sweeps report {name}"] = "all of it, as one HTML page"
    return found


def best(
    name: SweepArgument,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Is an ensemble of its trials better than the best?")
    ] = False,
    data: DataOption = None,
    home: HomeOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the champion, or the best trial so far.

    With several objectives it is the Pareto front. Which trial was the best observed, and whether
    it is confirmed, is said as well.

    With --ensemble, members and weights come from what the trials kept of the validation samples.
    Selected on a part of these, an ensemble is scored on the other, and so is the best trial.
    Nothing is trained, and no test set is read. `sweeps export NAME DIR --ensemble` writes it.
    """
    if ensemble:
        from sweeps.cli.confirming import show_ensemble

        show_ensemble(name, home, data, csv=csv, as_json=as_json)
        return
    if data is not None:
        raise UsageError("--data: only --ensemble reads data; give that too, or leave it out")
    from sweeps.analysis.data import SweepData
    from sweeps.analysis.table import trial_documents
    from sweeps.records.conclusions import document_of
    from sweeps.render.summaries import render_best

    found, info = find_sweep(home, name)
    store = found.store(info.id)
    found_in = SweepData.read(info, store, records=store.read_all())
    summary, told = found_in.summary, found_in.conclusions
    if not as_json and csv is None:
        own = summary.champion.trial if summary.champion else None
        chosen = next((row for row in found_in.rows if row.trial == own), None)
        _print(render_best(summary, told, chosen, home_option=place_options()))
        return
    document = {**summary.to_dict(), "confirmed": [document_of(one) for one in told]}
    rows = trial_documents(summary.front_and_baselines, info.objectives, info.space)
    answered(document, rows, as_json=as_json, csv=csv)


def trials(
    name: SweepArgument,
    trial: Annotated[
        int | None, typer.Argument(help="Show this one, with all that is known of it.", min=0)
    ] = None,
    csv: CsvOption = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write Parquet.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every trial of a sweep, one row per trial; or a single one."""
    from sweeps.analysis.rows import front_rows, trial_rows
    from sweeps.analysis.summary import champion_of
    from sweeps.analysis.table import trial_documents
    from sweeps.records import Conclusions, heard
    from sweeps.render.sections.trials import imported_results
    from sweeps.render.summaries import TrialsView, render_sections

    found, info = find_sweep(home, name)
    store = found.store(info.id)
    records = store.read_all()
    every = trial_rows(records)
    rows = [row for row in every if trial in {None, row.trial}]
    if trial is not None and not rows:
        raise UsageError(f"sweep {info.name!r} has no trial {trial}")
    if parquet is not None:
        _write_parquet(rows, info, parquet)
    documents, table = [row.to_dict() for row in rows] if as_json else [], []
    if as_json and info.has_front:
        front = {row.trial for row in front_rows(every, info.objectives)}
        documents = [{**one, "on_front": one["trial"] in front} for one in documents]
    if csv is not None:
        table = trial_documents(rows, info.objectives, info.space)
    if answered(documents, table, as_json=as_json, csv=csv) or parquet is not None:
        return
    if trial is not None:
        _print_trial(rows[0], records, store)
        return
    newest = rows[-MOST_SHOWN:]
    champion = champion_of(heard(Conclusions(store).confirmed))
    _print(
        TrialsView(
            newest,
            info.objectives,
            info.space,
            champion,
            says_constants=True,
            declared=store.state().shown,
        )
    )
    _print(render_sections(imported_results(store, info.objectives, MOST_SHOWN)))
    if left := len(rows) - len(newest):
        all_of_them = f"sweeps trials {shlex.quote(info.name)} --csv FILE {place_options()}"
        print(f"{left} earlier trials are not shown; all of them: {all_of_them.strip()}")


def _write_parquet(rows: Sequence[TrialRow], info: SweepInfo, path: Path) -> None:
    from sweeps.analysis.table import to_frame

    try:
        to_frame(rows, objectives=info.objectives, space=info.space).to_parquet(path)
    except ImportError:
        raise UsageError("--parquet needs pyarrow: pip install pyarrow") from None
    except OSError as error:
        raise UsageError(f"--parquet {path}: cannot be written ({error.strerror})") from None
    print(f"{counted(len(rows), 'trial')} written to {path}")


def _print_trial(row: TrialRow, records: Sequence[Record], store: RecordStore) -> None:
    from sweeps.experiments.script_results import score_of
    from sweeps.render.summaries import render_trial

    attempts = [r for r in records if r.trial == row.trial and r.files_sha256]
    if not attempts:
        _print(render_trial(row))
        return
    key = attempts[-1].key
    result = store.read(key).result
    score = score_of(result.info) if result and row.state == "COMPLETE" else None
    where = store.files_path(key)
    _print(render_trial(row, store.files(attempts[-1]), where, score=str(score or "")))


def _print(shown: RenderableType) -> None:
    Terminal().print(shown, crop=False)


def export(
    name: SweepArgument,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="New or empty folder; not with --study.", show_default=False
        ),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(help="Number of the trial (default: the champion, or else the best).", min=0),
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Several trials as one, see `sweeps best`."),
    ] = False,
    data: DataOption = None,
    study: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Instead, write all trials as an Optuna study: SQLite."),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write a model, with a README that loads it and predicts.

    Its configuration lies beside it. The model is written only if it answers as the trained one
    did, as far as that can be checked; a Keras model must do so in a process without this framework
    and without your code.

    With --study, the new file is for `optuna-dashboard` and notebooks. A trial without an outcome
    is left out, and the sweep reads nothing from the file.
    """
    from sweeps.api import Sweep, export_chosen, export_ensemble, export_trials

    sweep = Sweep(*find_sweep(home, name))
    if sys.stderr.isatty():
        doing = "rebuilding and checking the model" if study is None else "writing the trials"
        print(f"{doing} ...", file=sys.stderr)
    if study is not None:
        count, left_out = export_trials(sweep, study, folder, trial, data, ensemble or None)
        print(f"{counted(count, 'trial')} of sweep {sweep.name!r} in {study}")
        if left_out:
            print(
                f"left out, without an outcome: {listing(left_out)}; Optuna numbers the later ones "
                "anew, and the attribute `trial` has their numbers in the sweep"
            )
        print(f"to look at them: optuna-dashboard {shlex.quote(f'sqlite:///{study}')}")
        return
    if ensemble:
        found, written = export_ensemble(sweep, trial, folder, source=data)
        members = in_a_row([str(one.trial) for one in found.members])
        print(f"an ensemble of sweep {sweep.name!r}, trials {members}:")
        for path in written:
            print(f"  {path}")
        return
    chosen, written = export_chosen(sweep, trial, folder, source=data)
    is_champion = chosen.sweep.info.id != sweep.info.id  # a confirmation trained it
    whose = f"the champion of sweep {sweep.name!r}, " if is_champion else ""
    print(f"{whose}trial {chosen.number} of sweep {chosen.sweep.name!r}:")
    for path in written:
        print(f"  {path}")
    if is_champion:
        print("its README says what was found of it, and on which data it was trained")


def replay(
    name: SweepArgument,
    trial: Annotated[
        int | None, typer.Argument(help="Number of the trial; not with a run id of MLflow.", min=0)
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Keep its weights again, if they are the same.")
    ] = False,
    engine: Annotated[
        str | None, typer.Option(help="Train it by this engine, and show how far both are apart.")
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a trial again from its record; exit 1 if it differs.

    Every epoch is compared. With equal versions and processor it must be the same to the bit; else
    within a tolerance. Another engine (`--engine keras`) begins with the same weights and takes the
    samples in the same order; how far it is apart is shown, and no error. Refused if the experiment
    has no such engine, or with --restore.
    """
    from sweeps.api import find_trained
    from sweeps.home import Home
    from sweeps.runner.replaying import replay_by, replay_recorded

    if engine is not None and restore:
        raise UsageError("--restore: weights of another engine are not kept; leave out --engine")
    found = Home.resolve(home)
    info, record = find_trained(found, name, trial, tracking_uri)
    if engine is not None:
        other = replay_by(engine, found.store(info.id), info, record, source=data)
        table = [{"number": name, "apart": one.size, "where": one.what, "recorded": one.recorded,
                  "now": one.now} for name, one in other.largest().items()]  # fmt: skip
        told = {"sweep": info.name, "trial": record.trial, "engine": engine,
                "note": other.result.engine_reason, "differences": table}  # fmt: skip
        if not answered(told, table, as_json=as_json, csv=csv):
            _tell_apart(info, other, engine)
        return
    replayed = replay_recorded(found.store(info.id), info, record, source=data, restore=restore)
    table = [asdict(difference) for difference in replayed.differences]
    columns = ("what", "recorded", "now")
    document = {
        "sweep": info.name,
        "trial": record.trial,
        "bit_equal": replayed.is_bit_equal,
        "succeeded": replayed.succeeded,
        "surroundings": list(replayed.surroundings),
        "differences": table,
        "restored": replayed.is_restored,
    }
    if not answered(document, table, as_json=as_json, csv=csv, columns=columns):
        _tell_replayed(info, replayed)
    raise typer.Exit(OK if replayed.succeeded else FAILED)


def _tell_apart(info: SweepInfo, replayed: Replayed, engine: str) -> None:
    record = replayed.record
    epochs = max(map(len, replayed.result.history.values()), default=0)
    by = record.trained.engine if record.trained else ""
    print(
        f"trial {record.trial} of {info.name}: {record.epochs} epochs by {by}, {epochs} by {engine}"
    )
    for name, one in replayed.largest().items():
        place = one.what.removeprefix(name).removeprefix(", ")
        print(f"  {name}: apart by {one.size:.3g}{f', at most, in {place}' if place else ''}")
    if not replayed.largest():
        print("  every number is the same")
    if replayed.result.engine_reason:
        print(replayed.result.engine_reason)


def _tell_replayed(info: SweepInfo, replayed: Replayed) -> None:
    record = replayed.record
    epochs = max(map(len, replayed.result.history.values()), default=0)
    what = f"trial {record.trial} of {info.name}: {counted(epochs, 'epoch')}"
    for line in replayed.surroundings:
        print(f"not as it was: {line}")
    if replayed.is_bit_equal:
        kept_of_it = [*record.result.arrays] if record.result else []
        kept_of_it += ["weights"] if record.weights_sha256 is not None else []
        compared = ", ".join(["every metric", *kept_of_it])
        print(f"{what}, {compared}: the same to the bit")
    else:
        from sweeps.runner.replaying import TOLERANCE

        print(f"{what}: {len(replayed.differences)} of its numbers or arrays differ")
        for difference in replayed.differences[:_DIFFERENCES_SHOWN]:
            print(f"  {difference}")
        if replayed.succeeded:
            within = percent(TOLERANCE, 0)
            print(f"all within {within}, as can be with other versions or processors")
        elif not replayed.surroundings and replayed.unrecorded:
            print(
                "versions and processor are the same: it is not reproducible, or the code of "
                f"{replayed.unrecorded}, which was not recorded with it, was edited since"
            )
        elif not replayed.surroundings:
            print("versions and processor are the same: it is not reproducible")
        else:
            print(f"{len(replayed.beyond)} of them by more than {percent(TOLERANCE, 0)}")
    if replayed.is_restored:
        print("its weights are kept again")
