"""Makes study, MLflow and side files agree with the records; damaged files are kept aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from sweeps.home import Home
from sweeps.manage.doctor import side_files
from sweeps.manage.doctor.evidence import Problem, Repair
from sweeps.manage.doctor.examining import Diagnosis, examine_home, examine_sweep
from sweeps.manage.doctor.leftovers import half_made
from sweeps.records import SweepInfo, recover
from sweeps.runner.ownership import Hold, hold
from sweeps.study.copies import rebuild_study
from sweeps.tracking.sync import hold_to_send, send

Say = Callable[[str], None]
_ROUNDS = 3
"""The most rounds of repairs. One repair may reveal the need of another: if a torn record is put
aside, its run has no record any more."""

_BEYOND = {Repair.AS_SAID, Repair.BY_HAND}
"""The repairs that only the user can make."""


def repair_home(home: Home, infos: Sequence[SweepInfo], tracking_uri: str, say: Say) -> None:
    """Put damaged databases and half-made files aside; the sweeps' repairs write them anew.

    Raises:
        UsageError: A sweep is running, and may be using them.
    """
    problems = examine_home(home, tracking_uri).problems
    if not problems:
        return
    with ExitStack() as locks:
        for info in infos:
            locks.enter_context(hold(home, info))
        for problem in problems:
            if problem.repair == Repair.DATABASE:
                _put_aside(Path(problem.key), say)
        with home.exclusive():
            home.remove_unborn()
            side_files.mend(problems, say)
        for path in half_made(home.path):
            path.unlink(missing_ok=True)
            say(f"removed {path}")


def repair_sweep(home: Home, info: SweepInfo, tracking_uri: str, say: Say) -> Diagnosis:
    """Repair all problems that can be repaired from the records.

    Returns:
        The problems that are left.

    Raises:
        UsageError: The sweep is running.
    """
    for _ in range(_ROUNDS):
        diagnosis = examine_sweep(home, info, tracking_uri)
        beyond = {problem.repair for problem in diagnosis.problems} <= _BEYOND
        if diagnosis.agrees or beyond or home.is_running(info.id):
            return diagnosis
        with hold_to_send(home, info, tracking_uri) as held:
            _repair(home, info, tracking_uri, held, diagnosis.problems, say)
    return examine_sweep(home, info, tracking_uri)


def _repair(
    home: Home,
    info: SweepInfo,
    tracking_uri: str,
    held: Hold,
    problems: Sequence[Problem],
    say: Say,
) -> None:
    wanted = {problem.repair for problem in problems}
    lost = side_files.mend(problems, say)
    records = recover(home.store(info.id), say)
    if lost:
        side_files.write_anew(home, info, records, lost, say)
    for problem in problems:
        if problem.repair == Repair.WEIGHTS:
            weights = Path(problem.key)
            weights.replace(weights.with_name(f"{weights.name}.torn"))
            say(f"{weights} is kept as {weights.name}.torn")
        elif problem.repair == Repair.CLEAN and problem.key:
            Path(problem.key).unlink(missing_ok=True)
            say(f"removed {problem.key}")
    if Repair.STUDY in wanted:
        say(f"{info.name}: writing its study anew from {len(records)} records")
        rebuild_study(home.studies, info, records)
    wrong = {problem.key for problem in problems if problem.repair == Repair.REPLACE}
    if wanted & {Repair.SEND, Repair.REPLACE, Repair.DISCARD}:
        again = {problem.key for problem in problems if problem.repair == Repair.SEND}
        send(
            home,
            info,
            tracking_uri,
            held,
            lambda change, key: say(f"{info.name}: {change} {key}"),
            again=again | wrong,
            replaced=wrong,
        )


def _put_aside(database: Path, say: Say) -> None:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for path in sorted(database.parent.glob(f"{database.name}*")):
        suffix = path.name.removeprefix(database.name)
        if suffix in {"", "-wal", "-shm", "-journal"}:
            aside = path.with_name(f"{database.name}.damaged-{moment}{suffix}")
            path.replace(aside)
            say(f"{path} is kept as {aside}")
