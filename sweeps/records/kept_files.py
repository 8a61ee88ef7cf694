"""Keeps the files that an attempt wrote into its folder; no link is followed out of it.

They lie in a zip archive, `trials/<trial>-<attempt>.files.zip`. If the folder holds more
than `MOST_BYTES` or `MOST_FILES`, the smallest files are kept, and `left_out.txt` names the others.
Whatever an attempt leaves in its folder, nothing here raises: its files never end a sweep.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Final

from sweeps.records.schema import RecordError, said_of
from sweeps.workspace.files import FormatError, open_file, opened_archive, read_file, unpacked

MOST_BYTES: Final = 64 * 2**20
"""The most bytes that the files of one attempt may have together."""
MOST_FILES: Final = 1000
PRINTED: Final = ("stderr.txt", "stdout.txt")
"""Files with the output of an attempt; of a long one, head and tail are kept."""
HEAD_BYTES: Final = 64 * 1024
TAIL_BYTES: Final = 192 * 1024
MOST_LEVELS: Final = 50
LONGEST_NAME: Final = 1000
"""Limits of what is kept: folders within each other, and characters of a path."""
LEFT_OUT: Final = "left_out.txt"
_SHOWN_NAME: Final = 200
_NAMED: Final = 200  # of the files that were left out
_LAST_LINES: Final = 20
_LAST_CHARACTERS: Final = 2000
_NO_LINK: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # a fixed date: the same files make the same archive


def collect_files(folder: Path) -> dict[str, bytes]:
    """Return the regular files below a folder by name; none if there is no such folder."""
    left_out: list[str] = []
    files: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    room = MOST_BYTES
    try:
        os.close(os.open(folder, _NO_LINK))
        sizes.update(_sizes(folder, left_out))
    except FileNotFoundError:
        return {}
    except OSError as error:  # the attempt has put something else in its place
        left_out.append(f"all that it wrote: its folder cannot be read ({error.strerror})")
    for name in sorted(sizes, key=lambda name: ("/" in name, sizes[name], name)):
        if len(files) >= MOST_FILES or sizes[name] > room:
            most = f"more than {MOST_BYTES // 2**20} MB or {MOST_FILES} files together"
            left_out.append(f"{name}: {sizes[name]} bytes; {most}")
            continue
        try:
            files[name] = _read(folder, name, room)
            room -= len(files[name])
        except OSError as error:
            left_out.append(f"{name}: cannot be read ({error.strerror})")
    if left_out:
        more = [f"and {len(left_out) - _NAMED} more"] if len(left_out) > _NAMED else []
        said = ["Left out:", *sorted(left_out)[:_NAMED], *more]
        files[LEFT_OUT] = "".join(f"{line}\n" for line in said).encode()
    return files


def _sizes(folder: Path, left_out: list[str]) -> Iterator[tuple[str, int]]:
    """Yield name and size of each regular file; add a line to `left_out` for anything else."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            entries = list(os.scandir(folder / above))
        except OSError as error:
            left_out.append(f"{_shown(above)}: cannot be read ({error.strerror})")
            continue
        for entry in entries:
            name = f"{above}/{entry.name}" if above else entry.name
            if (why := _why_left_out(name, entry)) is not None:
                left_out.append(f"{_shown(name)}: {why}")
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            else:
                with suppress(OSError):  # gone meanwhile
                    size = entry.stat(follow_symlinks=False).st_size
                    if size or name not in PRINTED:
                        yield name, min(size, HEAD_BYTES + TAIL_BYTES) if name in PRINTED else size


def _why_left_out(name: str, entry: os.DirEntry[str]) -> str | None:
    """Return why a file is not kept, or a folder not looked into; None if it is."""
    if len(name) > LONGEST_NAME or name.count("/") > MOST_LEVELS:
        return f"a path of more than {LONGEST_NAME} characters, or {MOST_LEVELS} folders"
    if entry.is_symlink():
        return "a link"
    if entry.is_dir(follow_symlinks=False):
        return None
    if not entry.is_file(follow_symlinks=False):
        return "no file"
    return None if is_plain(name) else "a name that cannot be kept"


