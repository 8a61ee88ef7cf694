"""`sweeps examine`: what trials get wrong; reads what was recorded, needs no TensorFlow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.options import HomeOption, JsonOption, SweepArgument
from sweeps.cli.reporting import DataOption, write
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.records import Record, SweepInfo

SUMMARY, DIAGNOSTICS = "summary.txt", "diagnostics.json"
"""What the command shows of the files an experiment gives, see `Examines`."""


@dataclass(frozen=True)
class _Chosen:
    """A trial that is to be examined, what it is called, and the folder for its files."""

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
        typer.Option("--finalists", help="Those of a finalised sweep, as trained on block 0."),
    ] = False,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a trial gets wrong, class by class and image by image, and write it as files.

    By the name of a confirmation (NAME-final), its finalists are examined.
    """
    from sweeps.experiments.examining import Examiner
    from sweeps.experiments.loading import recorded_experiment
    from sweeps.experiments.verified_data import PreparedAgain
    from sweeps.home import Home

    if finalists and trial is not None:
        raise UsageError(f"--finalists or trial {trial}: give one of them")
    found = Home.resolve(home)
    info = found.get(name)
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
    if as_json:
        print(json.dumps({"sweep": info.name, "trials": _documents(examined)}, indent=1))
    else:
        _tell(info, examined)


def _choose(
    home: Home, info: SweepInfo, trial: int | None, output: Path | None, *, finalists: bool
) -> tuple[SweepInfo, list[_Chosen]]:
    """Return which trials of which sweep are examined: one, or all finalists."""
    from sweeps.records import FINALIST, confirmed_by, is_finalist, need_one_objective, ranked

    folder = output or Path(f"{info.name}-evaluation")
    if finalists or (trial is None and confirmed_by(info.directory)):
        info = _confirmation(home, info)
    store = home.store(info.id)
    records = store.read_all()
    if trial is None and (of_block_0 := [r for r in records if is_finalist(info, r)]):
        return info, [
            _Chosen(store.read(record.spec.key), label, folder / label)
            for record in of_block_0
            for label in [re.sub(r"[^\w.-]+", "_", str(record.params[FINALIST]))]
        ]
    if finalists:
        raise UsageError(f"sweep {info.name!r} has no finalist trained on block 0 yet")
    if trial is None:
        need_one_objective(info)
        found = ranked(records, info.direction)[:1]
        if not found:
            raise UsageError(f"sweep {info.name!r} has no complete trial yet")
    else:
        found = [r for r in records if r.spec.slot == trial and r.ends_slot][-1:]
        if not found:
            raise UsageError(f"sweep {info.name!r} has no trial {trial} with an outcome")
    label = f"trial-{found[0].spec.slot}"
    return info, [_Chosen(store.read(found[0].spec.key), label, output or folder / label)]


def _confirmation(home: Home, info: SweepInfo) -> SweepInfo:
    """Return the sweep with the trainings of the finalists of another one; or of itself."""
    from sweeps.records import Conclusions, confirmed_by, need_one_objective

    if confirmed_by(info.directory):
        return info
    need_one_objective(info)
    finalized = Conclusions(home.store(info.id).folder).finalized()
    if finalized is None:
        raise UsageError(
            f"sweep {info.name!r} has no finalists; first: sweeps finalize {info.name}"
        )
    return home.get(finalized.confirmation)


def _documents(examined: Sequence[tuple[_Chosen, Mapping[str, bytes]]]) -> list[dict[str, Any]]:
    return [
        {
            "trial": one.record.spec.slot,
            "label": one.label,
            "folder": str(one.folder),
            "files": list(files),
            "diagnostics": json.loads(files.get(DIAGNOSTICS, b"null")),
        }
        for one, files in examined
    ]


def _tell(info: SweepInfo, examined: Sequence[tuple[_Chosen, Mapping[str, bytes]]]) -> None:
    """Print the whole summary of one trial; of several, the first paragraph of each."""
    for one, files in examined:
        text = files.get(SUMMARY, b"").decode().rstrip()
        shown = text if len(examined) == 1 else text.partition("\n\n")[0]
        trial = f"trial {one.record.spec.slot} of {info.name}"
        is_own = one.label == f"trial-{one.record.spec.slot}"
        print(trial if is_own else f"{one.label}, {trial}")
        print(f"{shown}\nwritten to {one.folder}: {', '.join(files)}\n")
