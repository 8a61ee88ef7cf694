"""An event as a line: it comes back to the bit, and nothing else is taken for one."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import UsageError
from sweeps.journal import Asked
from sweeps.journal.events import BY, MOST_BYTES, UnknownEventError, from_line, to_line
from sweeps.workspace.files import FormatError

ANY_TEXT = st.text(st.characters())  # lone surrogates and control characters, too
VALUES = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(2**2000), 2**2000), ANY_TEXT
)
COUNTS = st.integers(0, 2**31 - 1)
EVENTS = st.builds(
    Asked,
    number=COUNTS,
    at=st.integers(-(2**63), 2**63 - 1),
    host=ANY_TEXT,
    by=ANY_TEXT,
    trial=COUNTS,
    attempt=COUNTS,
    params=st.dictionaries(ANY_TEXT, VALUES, max_size=8),
    origin=ANY_TEXT,
)
HARD = {
    "not a number": float("nan"),
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "minus zero": -0.0,
    "subnormal": 5e-324,
    "greatest": 1.7976931348623157e308,
    "seventeen digits": 0.1 + 0.2,
    "whole": 1.0,
    "whole with an exponent": 1e22,
    "64 bits": 2**63 - 1,
    "more than 64 bits": 2**64 + 1,
    "less than 64 bits": -(2**63) - 1,
    "no float is as large": 10**400,
    "true": True,
    "one": 1,
    "none": None,
    "empty": "",
    "a lone surrogate": "\ud800",
    "newlines": "\n\r\n\u2028",
    "quotes": "\"'\\",
    "control characters": "\0\x1b\x7f",
    "like a line": '{"kind":"asked 1"} 00000000',
    "emoji": "\N{SNAKE}",
}


def asked(**fields):
    return Asked(**{"trial": 0, "attempt": 1, "params": {}, "origin": "sampled"} | fields)


def line_of(text):
    """Return a line as another version of the program, or nobody, would write it."""
    return b"%b %08x" % (text, zlib.crc32(text))


def there_and_back(event):
    line = to_line(event)
    assert (line[:1], line[-1:], line.count(b"\n")) == (b"\n", b"\n", 2)
    found = from_line(line[1:-1])
    # Unlike an equality, it tells -0.0 from 0.0, 1 from 1.0 and True, and takes NaN for NaN.
    assert repr(found) == repr(event)


@given(EVENTS)
def test_any_event_comes_back_to_the_bit(event):
    there_and_back(event)


@pytest.mark.parametrize("value", HARD.values(), ids=HARD)
def test_every_hard_value_comes_back_to_the_bit(value):
    there_and_back(asked(params={"x": value}))


@pytest.mark.parametrize("text", [v for v in HARD.values() if isinstance(v, str)], ids=ascii)
def test_every_hard_text_may_be_a_name_an_origin_and_a_host(text):
    there_and_back(asked(params={text: 1}, origin=text, host=text, by=text))


@pytest.mark.parametrize("kind", ["asked 9", "asked", "told 1", "", 7, None])
def test_an_unknown_kind_is_no_damage_and_names_the_version_that_wrote_it(kind):
    line = line_of(json.dumps({"kind": kind, "by": "9.8.7", "number": 1, "mood": "new"}).encode())
    with pytest.raises(UnknownEventError) as caught:
        from_line(line)
    assert isinstance(caught.value, UsageError)
    assert str(caught.value) == (
        f"an event of the kind {kind!r}, which this version ({BY}) does not know; "
        "use the one that wrote it (9.8.7)"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'"asked 1"',
        b'{"trial":0}',
        b'{"kind":["asked 1"]}',
        b'{"kind":"asked 1"}',
        b'{"kind":"asked 1","trial":-1,"attempt":1,"params":{},"origin":""}',
        b'{"kind":"asked 1","trial":0.5,"attempt":1,"params":{},"origin":""}',
        b'{"kind":"asked 1","trial":0,"attempt":1,"params":{"x":[1]},"origin":""}',
        b'{"kind":"asked 1","trial":0,"attempt":1,"params":{"x":' + b"[" * 9999 + b"},",
        b'{"kind":"asked 1","trial":0,"attempt":1,"params":{"x":' + b"9" * 9999 + b"},",
        b'{"kind":"asked 1","trial":0,"attempt":1,"params":{"x":"\xff"},"origin":""}',
        b'{"kind":"asked 1","trial":0,"attempt":1,"params":{},"origin":"","mood":1}',
        b" " * (MOST_BYTES + 1),
    ],
)
def test_a_line_that_holds_no_event_is_damaged_whatever_its_checksum_says(text):
    with pytest.raises(FormatError):
        from_line(line_of(text))


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line[:-1],
        lambda line: line[:-9],
        lambda line: line[1:],
        lambda line: line + b"0",
        lambda line: line + b" ",
        lambda line: line.replace(b'"trial":0', b'"trial":1'),
        lambda line: b"",
    ],
)
def test_a_line_whose_checksum_does_not_fit_is_damaged(change):
    with pytest.raises(FormatError, match="its checksum does not fit"):
        from_line(change(to_line(asked(params={"x": 0.25}))[1:-1]))


def test_the_longest_line_is_written_and_a_longer_one_refused():
    room = MOST_BYTES - len(to_line(asked(params={"x": ""}))) + 11  # newlines, blank and checksum
    there_and_back(asked(params={"x": "a" * room}))
    with pytest.raises(UsageError) as caught:
        to_line(asked(params={"x": "a" * (room + 1)}))
    assert str(caught.value) == (
        "what is 'asked' would take 65537 bytes in the journal, and may take 65536: "
        "use shorter texts as values"
    )
