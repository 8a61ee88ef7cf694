"""Answers for many pictures at once: files, zips and folders -> one row a file, a table as CSV."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from digitexp.apps.explorer.session import Asked, PictureError, png_address, read_ink

MOST_BYTES: Final = 16 * 1024 * 1024
"""Limit of one file, and of one request."""
MOST_FILES: Final = 2000
"""Limit of a zip or a folder."""
MOST_UNPACKED: Final = 256 * 1024 * 1024
"""Limit of a zip, all files together."""

Named = tuple[str, bytes | str]
"""A file's name, with its content or the reason why there is none."""


@dataclass(frozen=True)
class Row:
    """The result of one file; fields are empty or None where the file is no picture.

    Attributes:
        file: Its name.
        picture: `data:` address of the image the network saw.
        answer: The most likely class.
        probability: Probability of that class.
        second: The second most likely class.
        second_probability: Probability of the second class.
        note: A remark, such as `unsure`, or why there is no answer.
        trial: Name of the trial that answered.
    """

    file: str
    picture: str = ""
    answer: str = ""
    probability: float | None = None
    second: str = ""
    second_probability: float | None = None
    note: str = ""
    trial: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-compatible mapping; keys are the attributes' names."""
        return asdict(self)


COLUMNS: Final[Mapping[str, str]] = {
    "file": "file",
    "picture": "picture",
    "answer": "answer",
    "probability": "probability",
    "second": "second choice",
    "note": "note",
    "trial": "trial",
}
"""Columns of the table: attribute of a row -> heading."""


def read_rows(asked: Asked, files: Iterable[Named]) -> list[Row]:
    """Return a network's answers to files, a row each.

    Raises:
        ValueError: The trial has no weights.
    """
    return [_row(asked, name, content) for name, content in files]


def _row(asked: Asked, name: str, content: bytes | str) -> Row:
    if isinstance(content, str):
        return Row(name, note=content)
    try:
        image = asked.framing.picture(read_ink(content))
    except PictureError as error:
        return Row(name, note=str(error))
    if not image.any():
        return Row(name, picture=png_address(image), note="blank: no ink on it")
    (answer,) = asked.answers(image[None])
    return Row(
        name,
        png_address(image),
        answer.first,
        round(answer.probability, 6),
        answer.second,
        round(answer.second_probability, 6),
        "" if answer.is_sure else "unsure",
        asked.trial.name,
    )


def unpacked(files: Iterable[tuple[str, bytes]]) -> Iterator[Named]:
    """Return files with those of zips in place of the zips."""
    for name, content in files:
        if content[:4] == b"PK\x03\x04":
            yield from _of_zip(name, content)
        else:
            yield name, content


def _of_zip(name: str, content: bytes) -> Iterator[Named]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            members = [one for one in members if not one.filename.startswith("__MACOSX/")]
            if sum(one.file_size for one in members) > MOST_UNPACKED:
                yield name, f"unpacked it has more than {MOST_UNPACKED // 2**20} MB"
                return
            for one in members[:MOST_FILES]:
                yield f"{name}/{one.filename}", _member(archive, one)
            if len(members) > MOST_FILES:
                yield name, f"{len(members)} files: the first {MOST_FILES} are read"
    except (zipfile.BadZipFile, OSError) as error:
        yield name, f"a damaged zip: {error}"


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | str:
    """Return a file of a zip, or why not; no more is read than the limit, whatever the zip says."""
    try:
        with archive.open(member) as stream:
            content = stream.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        return f"cannot be unpacked: {error}"  # RuntimeError: it has a password
    return content if len(content) <= MOST_BYTES else _too_large(len(content))


def from_folder(folder: Path) -> Iterator[Named]:
    """Return the files of a folder on this machine, not those of folders in it.

    Raises:
        ValueError: There is no such folder, or it cannot be read.
    """
    if not folder.is_absolute():
        raise ValueError(f"folder {str(folder)!r}: give its whole path, from the root on")
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ValueError(f"folder {folder}: {error.strerror or error}") from None
    if not paths:
        raise ValueError(f"folder {folder}: there is no file in it")
    for path in paths[:MOST_FILES]:
        yield path.name, _content(path)
    if len(paths) > MOST_FILES:
        yield str(folder), f"{len(paths)} files: the first {MOST_FILES} are read"


def _content(path: Path) -> bytes | str:
    try:
        size = path.stat().st_size
        if not size:  # or the kernel makes it up, perhaps without an end: /proc
            return "it is empty"
        return path.read_bytes() if size <= MOST_BYTES else _too_large(size)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _too_large(size: int) -> str:
    return f"{size / 2**20:.0f} MB: at most {MOST_BYTES // 2**20} MB of a file are read"


def sorted_rows(
    rows: Iterable[Mapping[str, Any]], column: str, *, falling: bool
) -> list[Mapping[str, Any]]:
    """Return rows sorted by a column; rows without a value in it come last."""
    found = list(rows)
    filled = [row for row in found if row[column] not in {None, ""}]
    empty = [row for row in found if row[column] in {None, ""}]
    return [*sorted(filled, key=lambda row: row[column], reverse=falling), *empty]


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV without their pictures; texts that look like formulas are quoted."""
    file = io.StringIO()
    names = [name for name in Row.__dataclass_fields__ if name != "picture"]
    writer = csv.DictWriter(file, names)  # ends lines by \r\n: then either in a name is quoted
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _no_formula(row[name]) for name in names})
    return file.getvalue()


def _no_formula(value: Any) -> Any:
    """Return a value that no spreadsheet computes; white space does not hide a formula."""
    is_formula = isinstance(value, str) and value.lstrip()[:1] in {"=", "+", "-", "@"}
    return f"'{value}" if is_formula else value
