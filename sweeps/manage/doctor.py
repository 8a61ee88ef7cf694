"""`sweeps doctor`: checks that journal, files and MLflow agree, and that nothing is left behind.

Each check says every disagreement in one plain line. With `--fix`, runs that differ are projected
anew; one with other parameters or metrics, which no run can change, is deleted first (MLflow keeps
it in its bin). Damaged files are put aside. A damaged event stays where it is, and is a note.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from search_spaces.errors import listing
from sweeps.errors import StoreError
from sweeps.experiments.code import edited_files
from sweeps.home import Home
from sweeps.records import Conclusions, RecordError, RecordStore, SweepInfo, listed
from sweeps.records.evaluations import Evaluations
from sweeps.records.schema import DamagedFileError, DamagedRecordWarning, Report, put_aside
from sweeps.records.store import DELETED, TEXTS, TRIALS, strays
from sweeps.runner.ownership import hold
from sweeps.tracking import champion, content, parent
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.pictures import PICTURES, pictured, plan_pictures
from sweeps.tracking.preflight import check_store
from sweeps.tracking.reading import StoredChampion, StoredRun, read_champion, read_runs
from sweeps.tracking.runs import UNDRAWN
from sweeps.tracking.store import one_line
from sweeps.tracking.sync import hold_to_send, send
from sweeps.tracking.view import ON_FRONT, front_keys
from sweeps.wording import counted
from sweeps.workspace.databases import check
from sweeps.workspace.files import remove
from sweeps.workspace.locks import holder_in

SEND: Final = "`sweeps doctor --fix` sends it (`sweeps sync` sends only runs that are missing)"
REPLACE: Final = "`sweeps doctor --fix` deletes the run and sends it anew from the journal"
WAIT: Final = "try again when the store answers"
ASIDE: Final = "`sweeps doctor --fix` puts the file aside; all results stay in the journal"
CLEAN: Final = "`sweeps doctor --fix` or the next `sweeps run` clears it away"
AS_SAID: Final = "do what the line about the file says"
PARTS: Final = {SEND: "mlflow", REPLACE: "mlflow", WAIT: "mlflow", ASIDE: "files", CLEAN: "files",
                AS_SAID: "records"}  # fmt: skip
"""The repairs of problems, with the part in which each is found."""
NOTE: Final = "worth knowing, and no problem"
DOUBT: Final = "no problem, and speaks against the results"

Finding = tuple[str, str, str]
"""A repair, `NOTE` or `DOUBT`; a line for people; the attempt or file to be repaired, if any."""


def examine_home(home: Home, tracking_uri: str) -> list[Finding]:
    """Examine the database that all sweeps of a home share, and the files beside them."""
    found: list[Finding] = []
    home.sweeps(lambda error: found.append((AS_SAID, str(error), "")))
    cut_off = [*home.sweeps_folder.glob(".import-*"), *home.sweeps_folder.glob(f"{DELETED}*")]
    found += _left_over(home.path, others=cut_off)
    for folder in filter(Path.is_dir, listed(home.path / "test")):
        for error in Evaluations(folder).damage():
            key = str(error.path) if isinstance(error, DamagedFileError) else ""
            found.append((ASIDE if key else AS_SAID, str(error), key))
    if (database := sqlite_path(tracking_uri)) is not None:
        try:
            check(database)
        except StoreError as error:
            found.append((ASIDE, str(error), str(database)))
    return found


def examine_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> list[Finding]:
    """Compare journal, files and MLflow of one sweep, unless it is running."""
    if home.is_running(info.id):
        return [(NOTE, "is running now: its runs follow its journal, and are not compared", "")]
    store, found = home.store(info.id), list[Finding]()
    with warnings.catch_warnings(action="ignore", category=DamagedRecordWarning):
        try:
            store.read_all()
            found += [(NOTE, line, "") for line in store.journal.damage]
            if not store.state().is_archived:  # its runs are hidden
                found += _mlflow(store, info, tracking_uri)
            found += [*_files(store), *_notes(store, info)]
        except RecordError as error:
            found.append((AS_SAID, str(error), ""))
    return found


def _left_over(*folders: Path, others: Iterable[Path] = ()) -> Iterator[Finding]:
    """Yield the files in folders that never got their final names, and others."""
    names = (".*.tmp", ".*.new", ".*.new-*")
    half_made = sorted(path for at in folders for name in names for path in at.glob(name))
    for path in (*half_made, *others):
        yield CLEAN, f"{path} belongs to nothing", str(path)


def _files(store: RecordStore) -> Iterator[Finding]:
    """Yield the damaged and left-over files of a sweep, and those that are gone."""
    damaged, gone = store.altered_files()
    yield from ((NOTE, f"{path} is gone: details are lost, and no result", "") for path in gone)
    for path in damaged:
        yield ASIDE, f"{path} is damaged, its checksum does not fit its event", str(path)
    lost = list[str]()
    Conclusions(store).all(lost.append)
    yield from ((AS_SAID, line, "") for line in dict.fromkeys(lost))
    folders = (store.folder / part for part in ("", TRIALS, TEXTS))
    yield from _left_over(*folders, others=strays(store))
    with suppress(FileNotFoundError):
        if holder_in(store.folder / "lock"):  # empty after a clean end
            yield CLEAN, "the lock names a process that does not hold it", ""


def _mlflow(store: RecordStore, info: SweepInfo, tracking_uri: str) -> Iterator[Finding]:
    """Yield the runs that are not what the projection would write."""
    if (away := check_store(tracking_uri)) is None:
        try:
            stored, registered = read_runs(tracking_uri, info), read_champion(tracking_uri, info)
        except Exception as error:
            away = one_line(error)
    if away is not None:
        yield WAIT, f"MLflow could not be read: {away}", ""
        return
    yield from _left_over(others=(path for run in stored for path in run.half_copied))
    active, records = [run for run in stored if not run.is_deleted], store.read_all()
    runs, counts = {run.key: run for run in active}, Counter(run.key for run in active)
    expected = {"", *(record.key for record in records)}  # the parent run has no key
    plans = plan_pictures(pictured(store, info, records))
    front, parent_id = front_keys(info, records), runs[""].run_id if "" in runs else ""
    for key in sorted({*runs, *expected} if records else runs.keys() - expected):
        name = f"run of attempt {key}" if key else "the parent run"
        if counts[key] > 1:
            yield SEND, f"{name}: there are {counts[key]}", key
        if key not in runs or key not in expected:
            found = runs.get(key)
            why = f"({found.run_id}): the journal has no such attempt" if found else "is missing"
            yield SEND, f"{name} {why}", key
            continue
        marks = {PICTURES: str(plans.get(key, "")), ON_FRONT: "true" if key in front else ""}
        fixed, others = _differences(store, info, runs[key], parent_id, marks)
        if fixed or others:
            what = f"{name} differs from the journal: {', '.join([*fixed, *others])}"
            yield REPLACE if fixed else SEND, what, key
    yield from _champion(store, info, runs, registered)


def _differences(
    store: RecordStore, info: SweepInfo, run: StoredRun, parent_id: str, marks: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return in what a run differs: in parameters and metrics, which stay, and in the rest."""
    fixed, others = list[str](), list[str]()
    if run.key:
        record = store.read(run.key)  # with its arrays, one at a time
        wanted = content.trial_run(info, record, parent_id)
        status, tags = str(wanted.status), {**wanted.tags, **marks}
        # One was called otherwise by former versions; the other names a Python that may move.
        del tags["trial_number"], tags["experiment"]
        points = sorted(wanted.metrics, key=lambda one: (one.step, one.timestamp, one.value))
        last = {point.key: point.value for point in points}  # as MLflow shows of each metric
        fixed += [name for name, text in wanted.params.items() if run.params.get(name) != text]
        fixed += [name for name, value in last.items() if run.metrics.get(name) != value]
        received = store.state().received
        if UNDRAWN in run.tags and (received is None or received.trusted):
            others.append("what could not be drawn")
        others += [] if run.end_time == wanted.end_time else ["end"]
        others += [] if content.dataset_key(record.data) in run.datasets else ["dataset"]
        others += sorted(content.trial_files(info, record, {}).keys() - run.files)
    else:
        ending = parent.ending_of(store, store.read_all())
        end = parent.describe_end(info, store.read_all(), store.state().requested or 0, ending)
        status, tags = ending.status, {**end.tags, **content.best_tags(end.best)}
    owner = ", and nobody runs it" if run.status == "RUNNING" else ""
    first = [] if run.status == status else [f"status (it is {run.status}{owner})"]
    first += [f"tag {name}" for name, text in tags.items() if run.tags.get(name, "") != text]
    return fixed, [*first, *others]


