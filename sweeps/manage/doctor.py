"""`sweeps doctor`: checks that records and MLflow agree, and that nothing is left behind.

Records are the truth. Each check reports every disagreement in one plain line; nothing is changed.
With `--fix`, `repair_sweep` makes MLflow agree with the records: a run that disagrees is deleted
(MLflow keeps it in its bin) and sent anew. Damaged files are put aside under another name,
databases under a dated one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property, partial
from pathlib import Path

from sweeps.errors import StoreError, UntrustedError
from sweeps.experiments.code import PreparedAgain, edited_files, unrecorded_package
from sweeps.experiments.loading import check_trust, recorded_experiment
from sweeps.home import Home
from sweeps.journal import Asked
from sweeps.records import (
    EnqueuedPoints,
    Record,
    RecordError,
    RecordStore,
    SweepInfo,
    confirmed_by,
    listed,
    put_aside,
    recover,
)
from sweeps.records.confusion import WORST
from sweeps.records.enqueued import Enqueued
from sweeps.records.evaluations import Evaluations
from sweeps.records.schema import DamagedFileError
from sweeps.records.store import ASKED, unreadable_files
from sweeps.runner.ownership import Hold, hold
from sweeps.study.proposals import is_enqueued
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.champion import FOLDER, ChampionModel, model_name
from sweeps.tracking.content import (
    best_tags,
    dataset_key,
    trial_files,
    trial_run,
)
from sweeps.tracking.parent import describe_end, ending_of, find_champion
from sweeps.tracking.pictures import PICTURES, pictured, plan_pictures
from sweeps.tracking.preflight import check_store
from sweeps.tracking.reading import StoredChampion, StoredRun, read_champion, read_runs
from sweeps.tracking.runs import UNDRAWN
from sweeps.tracking.store import one_line
from sweeps.tracking.sync import hold_to_send, send
from sweeps.tracking.view import ON_FRONT, front_keys
from sweeps.wording import counted
from sweeps.workspace.databases import DatabaseRetry, check
from sweeps.workspace.files import open_file
from sweeps.workspace.locks import holder_in

Say = Callable[[str], None]


class Repair(Enum):
    """The repair of a problem; its value is the text that the user sees."""

    DATABASE = "`sweeps doctor --fix` puts the file aside and writes it anew from the records"
    SEND = "`sweeps sync` or `sweeps doctor --fix` sends it"
    REPLACE = "`sweeps doctor --fix` deletes the run and sends it anew from the record"
    DISCARD = "`sweeps doctor --fix` deletes the run; MLflow keeps it in its bin"
    WEIGHTS = "`sweeps doctor --fix` puts the file aside; the trial's record stays"
    ASIDE = "`sweeps doctor --fix` writes the file anew from the records, or puts it aside"
    CLEAN = "`sweeps doctor --fix` or the next `sweeps run` clears it away"
    RUN = "the next `sweeps run` with the options of the sweep repairs it"
    WAIT = "try again when the store answers"
    BY_HAND = "bring the file back from a backup, or move it away"
    AS_SAID = "do what the line about the file says"


@dataclass(frozen=True)
class Problem:
    """One disagreement.

    Attributes:
        part: `records`, `mlflow`, `files` or `database`.
        what: A plain line about it.
        repair: Its repair.
        key: The attempt or file that it is about, if the repair needs it; else empty.
    """

    part: str
    what: str
    repair: Repair
    key: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return a JSON-compatible mapping."""
        return {"part": self.part, "what": self.what, "repair": self.repair.value}


@dataclass(frozen=True)
class Evidence:
    """One sweep as it is in records, journal and MLflow.

    Attributes:
        records: Every whole record, ordered by trial and attempt, without its arrays.
        damaged: A line for each record that is not whole.
        asked: The attempts in its journal, see `RecordStore.asked_for`.
        left_out: A line for each event of the journal that is damaged.
        runs: Its runs in MLflow, deleted ones included.
        champion: The model that the alias of its registered model points to; None without one.
        away: Why MLflow could not be read; None if it was read.
    """

    home: Home
    info: SweepInfo
    records: Sequence[Record]
    damaged: Sequence[str]
    asked: Mapping[int, Asked]
    left_out: Sequence[str]
    runs: Sequence[StoredRun]
    champion: StoredChampion | None
    away: str | None

    @property
    def store(self) -> RecordStore:
        """The records of the sweep."""
        return self.home.store(self.info.id)

    @cached_property
    def is_untrusted(self) -> bool:
        """Whether it is imported and not trusted; then no code is run, and runs lack pictures."""
        try:
            check_trust(self.info, self.home.records)
        except UntrustedError:
            return True
        return False

    @cached_property
    def final(self) -> Mapping[int, Record]:
        """For each trial with an outcome, by number, the record that decides it."""
        return {record.spec.trial: record for record in self.records if record.ends_trial}


