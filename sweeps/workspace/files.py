"""Files of a home: written whole or not at all, read in bounded memory."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, Final

from sweeps.errors import StoreError
from sweeps.workspace.failpoints import reached

_WRITTEN_SECONDS: Final = 3600.0


def write_atomically(path: Path, data: bytes, what: str) -> None:
    """Write `data` to `path`: temporary file beside it, fsync, rename, fsync of the folder.

    `what` is the first part of the names of its fail-points.

    Raises:
        StoreError: It cannot be written: no space, no permission, or the folder is gone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        reached(f"{what}.begun")
        with temporary.open("wb") as file:
            reached(f"{what}.opened")
            file.write(data)
            file.flush()
            reached(f"{what}.written")
            os.fsync(file.fileno())
        reached(f"{what}.synced")
        temporary.replace(path)
        reached(f"{what}.renamed")
        sync_folder(path.parent)
        reached(f"{what}.done")
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary(folder: Path) -> None:
    """Remove temporary files of a killed process. The caller keeps other processes out."""
    for path in folder.glob(".*.tmp"):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, a pipe, a link, or a folder with everything in it, however deep it is.

    Raises:
        OSError: It cannot be removed.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):  # more levels than a process may recurse or open
        _flatten(path)
        shutil.rmtree(path)


def _flatten(top: Path) -> None:
    """Move what lies in folders below a folder up into it, so that no path is long; empty those."""
    waiting, count = [top], 0
    while waiting:
        folder = waiting.pop()
        for entry in list(os.scandir(folder)):
            path, is_folder = Path(entry.path), entry.is_dir(follow_symlinks=False)
            if folder != top:
                count += 1
                path = path.rename(top / f".{os.getpid()}.{count}.removed")
            if is_folder:
                path.chmod(0o700)
                waiting.append(path)


def is_abandoned(path: Path) -> bool:
    """Whether nobody writes a file any more: no process has it open.

    Where the system does not say who has what open, it counts as written for an hour.
    """
    try:
        wanted = path.stat()
    except OSError:
        return False  # it has its name by now
    if not Path("/proc/self/fd").is_dir():
        return time.time() - wanted.st_mtime > _WRITTEN_SECONDS
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if os.path.samestat(descriptor.stat(), wanted):
                return False
    return True


def make_folder(path: Path, *, parents: bool = True) -> None:
    """Make a folder, if it does not exist, or raise a StoreError.

    Args:
        path: The folder.
        parents: Whether its parents are made, too. Else one that was moved away stays away.
    """
    try:
        path.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return the error for a file or folder that cannot be written."""
    return StoreError(
        f"{path}: cannot be written ({error.strerror}); make room, or the folder writable. "
        "Recorded trials are safe, and the same command goes on"
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the contents of the files."""
    # Without this, a power cut may undo the rename itself.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Anybody may have written a file that is read: so only regular files are, and in bounded memory.
# An archive is refused by the sizes that it declares, before it is unpacked, and no member is
# unpacked beyond its declared size. JSON is refused by the memory that its values would take,
# before it is parsed.