def _champion(
    store: RecordStore, info: SweepInfo, runs: Mapping[str, StoredRun], found: StoredChampion | None
) -> Iterator[Finding]:
    """Yield how the registered champion differs from the best one; without its run not at all."""
    damaged, what = list[str](), ""
    best = parent.find_champion(store, info, store.read_all(), report=damaged.append)
    if best is not None and (best.confirmation or best.key in runs):
        own, name = None if best.confirmation else runs[best.key], champion.model_name(info)
        if found is None:
            what = "champion is missing"
        elif found.digest != best.digest:
            what = f"champion points to trial {found.key}"
        elif own and (found.run_id != own.run_id or champion.FOLDER not in own.files):
            what = f"champion's files are not in the run of trial {best.key}"
        elif found.model != name:
            what = f"model is called {found.model}, and is to be {name}"
        if what and best.files() is not None:  # else nothing can be registered
            yield SEND, f"the registered {what}; the best is trial {best.key}", ""
    remedy = f"the champion is of no use until it is trained again: `sweeps confirm {info.name}`"
    yield from ((AS_SAID, f"{line}; {remedy}", "") for line in damaged)


def _notes(store: RecordStore, info: SweepInfo) -> Iterator[Finding]:
    final = [record for record in store.read_all() if record.ends_trial]
    known = {record.trial for record in store.read_all()} | store.state().asked.keys()
    if left := sorted(known - {record.trial for record in final}):
        which = f"{counted(len(left), 'trial')} without an outcome yet ({listing(left, 10)})"
        yield NOTE, f"{which}; `sweeps run` goes on", ""
    for last in final[-1:]:
        if edited := edited_files(store, info, last):
            when = f"trial {last.trial} was trained ({', '.join(edited)})"
            why = "with the edited code the sweep cannot go on, and its trials cannot be used"
            yield DOUBT, f"its code was edited since {when}: {why}", ""
    if info.irreproducible:
        yield DOUBT, f"not reproducible: {info.irreproducible}", ""