def gather(home: Home, info: SweepInfo, tracking_uri: str) -> Evidence:
    """Read everything about one sweep.

    Raises:
        RecordError: A record is of another format version.
        UsageError: MLflow refuses access.
    """
    damaged: list[str] = []
    left_out: list[str] = []
    records = home.store(info.id).read_all(report=damaged.append)
    asked = home.store(info.id).asked_for(left_out.append)
    runs: list[StoredRun] = []
    champion: StoredChampion | None = None
    away = check_store(tracking_uri)
    if away is None:
        try:
            runs = read_runs(tracking_uri, info)
            champion = read_champion(tracking_uri, info)
        except Exception as error:
            away = one_line(error)
    return Evidence(home, info, records, damaged, asked, left_out, runs, champion, away)


@dataclass(frozen=True)
class Diagnosis:
    """The result of an examination of a sweep or a home.

    Attributes:
        name: Name of the sweep; empty for the home.
        problems: The disagreements.
        notes: Lines worth knowing that are no problems.
        is_well: False if a note says that its code was edited, or that it is not reproducible.
    """

    name: str
    problems: Sequence[Problem]
    notes: Sequence[str] = ()
    is_well: bool = True

    @property
    def agrees(self) -> bool:
        """Whether records and MLflow say the same."""
        return not self.problems

    def to_dict(self) -> dict[str, object]:
        """Return a JSON-compatible mapping; the home has no name."""
        return {
            "sweep": self.name or None,
            "agrees": self.agrees,
            "problems": [problem.to_dict() for problem in self.problems],
            "notes": list(self.notes),
        }


def examine_home(home: Home, tracking_uri: str) -> Diagnosis:
    """Examine the databases that all sweeps of a home share, and the files beside them."""
    unreadable: list[str] = []
    home.sweeps(unreadable.append)
    problems = [Problem("records", what, Repair.BY_HAND) for what in unreadable]
    problems += check_leftovers_of_home(home)
    for folder in listed(home.path / "test"):
        if folder.is_dir():
            problems += map(_problem, Evaluations(folder).unreadable())
    runs_database = sqlite_path(tracking_uri)
    if runs_database is not None:
        problems += _damaged(runs_database)
    return Diagnosis("", problems)


def examine_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> Diagnosis:
    """Compare records and MLflow of one sweep.

    A running sweep is not compared, since its runs follow its records. Nor is a sweep with a file
    that only the user can mend, such as a record of another format version.
    """
    if home.is_running(info.id):
        note = "is running now: its runs follow its records, and are not compared"
        return Diagnosis(info.name, [], [note])
    try:
        return _compared(gather(home, info, tracking_uri))
    except RecordError as error:
        return Diagnosis(info.name, [Problem("records", str(error), Repair.AS_SAID)])


def _compared(evidence: Evidence) -> Diagnosis:
    info = evidence.info
    damaged = map(_problem, unreadable_files(evidence.store.folder))
    problems = [*check_leftovers(evidence), *damaged]
    if not evidence.store.is_archived:  # its runs are hidden
        problems += [*check_runs(evidence), *check_registry(evidence)]
    notes, is_well = [*evidence.left_out], not info.irreproducible
    if trials := unfinished(evidence):
        names = ", ".join(map(str, trials[:10])) + (", ..." if len(trials) > 10 else "")
        count = "1 trial has" if len(trials) == 1 else f"{len(trials)} trials have"
        notes.append(f"{count} no outcome yet ({names}); `sweeps run` goes on with the sweep")
    for record in list(evidence.final.values())[-1:]:
        if edited := edited_files(evidence.store, info, record):
            is_well = False
            notes.append(
                f"its code was edited since trial {record.spec.trial} was trained "
                f"({', '.join(edited)}): with the edited code the sweep cannot go on, and its "
                "trials cannot be used"
            )
        if package := unrecorded_package(evidence.store, info, record):
            notes.append(
                f"the code of {package} was not recorded when it was made, so no edit of it is "
                "noticed; from the next start on the code of then counts"
            )
    if info.irreproducible:
        notes.append(f"not reproducible: {info.irreproducible}")
    elif info.checked is not None:
        trial = info.checked.trial
        notes.append(f"checked: trial {trial}, trained a second time, is the same to the bit")
    return Diagnosis(info.name, problems, notes, is_well)


