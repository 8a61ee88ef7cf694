"""`sweeps examine`, `export`, `replay`: show recorded trials, export them, train them again."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.console import answered
from sweeps.cli.exit_codes import FAILED, OK
from sweeps.cli.options import (
    CsvOption,
    HomeOption,
    JsonOption,
    SweepArgument,
    TrackingOption,
    find_sweep,
)
from sweeps.cli.results import DataOption, write
from sweeps.errors import UsageError
from sweeps.wording import counted, percent

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.records import Record, SweepInfo
    from sweeps.runner.replaying import Replayed


# `sweeps examine`: shows what trials get wrong, from their records; needs no TensorFlow.


SUMMARY, DIAGNOSTICS = "summary.txt", "diagnostics.json"
"""The files that the command prints, of those an experiment makes; see `SupportsExamination`."""


@dataclass(frozen=True)
class _Chosen:
    """A trial to examine, its label, and the folder for its files."""

    record: Record
    label: str
    folder: Path


def examine(
    name: SweepArgument,
    trial: Annotated[
        int | None, typer.Argument(help="Number of the trial (default: the best).", min=0)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Default: NAME-evaluation/TRIAL."),
    ] = None,
    finalists: Annotated[
        bool,
        typer.Option("--finalists", help="The finalists of a confirmed sweep, trained on fold 0."),
    ] = False,
    data: DataOption = None,
    home: HomeOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a trial gets wrong, and write it as files.

    It is shown class by class and sample by sample. Given the name of a confirmation
    (NAME-confirmation), it examines the finalists.
    """
    from sweeps.experiments.loading import recorded_experiment
    from sweeps.experiments.verified_data import Examiner, PreparedAgain

    if finalists and trial is not None:
        raise UsageError(f"--finalists or trial {trial}: give one of them")
    found, info = find_sweep(home, name)
    info, chosen = _choose(found, info, trial, output, finalists=finalists)
    load = partial(recorded_experiment, info, found.records)
    again = PreparedAgain(load, source=data)
    for one in chosen:
        again.experiment_of(found.store(info.id), info, one.record)
    examiner = Examiner(again, info.experiment)
    examined = [(one, examiner.examine(one.record)) for one in chosen]
    for one, files in examined:
        for file, content in files.items():
            write(one.folder / file, content)
    documents = _documents(examined)
    whole = {"sweep": info.name, "trials": documents}
    if not answered(whole, documents, as_json=as_json, csv=csv):
        _tell_mistakes(info, examined)


def _choose(
    home: Home, info: SweepInfo, trial: int | None, output: Path | None, *, finalists: bool
) -> tuple[SweepInfo, list[_Chosen]]:
    """Return the sweep and its trials that are examined: one, or all finalists."""
    from sweeps.records import FINALIST, confirmed_by, is_finalist, need_one_objective, ranked

    folder = output or Path(f"{info.name}-evaluation")
    if finalists or (trial is None and confirmed_by(info.directory)):
        info = _confirmation(home, info)
    store = home.store(info.id)
    records = store.read_all()
    if trial is None and (of_fold_0 := [r for r in records if is_finalist(info, r)]):
        return info, [
            _Chosen(store.read(record.spec.key), label, folder / label)
            for record in of_fold_0
            for label in [re.sub(r"[^\w.-]+", "_", str(record.params[FINALIST]))]
        ]
    if finalists:
        raise UsageError(f"sweep {info.name!r} has no finalist trained on fold 0 yet")
    if trial is None:
        need_one_objective(info)
        found = ranked(records, info.direction)[:1]
        if not found:
            raise UsageError(f"sweep {info.name!r} has no complete trial yet")
    else:
        found = [r for r in records if r.spec.trial == trial and r.ends_trial][-1:]
        if not found:
            raise UsageError(f"sweep {info.name!r} has no trial {trial} with an outcome")
    label = f"trial-{found[0].spec.trial}"
    return info, [_Chosen(store.read(found[0].spec.key), label, output or folder / label)]


def _confirmation(home: Home, info: SweepInfo) -> SweepInfo:
    """Return the confirmation of a sweep, which may be the sweep itself."""
    from sweeps.records import Conclusions, confirmed_by, need_one_objective

    if confirmed_by(info.directory):
        return info
    need_one_objective(info)
    confirmed = Conclusions(home.store(info.id).folder).confirmed()
    if confirmed is None:
        raise UsageError(
            f"sweep {info.name!r} has no finalists; first: `sweeps confirm {info.name}`"
        )
    return home.get(confirmed.confirmation)