MOST_MEMORY: Final = 512 * 2**20
"""Most bytes that reading one file may take, copies included; or four times the size of the file,
if that is more."""
MOST_UNPACKED: Final = MOST_MEMORY // 4
"""Most bytes that an archive may unpack to; or four times its own size, if that is more."""
MOST_PARSED: Final = MOST_MEMORY // 2
"""Most bytes that the values of a JSON document may take."""
DEEPEST: Final = 100
"""Most levels that a JSON document may have."""
_COSTS: Final = {b",": 40, b"[": 65, b"{": 65, b":": 140, b'"': 28}
"""Bytes that Python's objects take for each of these characters, measured, rounded up."""
_WIDEST: Final = re.compile(rb"[\xf0-\xff]")
_GARBLED: Final = (
    ValueError, TypeError, AttributeError, KeyError, OSError, EOFError, NotImplementedError,
    RuntimeError, SyntaxError, MemoryError, OverflowError, struct.error, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_PIECE: Final = 2**20
_MOST_LISTED: Final = 16 * 2**20
"""Most bytes of the list of members at the end of an archive; in memory they are ten times that."""


class FormatError(ValueError):
    """The bytes are torn, altered, of another format, or more than the limit of what is read."""


class NoFileError(OSError):
    """A folder, a pipe, a socket or a device lies where a file should be."""

    strerror: str


def open_file(path: Path) -> BufferedReader:
    """Open a regular file for reading; never wait for a pipe that nobody writes into.

    Raises:
        OSError: It cannot be opened; a NoFileError if it is not a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise _no_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path)
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, most: int | None = None) -> bytes:
    """Return the contents of a regular file.

    Raises:
        FormatError: It has more than `most` bytes.
        OSError: It cannot be read; a NoFileError if it is not a regular file.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise FormatError(f"it has {size} bytes, and may have {most}")
        return file.read(-1 if most is None else min(most, size))  # as much memory is taken first


def parse_json(text: bytes | bytearray) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: It is not JSON, is nested too deep, or its values would take too much memory.
    """
    if is_too_much(text):
        raise FormatError(f"its values would take more than {MOST_PARSED >> 20} MB of memory")
    try:
        value = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise FormatError("nested too deep") from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and is_deep(value):
        raise FormatError(f"nested more than {DEEPEST} levels deep")
    return value


def is_too_much(text: bytes | bytearray, most: int = MOST_PARSED) -> bool:
    """Whether the values of a JSON document would take more memory than `most` bytes."""
    # The decoded text, and the strings in it: Python gives each character the bytes of the widest.
    copies = 2 if text.isascii() else 8 if _WIDEST.search(text) else 4
    values = sum(text.count(character) * cost for character, cost in _COSTS.items())
    return len(text) * copies + values > most


def is_deep(value: Any) -> bool:
    """Whether lists and mappings in a value lie more than `DEEPEST` levels deep."""
    level = [value]
    for _ in range(DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [child for one in inner for child in one if isinstance(child, dict | list)]
        if not level:
            return False
    return True


@contextmanager
def opened_archive(file: IO[bytes], what: str = "archive") -> Iterator[zipfile.ZipFile]:
    """Open a zip archive, on disk or in memory; `what` it is called in messages.

    Raises:
        FormatError: It is no archive, is torn, uses another method of packing than ours, or
            declares more bytes than may be unpacked.
    """
    with ExitStack() as stack:
        with reading(what):
            if _listed(file) > _MOST_LISTED:
                raise FormatError(f"it lists more than {_MOST_LISTED >> 20} MB of members")
            archive = stack.enter_context(zipfile.ZipFile(file))
        # Other methods cannot be unpacked piece by piece.
        methods = {member.compress_type for member in archive.infolist()}
        if methods - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise FormatError("it is packed by a method that sweeps never uses")
        most = max(MOST_UNPACKED, 4 * file.seek(0, os.SEEK_END))
        if sum(member.file_size for member in archive.infolist()) > most:
            raise FormatError(f"it unpacks to more than {most >> 20} MB")
        yield archive


def _listed(file: IO[bytes]) -> int:
    """Return how many bytes the list of members has, by what the end of an archive says."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 98))
    end = file.read()
    large = end[-42:-38] == b"PK\x06\x07"
    # Else it is torn, or has a comment or a gap there, as no archive of ours.
    if end[-22:-18] != b"PK\x05\x06" or (large and end[-98:-94] != b"PK\x06\x06"):
        raise zipfile.BadZipFile("File is not a zip file")
    return int.from_bytes(end[-58:-50] if large else end[-10:-6], "little")


def unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member, or raise a FormatError; unpack no more of it than the size it declares."""
    with reading(), archive.open(member) as packed:
        return packed.read(member.file_size + 1)


def pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member piece by piece, or raise a FormatError."""
    with reading(), archive.open(member) as packed:
        while piece := packed.read(_PIECE):
            yield piece


@contextmanager
def reading(what: str = "archive") -> Iterator[None]:
    """Turn every error of NumPy and zipfile about bytes that are no archive into a FormatError."""
    try:
        yield
    except FormatError:
        raise
    except _GARBLED as error:
        raise FormatError(f"no whole {what}: {error or 'it ends too early'}") from None


def _no_file(path: Path) -> NoFileError:
    return NoFileError(errno.EINVAL, "it is a folder, a pipe or a device, and no file", str(path))
