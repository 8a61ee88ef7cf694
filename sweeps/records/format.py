r"""Records as bytes: a header line, then an npz archive with one JSON member and the arrays.

    sweeps-record <format version> <sha256 of the rest> <length of the rest>\n<npz>

The digest makes a torn or altered file visible whatever happened to it; `allow_pickle=False`
keeps it data. Weights travel in an archive of their own, so that dropping them never rewrites a
record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import threading
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sweeps.experiment import TrialResult, TrialSpec
from sweeps.records.documents import json_bytes
from sweeps.records.record import Record

FORMAT_VERSION: Final = 1
_MAGIC: Final = b"sweeps-record"
_JSON_MEMBER: Final = "record.json"
_GARBLED: Final = (
    ValueError, TypeError, AttributeError, KeyError, OSError, EOFError, NotImplementedError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for bytes that are no archive, or a torn one."""
_READING: Final = threading.Lock()
"""One thread at a time reads arrays: NumPy parses their headers by `ast`, whose recursion counter
is shared by all threads in CPython 3.11 (gh-106905), so that two at once raise a SystemError."""


class FormatError(ValueError):
    """The bytes are not a whole, unaltered record of a version that is understood."""


class VersionError(FormatError):
    """A whole record of another format version; nothing is wrong with it."""


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
        data: What `encode` made.
        arrays: Whether to unpack the arrays too; tables need only the numbers.

    Raises:
        FormatError: The bytes are torn, altered or of another format version.
    """
    with _READING, _open_archive(unseal(data)) as archive:
        document = json.loads(archive[_JSON_MEMBER].tobytes())
        names = [n for n in archive.files if n.startswith("arrays/")] if arrays else []
        loaded = {name.removeprefix("arrays/"): archive[name] for name in names}
    return _from_json(document, loaded)


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return named arrays as a compressed npz archive.

    As `np.savez_compressed` makes it, which has arguments of its own named `file` and
    `allow_pickle`.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def unpack_arrays(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of `pack_arrays`.

    Raises:
        FormatError: The bytes are torn or altered.
    """
    try:
        with _READING, _open_archive(data) as archive:
            return {name: archive[name] for name in archive.files}
    except _GARBLED as error:
        raise FormatError(f"no whole archive of arrays: {error or 'it ends too early'}") from None


def seal(payload: bytes) -> bytes:
    """Put the header with version, digest and length before `payload`."""
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b" ".join([_MAGIC, str(FORMAT_VERSION).encode(), digest, str(len(payload)).encode()]) + (
        b"\n" + payload
    )


def unseal(data: bytes) -> bytes:
    """Return the payload if header, length and digest agree.

    Raises:
        FormatError: They do not.
    """
    header, newline, payload = data.partition(b"\n")
    parts = header.split(b" ")
    if not newline or len(parts) != 4 or parts[0] != _MAGIC:
        raise FormatError("not a record: the header line is missing or torn")
    if parts[3] != str(len(payload)).encode():
        raise FormatError(
            f"torn record: {len(payload)} bytes of {parts[3].decode('ascii', 'replace')}"
        )
    if parts[2] != hashlib.sha256(payload).hexdigest().encode():
        raise FormatError("altered record: the checksum does not fit the contents")
    if parts[1] != str(FORMAT_VERSION).encode():
        raise (VersionError if parts[1].isdigit() else FormatError)(
            f"record format {parts[1].decode(errors='replace')}, but this version reads "
            f"{FORMAT_VERSION}; use the version that wrote it"
        )
    return payload


def _open_archive(data: bytes) -> Any:
    return np.load(io.BytesIO(data), allow_pickle=False)


def _to_json(record: Record) -> dict[str, Any]:
    document = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    document["spec"] = dataclasses.asdict(record.spec)
    if record.result is not None:
        fields = (f.name for f in dataclasses.fields(record.result))
        document["result"] = {
            n: getattr(record.result, n) for n in fields if n not in {"arrays", "weights"}
        }
    return document


def _from_json(document: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Record:
    document = dict(document)
    document["spec"] = TrialSpec(**document["spec"])
    if document["result"] is not None:
        document["result"] = TrialResult(**document["result"], arrays=arrays, weights=None)
    return Record(**document)
