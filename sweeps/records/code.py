"""Keeps the code of a sweep's experiment beside its records, so that an edit is noticed.

Each state of the code that the sweep was run with has a file (`code-1.json`, `code-2.json`, ...)
with the text of the experiment's own files. Records name the state by its digest. If somebody
declared a state to be the same code as another one (`--same-code`: only a comment was edited), its
file names that other state.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sweeps.records.schema import Count, Digest, Line, json_bytes, read_numbered
from sweeps.workspace.files import write_atomically

_FILE: Final = "code-{}.json"
_SOURCES: Final = (".py", ".sh", ".R")
_PYTHON: Final = re.compile(r"(python|pypy)[\d.]*")
_SHOWN_LINES: Final = 6
_LINE_CHARACTERS: Final = 100


@dataclass(frozen=True)
class SourceFile:
    """One file of an experiment.

    Attributes:
        sha256: SHA-256 of its bytes (hex).
        text: Its text, with a mark for each line that looks like a secret; None if it is long or
            not text.
    """

    sha256: Digest
    text: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ExperimentCode:
    """One state of the code of an experiment.

    Attributes:
        files: Its own files by name: those beside its space, or under its package.
        revision: Number of an experiment that ships here, raised when its results change; None for
            a user's own experiment.
        packages: Names of the distributions that it imports.
        same_as: Digest of a state that somebody declared to be the same code; usually None.
    """

    files: Mapping[Line, SourceFile]
    revision: Count | None = None
    packages: tuple[Line, ...] = ()
    same_as: Digest | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of file names, contents and revision; the packages are not part of it."""
        parts = [self.revision, sorted((name, f.sha256) for name, f in self.files.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def without_python(self) -> ExperimentCode:
        """Return the state without the Python of a command, which was code to earlier versions."""
        files = {name: file for name, file in self.files.items() if not _PYTHON.fullmatch(name)}
        return dataclasses.replace(self, files=files)

    def changes(self, now: ExperimentCode) -> list[str]:
        """Return the differences to a later state as lines: of each file, the first few."""
        lines = []
        if self.revision != now.revision:
            lines.append(f"revision of the experiment: {self.revision} then, {now.revision} now")
        for name in sorted({*self.files, *now.files}):
            before, after = self.files.get(name), now.files.get(name)
            if before is None or after is None:
                lines.append(f"{name}: {'new' if before is None else 'gone, or not imported'}")
                if before is None and not name.endswith(_SOURCES):
                    lines.append(
                        "  (the command names it; what a script writes belongs in {output})"
                    )
            elif before.sha256 != after.sha256:
                lines += [f"{name}:", *_changed_lines(before, after)]
        return lines


def _changed_lines(before: SourceFile, after: SourceFile) -> list[str]:
    if before.text is None or after.text is None:
        return ["  changed (too long, or no text: its lines are not kept)"]
    then, now = before.text.splitlines(), after.text.splitlines()
    diff = list(difflib.unified_diff(then, now, n=0, lineterm=""))[2:]
    changed = [line for line in diff if not line.startswith("@@")]
    changed = [_cut(line, other) for line, other in zip(changed, [*changed[1:], ""], strict=False)]
    more = len(changed) - _SHOWN_LINES
    shown = [f"  {line}" for line in changed[:_SHOWN_LINES]]
    return [*(shown or ["  white space only"]), *([f"  and {more} lines more"] if more > 0 else [])]


def _cut(line: str, other: str) -> str:
    """Shorten a line of a diff to the part where it first differs from the next line."""
    if len(line) <= _LINE_CHARACTERS:
        return line
    pairs = enumerate(zip(line[1:], other[1:], strict=False))
    alike = next((place for place, (one, two) in pairs if one != two), 0)
    begin = max(0, min(alike + 1, len(line)) - _LINE_CHARACTERS // 2)
    if begin == 0:
        return line[:_LINE_CHARACTERS]
    return f"{line[0]}...{line[begin : begin + _LINE_CHARACTERS]}"


class CodeHistory:
    """The states of the code that one sweep was run with, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[ExperimentCode]:
        """Return every state, the first one first.

        Raises:
            RecordError: A file is damaged.
        """
        return list(read_numbered(self._folder, _FILE, ExperimentCode, "put a copy of it there"))

    def find(self, digest: str) -> ExperimentCode | None:
        """Return a state by its digest; None if it was not kept."""
        return next((code for code in self.all() if code.digest == digest), None)

    def same_as(self, digest: str) -> set[str]:
        """Return this digest and those of all states that were declared to be the same code."""
        group, kept = {digest}, self.all()
        pairs = [(code.digest, code.same_as) for code in kept]
        pairs += [(code.digest, code.without_python().digest) for code in kept]
        for _ in pairs:  # a chain is no longer than that
            for pair in pairs:
                if pair[1] is not None and group & {*pair}:
                    group |= {pair[0], pair[1]}
        return group

    def keep(self, code: ExperimentCode) -> None:
        """Keep a state if it is not kept yet. The caller keeps other processes out.

        Raises:
            StoreError: It cannot be written.
        """
        kept = self.all()
        if any((k.digest, k.same_as) == (code.digest, code.same_as) for k in kept):
            return
        content = json_bytes(dataclasses.asdict(code), indent=1)
        write_atomically(self._folder / _FILE.format(len(kept) + 1), content, "code")

    def path(self, code: ExperimentCode) -> Path:
        """Return the file of a kept state."""
        return self._folder / _FILE.format(self.all().index(code) + 1)
