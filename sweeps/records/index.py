"""One file with what the records of a sweep say, so that thousands are read as fast as a few.

A record is a file of its own, which makes it safe, and ten thousand of them slow to read. The index
says nothing that they do not: it is written from them when a start ends, and a record that it
lacks, or whose size or time of change is another by now, is read itself. Where the index is
missing, damaged or of another version, all of them are. Whoever goes on with a sweep, checks or
shares it reads the records, and so does whoever wants their arrays.

What many records have in common is kept once, and their curves lie in one array, for it is the
parsing of both, record by record, that takes the time.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

import numpy as np

from sweeps.experiment import TrialResult, TrialSpec
from sweeps.records.format import FORMAT_VERSION, pack_arrays, seal, unpack_arrays, unseal
from sweeps.records.record import Record
from sweeps.records.schema import json_bytes, shaped
from sweeps.workspace.files import make_folder, read_file, remove_temporary, write_atomically

FEWEST: Final = 200
"""Fewer records have no index: reading them takes less than a tenth of a second."""
_PATH: Final = Path(".index", "records")  # in a hidden folder, which is not shared
_KIND: Final = "index"
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
    """What the index says of one file.

    Attributes:
        size: Its bytes.
        changed_ns: When it was last changed, ns since the epoch.
        record: The record in it, without arrays.
    """

    size: int
    changed_ns: int
    record: Record

    def is_of(self, found: os.stat_result) -> bool:
        """Whether the file is still the same."""
        return (self.size, self.changed_ns) == (found.st_size, found.st_mtime_ns)


def write_index(folder: Path, indexed: Mapping[str, Indexed]) -> None:
    """Write the index of a sweep's folder, by the names of the files of the records.

    The caller holds the sweep's lock.

    Raises:
        StoreError: It cannot be written.
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
            name, one.size, one.changed_ns, facts(record.spec, _SPEC), facts(record, _RECORD),
            None if result is None else [facts(result, _RESULT), number([*history]), lengths],
        ])  # fmt: skip
    documents = [rows[at : at + _TOGETHER] for at in range(0, len(rows), _TOGETHER)]
    members: dict[str, np.ndarray] = {
        f"rows-{n}": np.frombuffer(json_bytes(document), np.uint8)
        for n, document in enumerate([_signature(), [*map(json.loads, common)], *documents])
    }
    members["curves"] = np.array(curves, np.float64)
    make_folder((folder / _PATH).parent)
    remove_temporary((folder / _PATH).parent)
    write_atomically(folder / _PATH, seal(pack_arrays(members, compressed=False), _KIND), "index")


def read_index(folder: Path) -> Mapping[str, Indexed]:
    """Return what the index of a sweep's folder says, by the names of the files of the records.

    Nothing without an index, and of one that is damaged or of another version.
    """
    try:
        members = unpack_arrays(io.BytesIO(unseal(read_file(folder / _PATH), _KIND)))
        curves = members.pop("curves").tolist()
        signature, common, *rows = (json.loads(one.tobytes()) for one in members.values())
        if signature != _signature():
            return {}
        return dict(_read(common, [row for document in rows for row in document], curves))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _read(
    common: Sequence[Any], rows: Sequence[Any], curves: list[float]
) -> Iterator[tuple[str, Indexed]]:
    environment = get_type_hints(Record, include_extras=True)["environment"]
    environments: dict[int, Any] = {}

    def facts(names: tuple[str, ...], found: Sequence[Any]) -> dict[str, Any]:
        pairs = zip(names, found, strict=True)
        return {name: common[it] if name in _COMMON else it for name, it in pairs}

    at = 0
    for name, size, changed_ns, spec, record, trained in rows:
        result = None
        if trained is not None:
            told, names, lengths = trained
            history = {}
            for curve, length in zip(common[names], lengths, strict=True):
                history[curve] = curves[at : at + length]
                at += length
            result = TrialResult(**facts(_RESULT, told), history=history)
        known = facts(_RECORD, record)
        number = record[_RECORD.index("environment")]
        if number not in environments:
            environments[number] = shaped(environment, known["environment"])
        known["environment"] = environments[number]
        whole = Record(spec=TrialSpec(**facts(_SPEC, spec)), result=result, **known)
        yield name, Indexed(size, changed_ns, whole)


def _signature() -> list[Any]:
    return [FORMAT_VERSION, [*_SPEC], [*_RECORD], [*_RESULT]]
