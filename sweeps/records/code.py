"""Keeps the code of a sweep's experiment with the sweep, so that an edit is noticed.

Each state of the code that the sweep was run with is a text, with the text of the experiment's own
files, and of the modules of the package that it comes from; an event names it. Records name the
state by its identity.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from os.path import commonprefix
from pathlib import Path
from typing import Final

import msgspec

from sweeps.journal.events import CodeKept, Count, Digest, Line
from sweeps.records.schema import json_bytes
from sweeps.records.store import RecordStore

_SOURCES: Final = (".py", ".sh", ".R")
_PYTHON: Final = re.compile(r"(python|pypy)[\d.]*")
_SHOWN_LINES: Final = 6
_LINE_CHARACTERS: Final = 100


@dataclass(frozen=True)
class SourceFile:
    """One file of an experiment: SHA-256 of its bytes (hex), and its text.

    Each line that looks like a secret is a mark there. A file that is long or no text has None.
    """

    sha256: Digest
    text: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class ExperimentCode:
    """One state of the code of an experiment.

    Attributes:
        files: Its own files by name: those beside its space, or under its package.
        revision: Number of an experiment that ships here, raised when its results change; None for
            a user's own experiment.
        packages: The distributions that it imports.
        same_as: Identity of a state that `--same-code` declared to be the same; usually None.
        shipped: Modules of the package that ships the experiment, or the class that it derives
            from, by their file names; empty in what earlier versions recorded.
        release: Name and version of that package if it is installed; None for a checkout.
    """

    files: Mapping[Line, SourceFile]
    revision: Count | None = None
    packages: tuple[Line, ...] = ()
    same_as: Digest | None = None
    shipped: Mapping[Line, SourceFile] = field(default_factory=dict)
    release: Line | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of own files and revision; registered models ask for it by this name."""
        return _digest(self.revision, self.files)

    @property
    def identity(self) -> str:
        """SHA-256 (hex) of own files, revision and shipped modules; not of the packages."""
        if not self.shipped:
            return self.digest
        return _digest(self.revision, self.files, self.shipped)

    @property
    def package(self) -> str:
        """The top-level name of the shipped modules; empty without any."""
        return next(iter(self.shipped), "").partition("/")[0].removesuffix(".py")

    def becomes(self, now: ExperimentCode) -> bool:
        """Whether a later state counts as the same code although its shipped modules differ.

        It does if these were not recorded, or belong to another release: then the revision, by
        which the package says whether results change, is all that can be compared.
        """
        if self.digest != now.digest:
            return False
        is_release = self.release is not None and now.release is not None
        return not self.shipped or (is_release and self.release != now.release)

    def without_python(self) -> ExperimentCode:
        """Return the state without the Python of a command, which was code to earlier versions."""
        files = {name: file for name, file in self.files.items() if not _PYTHON.fullmatch(name)}
        return dataclasses.replace(self, files=files)

    def changes(self, now: ExperimentCode) -> list[str]:
        """Return the differences to a later state as lines: of each file, the first few."""
        lines = []
        if self.revision != now.revision:
            lines.append(f"revision of the experiment: {self.revision} then, {now.revision} now")
        for name, (before, after) in self.edited(now).items():
            if before and after:
                lines += [f"{name}:", *_changed_lines(before, after)]
            else:
                lines.append(f"{name}: {'gone, or not imported' if before else 'new'}")
                if not before and not name.endswith(_SOURCES):
                    lines.append(
                        "  (the command names it; what a script writes belongs in {output})"
                    )
        return lines

    def edited(self, now: ExperimentCode) -> dict[str, tuple[SourceFile | None, SourceFile | None]]:
        """Return the files that differ in a later state, by name: as they were, and are now."""
        before = {**self.files, **(self.shipped if now.shipped else {})}
        after = {**now.files, **(now.shipped if self.shipped else {})}
        pairs = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _digest(revision: int | None, *groups: Mapping[str, SourceFile]) -> str:
    digests = [sorted((name, file.sha256) for name, file in files.items()) for files in groups]
    return hashlib.sha256(json.dumps([revision, *digests]).encode()).hexdigest()


def _changed_lines(before: SourceFile, after: SourceFile) -> list[str]:
    if before.text is None or after.text is None:
        return ["  changed (its lines are not kept)"]
    then, now = before.text.splitlines(), after.text.splitlines()
    diff = list(difflib.unified_diff(then, now, n=0, lineterm=""))[2:]
    changed = [line for line in diff if not line.startswith("@@")]
    changed = [_cut(line, other) for line, other in zip(changed, [*changed[1:], ""], strict=False)]
    more = len(changed) - _SHOWN_LINES
    shown = [f"  {line}" for line in changed[:_SHOWN_LINES]]
    return [*(shown or ["  white space only"]), *([f"  and {more} lines more"] if more > 0 else [])]


def _cut(line: str, other: str) -> str:
    """Shorten a line of a diff to the part where it first differs from the next line."""
    alike = len(commonprefix([line[1:], other[1:]])) + 1  # noqa: RUF071 - no paths
    begin = alike - _LINE_CHARACTERS // 2
    if len(line) <= _LINE_CHARACTERS or begin <= 0:
        return line[:_LINE_CHARACTERS]
    return f"{line[0]}...{line[begin : begin + _LINE_CHARACTERS]}"


class CodeHistory:
    """The states of the code that one sweep was run with, as far as their texts are whole."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._kept: dict[str, ExperimentCode] = {}  # by the digest of the text
        for digest in store.state().codes:
            with suppress(ValueError):  # also of a lost text
                self._kept[digest] = msgspec.convert(store.document({}, digest), ExperimentCode)

    def all(self) -> list[ExperimentCode]:
        """Return every state, the first one first."""
        return [*self._kept.values()]

    def newest(self, identity: str) -> ExperimentCode | None:
        """Return the state that was kept last of those that count as this one; None without one."""
        return next(reversed(self.group(identity)), None)

    def group(self, identity: str) -> list[ExperimentCode]:
        """Return the kept states that count as the same code, the first one first."""
        same = self.same_as(identity)
        return [code for code in self.all() if code.identity in same]

    def same_as(self, identity: str) -> set[str]:
        """Return this identity and those of all states that count as the same code."""
        group = {identity}
        for _ in self._kept:  # a chain is no longer than that
            for code in self.all():
                own = code.identity
                same = {own, code.same_as or own, code.without_python().identity}
                group |= same if group & same else set()
        return group

    def keep(self, code: ExperimentCode) -> None:
        """Keep a state. The caller keeps other processes out.

        Raises:
            StoreError: It cannot be written.
        """
        digest = self._store.keep_text(json_bytes(dataclasses.asdict(code), indent=1))
        self._store.append(CodeKept(text=digest))
        self._kept[digest] = code

    def path(self, code: ExperimentCode) -> Path:
        """Return the file of a kept state."""
        return self._store.text_path(next(d for d, kept in self._kept.items() if kept == code))