def _damaged(database: Path) -> Iterator[Problem]:
    try:
        check(database, DatabaseRetry())
    except StoreError as error:
        yield Problem("database", str(error), Repair.DATABASE, str(database))


def unfinished(evidence: Evidence) -> list[int]:
    """Return the numbers of the trials without an outcome; the next `sweeps run` finishes them."""
    recorded = {record.spec.trial for record in evidence.records}
    return sorted((recorded | evidence.asked.keys()) - evidence.final.keys())


_COMPARED_TAGS = (
    *("sweep", "state", "reason", "why", "retried", "trial_number", "attempt", "origin", "seed"),
    *(f"confusion_{rank}" for rank in range(1, WORST + 1)),
    "mlflow.parentRunId",
)


def _in_mlflow(what: str, repair: Repair = Repair.SEND, key: str = "") -> Problem:
    return Problem("mlflow", what, repair, key)


def check_runs(evidence: Evidence) -> Iterator[Problem]:
    """Yield the differences between MLflow and the records."""
    if evidence.away is not None:
        yield _in_mlflow(f"MLflow could not be read: {evidence.away}", Repair.WAIT)
        return
    active = [run for run in evidence.runs if not run.is_deleted]
    parents = [run for run in active if run.kind == "sweep"]
    if len(parents) > 1:
        yield _in_mlflow(f"the sweep has {len(parents)} parent runs")
    elif parents:
        yield from _parent(evidence, parents[0])
    elif evidence.records:
        yield _in_mlflow("the sweep has no parent run")
    parent_id = parents[0].run_id if parents else ""
    children = {run.key: run for run in active if run.kind == "trial"}
    for key, run_count in Counter(run.key for run in active if run.kind == "trial").items():
        if run_count > 1:
            yield _in_mlflow(f"attempt {key} has {run_count} runs")
    records = {record.spec.key: record for record in evidence.records}
    for key in children.keys() - records.keys():
        yield _in_mlflow(
            f"run {children[key].run_id} of attempt {key} has no record", Repair.DISCARD
        )
    for key, record in records.items():
        found = children.get(key)
        if found is None:
            yield _in_mlflow(f"attempt {key} has no run", key=key)
        else:
            yield from _child(evidence, record, found, parent_id)
    yield from _ranks(evidence, children)


def _parent(evidence: Evidence, run: StoredRun) -> Iterator[Problem]:
    ending = ending_of(evidence.store, evidence.records)
    if run.status != ending.status:
        owner = ", and nobody runs it" if run.status == "RUNNING" else ""
        yield _in_mlflow(f"the parent run is {run.status}{owner}; it is to be {ending.status}")
    asked = evidence.store.asked() or 0
    end = describe_end(evidence.info, evidence.records, asked, ending)
    for name, value in {**end.tags, **best_tags(end.best)}.items():
        if run.tags.get(name) != value:
            yield _in_mlflow(
                f"the parent run says {name} {run.tags.get(name)!r}, the records {value!r}"
            )


def _child(evidence: Evidence, record: Record, run: StoredRun, parent_id: str) -> Iterator[Problem]:
    key = record.spec.key

    def differs(what: str, repair: Repair = Repair.SEND) -> Problem:
        return _in_mlflow(f"run of attempt {key} {what}", repair, key)

    try:
        record = evidence.store.read(key)  # with its arrays, one record at a time
    except RecordError as error:
        yield Problem("records", str(error), Repair.BY_HAND)
        return
    content = trial_run(evidence.info, record, parent_id)
    if run.status != content.status:
        yield differs(f"is {run.status}; it is to be {content.status}")
    elif run.end_time != content.end_time:
        yield differs("has another end than its record")
    if run.tags.get(UNDRAWN) and not evidence.is_untrusted:
        yield differs("lacks files that could not be made")
    # Of each metric MLflow shows the point of the last step.
    ordered = sorted(content.metrics, key=lambda one: (one.step, one.timestamp, one.value))
    last = {point.key: point.value for point in ordered}
    differing = [name for name, text in content.params.items() if run.params.get(name) != text]
    differing += [name for name, value in last.items() if run.metrics.get(name) != value]
    if differing:
        yield differs(f"has another {', '.join(differing)} than its record", Repair.REPLACE)
    found = {"trial_number": run.tags.get("slot", ""), **run.tags}  # `slot` is its former name
    tags = [n for n in _COMPARED_TAGS if found.get(n, "") != content.tags.get(n, "")]
    if tags:
        yield differs(f"has another tag {', '.join(tags)} than its record")
    if dataset_key(record.data) not in run.datasets:
        yield differs("lacks its dataset")
    missing = trial_files(evidence.info, record, {}).keys() - run.files
    if missing:
        yield differs(f"lacks {', '.join(sorted(missing))}")


