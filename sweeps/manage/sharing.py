"""`sweeps share`, `import`, `trust`: a sweep as one file, verified on arrival, run when trusted.

The file is a zip archive of the record folder, with a manifest of the SHA-256 of each file. It
holds no code and no pickles. The home that imports it makes MLflow runs from the records.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from sweeps.errors import UsageError
from sweeps.experiments.loading import experiment_in_words, lies_in
from sweeps.home import Home
from sweeps.records import Record, RecordError, RecordStore, SweepInfo, recover
from sweeps.records.conclusions import SWEEP_ID
from sweeps.records.notes import FOREIGN, Foreign
from sweeps.records.schema import DamagedFileError, Line, SweepKey, SweepName, check_sampled, shaped
from sweeps.records.store import unreadable_files
from sweeps.study.proposals import proposal_of_record
from sweeps.study.sampler_view import trial_outcome
from sweeps.tracking.sync import SyncReport, sync_sweep
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import (
    MOST_PARSED,
    FormatError,
    NoFileError,
    make_folder,
    open_file,
    opened_archive,
    parse_json,
    pieces,
    read_file,
    unpacked,
    unwritable,
)
from sweeps.workspace.names import check_sweep_name

_MANIFEST: Final = "manifest.json"
_FORMAT: Final = "sweeps-share 2"
_FORMATS: Final = ("sweeps-share 1", _FORMAT)
_ALLOWED: Final = re.compile(  # [0-9]: \d takes the digits of every script
    r"sweep\.json|generation-[0-9]{1,9}\.json|asked|ending\.json|notes\.json"
    r"|[0-9]{4,9}-[0-9]{1,9}\.(record|weights|files)|enqueued-[0-9]{4,9}\.(json|trial)"
    r"|(imported|learned|confirmation|confirmation-before)\.json|(retry|code)-[0-9]{1,9}\.json"
    r"|(tested|voted)-[0-9a-f]{8}-[0-9]{1,9}\.json"
    r"|hunch-[0-9]{4,9}\.(json|slot)|finalized\.json"  # of format 1
)
MOST_BYTES: Final = 20 * 2**30
"""An archive that declares more bytes is refused before anything is unpacked."""


def share_sweep(home: Home, info: SweepInfo, file: Path) -> int:
    """Write a sweep into one file; of a running sweep, the records so far.

    Returns:
        The size of the file in bytes.

    Raises:
        UsageError: The file exists already, cannot be written, or would be too large.
        RecordError: A file beside the records is damaged.
    """
    if file.exists():
        raise UsageError(f"{file} exists; give another name, nothing was written")
    folder = home.store(info.id).folder
    for error in unreadable_files(folder):
        raise error
    if sum(path.lstat().st_size for path in folder.iterdir()) > MOST_BYTES:
        raise UsageError(f"{folder}: more than {MOST_BYTES // 2**30} GB, which no home takes in")
    part = file.with_name(f".{file.name}.part")
    digests: dict[str, str] = {}
    reached("share.begun")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            whole = {f"{record.spec.key}.record" for record in home.store(info.id).read_all()}
            paths = {
                path.name: path
                for path in sorted(folder.iterdir())
                if path.suffix != ".record" or path.name in whole
            }
            for path in paths.values():
                if _ALLOWED.fullmatch(path.name) and not _is_of_no_record(path.name, paths):
                    content = read_file(path)
                    digests[path.name] = hashlib.sha256(content).hexdigest()
                    archive.writestr(path.name, content)
            manifest = {"format": _FORMAT, "name": info.name, "id": info.id, "files": digests}
            archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        reached("share.packed")
        part.replace(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error}); nothing was shared") from None
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def import_sweep(
    home: Home, file: Path, tracking_uri: str, name: str | None = None
) -> tuple[SweepInfo, SyncReport]:
    """Import a shared sweep into a home: all of it, or nothing.

    The sweep is noted as foreign: its experiment or its command is not run until the user trusts it
    (`trust_sweep`).

    Args:
        home: The home that receives it.
        file: A file made by `share_sweep`, perhaps on another machine.
        tracking_uri: MLflow's store for its runs.
        name: Another name for the sweep, if its own is taken.

    Raises:
        UsageError: The file is no shared sweep, is damaged or altered, the sweep is here already,
            or the home cannot be written.
    """
    home.check_writable()
    made = [path for path in (home.records, *home.records.parents) if not path.exists()]
    part = home.records / f".import-{secrets.token_hex(4)}"
    make_folder(home.records)
    with home.exclusive():  # this also keeps out the removal of what killed imports left behind
        try:
            info, digest = unpack_sweep(file, part)
            if home.store(info.id).folder.exists():
                raise UsageError(f"{file}: sweep {info.name!r} ({info.id}) is here already")
            if home.find(wanted := name or info.name) is not None:
                raise UsageError(f"there is a sweep {wanted!r} already; give another --name")
            store = RecordStore(part)
            if name is not None:
                store.rename(check_sweep_name(name))
            store.forget_place()
            FOREIGN.write(part, Foreign(file.name, digest))
            reached("import.unpacked")
            part.rename(home.store(info.id).folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            for created in made:
                with contextlib.suppress(OSError):  # not empty
                    created.rmdir()
    reached("import.done")
    arrived = home.get(info.id)
    recover(home.store(arrived.id), lambda line: None)
    return arrived, sync_sweep(home, arrived, tracking_uri)


def unpack_sweep(file: Path, folder: Path) -> tuple[SweepInfo, str]:
    """Unpack a shared sweep into a new folder, and read every file of it once.

    Returns:
        The sweep, and the SHA-256 (hex) of the file.

    Raises:
        UsageError: The file is no shared sweep, or is damaged or altered; unpacked files are left
            in the folder.
    """
    with _refusing(file), open_file(file) as archive:
        info = _checked(RecordStore(folder), _unpack(archive, folder))
        archive.seek(0)
        return info, hashlib.file_digest(archive, "sha256").hexdigest()


def foreign_sweep(home: Home, info: SweepInfo) -> Foreign:
    """Return the source of an imported sweep.

    Raises:
        UsageError: The sweep was made here, so it needs no trust.
    """
    foreign = FOREIGN.read(home.store(info.id).folder)
    if foreign is None:
        raise UsageError(f"sweep {info.name!r} was made here: it needs no trust")
    return foreign


def trust_sweep(home: Home, info: SweepInfo, folder: Path | None) -> None:
    """Allow that the experiment of an imported sweep is run from now on.

    Args:
        home: The home of the sweep.
        info: The sweep.
        folder: The user's folder with the code of the experiment; None if it is installed.

    Raises:
        UsageError: The sweep was made here, or its experiment is not in that folder.
    """
    foreign = foreign_sweep(home, info)
    where = None if folder is None else folder.resolve()
    if where is not None and not lies_in(where, info.experiment):
        what = experiment_in_words(info.experiment)
        raise UsageError(f"{where}: the code of {what} is not there")
    trusted = dataclasses.replace(
        foreign, trusted=True, folder=None if where is None else str(where)
    )
    FOREIGN.write(home.store(info.id).folder, trusted)


@contextmanager
def _refusing(file: Path) -> Iterator[None]:
    """Turn the errors of an archive into a UsageError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except _RefusedError as error:
        raise UsageError(f"{file}: {error}") from None
    except FormatError as error:
        raise UsageError(f"{file}: not a shared sweep, or damaged ({error})") from None
    except NoFileError as error:
        raise UsageError(f"{file}: not a shared sweep ({error.strerror})") from None