def repair(home: Home, infos: Sequence[SweepInfo], tracking_uri: str, say: Report) -> None:
    """Put damaged files aside, remove what is left over, and project anew what differs.

    While a sweep is running, that is refused for the files of the home (UsageError).
    """
    if found := examine_home(home, tracking_uri):
        with ExitStack() as locks:
            for info in home.sweeps(lambda line: None):
                locks.enter_context(hold(home, info))
            locks.enter_context(home.exclusive())
            _clear(found, say)
    for info in (info for info in infos if not home.is_running(info.id)):
        found = examine_sweep(home, info, tracking_uri)
        wrong = {key for kind, _, key in found if kind == REPLACE}
        again = {key for kind, _, key in found if kind == SEND} | wrong
        if again or any(kind in (ASIDE, CLEAN) for kind, _, _ in found):
            with hold_to_send(home, info, tracking_uri) as held:
                _clear(found, say)
                if again:
                    send(home, info, tracking_uri, held, again=again, replaced=wrong)


def _clear(found: Sequence[Finding], say: Report) -> None:
    """Put damaged files aside, remove what belongs to nothing, and say what will be sent."""
    for kind, what, key in found:
        path = Path(key)
        if kind == ASIDE:
            for end in ("", "-wal", "-shm", "-journal"):
                if (part := path.with_name(path.name + end)).exists():
                    say(f"{part} is kept as {put_aside(part).name}")
        elif kind == CLEAN and key:
            remove(path)
            say(f"removed {path}")
        elif kind in (SEND, REPLACE):
            say(what)