def _documents(examined: Sequence[tuple[_Chosen, Mapping[str, bytes]]]) -> list[dict[str, Any]]:
    return [
        {
            "trial": one.record.spec.trial,
            "label": one.label,
            "folder": str(one.folder),
            "files": list(files),
            "diagnostics": json.loads(files.get(DIAGNOSTICS, b"null")),
        }
        for one, files in examined
    ]


def _tell_mistakes(
    info: SweepInfo, examined: Sequence[tuple[_Chosen, Mapping[str, bytes]]]
) -> None:
    """Print the whole summary of one trial; of several, the first paragraph of each."""
    for one, files in examined:
        text = files.get(SUMMARY, b"").decode().rstrip()
        shown = text if len(examined) == 1 else text.partition("\n\n")[0]
        trial = f"trial {one.record.spec.trial} of {info.name}"
        is_own = one.label == f"trial-{one.record.spec.trial}"
        print(trial if is_own else f"{one.label}, {trial}")
        print(f"{shown}\nwritten to {one.folder}: {', '.join(files)}\n")


# `sweeps export`: writes a trained model into a folder.


def export(
    name: SweepArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    trial: Annotated[
        int | None,
        typer.Option(help="Number of the trial (default: the champion, or else the best).", min=0),
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
) -> None:
    """Write a model, with a README that loads it and predicts.

    Its configuration lies beside it. The model is written only if it answers as the trained one
    did, as far as that can be checked; a Keras model must do so in a process without this framework
    and without your code.
    """
    from sweeps.api import Sweep
    from sweeps.manage.exporting import export_trial

    sweep = Sweep(*find_sweep(home, name))
    chosen = sweep.champion() if trial is None else sweep.trial(trial)
    is_champion = chosen.sweep.info.id != sweep.info.id  # a confirmation trained it
    if sys.stderr.isatty():
        print("rebuilding and checking the model ...", file=sys.stderr)
    written = export_trial(chosen, folder, data, sweep if is_champion else None)
    whose = f"the champion of sweep {sweep.name!r}, " if is_champion else ""
    print(f"{whose}trial {chosen.number} of sweep {chosen.sweep.name!r}:")
    for path in written:
        print(f"  {path}")
    if is_champion:
        print("its README says what was found of it, and on which data it was trained")


_SHOWN = 5


def replay(
    name: SweepArgument,
    trial: Annotated[
        int | None, typer.Argument(help="Number of the trial; not with a run id of MLflow.", min=0)
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Keep its weights again, if they are the same.")
    ] = False,
    data: DataOption = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a trial again from its record; exit 1 if it differs.

    Every epoch is compared. With equal versions and processor it must be the same to the bit; else
    within a tolerance.
    """
    from sweeps.api import find_trained
    from sweeps.home import Home
    from sweeps.runner.replaying import replay_recorded

    found = Home.resolve(home)
    info, record = find_trained(found, name, trial, tracking_uri)
    replayed = replay_recorded(found.store(info.id), info, record, data, restore=restore)
    document = _document(info, replayed)
    table, columns = document["differences"], ("what", "recorded", "now")
    if not answered(document, table, as_json=as_json, csv=csv, columns=columns):
        _tell_replayed(info, replayed)
    raise typer.Exit(OK if replayed.succeeded else FAILED)


def _tell_replayed(info: SweepInfo, replayed: Replayed) -> None:
    record = replayed.record
    epochs = max(map(len, replayed.result.history.values()), default=0)
    what = f"trial {record.spec.trial} of {info.name}: {counted(epochs, 'epoch')}"
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
        for difference in replayed.differences[:_SHOWN]:
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


def _document(info: SweepInfo, replayed: Replayed) -> dict[str, Any]:
    return {
        "sweep": info.name,
        "trial": replayed.record.spec.trial,
        "bit_equal": replayed.is_bit_equal,
        "succeeded": replayed.succeeded,
        "surroundings": list(replayed.surroundings),
        "differences": [asdict(difference) for difference in replayed.differences],
        "restored": replayed.is_restored,
    }
