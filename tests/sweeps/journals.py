"""Journals as tests look at them and harm them: lines, and what is altered in them."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeps.journal.file import FILE
from sweeps.records import RecordStore
from tests.sweeps.forging import digest_of, line_of

Document = dict[str, Any]


def documents(journal: Path) -> list[Document]:
    """Return the events of a journal, as JSON says them; of a torn last line nothing."""
    lines = journal.read_bytes().split(b"\n") if journal.exists() else []
    found = []
    for line in lines:
        text, _, checksum = line.rpartition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            found.append(json.loads(text))
    return found


def ended(home: Path) -> list[str]:
    """Return the keys of all attempts that have ended, in all sweeps of a home."""
    return [
        f"{one['trial']:04d}-{one['attempt']}"
        for journal in sorted(home.glob(f"sweeps/[!.]*/{FILE}"))  # a hidden one gets its name yet
        for one in documents(journal)
        if one["kind"] == "ended 2"
    ]


def write(journal: Path, found: list[Document]) -> None:
    """Write a journal with these events, numbered anew, and with right checksums."""
    lines = [line_of({**one, "number": number}) for number, one in enumerate(found, 1)]
    other = journal.with_name("another")
    other.write_bytes(b"".join(lines))
    other.replace(journal)  # another file, as one from a backup is


def rewrite(store: RecordStore, change: Callable[[Document], Document | None]) -> None:
    """Let each event be changed, or left out (None), as if it had been so from the beginning."""
    journal, digests = store.journal.path, dict[str, str]()
    found = []
    for one in documents(journal):
        new = change(one)
        if new is not None and new["kind"] == "common 1":  # attempts name it by its digest
            digests[digest_of(one)] = digest_of(new)
        if new is not None and "common" in new:
            new = {**new, "common": digests[new["common"]]}
        found += [] if new is None else [new]
    write(journal, found)


def alter(store: RecordStore, kind: str, **members: Any) -> None:
    """Change members of the events of a kind, such as `begun`."""
    rewrite(store, lambda one: {**one, **members} if one["kind"] == f"{kind} 1" else one)


def forget(store: RecordStore, *keys: str, asked: bool = False) -> None:
    """Leave out the ends of attempts, as if cut off; `asked`: and their beginnings."""
    kinds = {"ended 2", *(["asked 1"] if asked else [])}

    def change(one: Document) -> Document | None:
        is_of = one["kind"] in kinds and f"{one['trial']:04d}-{one['attempt']}" in keys
        return None if is_of else one

    rewrite(store, change)


def damage(store: RecordStore, key: str) -> None:
    """Alter a byte in the line that says how an attempt ended."""
    journal = store.journal.path
    content = bytearray(journal.read_bytes())
    trial, attempt = map(int, key.split("-"))
    place = content.index(f'"trial":{trial},"attempt":{attempt},"seed"'.encode())
    content[place + 8] ^= 1
    journal.write_bytes(content)


def weights(store: RecordStore) -> set[str]:
    """Return the keys of the attempts that have their weights."""
    return {path.name.partition(".")[0] for path in store.folder.glob("trials/*.weights.npz")}