class _RefusedError(FormatError):
    """The archive is whole, but has a content that is not allowed."""


def _unpack(file: IO[bytes], part: Path) -> Collection[str]:
    """Unpack the files that the manifest names; return their names.

    Raises:
        FormatError: It is no shared sweep, is too large, or holds any other file.
        StoreError: There is no room for it.
    """
    with opened_archive(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        size = sum(member.file_size for member in archive.infolist())
        if size > MOST_BYTES:
            raise _RefusedError(f"holds more than {MOST_BYTES // 2**30} GB; refused")
        if size > file.seek(0, os.SEEK_END):
            raise FormatError("it is compressed, as no shared sweep is")
        if _MANIFEST not in members or members[_MANIFEST].file_size > MOST_PARSED:
            raise FormatError(f"it has no {_MANIFEST}, or none that can be read")
        manifest = _manifest(unpacked(archive, members[_MANIFEST]))
        strange = {*members} ^ {*manifest, _MANIFEST}
        strange |= {name for name in manifest if not _ALLOWED.fullmatch(name)}
        strange |= {name for name in manifest if _is_of_no_record(name, manifest)}
        if strange:
            raise _RefusedError(f"{min(strange)!r} does not belong in it; refused")
        part.mkdir()
        for name, digest in manifest.items():
            if _written(pieces(archive, members[name]), part / name) != digest:
                raise _RefusedError(f"{name} was altered; nothing was imported")
    return manifest


def _manifest(text: bytes) -> Mapping[str, str]:
    """Return the SHA-256 (hex) of each file in the archive, by name, from its manifest."""
    try:
        found = shaped(dict[str, Any], parse_json(text))
        if found.get("format") not in _FORMATS:
            raise _RefusedError(f"format {found.get('format')!r}, needed {_FORMAT!r}")
        return shaped(_Manifest, found).files
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"{_MANIFEST}: {error}") from None


