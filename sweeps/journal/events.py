"""The events of a sweep: each kind is a struct, with the version of its form in its tag."""

from __future__ import annotations

import json
import zlib
from importlib.metadata import version
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.workspace.files import FormatError

BY: Final = version("digit-sweeps")
MOST_BYTES: Final = 64 * 1024
"""A longer line is not written; what is large lies in a file beside the journal."""

_Count = Annotated[int, Meta(ge=0, lt=2**31)]


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Something that happened to a sweep.

    Attributes:
        number: Its number, from 1 without a gap; given by the journal.
        at: When it was written, in milliseconds since the epoch (UTC); given by the journal.
        host: By which host; given by the journal.
        by: By which version of the program.
    """

    number: _Count = 0
    at: int = 0
    host: str = ""
    by: str = BY


class Asked(Event, frozen=True, kw_only=True, tag="asked 1"):
    """An attempt at a trial is about to begin; of attempt 1 also: the sampler has proposed it.

    Each attempt repeats the proposal, so that a line that is lost costs nothing.

    Attributes:
        trial: Number of the trial, from 0.
        attempt: Number of the attempt, from 1; none is used twice.
        params: The sampled parameters; their distributions follow from the space.
        origin: Where the proposal came from, as in records.
    """

    trial: _Count
    attempt: _Count
    params: dict[str, Value]
    origin: str


KINDS: Final = {one.__struct_config__.tag: one for one in (Asked,)}
_DECODER: Final = msgspec.json.Decoder(Asked)


class UnknownEventError(UsageError):
    """An event is of a kind, or a version of a kind, that this version does not know."""


def to_line(event: Event) -> bytes:
    """Return an event as a line of the journal.

    Python's own JSON writes it: msgspec would write NaN as null, and refuse lone surrogates.

    Raises:
        UsageError: It has more than `MOST_BYTES`.
    """
    document = {"kind": event.__struct_config__.tag, **msgspec.structs.asdict(event)}
    text = json.dumps(document, separators=(",", ":")).encode()
    if len(text) > MOST_BYTES:
        kind = document["kind"].partition(" ")[0]
        raise UsageError(
            f"what is {kind!r} would take {len(text)} bytes in the journal, and may take "
            f"{MOST_BYTES}: use shorter texts as values"
        )
    return b"\n%b %08x\n" % (text, zlib.crc32(text))


def from_line(line: bytes) -> Event:
    """Return the event in a line, without the newlines around it.

    Raises:
        FormatError: The line is damaged: the checksum does not fit, or it holds no event.
        UnknownEventError: Its kind is unknown; the message names the version that wrote it.
    """
    text, _, checksum = line.rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(text) or len(text) > MOST_BYTES:
        raise FormatError("its checksum does not fit")
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _slowly(text)


def _slowly(text: bytes) -> Event:
    """Read what msgspec does not: numbers that are not finite, lone surrogates, unknown kinds."""
    try:
        found: Any = json.loads(text)
        kind = found["kind"]
        if kind in KINDS:
            return msgspec.convert(found, KINDS[kind])
        by = found.get("by")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"no event: {error}") from None
    raise UnknownEventError(
        f"an event of the kind {kind!r}, which this version ({BY}) does not know; use the one that "
        f"wrote it ({by})"
    )
