"""`sweeps share`, `import`, `trust`: a sweep as one file, verified on arrival, run when trusted.

The file is a zip archive, not compressed, of the journal and the files that its events name, with a
manifest of the SHA-256 of each. It holds no code and no pickles, and nothing that is true on one
machine only: folders, commands, trust. The home that imports it makes MLflow runs from the journal.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from sweeps.errors import UsageError
from sweeps.experiments.loading import experiment_in_words, lies_in
from sweeps.home import Home
from sweeps.journal import Event, state_of
from sweeps.journal import events as kinds
from sweeps.journal.file import FILE
from sweeps.records import Conclusions, Record, RecordError, RecordStore, SweepInfo, values_of
from sweeps.records.conclusions import SWEEP_ID, without_place
from sweeps.records.schema import check_sampled, said_of, warn
from sweeps.study.points import proposal_of_record
from sweeps.tracking.sync import SyncReport, sync_sweep
from sweeps.workspace import files
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import FormatError
from sweeps.workspace.names import check_sweep_name

_MANIFEST: Final = "manifest.json"
_FORMAT: Final = "sweeps-share 3"
_FORMER: Final = ("sweeps-share 1", "sweeps-share 2")
_ALLOWED: Final = re.compile(  # [0-9]: \d takes the digits of every script
    rf"{re.escape(FILE)}|texts/[0-9a-f]{{64}}"
    r"|trials/[0-9]{4,9}-[0-9]{1,9}\.(npz|weights\.npz|files\.zip)"
)
MOST_BYTES: Final = 20 * 2**30
"""An archive that declares more bytes is refused before anything is unpacked."""
MOST_EVENTS: Final = 8 * files.MOST_MEMORY
"""Most bytes that the values of a journal may take: those of some 200,000 trials."""


def share_sweep(home: Home, info: SweepInfo, file: Path) -> int:
    """Write a sweep into one file, and return its size in bytes.

    A damaged event is left out, and so is a damaged file of an attempt; each is said by a warning.

    Raises:
        UsageError: The file exists already, cannot be written, or would be too large.
        RecordError: A conclusion is damaged.
    """
    if file.exists():
        raise UsageError(f"{file} exists; give another name, nothing was written")
    store = home.store(info.id)
    Conclusions(store).all(_refuse)
    events = store.journal.read(warn)
    named = store.named_files(state_of(events))
    if sum(path.lstat().st_size for path in named if path.exists()) > MOST_BYTES:
        raise UsageError(f"{store.folder}: more than {MOST_BYTES >> 30} GB, which no home takes in")
    part, lines = file.with_name(f".{file.name}.part"), _lines(events)
    digests = {FILE: hashlib.sha256(lines).hexdigest()}
    reached("share.begun")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(FILE, lines)
            for path in sorted(filter(Path.exists, named)):  # the others were dropped
                name, content = str(path.relative_to(store.folder)), files.read_file(path)
                if hashlib.sha256(content).hexdigest() == named[path]:
                    archive.writestr(name, content)
                    digests[name] = named[path]
                else:
                    warn(f"{path}: damaged, its checksum does not fit its event; left out")
            manifest = {"format": _FORMAT, "name": info.name, "id": info.id, "files": digests}
            archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        reached("share.packed")
        part.replace(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error}); nothing was shared") from None
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def _lines(events: Sequence[Event]) -> bytes:
    """Return a journal of these events, without what is true on one machine only."""
    lines: list[bytes] = []
    for event in events:
        if isinstance(event, kinds.Started | kinds.Returned | kinds.Received):
            continue
        changes: dict[str, Any] = {"number": len(lines) + 1}
        if isinstance(event, kinds.Begun):
            changes["directory"] = without_place(event.directory)
        lines.append(kinds.to_line(msgspec.structs.replace(event, **changes)))
    return b"".join(lines)


def import_sweep(
    home: Home, file: Path, tracking_uri: str, name: str | None = None
) -> tuple[SweepInfo, SyncReport]:
    """Import a shared sweep into a home: all of it, or nothing; with another name, if one is given.

    The sweep is noted as received: its experiment or its command is not run until the user trusts
    it (`trust_sweep`).

    Raises:
        UsageError: The file is no shared sweep, is damaged or altered, the sweep is here already,
            or the home cannot be written.
    """
    made = [path for path in (home.sweeps_folder, *home.sweeps_folder.parents) if not path.exists()]
    try:
        with home.exclusive(), home.arriving() as part:
            info = unpack_sweep(file, part)
            if home.store(info.id).folder.exists():
                raise UsageError(f"{file}: sweep {info.name!r} ({info.id}) is here already")
            if home.find(wanted := name or info.name) is not None:
                raise UsageError(f"there is a sweep {wanted!r} already; give another --name")
            if name is not None:
                RecordStore(part).append(kinds.Renamed(check_sweep_name(name)))
            home.place(part, home.store(info.id).folder)
    finally:
        for created in made:
            with suppress(OSError):  # not empty
                created.rmdir()
    arrived = home.get(info.id)
    return arrived, sync_sweep(home, arrived, tracking_uri)


def unpack_sweep(file: Path, folder: Path) -> SweepInfo:
    """Unpack a shared sweep into a folder that the caller removes, as one that somebody recorded.

    Every file of it is read once, and nothing that is true on another machine only is kept.

    Raises:
        UsageError: The file is no shared sweep, or is damaged or altered.
    """
    store = RecordStore(folder)
    try:
        with said_of(file), files.open_file(file) as archive:
            digests = _unpack(archive, folder)
            info, lines = _checked(store, digests)
            archive.seek(0)
            digest = hashlib.file_digest(archive, "sha256").hexdigest()
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except _RefusedError as error:
        raise UsageError(f"{file}: {error}") from None
    except FormatError as error:
        raise UsageError(f"{file}: not a shared sweep, or damaged ({error})") from None
    files.write_atomically(store.journal.path, lines, "journal")
    store.append(kinds.Received(file=file.name, archive=digest))  # the last one says who is trusted
    return info


def received_sweep(home: Home, info: SweepInfo) -> kinds.Received:
    """Return the source of an imported sweep.

    Raises:
        UsageError: The sweep was made here, so it needs no trust.
    """
    received = home.store(info.id).state().received
    if received is None:
        raise UsageError(f"sweep {info.name!r} was made here: it needs no trust")
    return received


def trust_sweep(home: Home, info: SweepInfo, folder: Path | None) -> None:
    """Allow that an imported sweep runs its experiment, from a folder or as it is installed.

    Raises:
        UsageError: The sweep was made here, or its experiment is not in that folder.
    """
    received = received_sweep(home, info)
    where = None if folder is None else folder.resolve()
    if where is not None and not lies_in(where, info.experiment):
        what = experiment_in_words(info.experiment)
        raise UsageError(f"{where}: the code of {what} is not there")
    found = None if where is None else str(where)
    home.store(info.id).append(msgspec.structs.replace(received, trusted=True, folder=found))


class _RefusedError(FormatError):
    """The archive is whole, but has a content that is not allowed."""


def _unpack(file: IO[bytes], part: Path) -> Mapping[str, str]:
    """Unpack the files that the manifest names; return the SHA-256 (hex) of each, by name.

    An archive that is too large, or holds any other file, is refused (FormatError).
    """
    with files.opened_archive(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        size = sum(member.file_size for member in archive.infolist())
        if size > MOST_BYTES:
            raise _RefusedError(f"holds more than {MOST_BYTES >> 30} GB; refused")
        if size > file.seek(0, os.SEEK_END):
            raise FormatError("it is compressed, as no shared sweep is")
        if _MANIFEST not in members or members[_MANIFEST].file_size > files.MOST_PARSED:
            raise FormatError(f"it has no {_MANIFEST}, or none that can be read")
        digests = _manifest(files.unpacked(archive, members[_MANIFEST]))
        strange = {*members} ^ {*digests, _MANIFEST}
        strange |= {name for name in digests if not _ALLOWED.fullmatch(name)}
        if strange:
            raise _RefusedError(f"{min(strange)!r} does not belong in it; refused")
        if FILE not in digests:
            raise _RefusedError(f"it has no {FILE}")
        for name, digest in digests.items():
            files.make_folder((part / name).parent)
            if _written(files.pieces(archive, members[name]), part / name) != digest:
                raise _RefusedError(f"{name} was altered; nothing was imported")
    return digests


def _manifest(text: bytes) -> Mapping[str, str]:
    """Return the SHA-256 (hex) of each file in the archive, by name, from its manifest."""
    try:
        found = msgspec.convert(files.parse_json(text), dict[str, Any])
        if found.get("format") in _FORMER:
            raise _RefusedError(
                f"an earlier version made it ({found['format']}): import it with that version, and "
                "take over that home: `sweeps import HOME` (docs/upgrading.md)"
            )
        if found.get("format") != _FORMAT:
            raise _RefusedError(f"format {found.get('format')!r}, needed {_FORMAT!r}")
        return msgspec.convert(found, _Manifest).files
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"{_MANIFEST}: {error}") from None


class _Manifest(msgspec.Struct):
    files: dict[str, str]


def _written(content: Iterator[bytes], path: Path) -> str:
    """Write a file piece by piece; return its SHA-256 (hex)."""
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            for piece in content:
                digest.update(piece)
                file.write(piece)
    except OSError as error:
        raise files.unwritable(path, error) from None
    return digest.hexdigest()


def _checked(store: RecordStore, digests: Mapping[str, str]) -> tuple[SweepInfo, bytes]:
    """Read every file once, so that only a whole sweep is imported; return it and its journal."""
    try:
        events = _events(store)
        info = store.info()
        if info is None:
            raise _RefusedError("it does not say what the sweep is")
        named = store.named_files(store.state())
        for name in digests.keys() - {FILE}:
            if named.get(store.folder / name) != digests[name]:
                raise _RefusedError(f"{name} is not what an event names; refused")
        records = store.read_all()
        for record in records:
            if store.details_path(record.key).exists():  # lost, it costs the details only
                store.read(record.key, _refuse)
            store.files(record)  # refuses names that lead out of their folder
        Conclusions(store).all(_refuse)
        _check_events(info, events)
        _rehearse(info, records)
        return info, _lines(events)
    except FormatError:
        raise
    except (RecordError, kinds.UnknownEventError) as error:
        raise _RefusedError(str(error).replace(f"{store.folder}/", "")) from None
    except (ValueError, KeyError, kinds.TooLongError) as error:
        raise _RefusedError(f"its trials do not fit its study ({error!r})") from None


def _refuse(line: str) -> None:
    """Refuse what is damaged; what a home would do about it is left out of the line."""
    said, bracket, _ = line.partition("); ")
    raise RecordError(f"{said})" if bracket else line.partition("; the arrays of trial")[0])


def _events(store: RecordStore) -> list[Event]:
    """Return the events of an archive: all of one journal, none of them damaged."""
    content = files.read_file(store.journal.path, files.MOST_MEMORY)
    if files.is_too_much(content, MOST_EVENTS):
        raise _RefusedError(f"its events would take more than {MOST_EVENTS >> 30} GB of memory")
    for line in content.split(b"\n"):
        if line.count(b"[") + line.count(b"{") > files.DEEPEST:
            files.parse_json(line[:-9])  # refuses what is nested deeper
    events = store.journal.read(_refuse)
    numbers = [event.number for event in events]
    if numbers != [*range(1, len(events) + 1)] or not content.endswith(b"\n"):
        raise _RefusedError("events are missing, doubled or cut off")
    return events


def _check_events(info: SweepInfo, events: Sequence[Event]) -> None:
    """Refuse events of another sweep, and names that cannot be printed."""
    if not SWEEP_ID.fullmatch(info.id):
        raise _RefusedError(f"{info.id!r} is no sweep's id")
    for event in events:
        if isinstance(event, kinds.Begun) and event.sweep != info.id:
            raise _RefusedError(f"event {event.number} is of another sweep")
        if isinstance(event, kinds.Record):
            event.check()
        for member in ("experiment", "origin", "stopped_by", "params", "config", "time_split"):
            named = getattr(event, member, None) or ()
            for text in [named] if isinstance(named, str) else named:
                if not text.isprintable():
                    raise _RefusedError(f"{text!r} cannot be printed; refused")


def _rehearse(info: SweepInfo, records: Sequence[Record]) -> None:
    """Make the contents of its study once, so that nothing of this can fail after the import."""
    trials: list[Record | kinds.Unfinished] = [*records]
    for trial in trials + [one for each in info.generations for one in each.unfinished]:
        if trial.params.keys() - trial.distributions.keys():
            raise ValueError("a parameter without its distribution")
        check_sampled(trial.params, trial.distributions)
        proposal_of_record(trial)
    for record in (record for record in records if record.outcome == "complete"):
        values = values_of(record, info.objectives)
        if values is None or any(map(math.isnan, values)):
            raise ValueError(f"{record.key}: complete without a number for each objective")
        if record.trained and record.objective != record.trained.metrics.get(info.metric):
            raise ValueError(f"{record.key}: its objective is not its {info.metric}")
