"""Writes lies into a journal or an archive, as a sender can: every checksum and digest fits."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeps.journal.events import Common, raw_json

JOURNAL = "journal.jsonl"
Change = Callable[[list[dict[str, Any]]], object]


def forged(content: bytes, change: Change) -> bytes:
    """Return a journal whose events, a list of JSON objects, are changed in place."""
    events = events_in(content)
    change(events)
    return b"".join(map(line_of, events))


def events_in(content: bytes) -> list[dict[str, Any]]:
    """Return the events of a journal as JSON objects."""
    return [json.loads(line.rpartition(b" ")[0]) for line in content.split(b"\n") if line]


def line_of(event: dict[str, Any]) -> bytes:
    """Return a line of a journal with a checksum that fits, whatever it says."""
    text = json.dumps(event, separators=(",", ":")).encode()
    return b"\n%b %08x\n" % (text, zlib.crc32(text))


def in_each(kind: str, change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a change of all events of a kind, such as `begun`."""

    def of_all(events: list[dict[str, Any]]) -> None:
        found = [event for event in events if event["kind"].partition(" ")[0] == kind]
        assert found
        for event in found:
            change(event)

    return of_all


FACTS = ("distributions", "data", "environment")
"""What attempts have in common; it has an event of its own."""


def digest_of(common: dict[str, Any]) -> str:
    """Return the digest by which attempts name what they have in common."""
    members = {f"{name}_json": raw_json(common[name]) for name in FACTS}
    return Common(**members).digest


def in_trial(number: int, change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a change of the event with the end of a trial, with what it has in common."""

    def of_it(events: list[dict[str, Any]]) -> None:
        ends = [event for event in events if event["kind"].startswith("ended ")]
        (event,) = (event for event in ends if event["trial"] == number)
        own = [
            one for one in events if one["kind"] == "common 1" and digest_of(one) == event["common"]
        ]
        event |= {name: own[0][name] for name in FACTS}
        change(event)
        facts, before = {name: event.pop(name) for name in FACTS if name in event}, event["common"]
        for one in own:
            one.update(facts)
        for one in ends:
            if one["common"] == before:
                one["common"] = digest_of(own[0])

    return of_it


def adding(**event: Any) -> Change:
    """Return a change that adds an event at the end, with the next number."""

    def add(events: list[dict[str, Any]]) -> None:
        given = {"number": len(events) + 1, "at": 0, "host": "there", "by": "0.1.0"}
        events.append({**given, **event})

    return add


def forge(path: Path, change: Change) -> None:
    """Change the events of a journal, or of that in an archive."""
    if path.name == JOURNAL:
        other = path.with_name("forged")
        other.write_bytes(forged(path.read_bytes(), change))
        other.replace(path)  # what is written into a journal counts as added to it
        return
    with zipfile.ZipFile(path) as archive:
        content = archive.read(JOURNAL)
    replace_member(path, JOURNAL, forged(content, change))


def replace_member(archive: Path, name: str, content: bytes) -> None:
    """Write an archive again with other contents of one file, and a manifest that fits."""
    with zipfile.ZipFile(archive) as packed:
        members = {one: packed.read(one) for one in packed.namelist()} | {name: content}
    manifest = json.loads(members["manifest.json"])
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(archive, "w") as packed:
        for one, its in members.items():
            packed.writestr(one, its)
