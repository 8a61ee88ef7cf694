"""One file with what the records of a sweep say, so that thousands are read as fast as a few.

A record is a file of its own, which makes it safe, and ten thousand of them slow to read. The index
says nothing that they do not: it is written from them when a start has ended undisturbed, and a
record that it lacks, or whose file is another or was touched since, is read itself. Where the index
is missing, damaged or of another version, all of them are. It serves lists, tables and reports;
whoever goes on with a sweep, checks, confirms or shares it reads the records.

What many records have in common is kept once, and their curves lie in one array, for it is the
parsing of both, record by record, that takes the time.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

import numpy as np

from sweeps.experiment import TrialResult, TrialSpec
from sweeps.records.format import (
    FORMAT_VERSION,
    MOST_ARRAYS,
    pack_arrays,
    seal,
    unpack_arrays,
    unseal,
)
from sweeps.records.record import Record
from sweeps.records.schema import json_bytes, shaped
from sweeps.workspace.files import is_too_much, read_file

FEWEST: Final = 200
"""Fewer records have no index: reading them takes less than a tenth of a second."""
_FOLDER, _FILE, _TEMPORARY = ".index", "records", "part-"  # a hidden folder is not shared
_KIND: Final = "index"
_VERSION: Final = 1
"""Rises with each change of what is kept, or of what a record may hold."""
_SPEC, _RESULT, _RECORD = (
    tuple(one.name for one in fields(kind) if one.name not in left_out)
    for kind, left_out in (
        (TrialSpec, {"checkpoint"}),
        (TrialResult, {"history", "arrays", "weights"}),
        (Record, {"spec", "result"}),
    )
)
_COMMON: Final = {"summary", "info", "distributions", "data", "environment"}
_TOGETHER: Final = 1000
"""So many records are one JSON document: one of all would be too large to be parsed at once."""


@dataclass(frozen=True)
class Indexed:
    """A record as the index has it.

    Attributes:
        state: That of its file, see `state_of`.
        record: The record in it, without arrays.
    """

    state: tuple[int, ...]
    record: Record


def state_of(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file from itself before any change; None if it cannot be looked at.

    Nobody can set the time of a change of the inode (ctime), so that no file that was copied or
    unpacked here is taken for what somebody else's index says of it.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def write_index(folder: Path, indexed: Mapping[str, Indexed]) -> None:
    """Write the index of a sweep's folder, by the names of the files of the records.

    The caller holds the sweep's lock. It need not outlive a power cut.

    Raises:
        OSError: It cannot be written.
    """
    common: dict[str, int] = {}

    def number(value: Any) -> int:
        return common.setdefault(json.dumps(value), len(common))

    def facts(one: object, names: tuple[str, ...]) -> list[Any]:
        found = ((name, getattr(one, name)) for name in names)
        return [number(value) if name in _COMMON else value for name, value in found]

    rows: list[Any] = []
    curves: list[float] = []
    for name, one in indexed.items():
        record, result = one.record, one.record.result
        history = result.history if result is not None else {}
        lengths = [len(values) for values in history.values()]
        for values in history.values():
            curves += values
        rows.append([
            name, one.state, facts(record.spec, _SPEC), facts(record, _RECORD),
            None if result is None else [facts(result, _RESULT), number([*history]), lengths],
        ])  # fmt: skip
    documents = [rows[at : at + _TOGETHER] for at in range(0, len(rows), _TOGETHER)]
    members: dict[str, np.ndarray] = {
        f"rows-{n}": np.frombuffer(json_bytes(document), np.uint8)
        for n, document in enumerate([_signature(), [*map(json.loads, common)], *documents])
    }
    members["curves"] = np.array(curves, np.float64)
    place = folder / _FOLDER
    place.mkdir(exist_ok=True)
    if place.is_symlink():
        raise FileExistsError(errno.EEXIST, "it leads elsewhere", str(place))
    for left_by_a_kill in place.glob(f"{_TEMPORARY}*"):
        left_by_a_kill.unlink()
    temporary = place / f"{_TEMPORARY}{os.getpid()}"
    temporary.write_bytes(seal(pack_arrays(members, compressed=False), _KIND))
    temporary.replace(place / _FILE)


def read_index(folder: Path) -> Mapping[str, Indexed]:
    """Return what the index of a sweep's folder says, by the names of the files of the records.

    Nothing without an index, and of one that is damaged or of another version.
    """
    try:
        content = unseal(read_file(folder / _FOLDER / _FILE, MOST_ARRAYS), _KIND)
        members = unpack_arrays(io.BytesIO(content))
        curves = members.pop("curves").tolist()
        signature, common, *rows = (_parsed(one.tobytes()) for one in members.values())
        if signature != _signature():
            return {}
        return dict(_read(common, [row for document in rows for row in document], curves))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _parsed(text: bytes) -> Any:
    """Return the value of a JSON document, however deep: only this machine's own files are used."""
    if is_too_much(text):
        raise ValueError("its values would take too much memory")
    return json.loads(text)


def _read(
    common: Sequence[Any], rows: Sequence[Any], curves: list[float]
) -> Iterator[tuple[str, Indexed]]:
    environment = get_type_hints(Record, include_extras=True)["environment"]
    environments = {
        number: shaped(environment, common[number])
        for number in {row[3][_RECORD.index("environment")] for row in rows}
    }
    kept_once = {
        names: [
            (place, environments if name == "environment" else common)
            for place, name in enumerate(names)
            if name in _COMMON
        ]
        for names in (_SPEC, _RESULT, _RECORD)
    }

    def facts(names: tuple[str, ...], found: list[Any]) -> dict[str, Any]:
        for place, values in kept_once[names]:
            found[place] = values[found[place]]
        return dict(zip(names, found, strict=True))

    at = 0
    for name, state, spec, record, trained in rows:
        result = None
        if trained is not None:
            told, names, lengths = trained
            history = {}
            for curve, length in zip(common[names], lengths, strict=True):
                history[curve] = curves[at : at + length]
                at += length
            result = TrialResult(**facts(_RESULT, told), history=history)
        whole = Record(
            spec=TrialSpec(**facts(_SPEC, spec)), result=result, **facts(_RECORD, record)
        )
        yield name, Indexed(tuple(state), whole)


def _signature() -> list[Any]:
    return [_VERSION, FORMAT_VERSION, [*_SPEC], [*_RECORD], [*_RESULT]]