def _ranks(evidence: Evidence, children: Mapping[str, StoredRun]) -> Iterator[Problem]:
    """Yield the runs whose pictures or place on the front are not those of their rank."""
    front = front_keys(evidence.info, evidence.records)
    drawn = plan_pictures(pictured(evidence.store, evidence.info, evidence.records))
    for key, run in children.items():
        rank = str(drawn[key]).partition(",")[0] if key in drawn else ""
        # Earlier versions drew more steps, and some in confirmations, too.
        is_other = run.tags.get(PICTURES, "").partition(",")[0] != rank
        if is_other and not confirmed_by(evidence.info.directory):
            what = "has other confusion matrices than the records ask for"
            yield _in_mlflow(f"run of attempt {key} {what}")
        if (run.tags.get(ON_FRONT) == "true") != (key in front):
            verb = "lacks" if key in front else "has"
            what = f"{verb} the tag {ON_FRONT}, and the records say otherwise"
            yield _in_mlflow(f"run of attempt {key} {what}")


def check_registry(evidence: Evidence) -> Iterator[Problem]:
    """Yield the problems with the registered model: `champion` is to point to the best trial's."""
    info = evidence.info
    damaged: list[str] = []
    again = PreparedAgain(partial(recorded_experiment, info, evidence.store.folder.parent))
    best = find_champion(evidence.store, info, evidence.records, again, damaged.append)
    yield from map(_in_mlflow, _compared_champion(evidence, best))
    remedy = f"the champion is of no use until it is trained again: `sweeps confirm {info.name}`"
    for what in damaged:
        yield Problem("records", f"{what}; {remedy}", Repair.AS_SAID)


def _compared_champion(evidence: Evidence, best: ChampionModel | None) -> Iterator[str]:
    """Yield the differences between the registered model and the champion's."""
    info, found = evidence.info, evidence.champion
    runs = {run.key: run for run in evidence.runs if not run.is_deleted}
    is_elsewhere = best is not None and best.confirmation is not None
    if evidence.away is not None or best is None or not (is_elsewhere or best.key in runs):
        return  # `check_runs` reports it
    if found is None or found.digest != best.digest:
        if best.files() is not None:  # else nothing can be registered
            points = f"points to trial {found.key}" if found else "is missing"
            yield f"the registered champion {points}; the best is trial {best.key}"
    elif not is_elsewhere and (
        found.run_id != runs[best.key].run_id or FOLDER not in runs[best.key].files
    ):
        yield f"the registered champion's files are not in the run of trial {best.key}"
    elif found.model != model_name(info):
        yield f"the registered model is called {found.model}; it is to be {model_name(info)}"


def mend(problems: Sequence[Problem], say: Say) -> list[Path]:
    """Put the damaged files aside; return their former paths."""
    paths = [Path(p.key) for p in problems if p.repair == Repair.ASIDE and Path(p.key).exists()]
    for path in paths:
        say(f"{path} is kept as {put_aside(path).name}")
    return paths


def _write_anew(
    home: Home, info: SweepInfo, records: Sequence[Record], lost: Sequence[Path], *, say: Say
) -> None:
    """Write files that were put aside anew, as far as records and journal hold their content."""
    store = home.store(info.id)
    proposals: dict[int, Asked | Record] = {**store.asked_for()}
    proposals |= {record.spec.trial: record for record in records}
    tried: dict[int, Enqueued] = {
        trial: (proposal.params, proposal.origin)
        for trial, proposal in proposals.items()
        if is_enqueued(proposal.origin)
    }
    for path in lost:
        if path.name == ASKED.name:
            ASKED.write(store.folder, len(proposals))
            say(f"{path}: written anew, for the {counted(len(proposals), 'trial')} there")
        elif EnqueuedPoints(store.folder).write_anew(path, tried):
            say(f"{path}: written anew from the trial that tried it")


