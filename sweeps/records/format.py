r"""Records as bytes: a header line, then an npz archive with one JSON member and the arrays.

    sweeps-record <format version> <sha256 of the rest> <length of the rest>\n<npz>

The digest shows whether a file is torn or altered. `allow_pickle=False` makes sure that reading a
file runs no code. Weights have an archive of their own, so that dropping them never rewrites a
record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from sweeps.records.record import Record
from sweeps.records.schema import (
    Line,
    NewerError,
    check_sampled,
    json_bytes,
    said_of,
    shaped,
)
from sweeps.workspace.files import (
    MOST_PARSED,
    MOST_UNPACKED,
    FormatError,
    check_unpacked,
    open_file,
    opened_archive,
    parse_json,
    read_file,
    reading,
    unpacked,
)

FORMAT_VERSION: Final = 2
"""Version 1 called a trial a slot. It is read for ever, see `_FORMER` in schema.py."""
_JSON_MEMBER: Final = "record.json"
_ARRAYS: Final = "arrays/"
_ARRAY: Final = ".npy"
_TRAINED: Final = ("complete", "pruned", "diverged")
MOST_ARRAYS: Final = 2 * 2**30
"""Most bytes that the arrays of a record may have together."""
MOST_NAMES: Final = 10_000
_LONGEST_TEXT: Final = 4 * 2**20
"""Of more names and longer texts, tables, reports and MLflow take minutes and gigabytes."""
_READING: Final = threading.Lock()
"""One thread at a time reads arrays: NumPy parses their headers by `ast`, whose recursion counter
is shared by all threads in CPython 3.11 (gh-106905), so that two at once raise a SystemError."""


class VersionError(FormatError):
    """The record is whole, but of another format version."""


def encode(record: Record) -> bytes:
    """Return a record as bytes; weights are left out."""
    arrays = dict(record.result.arrays) if record.result else {}
    document = json_bytes(_to_json(record))
    members = {_JSON_MEMBER: np.frombuffer(document, np.uint8)}
    members |= {f"arrays/{name}": array for name, array in arrays.items()}
    return seal(pack_arrays(members))


def decode(data: bytes, *, arrays: bool = True) -> Record:
    """Return the record in `data`.

    Args:
        data: Bytes made by `encode`.
        arrays: Whether to unpack the arrays too; tables need only the numbers.

    Raises:
        FormatError: The bytes are torn, altered, of another format version, no record, or above
            the limit of what is read.
    """
    payload = io.BytesIO(unseal(data))
    members = unpack_arrays(payload, lambda name: name == _JSON_MEMBER)
    if _JSON_MEMBER not in members:
        raise FormatError(f"no record: it has no {_JSON_MEMBER}")
    record = _from_json(members.pop(_JSON_MEMBER).tobytes())
    if not arrays or record.result is None:
        return record
    found = unpack_arrays(payload, lambda name: name.startswith(_ARRAYS))
    named = {name.removeprefix(_ARRAYS): array for name, array in found.items()}
    return dataclasses.replace(record, result=dataclasses.replace(record.result, arrays=named))


def read_record(path: Path, *, arrays: bool) -> Record:
    """Return the record in a file.

    Raises:
        FileNotFoundError: There is none.
        FormatError: It is damaged, or a copy of another record.
        RecordError: It cannot be read.
    """
    with said_of(path):
        record = decode(read_file(path, MOST_ARRAYS + MOST_PARSED), arrays=arrays)
    if record.spec.key != path.stem:
        raise FormatError(f"a copy of record {record.spec.key}, by what it says")
    return record


def read_weights(path: Path, digest: str) -> dict[str, np.ndarray]:
    """Return the weights in a file.

    Args:
        path: The file, which is not read into memory as a whole.
        digest: Its SHA-256 (hex), as the record has it.

    Raises:
        FileNotFoundError: There are none.
        FormatError: They are damaged, or not those of the record.
        RecordError: They cannot be read.
    """
    with said_of(path), open_file(path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise FormatError("damaged, the checksum does not fit its record")
        return unpack_arrays(file)


def pack_arrays(arrays: Mapping[str, np.ndarray], *, compressed: bool = True) -> bytes:
    """Return named arrays as a compressed npz archive, like that of `np.savez_compressed`.

    NumPy's own function is not used, because no array may be named `file` or `allow_pickle` there:
    these are arguments of it. An archive that is soon deleted need not be `compressed`.
    """
    arrays = {name: np.asanyarray(array) for name, array in arrays.items()}
    # A large archive is not compressed: its reader derives its limit from the size of the file.
    is_much = sum(array.nbytes for array in arrays.values()) > MOST_UNPACKED // 2
    buffer = io.BytesIO()
    method = zipfile.ZIP_STORED if is_much or not compressed else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}{_ARRAY}", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def unpack_arrays(
    file: IO[bytes], wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, np.ndarray]:
    """Return the wanted arrays of a `pack_arrays` archive by name; all of them by default.

    Raises:
        FormatError: The bytes are torn or altered, or unpack to more than the limit.
    """
    what = "archive of arrays"
    with _READING, opened_archive(file, what) as archive, reading(what):
        check_unpacked(archive, file)
        named = {member.filename.removesuffix(_ARRAY): member for member in archive.infolist()}
        return {
            name: np.lib.format.read_array(
                io.BytesIO(unpacked(archive, member)), allow_pickle=False
            )
            for name, member in named.items()
            if wanted(name)
        }


def seal(payload: bytes, kind: str = "record") -> bytes:
    """Put the header with kind, version, digest and length before `payload`."""
    digest, version = hashlib.sha256(payload).hexdigest(), FORMAT_VERSION
    return f"sweeps-{kind} {version} {digest} {len(payload)}\n".encode() + payload


def unseal(data: bytes, kind: str = "record") -> bytes:
    """Return the payload if header, length and digest agree.

    Raises:
        FormatError: They do not agree.
    """
    header, newline, payload = data.partition(b"\n")
    parts = header.split(b" ")
    if not newline or len(parts) != 4 or parts[0] != f"sweeps-{kind}".encode():
        raise FormatError(f"not a {kind}: the header line is missing or torn")
    if parts[3] != str(len(payload)).encode():
        raise FormatError(
            f"torn {kind}: {len(payload)} bytes of {parts[3].decode('ascii', 'replace')}"
        )
    if parts[2] != hashlib.sha256(payload).hexdigest().encode():
        raise FormatError(f"altered {kind}: the checksum does not fit the contents")
    if parts[1] not in {b"1", str(FORMAT_VERSION).encode()}:
        raise (VersionError if parts[1].isdigit() else FormatError)(
            f"{kind} format {parts[1].decode('ascii', 'replace')}, but this version reads "
            f"up to {FORMAT_VERSION}; use the version that wrote it"
        )
    return payload


def _to_json(record: Record) -> dict[str, Any]:
    document = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    document["spec"] = dataclasses.asdict(dataclasses.replace(record.spec, checkpoint=None))
    del document["spec"]["checkpoint"]
    if record.resumed_from is None:  # as earlier versions wrote, and read, records
        del document["resumed_from"]
    if record.result is not None:
        fields = (f.name for f in dataclasses.fields(record.result))
        document["result"] = {
            n: getattr(record.result, n) for n in fields if n not in {"arrays", "weights"}
        }
    return document


def _from_json(text: bytes) -> Record:
    try:
        record = shaped(Record, parse_json(text))
        check_sampled(record.params, record.distributions)
        for name in {name for named in _measured(record) for name in named}:
            shaped(Line, name, "the name of a metric")
    except NewerError as error:
        raise VersionError(f"{error}; use the version that wrote it") from None
    except ValueError as error:
        raise FormatError(f"no record: {error}") from None
    if record.result is None and (record.objective is not None or record.outcome in _TRAINED):
        raise FormatError(f"no record: the outcome is {record.outcome}, and there is no result")
    if record.objective is not None and math.isnan(record.objective):
        raise FormatError("no record: its objective is no number")
    _check_amounts(record)
    return record


def _check_amounts(record: Record) -> None:
    """Refuse more than `MOST_NAMES` of one kind, and texts longer than a training may leave."""
    result = record.result
    named: list[Mapping[str, Any]] = [
        *(record.params, record.spec.config, record.environment.get("packages", {})),
        *_measured(record),
    ]
    if (most := max(map(len, named))) > MOST_NAMES:
        raise FormatError(f"no record: it has {most} parameters, metrics or packages")
    texts = [record.error or "", record.reason, *([result.summary] if result else [])]
    if (longest := max(map(len, texts))) > _LONGEST_TEXT:
        raise FormatError(f"no record: it has a text of {longest} characters")


def _measured(record: Record) -> list[Mapping[str, Any]]:
    result = record.result
    return [result.metrics, result.history, result.timings] if result else []
