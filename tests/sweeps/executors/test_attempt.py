"""Why an attempt has no result: what no repetition mends is told from what one might."""

import json
import os

import pytest

from sweeps.executors.attempt import reason_of


def raised(act):
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


def from_disk():
    try:
        os.close(-1)
    except OSError as error:
        raise ValueError("the images cannot be read") from error


def while_reading():
    try:
        os.close(-1)
    except OSError:
        {}["labels"]


def from_a_mistake():
    try:
        {}["units"]
    except KeyError:
        raise ValueError("give units") from None


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda: int("x"), "invalid"),
        (lambda: len(3), "invalid"),
        (lambda: {}["x"], "invalid"),
        (lambda: "word"[len("word")], "invalid"),
        (lambda: None.x, "invalid"),
        (lambda: nowhere, "invalid"),  # noqa: F821
        (lambda: __import__("no_such_module"), "invalid"),
        (lambda: compile("(", "", "eval"), "invalid"),
        (from_a_mistake, "invalid"),
        (lambda: 1 / 0, "error"),  # of numbers, which may depend on the machine
        (lambda: open("/no/such/file"), "error"),  # noqa: SIM115, PTH123
        (lambda: json.loads("{"), "error"),  # half a file, perhaps
        (b"\xff".decode, "error"),
        (from_disk, "error"),
        (while_reading, "error"),
        (lambda: (_ for _ in ()).throw(MemoryError), "oom"),
    ],
)
def test_a_mistake_of_the_code_is_told_from_trouble_of_the_world(act, reason):
    assert reason_of(raised(act)) == reason
