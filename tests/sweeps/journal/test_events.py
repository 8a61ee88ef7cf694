"""An event as a line: it comes back to the bit, and nothing else is taken for one."""

import json
import math
import zlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from sweeps.errors import UsageError
from sweeps.journal import Asked, events
from sweeps.journal.events import (
    BY,
    KINDS,
    MOST_BYTES,
    Begun,
    Common,
    Finished,
    LearnedPoint,
    Record,
    ShortRecord,
    TooLongError,
    UnknownEventError,
    from_line,
    pieces_of,
    to_line,
)
from sweeps.workspace.files import FormatError
from tests.sweeps.factories import make_info

ANY_TEXT = st.text(st.characters(), max_size=12)  # lone surrogates and control characters, too
PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
LINES = st.text(PRINTABLE, max_size=12)
INTEGERS = st.integers(-(2**2000), 2**2000)
SCALARS = st.one_of(st.none(), st.booleans(), st.floats(), INTEGERS, ANY_TEXT)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
FACTS = st.dictionaries(ANY_TEXT, ANYTHING, max_size=3)
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


def values_of(kind):  # noqa: C901, PLR0911, PLR0912 - a line a type
    """Return a strategy for all values that a type of `msgspec.inspect` allows."""
    match kind:
        case inspect.AnyType():
            return ANYTHING
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType(ge=None):
            return INTEGERS
        case inspect.IntType(ge=low, lt=high):
            return st.integers(low, high - 1)
        case inspect.FloatType(ge=None):
            return st.floats()
        case inspect.FloatType(ge=low, le=high):
            return st.floats(low, high)
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern.replace("$", r"\Z"))
        case inspect.StrType(max_length=int()):
            return LINES
        case inspect.StrType():
            return ANY_TEXT
        case inspect.RawType():
            return FACTS.map(lambda facts: msgspec.Raw(json.dumps(facts).encode()))
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.UnionType(types=types):
            return st.one_of(*map(values_of, types))
        case inspect.ListType(item_type=item):
            return st.lists(values_of(item), max_size=3)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(values_of, items))
        case inspect.VarTupleType(item_type=item):
            return st.lists(values_of(item), max_size=3).map(tuple)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(values_of(key), values_of(value), max_size=3)
        case (
            inspect.StructType(cls=cls, fields=fields)
            | inspect.DataclassType(cls=cls, fields=fields)
        ):
            members = {field.name: values_of(field.type) for field in fields}
            return st.fixed_dictionaries(members).map(lambda found: cls(**found))
    raise AssertionError(kind)


def sensible(members):
    """Return members of an attempt that ended, without what contradicts itself."""
    objective, trained = members["objective"], members["trained"]
    if trained is None:
        members |= {"outcome": "failed", "objective": None}
    elif objective is not None and math.isnan(objective):
        members["objective"] = math.inf
    return members


READ = {
    "data": events.Data,
    "fingerprint": events._Fingerprint,
    "space": events._Space,
    "code": events._Code,
}


def events_of(kind):
    """Return a strategy for all events of a kind."""
    fields = inspect.type_info(kind).fields
    members = {field.name: values_of(field.type) for field in fields}
    if kind is Begun:  # of these some members are read, and are to be what they say
        info = make_info()
        for name, read in READ.items():
            known = getattr(info, name)
            own = {field.name for field in inspect.type_info(read).fields}
            others = FACTS.map(
                lambda more, own=own: {k: v for k, v in more.items() if k not in own}
            )
            members[name] = others.map(lambda more, known=known: {**more, **known})
    if kind is ShortRecord:  # these stand in another line
        members |= dict.fromkeys(events._IN_COMMON, st.just(msgspec.Raw(b"{}")))
    whole = st.fixed_dictionaries(members)
    is_attempt = issubclass(kind, Record)
    return (whole.map(sensible) if is_attempt else whole).map(lambda found: kind(**found))


def asked(**fields):
    return Asked(**{"trial": 0, "attempt": 1, "params": {}, "origin": "sampled"} | fields)


