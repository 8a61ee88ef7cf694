"""`sweeps replay`: is a recorded trial what its record says?"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.exit_codes import FAILED, OK
from sweeps.cli.options import HomeOption, JsonOption, SweepArgument, TrackingOption
from sweeps.cli.reporting import DataOption
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.records import Record, SweepInfo
    from sweeps.replaying import Replayed

_RUN_ID = re.compile(r"[0-9a-f]{32}")
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
    from sweeps.experiment_code import load_same
    from sweeps.home import Home
    from sweeps.replaying import replay as train_again

    found = Home.resolve(home)
    info, record = _find(found, name, trial, tracking_uri)
    experiment = load_same(found.store(info.id), info, record)
    try:
        prepared = experiment.prepare(data, int(record.data["info"].get("split_seed", 0)))
    except (ValueError, OSError) as error:
        raise UsageError(f"its data: {error}") from None
    experiment.warm_up()
    replayed = train_again(record, experiment, prepared)
    kept = restore and _restore(found, info, replayed)
    if as_json:
        print(json.dumps(_document(info, replayed, kept), indent=1))
    else:
        _tell(info, replayed, kept)
    raise typer.Exit(OK if replayed.succeeded else FAILED)


def _find(
    home: Home, name: str, trial: int | None, tracking_uri: str | None
) -> tuple[SweepInfo, Record]:
    if trial is None:
        if not _RUN_ID.fullmatch(name):
            raise UsageError(f"replay {name}: which trial? sweeps replay {name} 7, or a run id")
        from sweeps.tracking.address import resolve_tracking_uri
        from sweeps.tracking.finding import attempt_of_run

        sweep_id, key = attempt_of_run(resolve_tracking_uri(home.path, tracking_uri), name)
        info = home.get(sweep_id)
        return info, home.store(info.id).read(key)
    info = home.get(name)
    store = home.store(info.id)
    ended = [r for r in store.read_all() if r.spec.slot == trial and r.ends_slot]
    if not ended:
        raise UsageError(f"sweep {info.name!r} has no trial {trial} with an outcome")
    return info, store.read(ended[-1].spec.key)


def _restore(home: Home, info: SweepInfo, replayed: Replayed) -> bool:
    from sweeps.records.files import write_atomically
    from sweeps.records.format import pack_arrays
    from sweeps.replaying import digest_of

    record, weights = replayed.record, replayed.result.weights
    if weights is None or digest_of(replayed.result) != record.weights_sha256:
        return False
    path = home.store(info.id).folder / f"{record.spec.key}.weights"
    write_atomically(path, pack_arrays(weights), "weights")
    return True


def _tell(info: SweepInfo, replayed: Replayed, kept: bool) -> None:
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
        from sweeps.replaying import TOLERANCE

        print(f"{what}: {len(replayed.differences)} numbers or arrays differ")
        for difference in replayed.differences[:_SHOWN]:
            print(f"  {difference}")
        if replayed.succeeded:
            print(f"all within {TOLERANCE:.0%}, as may be where surroundings differ")
        elif not replayed.surroundings:
            print("versions and processor are the same: it is not reproducible")
        else:
            print(f"{len(replayed.beyond)} of them by more than {TOLERANCE:.0%}")
    if kept:
        print("its weights are kept again")


def _document(info: SweepInfo, replayed: Replayed, kept: bool) -> dict[str, Any]:
    return {
        "sweep": info.name,
        "trial": replayed.record.spec.slot,
        "bit_equal": replayed.is_bit_equal,
        "succeeded": replayed.succeeded,
        "surroundings": list(replayed.surroundings),
        "differences": [str(difference) for difference in replayed.differences],
        "restored": kept,
    }
