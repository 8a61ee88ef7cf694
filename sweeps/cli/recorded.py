"""`sweeps export` and `replay`: take recorded trials away, or train them again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.console import answered
from sweeps.cli.exit_codes import FAILED, OK
from sweeps.cli.options import (
    CsvOption,
    DataOption,
    HomeOption,
    JsonOption,
    SweepArgument,
    TrackingOption,
    find_sweep,
)
from sweeps.wording import counted, percent

if TYPE_CHECKING:
    from sweeps.records import SweepInfo
    from sweeps.runner.replaying import Replayed


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
    own = chosen.sweep
    champion_of = sweep.info if is_champion else None
    written = export_trial(own.home, own.info, chosen.record, folder, data, champion_of=champion_of)
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