@dataclasses.dataclass(frozen=True)
class _Manifest:
    format: Line
    name: SweepName
    id: SweepKey
    files: Mapping[Line, str]


def _written(content: Iterator[bytes], path: Path) -> str:
    """Write a file piece by piece; return its SHA-256 (hex)."""
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            for piece in content:
                digest.update(piece)
                file.write(piece)
    except OSError as error:
        raise unwritable(path, error) from None
    return digest.hexdigest()


def _is_of_no_record(name: str, names: Container[str]) -> bool:
    """Whether a file holds weights or files of an attempt without a record; it is not shared."""
    key, _, ending = name.partition(".")
    return ending in {"files", "weights"} and f"{key}.record" not in names


def _checked(store: RecordStore, files: Collection[str]) -> SweepInfo:
    """Read every file once, so that only a whole sweep is imported.

    Raises:
        FormatError: It is not whole, or holds something that is not allowed.
    """
    info, records = _read_once(store)
    if not SWEEP_ID.fullmatch(info.id):
        raise _RefusedError(f"{info.id!r} is no sweep's id")
    for text in (info.experiment, *(one.metric for one in info.objectives)):
        if not text.isprintable():
            raise _RefusedError(f"{text!r} cannot be printed; refused")
    for record in records:
        if f"{record.spec.key}.record" not in files:
            raise _RefusedError(f"record {record.spec.key} is of another sweep")
    try:
        _rehearse(info, records)
    except (ValueError, KeyError) as error:
        raise _RefusedError(f"its trials do not fit its study ({error!r})") from None
    return info


def _read_once(store: RecordStore) -> tuple[SweepInfo, list[Record]]:
    damaged: list[str] = []
    try:
        info = store.info()
        records = store.scan(lambda path, problem: damaged.append(f"{path.name}: {problem}"))
        for found in unreadable_files(store.folder):
            raise found
        for record in records:
            store.files(record)  # refuses archives that are damaged or lead out of their folder
    except DamagedFileError as error:  # its remedy is for a file that stays
        raise _RefusedError(f"{error.path.name}: {error.problem}") from None
    except RecordError as error:
        raise _RefusedError(str(error).removeprefix(f"{store.folder}/")) from None
    if info is None or damaged:
        raise _RefusedError(damaged[0] if damaged else "no sweep.json in it")
    return info, records


def _rehearse(info: SweepInfo, records: Sequence[Record]) -> None:
    """Make the contents of its study once, so that nothing of this can fail after the import."""
    for trial in (one for generation in info.generations for one in generation.unfinished):
        check_sampled(trial.params, trial.distributions)
    for record in records:
        if record.params.keys() != record.distributions.keys():
            raise ValueError(f"{record.spec.key}: a parameter without its distribution")
        if trial_outcome(record, info.objectives).values is None and record.outcome == "complete":
            raise ValueError(f"{record.spec.key}: complete without an objective")
        measured = record.result.metrics if record.result else {}
        if record.outcome == "complete" and record.objective != measured.get(info.metric):
            raise ValueError(f"{record.spec.key}: its objective is not its {info.metric}")
        proposal_of_record(record)
