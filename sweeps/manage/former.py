"""Takes over a home of an earlier version, which kept many files in place of a journal.

    records/<id>/sweep.json, generation-N.json       what the sweep is
    records/<id>/<key>.record, .weights, .files      an attempt: a header line, then an npz archive
    records/<id>/asked, ending.json, notes.json, ... a file for what is one event today

Only this module knows them, until version 1.0. The home is read; in place, `records/` is renamed.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import convert
from numpy import asarray

from search_spaces.objectives import Objective
from sweeps.analysis.data import softmax
from sweeps.confirm.access_log import take_evaluations
from sweeps.errors import StoreError, UsageError
from sweeps.home import FORMER, Home
from sweeps.journal import Event, Journal, events
from sweeps.journal.state import Start
from sweeps.records import ConfirmationRecord, RecordStore, SweepInfo
from sweeps.records.arrays import MOST_ARRAYS, pack_arrays, unpack_arrays
from sweeps.records.code import ExperimentCode
from sweeps.records.conclusions import Conclusion, Conclusions, without_place, without_votes
from sweeps.records.notes import in_lines
from sweeps.records.schema import Report, check_sampled, listed
from sweeps.records.sweep import Generation
from sweeps.workspace import files
from sweeps.workspace.files import FormatError, parse_json, read_file
from sweeps.workspace.locks import exclusive, is_locked, owner_of

KEPT: Final = f"{FORMER}.imported"  # the former records, once they were taken over in place
_RENAMED: Final = {
    "slot": "trial", "ends_slot": "ends_trial", "first_slot": "first_trial", "finalize": "confirm",
    "result": "trained", "weights_sha256": "weights", "files_sha256": "files",
    "blocks": "folds", "recommended": "champion", "winner": "finalist", "winners": "champions",
    "winner_ahead_by": "champion_ahead_by",
}  # fmt: skip
_NOT_SHOWN: Final = ("parts", "why_no_parts", "gain_over_searches")
_OF_DIGITS: Final = {  # former names in a confirmation of digits, replaced in this order
    "best_val_accuracy": "inner_accuracy", "block_accuracy": "best_val_accuracy",
    "block_cross_entropy": "best_val_cross_entropy", "block_logits": "fold_predictions",
    "block_correct": "best_val_accuracy_by_sample", "block_images": "fold_samples",
    "digitexp.on_blocks:experiment": "digitexp.experiment:experiment@folds",
}  # fmt: skip


def take_over(home: Home, old: Path, say: Report, leave: Report) -> list[SweepInfo]:
    """Take over the sweeps of a former home, each of them whole; a sweep that is here stays.

    `say` receives a line about each that is here now, `leave` one about each thing that was left.

    Raises:
        UsageError: It is no former home, one of its sweeps runs, or the home cannot be written.
        StoreError: There is no room.
    """
    records, taken = old / FORMER, list[SweepInfo]()
    if not records.is_dir():
        done = f"its sweeps were taken over, see {KEPT}/; " if (old / KEPT).exists() else ""
        raise UsageError(f"{old}: {done}no home of an earlier version, which has {FORMER}/")
    folders = [one for one in sorted(records.iterdir()) if one.is_dir() and one.name[0] != "."]
    for folder in folders:
        if is_locked(lock := folder / "lock"):
            raise UsageError(f"{folder}: {owner_of(lock)} works on it; end that first")
    with home.exclusive(), exclusive(records):
        home.remove_unborn()
        for folder in folders:
            with _leaving(folder, leave):
                here = home.store(folder.name).info()
                taken.append(here or _take_sweep(home, folder, leave))
                say(f"sweep {taken[-1].name!r} is here{' already' if here else ''}")
        for folder in sorted((old / "test").glob("*/")):
            with _leaving(folder, leave):
                take_evaluations(home, folder, partial(_name_scores, leave))
        if old.resolve() == home.path:
            free = old / KEPT, old / f"{KEPT}-{secrets.token_hex(4)}"
            records.rename(kept := next(path for path in free if not path.exists()))
            files.sync_folder(old)
            say(f"the former records are in {kept} now: delete them when you like")
    return taken


def _name_scores(leave: Report, path: Path) -> None:
    """Write an evaluation by the correct answers again, as one by the accuracy of each sample."""
    with _leaving(path, leave):
        found, scores = parse_json(read_file(path)), path.with_suffix(".npz")
        if found.get("metric", "block_accuracy") == "block_accuracy":
            if scores.exists():
                arrays = unpack_arrays(io.BytesIO(read_file(scores, MOST_ARRAYS)))
                named = {name.replace("correct_", "values_"): one for name, one in arrays.items()}
                named["samples"] = asarray(len(named["labels"]))
                files.write_atomically(scores, pack_arrays(named), "conclusion")
            found |= {"metric": "best_val_accuracy"}
            files.write_atomically(path, events.json_text(found).encode(), "conclusion")


@contextmanager
def _leaving(path: Path, leave: Report) -> Iterator[None]:
    """Name a file or folder that cannot be taken over, and go on."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # whatever a file raises that is damaged, or lies
        text = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        leave(f"{path}: left out ({text or type(error).__name__})")


