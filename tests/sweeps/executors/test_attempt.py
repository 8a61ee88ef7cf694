"""Why an attempt has no result: what no repetition mends is told from what one might."""

import json
import os

import pytest

from sweeps.errors import ScriptError
from sweeps.executors.attempt import Attempt, reason_of, run_attempt
from sweeps.experiment import TrialSpec
from tests.sweeps.toy_experiment import ToyExperiment


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


SPEC = TrialSpec("s", 0, 1, 0, {})


class Writing(ToyExperiment):
    def train_in(self, folder, spec, data, on_epoch):
        (folder / "output").mkdir()
        (folder / "output" / "half").write_text("half")
        raise ScriptError("no result", "invalid")


def test_an_attempt_that_failed_has_the_files_it_wrote_and_no_traceback_of_ours(tmp_path):
    folder = tmp_path / "running" / SPEC.key
    attempt = run_attempt(Writing(), SPEC, None, lambda epoch, metrics: None, None, folder)
    kept = attempt.with_files_of(folder)
    assert (kept.error, kept.reason) == ("no result", "invalid")
    assert kept.files == {"output/half": b"half"}
    assert attempt.with_files_of(None) is attempt


@pytest.mark.parametrize("reason", ["crash", "oom", "killed", "timeout"])
def test_one_whose_process_was_ended_says_what_it_printed_last(tmp_path, reason):
    (tmp_path / "stdout.txt").write_text("as far as this\n")
    attempt = Attempt(SPEC, None, "it was ended", 1, 2, reason).with_files_of(tmp_path)
    assert attempt.error == "it was ended\n\nThe last lines of its stdout:\nas far as this"