def minimal(kind):
    """Return the shortest event of a kind: whatever has a default has it."""
    required = [f.name for f in inspect.type_info(kind).fields if f.required]
    members = {"outcome": "failed", "trained": None, "objective": None}
    wanted = {**dict.fromkeys(required), **{k: v for k, v in members.items() if k in required}}
    info = make_info()
    simple = {
        "generation": 1, "sweep": "s", "name": "n", "experiment": "e:e", "experiment_name": "e",
        "metric": "m", "direction": "maximize", "other_objectives": (), "data": info.data,
        "fingerprint": {}, "space": {}, "baselines": (), "code": {}, "origin": "sampled",
        "params": {}, "config": {}, "distributions": {}, "reason": "error", "ends_trial": True,
        "environment": {}, "common": "0" * 64, "subject": "1",
        "attempts": () if kind.__name__ == "Retried" else 0,
        "text": "0" * 64, "source": "s", "points": (), "status": "FINISHED", "hidden": True,
        "file": "f", "archive": "0" * 64, "conclusion": {}, "evaluation": "1234abcd-1",
        "is_vote": False, "seconds": 0.0, "events": (), "metrics": {},
        "trials": () if kind.__name__ == "Imported" else 0,
    }  # fmt: skip
    nothing = ("epoch_metric", "diff", "directory", "stopped_by")
    for name in wanted:
        if name in simple:
            wanted[name] = simple[name]
        elif name not in members and name not in nothing:
            wanted[name] = 0
    if kind in {Record, Common}:
        wanted |= dict.fromkeys(events._IN_COMMON, msgspec.Raw(b"{}"))
    return kind(**wanted)


def line_of(text):
    """Return a line as another version of the program, or nobody, would write it."""
    return b"%b %08x" % (text, zlib.crc32(text))


def there_and_back(event):
    line = to_line(event)
    assert (line[:1], line[-1:], line.count(b"\n")) == (b"\n", b"\n", 2)
    assert shown(from_line(line[1:-1])) == shown(event)


def shown(event):
    """Return an event as a text, which tells -0.0 from 0.0 and 1 from True, but no NaN from NaN."""
    members = {name: getattr(event, name) for name in event.__struct_fields__}
    raw = {n: bytes(value) for n, value in members.items() if isinstance(value, msgspec.Raw)}
    return type(event), repr({**members, **{name: json.loads(text) for name, text in raw.items()}})


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_event_of_any_kind_comes_back_to_the_bit(kind, data):
    there_and_back(data.draw(events_of(kind)))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_members_that_have_their_default_are_left_out_and_come_back(kind):
    event = minimal(kind)
    written = json.loads(to_line(event)[1:-10])
    optional = {field.name for field in inspect.type_info(kind).fields if not field.required}
    assert not optional & set(written) - {"number", "at", "host", "by"}
    there_and_back(event)


@pytest.mark.parametrize("seconds", [0.0, -0.0, float("nan"), 1.0])
def test_a_value_that_only_equals_a_default_is_written(seconds):
    there_and_back(Finished("FINISHED", None, seconds=seconds))


@pytest.mark.parametrize("value", HARD.values(), ids=HARD)
def test_every_hard_value_comes_back_to_the_bit(value):
    there_and_back(asked(params={"x": value}))


@pytest.mark.parametrize("text", [v for v in HARD.values() if isinstance(v, str)], ids=ascii)
def test_every_hard_text_may_be_a_name_an_origin_and_a_host(text):
    there_and_back(asked(params={text: 1}, origin=text, host=text, by=text))


FORMER = [f"{str(tag).partition(' ')[0]} {version}" for tag in KINDS for version in (0, 3)]


@pytest.mark.parametrize("kind", ["asked 9", "asked", "told 1", "", 7, None, *FORMER])
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


def test_what_is_too_long_for_a_line_goes_into_groups_that_have_room():
    points = [LearnedPoint({"x": "a" * 1000}) for _ in range(200)]
    groups = pieces_of(points)
    assert [point for group in groups for point in group] == points
    assert len(groups) > 1
    for group in groups:
        there_and_back(KINDS["learned 1"](points=group))
    with pytest.raises(TooLongError):
        to_line(KINDS["learned 1"](points=tuple(points)))


def test_no_items_are_one_empty_group():
    assert pieces_of([]) == [()]