def _shown(name: str) -> str:
    short = name if len(name) <= _SHOWN_NAME else f"{name[:_SHOWN_NAME]}..."
    return short if is_plain(name) else ascii(short)


def is_plain(name: str) -> bool:
    """Whether a name is printable and leads to a file below its folder, on any system."""
    is_below = not {"", ".", ".."} & {*name.split("/")}
    return is_below and "\\" not in name and name.isprintable()


def _read(root: Path, name: str, most: int) -> bytes:
    """Read a file below a folder without following any link on the way, itself included."""
    *folders, last = PurePosixPath(name).parts
    with ExitStack() as opened:
        folder = None
        for part in (str(root), *folders):
            folder = os.open(part, _NO_LINK, dir_fd=folder)
            opened.callback(os.close, folder)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = opened.enter_context(os.fdopen(os.open(last, flags, dir_fd=folder), "rb"))
        content = _ends(file) if name in PRINTED else file.read(most + 1)
    if len(content) > most:
        raise OSError(0, "it grew")
    return content


def _ends(file: IO[bytes]) -> bytes:
    """Return the printed text in a file; of a long one, its head and its tail."""
    size = os.fstat(file.fileno()).st_size
    if size <= HEAD_BYTES + TAIL_BYTES:
        return file.read(HEAD_BYTES + TAIL_BYTES)
    head = file.read(HEAD_BYTES)
    file.seek(size - TAIL_BYTES)
    said = f"\n... {size - HEAD_BYTES - TAIL_BYTES} bytes are left out here ...\n"
    return head + said.encode() + file.read(TAIL_BYTES)


def printed_files(folder: Path) -> dict[str, bytes]:
    """Return the output of an attempt so far, by file name; of a long one, head and tail."""
    files = {}
    for name in PRINTED:
        with suppress(OSError), open_file(folder / name) as file:
            files[name] = _ends(file)
    return files


def last_lines(files: Mapping[str, bytes]) -> str:
    """Return the last lines that an attempt printed, as paragraphs; empty if it printed none."""
    told = ""
    for name in PRINTED:
        text = files.get(name, b"").decode(errors="replace").strip()
        # A progress bar overwrites its line: keep only the text that a terminal would show.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        tail = "\n".join(lines[-_LAST_LINES:])[-_LAST_CHARACTERS:]
        if tail:
            told += f"\n\nThe last lines of its {name.removesuffix('.txt')}:\n{tail}"
    return told


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Return files as a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            member = zipfile.ZipInfo(name, _EPOCH)
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack_files(data: bytes) -> dict[str, bytes]:
    """Return the files of `pack_files`.

    Raises:
        FormatError: It is no such archive, is too large, or holds a name that leads out of it.
    """
    with opened_archive(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sum(one.file_size for one in members) > 2 * MOST_BYTES:
            raise FormatError("it holds more than is ever kept")
        for one in members:
            if not is_plain(one.filename):
                raise FormatError(f"{one.filename!r} leads out of it")
        return {one.filename: unpacked(archive, one) for one in members}


def read_kept(path: Path, digest: str) -> dict[str, bytes]:
    """Return the files in an archive of `pack_files`, whose SHA-256 is known, by name.

    If the archive is not kept any more, a single file, `left_out.txt`, says so.

    Raises:
        RecordError: It is damaged.
    """
    try:
        with said_of(path):
            packed = read_file(path, 2 * MOST_BYTES)
        if hashlib.sha256(packed).hexdigest() != digest:
            raise RecordError(f"{path}: damaged, the checksum does not fit its record")
        return unpack_files(packed)
    except FileNotFoundError:
        return {LEFT_OUT: f"What it wrote is not kept any more ({path.name}).\n".encode()}
    except FormatError as error:
        raise RecordError(f"{path}: {error}") from None