def _json(path: Path) -> Any:
    return parse_json(_named(read_file(path, files.MOST_PARSED // 2)))


def _take_sweep(home: Home, folder: Path, leave: Report) -> SweepInfo:
    document, target = _json(folder / "sweep.json"), home.store(folder.name)
    if document["name"] in {one.name for one in home.sweeps(lambda line: None)}:
        raise FormatError(f"there is another sweep {document['name']!r}: rename it, and repeat")
    with home.arriving() as part:
        files.make_folder(part / "trials")
        _Sweep(folder, RecordStore(part), leave).carry(document)
        home.place(part, target.folder)
    return home.get(folder.name)


@dataclass(frozen=True)
class _Sweep:
    """One former sweep, and where it goes."""

    folder: Path
    store: RecordStore
    leave: Report

    def carry(self, document: dict[str, Any]) -> None:
        """Write its journal, and the files of its attempts."""
        self._begin(document)
        for pattern, read in (
            ("code-*.json", self._code), ("foreign.json", _as(events.Received)),
            ("imported.json", _as(events.Imported, partial(in_lines, member="trials"))),
            ("learned.json", _as(events.Learned, partial(in_lines, member="points"))),
            ("journal.jsonl", lambda path: Journal(path.parent).read(self.leave)),
            ("*.record", self._attempt), ("enqueued-*.json", _point), ("hunch-*.json", _point),
            ("enqueued-*.trial", self._tried), ("hunch-*.slot", self._tried),
            ("retry-*.json", _as(events.Retried)), ("starts.json", self._time),
            ("asked", lambda path: [events.Requested(_json(path))]),
            ("ending.json", _as(events.Finished)), ("checked.json", _as(events.Checked)),
            ("notes.json", lambda path: [events.Noted(*one) for one in _json(path).items()]),
            ("confirmation-before.json", self._confirmation),
            ("finalized.json", self._confirmation), ("confirmation.json", self._confirmation),
            ("tested-*.json", self._evaluation),
            ("archived", lambda path: [events.Archived(hidden=True)]),
            ("sweep.log*", lambda path: shutil.copy(path, self.store.folder) and ()),
        ):  # fmt: skip
            for path in sorted(listed(self.folder, pattern), key=_numbers):
                with _leaving(path, self.leave):
                    self.store.append(*map(_checked, read(path) or ()))

    def _begin(self, document: dict[str, Any]) -> None:
        """Write what the sweep is; without all generations there is no sweep."""
        later = range(2, 2 + len(listed(self.folder, "generation-*.json")))
        found = [_json(self.folder / f"generation-{number}.json") for number in later]
        first, *others = map(self._generation, [document, *found])
        if first["id"] != self.folder.name or first.pop("version", 1) not in (1, 2):
            raise FormatError(f"a copy of sweep {first['id']}, or of another format")
        objectives = tuple(Objective(**one) for one in first.pop("other_objectives", ()))
        info = SweepInfo(**first, other_objectives=objectives)
        for other in others:
            for one in other.pop("unfinished", ()):
                left = {**_renamed(one), "generation": other["number"]}
                self.store.append(_checked(convert(left, events.Unfinished)))
            info = info.extended(Generation(**other))
        self.store.begin(info)
        self.store.info()  # it is read again, and refused if it lies

    def _generation(self, found: dict[str, Any]) -> dict[str, Any]:
        one = _renamed(found)
        if one["fingerprint"].get("order") == "slots":
            one["fingerprint"]["order"] = "number"
        if defaults := one["space"].get("defaults"):
            one["space"]["defaults"] = _renamed(defaults)
        return {**one, "directory": without_place(one["directory"]) or one["directory"]}

    def _code(self, path: Path) -> list[Event]:
        content = read_file(path)
        convert(parse_json(content), ExperimentCode)
        return [events.CodeKept(text=self.store.keep_text(content))]

    def _attempt(self, path: Path) -> None:
        """Write an attempt: weights and files as they are, then its arrays and its event."""
        header, _, payload = read_file(path, MOST_ARRAYS + files.MOST_PARSED).partition(b"\n")
        sealed = [hashlib.sha256(payload).hexdigest().encode(), b"%d" % len(payload)]
        if header.split() not in [[b"sweeps-record", version, *sealed] for version in (b"1", b"2")]:
            raise FormatError("torn, altered, or of another format")
        members = unpack_arrays(io.BytesIO(payload))
        found = _renamed(parse_json(_named(members.pop("record.json").tobytes())))
        spec = _renamed(found.pop("spec"))
        found["history"] = (found["trained"] or {}).pop("history", {})
        found["epochs"] = max(map(len, found["history"].values()), default=0)
        for name in ("data", "environment", "distributions", "history"):
            found[name] = events.raw_json(found[name])
        sweep, event = spec.pop("sweep"), convert({**found, **spec}, events.Record)
        event.check()
        if (sweep, event.key) != (self.folder.name, path.stem):
            raise FormatError(f"a copy of attempt {event.key} of sweep {sweep}")
        check_sampled(event.params, event.distributions)
        if event.result is not None:
            arrays = {name.removeprefix("arrays/"): array for name, array in members.items()}
            if (logits := arrays.get("block_logits")) is not None:  # probabilities today
                arrays["block_logits"] = softmax(logits).astype(logits.dtype)
            arrays = {_OF_DIGITS.get(name, name): array for name, array in arrays.items()}
            event = event.with_result(replace(event.result, arrays=arrays))
        self._keep(path, ".weights", self.store.weights_path(event.key), event.weights_sha256)
        self._keep(path, ".files", self.store.files_path(event.key), event.files_sha256)
        self.store.write(event)

    def _keep(self, path: Path, suffix: str, target: Path, digest: str | None) -> None:
        """Have a file under its new name: by a link where that is possible, else as a copy."""
        if digest is not None and (source := path.with_suffix(suffix)).exists():
            with _leaving(source, self.leave), files.open_file(source) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise FormatError("damaged, its checksum does not fit its record")
                try:
                    target.hardlink_to(source.resolve())
                except OSError:  # another file system
                    files.write_atomically(target, read_file(source), "files")

    def _tried(self, path: Path) -> Iterator[Event]:
        """Yield the beginning of the trial that tries a point; a point without one waits."""
        state, trial = self.store.state(), convert(_json(path), events.Count)
        ended = [one for one in state.ended.values() if one.trial == trial]
        for one in [*ended, *filter(None, [state.asked.get(trial)])][-1:]:
            begun = {name: getattr(one, name) for name in ("attempt", "params", "origin")}
            yield events.Asked(trial=trial, point=_numbers(path)[0], **begun)

    def _time(self, path: Path) -> Iterator[Event]:
        for one in convert(_json(path), list[Start]):
            yield events.Started(began_at=one.began_at, command=one.command, folder=one.folder)
            if one.seconds is not None:
                yield events.Returned(began_at=one.began_at, seconds=one.seconds)

    def _confirmation(self, path: Path) -> None:
        found = _json(path)
        told = [*found.pop("tellings", ()), *found.get("conclusions", ())]
        found = without_votes(_today({**found, "conclusions": told}))
        Conclusions(self.store).keep(convert(found, ConfirmationRecord))

    def _evaluation(self, path: Path) -> None:
        Conclusions(self.store).keep_tested(path.stem[7:], convert(_today(_json(path)), Conclusion))


def _as(kind: Any, split: Callable[[Any], Iterable[Event]] = lambda event: [event]) -> Any:
    """Return what reads a file that holds an event as it is, perhaps too much for one line."""
    return lambda path: split(convert(_json(path), kind))


def _point(path: Path) -> list[Event]:
    return [convert({**_json(path), "point": _numbers(path)[0]}, events.Enqueued)]


def _checked(event: Event) -> Event:
    """Return an event as it will be read; refuse one that would count as damaged then."""
    return events.from_line(events.to_line(event).strip(b"\n"))


def _numbers(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall("[0-9]+", path.name)]


def _renamed(document: dict[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(name, name): value for name, value in document.items()}


def _named(content: bytes) -> bytes:
    """Return a text with today's names; `best_val_accuracy` of a search is what it was."""
    is_on_folds = b'"block_accuracy":' in content or b"digitexp.on_blocks" in content
    for former, name in _OF_DIGITS.items():
        if is_on_folds or former == "block_accuracy":
            content = content.replace(former.encode(), name.encode())
    return re.sub(b'("origin": ?")tried', rb"\1enqueued", content)


def _today(value: Any, name: str = "") -> Any:
    """Return a conclusion with today's names; one without a kind is in words."""
    if isinstance(value, list):
        return [_today(one, name) for one in value]
    if not isinstance(value, dict):
        return "champion" if (name, value) == ("role", "winner") else value
    kind = {"kind": "stored in words"} if {"anchor", "lead"} <= value.keys() else {}
    return kind | _renamed({n: _today(v, n) for n, v in value.items() if n not in _NOT_SHOWN})
