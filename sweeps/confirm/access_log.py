"""The log of test-set evaluations: who was scored on a test set, when, and why.

A test set is unbiased only until somebody has seen its scores. So an evaluation freezes its list of
models first, and counts from that write on, before anything is scored, even if it is killed then.
The same list again is the same evaluation. Evaluations are counted by the digest of the test set,
over all homes of this machine.

Fresh folds wear out likewise, only more slowly: all confirmations of the same data judge their
finalists on the same samples, and who chooses anew after each adapts to them. So it is counted how
many finalists of how many sweeps the data have judged.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from sweeps.confirm.finalists import ACCURACY, Scored
from sweeps.errors import StoreError, UsageError
from sweeps.experiments.folds import FRESH, ON_FOLDS
from sweeps.home import Home
from sweeps.journal.events import Count, Line, Moment, Name, need_lines
from sweeps.records import FINALIST, FOLD, SweepInfo, confirmed_by, heard, listed
from sweeps.records.conclusions import AtEvaluation, Judged
from sweeps.records.evaluations import Entry, Evaluation, Evaluations, day_of
from sweeps.records.schema import json_bytes, warn
from sweeps.records.sweep import PLACE, is_unseen
from sweeps.workspace.clock import now_ms
from sweeps.workspace.files import FormatError, make_folder, parse_json, read_file
from sweeps.workspace.locks import exclusive

VARIABLE: Final = "SWEEPS_STATE"
OFF: Final = "off"
_MOST_BYTES: Final = 2**24


def state_folder() -> Path | None:
    """Return the folder of the logs; None if they are turned off, or there is no home directory.

    It is `SWEEPS_STATE`, else `sweeps` in `XDG_STATE_HOME`, else `~/.local/state/sweeps`.
    """
    asked = os.environ.get(VARIABLE)
    if asked == OFF:
        return None
    try:
        if asked:
            return Path(asked).expanduser().absolute()
        state = Path(os.environ.get("XDG_STATE_HOME") or "")
        # The specification has relative paths ignored.
        base = state if state.is_absolute() else Path("~/.local/state").expanduser()
    except RuntimeError:
        return None
    return base / "sweeps"


class TestSetUse(Struct, frozen=True, forbid_unknown_fields=True):
    """An evaluation of a test set.

    Attributes:
        key: SHA-256 of its frozen list: the same list is the same evaluation, in whatever home.
        at: Milliseconds since the epoch (UTC) when it was frozen.
        sweeps: Names of the sweeps whose models it scored.
    """

    __test__ = False  # keeps pytest from collecting a class whose name begins with Test

    key: Line
    number: Count
    at: Moment
    sweeps: Sequence[Line]

    def __post_init__(self) -> None:
        need_lines(self.key, *self.sweeps)


class DataUse(Struct, frozen=True, forbid_unknown_fields=True):
    """A confirmation, which judged finalists on folds of the data.

    Attributes:
        key: Its id, and the number of its finalists: one that is continued with more has more.
        sweep: Id of the sweep that it confirms.
        finalists: A digest of the configuration of each finalist.
    """

    key: Line
    sweep: Name
    finalists: Sequence[Line]

    def __post_init__(self) -> None:
        need_lines(self.key, *self.finalists)


Use = TypeVar("Use", TestSetUse, DataUse)


class MachineLog(Generic[Use]):
    """The log of one kind about the data of one digest, of all homes of this machine.

    A home may be new while its data are not. So the logs lie in the user's state folder. They are
    never in the way: a log that cannot be written, or a line that cannot be read, is reported, and
    the work goes on.

    Attributes:
        is_kept: Whether what is counted is the whole machine's; False if the log is turned off, or
            could not be read or written.
    """

    def __init__(self, kind: str, digest: str, use: type[Use]) -> None:
        folder = state_folder()
        known = re.fullmatch("[0-9a-f]{16,64}", digest) is not None
        name = digest if known else hashlib.sha256(digest.encode()).hexdigest()
        self.path = folder / f"{kind}-{name}.jsonl" if folder else None
        self.is_kept = folder is not None
        self._use: type[Use] = use
        self._said = False

    def read(self) -> list[Use]:
        """Return its lines, the oldest first, each key once; empty if it is turned off."""
        try:
            content = read_file(self.path, _MOST_BYTES) if self.path else b""
        except FileNotFoundError:
            return []
        except (OSError, FormatError) as error:
            self._fail("read", error)
            return []
        found: dict[str, Use] = {}
        damaged = 0
        for line in content.splitlines():
            try:
                use = msgspec.convert(parse_json(line), self._use)
                found.setdefault(use.key, use)
            except ValueError:
                damaged += 1
        if damaged:
            self._say(
                f"{self.path}: {damaged} damaged line{'s' if damaged > 1 else ''} left out, so "
                "that counts may be too small; delete what is no JSON"
            )
        return list(found.values())

    def add(self, uses: Sequence[Use]) -> None:
        """Append those whose key is not there yet."""
        if self.path is None or not self.is_kept:
            return
        try:
            make_folder(self.path.parent)
            with exclusive(self.path.parent):
                known = {use.key for use in self.read()}
                new = (msgspec.to_builtins(use) for use in uses if use.key not in known)
                lines = [json_bytes(use) + b"\n" for use in new]
                if lines and self.is_kept:
                    self._append(self.path, lines)
        except (OSError, StoreError) as error:
            self._fail("written", error)

    def _append(self, path: Path, lines: Sequence[bytes]) -> None:
        with path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # torn: what follows is a line of its own
                    file.write(b"\n")
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())

    def _fail(self, done: str, error: Exception) -> None:
        cause = getattr(error.__cause__ or error, "strerror", None) or str(error)
        self.is_kept = False
        self._say(
            f"{self.path}: cannot be {done} ({cause}), so that only this home is counted; make it "
            f"accessible, or name another folder: {VARIABLE}=FOLDER ({OFF} for none)"
        )

    def _say(self, line: str) -> None:
        if not self._said:
            self._said = True
            warn(line)


class AccessLog(Evaluations):
    """The evaluations of one test set: those of a home, counted with those of this machine."""

    def __init__(self, home: Home, digest: str) -> None:
        super().__init__(home.path / "test" / digest[:16])
        self._digest = digest
        self._home = home
        self._machine = MachineLog("test-set", digest, TestSetUse)

    def freeze(
        self,
        entries: Sequence[Entry],
        questions: Sequence[str],
        again: str,
        *,
        earlier: Sequence[Sequence[str]] = (),
        scored: Scored = ACCURACY,
    ) -> Evaluation:
        """Write the list of an evaluation: the models to be scored, and the questions.

        Args:
            entries: The models.
            questions: The questions.
            again: Reason for evaluating on this test set again; empty if there is none.
            earlier: Lists of questions of former versions whose scores answer `questions` as well.
                An evaluation of the same models with one of these lists is the same evaluation.
            scored: The metric, which the questions name.

        Returns:
            The evaluation; an earlier one if its models and questions are the same.

        Raises:
            UsageError: The test set was evaluated before, and `again` gives no reason.
            RecordError: An earlier list is damaged, so it cannot be compared with this one.
            StoreError: The list cannot be written.
        """
        make_folder(self.folder)
        with self._home.exclusive():
            before, elsewhere = self.all(), self._machine.read()
            number = self.count() + 1
            reason = again if number > 1 else ""
            wanted = Evaluation(
                number, self._digest, now_ms(), reason, entries, questions,
                scored.metric, scored.direction, scored.unit,
            )  # fmt: skip
            asking = [msgspec.structs.replace(wanted, questions=asked) for asked in earlier]
            digests = {one.list_digest for one in (wanted, *asking)}
            same = [r for r in before if r.list_digest in digests]
            if same:  # the same models, by their weights: trained again, perhaps, as another sweep
                self._machine.add([_use(one) for one in before])
                return msgspec.structs.replace(same[-1], entries=entries)
            is_known = any(use.key in digests for use in elsewhere)  # scored by another home
            if number > 1 and not again.strip() and not is_known:
                raise UsageError(self._evaluated_before(number - 1, before, elsewhere))
            self.write(wanted)
            self._machine.add([_use(one) for one in [*before, wanted]])
        return wanted

    def count(self) -> int:
        """Return the number of evaluations of the test set.

        Those of other homes of this machine count, those in the former home of an imported sweep,
        and those whose damaged list was put aside.
        """
        own = self.all(lambda _: None)
        keys = {one.list_digest for one in own} | {use.key for use in self._machine.read()}
        # The results of evaluations are told of the sweeps of the home, imported ones included.
        states = (self._home.store(info.id).state(lambda _: None) for info in self._home.sweeps())
        names = (name.split("-") for state in states for name, _ in state.tested)
        recorded = {int(number) for digest, number in names if digest == self._digest[:8]}
        return max(recorded | self.numbers() | {len(keys)})

    def at(self, evaluation: Evaluation) -> AtEvaluation:
        """Return the description of an evaluation, with how many there were by now."""
        return evaluation.at(self.count(), on_machine=self._machine.is_kept)

    def _evaluated_before(
        self, count: int, own: Sequence[Evaluation], elsewhere: Sequence[TestSetUse]
    ) -> str:
        times = "once" if count == 1 else f"{count} times"
        known = {use.key: use for use in [*map(_use, own), *elsewhere]}
        last = ""
        if known:
            newest = max(known.values(), key=lambda use: use.at)
            last = f", last on {day_of(newest.at)} for {', '.join(newest.sweeps)}"
        where = ""
        if len(known) > len(own):
            where = f" (other homes are counted as well, in {self._machine.path})"
        return (
            f"test set {self._digest[:8]} was read {times}{last}{where}: what is chosen after it "
            'was seen is no longer tested by it. To read it all the same: --again "why"'
        )

    def keep(self, evaluation: Evaluation, scores: Mapping[str, np.ndarray]) -> None:
        """Keep the scores; all later questions are answered from them."""
        super().keep(evaluation, scores)
        if self._home.shared is not None:  # other hosts evaluate on the same test sets
            self._home.shared.send_evaluations()


def take_evaluations(home: Home, folder: Path, rewrite: Callable[[Path], object]) -> None:
    """Copy the evaluations of a test set from the folder of a home, and rewrite each list.

    Raises:
        FormatError: The home has others of that test set.
    """
    target = home.path / "test" / folder.name
    if not target.exists():
        make_folder(target.parent)
        with home.arriving() as part:
            shutil.copytree(folder, part, dirs_exist_ok=True)
            home.place(part, target)
    elif any(not (target / path.name).exists() for path in folder.iterdir()):
        raise FormatError("the home has other evaluations of that test set")
    for path in listed(target, "*.json"):
        rewrite(path)


def _use(evaluation: Evaluation) -> TestSetUse:
    names = list(dict.fromkeys(entry.name for entry in evaluation.entries))
    return TestSetUse(evaluation.list_digest, evaluation.number, evaluation.frozen_at, names)


def judged_by(home: Home, info: SweepInfo) -> Judged:
    """Log the confirmations of a home on the data of a sweep, and count those of this machine.

    Args:
        home: The home.
        info: A sweep of the data; a confirmation of it that has begun counts.
    """
    digest = _data_digest(info)
    log = MachineLog("folds", digest, DataUse)
    own = [use for one in home.sweeps() if (use := _data_use(home, one, digest)) is not None]
    log.add(own)
    uses = [*log.read(), *own]
    return Judged(
        finalists=len({finalist for use in uses for finalist in use.finalists}),
        sweeps=len({use.sweep for use in uses}),
        on_machine=log.is_kept,
    )


def _data_use(home: Home, info: SweepInfo, digest: str) -> DataUse | None:
    """Return the use of data by a confirmation that has begun; None for others, or other data."""
    sweep = confirmed_by(info.directory)
    if sweep is None or _data_digest(info) != digest:
        return None
    records = heard(home.store(info.id).read_all) or []
    of_fold = {FOLD, FRESH, "again", "fold_train_share"}  # the last two of earlier versions
    finalists = set()
    for config in (r.config for r in records if FINALIST in r.params):  # no other trainings
        own = {name: value for name, value in config.items() if name not in of_fold}
        digest_of_own = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
        finalists.add(digest_of_own[:16])
    return DataUse(f"{info.id} {len(finalists)}", sweep, sorted(finalists)) if finalists else None


def _data_digest(info: SweepInfo) -> str:
    """Return the digest of a sweep's data; of data that a script finds by itself that of its name.

    Nothing is known of such data, and two scripts need not read the same.
    """
    made = str(info.fingerprint.get("experiment", info.experiment))  # the Python may change since
    digest, experiment = str(info.data.get("digest")), made.removesuffix(ON_FOLDS)
    place = info.data.get("info", {}).get(PLACE, "")
    return f"{digest} {experiment} {place}".strip() if is_unseen(experiment, info.data) else digest
