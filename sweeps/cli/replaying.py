"""`sweeps replay`: is a recorded trial what its record says?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.exit_codes import FAILED, OK
from sweeps.cli.options import HomeOption, JsonOption, SweepArgument, TrackingOption
from sweeps.cli.reporting import DataOption

if TYPE_CHECKING:
    from sweeps.records import SweepInfo
    from sweeps.runner.replaying import Replayed

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
    as_json: JsonOption = False,
) -> None:
    """Train a trial again from its record alone, and compare every epoch; exit 1 if it differs.

    With equal versions and processor it must be the same to the bit; else within a tolerance.
    """
    from sweeps.api import find_trained
    from sweeps.home import Home
    from sweeps.runner.replaying import replay_recorded

    found = Home.resolve(home)
    info, record = find_trained(found, name, trial, tracking_uri)
    replayed = replay_recorded(found.store(info.id), info, record, data, restore=restore)
    if as_json:
        print(json.dumps(_document(info, replayed), indent=1))
    else:
        _tell(info, replayed)
    raise typer.Exit(OK if replayed.succeeded else FAILED)


def _tell(info: SweepInfo, replayed: Replayed) -> None:
    record = replayed.record
    epochs = max(map(len, replayed.result.history.values()), default=0)
    what = f"trial {record.spec.slot} of {info.name}: {epochs} epochs"
    for line in replayed.surroundings:
        print(f"not as it was: {line}")
    if replayed.is_bit_equal:
        kept_of_it = [*record.result.arrays] if record.result else []
        kept_of_it += ["weights"] if record.weights_sha256 is not None else []
        compared = ", ".join(["every metric", *kept_of_it])
        print(f"{what}, {compared}: the same to the bit")
    else:
        from sweeps.runner.replaying import TOLERANCE

        print(f"{what}: {len(replayed.differences)} numbers or arrays differ")
        for difference in replayed.differences[:_SHOWN]:
            print(f"  {difference}")
        if replayed.succeeded:
            print(f"all within {TOLERANCE:.0%}, as may be where surroundings differ")
        elif not replayed.surroundings:
            print("versions and processor are the same: it is not reproducible")
        else:
            print(f"{len(replayed.beyond)} of them by more than {TOLERANCE:.0%}")
    if replayed.is_restored:
        print("its weights are kept again")


def _document(info: SweepInfo, replayed: Replayed) -> dict[str, Any]:
    return {
        "sweep": info.name,
        "trial": replayed.record.spec.slot,
        "bit_equal": replayed.is_bit_equal,
        "succeeded": replayed.succeeded,
        "surroundings": list(replayed.surroundings),
        "differences": [str(difference) for difference in replayed.differences],
        "restored": replayed.is_restored,
    }