def _problem(error: RecordError) -> Problem:
    if isinstance(error, DamagedFileError):
        return Problem("files", str(error), Repair.ASIDE, str(error.path))
    return Problem("files", str(error), Repair.AS_SAID)


_HALF_MADE = (".*.tmp", ".*.new", ".*.new-wal", ".*.new-shm", ".*.new-journal")


def check_leftovers(evidence: Evidence) -> Iterator[Problem]:
    """Yield damaged and left-over files in the folder of a sweep; the sweep must not be running."""
    for what in evidence.damaged:
        yield Problem("records", what, Repair.CLEAN)
    ends = Counter(record.spec.trial for record in evidence.records if record.ends_trial)
    for trial, record_count in ends.items():
        if record_count > 1:
            newest = evidence.final[trial].spec.key
            what = f"{record_count} records end trial {trial}; the newest, {newest}, counts"
            yield Problem("records", what, Repair.BY_HAND)
    for path in damaged_weights(evidence):
        what = f"{path} is damaged, its checksum does not fit its record"
        yield Problem("records", what, Repair.WEIGHTS, str(path))
    for record in evidence.records:
        try:
            evidence.store.files(record)
        except RecordError as error:
            path = evidence.store.files_path(record.spec.key)
            yield Problem("records", str(error), Repair.WEIGHTS, str(path))
    folder, keys = evidence.store.folder, {record.spec.key for record in evidence.records}
    weights = [path for path in folder.glob("[0-9]*.weights") if path.stem not in keys]
    for path in [*half_made(folder), *sorted(weights)]:
        yield Problem("files", f"{path} belongs to nothing", Repair.CLEAN)
    for path in (path for run in evidence.runs for path in run.half_copied):
        yield Problem("files", f"{path} belongs to nothing", Repair.CLEAN, str(path))
    with suppress(OSError):
        if holder_in(folder / "lock"):  # empty after a clean end
            what = "the lock names a process that does not hold it"
            yield Problem("files", what, Repair.CLEAN)


def check_leftovers_of_home(home: Home) -> Iterator[Problem]:
    """Yield left-over files and unfinished deletions and imports in a home, outside of sweeps."""
    for path in half_made(home.path):
        yield Problem("files", f"{path} belongs to nothing", Repair.CLEAN)
    for path in home.records.glob(".deleted-*"):
        yield Problem("files", f"{path}: a deletion was not finished", Repair.CLEAN)
    for path in home.records.glob(".import-*"):
        yield Problem("files", f"{path}: an import was not finished", Repair.CLEAN)


def damaged_weights(evidence: Evidence) -> Iterator[Path]:
    """Yield the weights files whose digest is not the one in their record."""
    for record in evidence.records:
        path = evidence.store.folder / f"{record.spec.key}.weights"
        if not path.exists():
            continue  # they were dropped when better trials arrived
        try:
            with open_file(path) as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == record.weights_sha256
        except OSError:
            is_whole = False
        if not is_whole:
            yield path


def half_made(folder: Path) -> list[Path]:
    """Return the temporary files in a folder that were never renamed to their final names."""
    return sorted(path for pattern in _HALF_MADE for path in folder.glob(pattern))


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
            mend(problems, say)
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
    lost = mend(problems, say)
    records = recover(home.store(info.id), say)
    if lost:
        _write_anew(home, info, records, lost, say=say)
    for problem in problems:
        if problem.repair == Repair.WEIGHTS:
            weights = Path(problem.key)
            weights.replace(weights.with_name(f"{weights.name}.torn"))
            say(f"{weights} is kept as {weights.name}.torn")
        elif problem.repair == Repair.CLEAN and problem.key:
            Path(problem.key).unlink(missing_ok=True)
            say(f"removed {problem.key}")
    wrong = {problem.key for problem in problems if problem.repair == Repair.REPLACE}
    if wanted & {Repair.SEND, Repair.REPLACE, Repair.DISCARD}:
        again = {problem.key for problem in problems if problem.repair == Repair.SEND}

        def told(change: str, key: str) -> None:
            say(f"{info.name}: {change} {key}")

        send(home, info, tracking_uri, held, told, again=again | wrong, replaced=wrong)


def _put_aside(database: Path, say: Say) -> None:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for path in sorted(database.parent.glob(f"{database.name}*")):
        suffix = path.name.removeprefix(database.name)
        if suffix in {"", "-wal", "-shm", "-journal"}:
            aside = path.with_name(f"{database.name}.damaged-{moment}{suffix}")
            path.replace(aside)
            say(f"{path} is kept as {aside}")
