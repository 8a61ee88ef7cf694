"""Events and files that are torn, garbled or of a newer version: said, and nothing else lost."""

from __future__ import annotations

import json
import zlib

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.access_log import AccessLog
from sweeps.home import Home
from sweeps.journal.events import Noted
from sweeps.records import (
    Conclusions,
    ConfirmationRecord,
    WordedConclusion,
    put_aside,
)
from sweeps.records.enqueued import enqueue
from tests.sweeps.forging import events_in, forge
from tests.sweeps.launching import Launched, give_up_the_rights_of_root

DIGEST = "ab" * 32
TELLING = WordedConclusion(
    "confirmed", "Confirmed on fresh folds", "It is trial 1.", ["a"], [["b"]]
)
LONG = WordedConclusion("confirmed", "Confirmed", "It is trial 1. " * 10_000, ["a"], [["b"]])
READING = {
    "number": 1,
    "digest": DIGEST,
    "frozen_at": 1,
    "reason": "",
    "entries": [],
    "questions": ["accuracy"],
    "metric": "best_val_accuracy",
}
DAMAGES = {
    "empty": b"",
    "torn": b'{"confirmation": "20261127-1a2b3c4d", "tra',
    "zeroed": bytes(40),
    "garbled": b"\xff\xfe\x00garbage",
    "another one": b'{"confirmation": "20261127-1a2b3c4d"}',
    "nested": b"[" * 100_000,
}
READERS = {
    "begun": ["best toy", "list", "run"],
    "requested": ["best toy", "list", "report toy"],
    "started": ["list", "report toy", "run"],
    "asked": ["best toy", "run", "sync toy"],
    "ended": ["best toy", "trials toy", "run"],
    "finished": ["report toy", "sync toy"],
    "noted": ["note toy", "note toy 1 new", "share toy toy.sweep", "sync toy"],
    "confirmed": ["best toy", "report toy", "sync toy"],
    "tested": ["best toy", "report toy"],
    "enqueued": ["enqueue toy x=0.25 layers=0 kind=b", "run"],
}
"""Kinds of events, and commands that read them."""


class Hurt:
    """A sweep of two trials with an event of every kind that reports are made of."""

    def __init__(self, home, space):
        self.home, self.space = Home(home), space
        self.info = sweeps.load("toy", home).info
        self.store = self.home.store(self.info.id)
        self.store.append(Noted("1", "a remarkable trial"))
        enqueue(self.store, {"x": 0.125, "layers": 0, "kind": "b"}, origin="enqueued")
        self.conclude(TELLING)
        Conclusions(self.store).keep_tested("abababab-1", TELLING)

    def conclude(self, conclusion):
        where = self.info.id, self.info.id, "0001-1"
        confirmed = ConfirmationRecord(*where, "trial-1", top=2, folds=8, conclusions=[conclusion])
        Conclusions(self.store).keep(confirmed)
        text = self.store.state().confirmed[-1].text
        return text and self.store.text_path(text)

    def call(self, words):
        command, *options = words.split()
        if command == "run":
            options = [str(self.space), "--trials", "3", "--workers", "0", *options]
        if command == "report":
            options += ["-o", str(self.home.path.parent / "toy.html")]
        if command == "share":
            options[-1] = str(self.home.path.parent / options[-1])
        return CliRunner().invoke(app, [command, *options, "--home", str(self.home.path)])

    def garble(self, kind):
        """Change a byte in the first event of a kind; return its number, and the journal then."""
        journal = self.store.journal.path
        lines = journal.read_bytes().split(b"\n")
        place = next(
            n for n, line in enumerate(lines) if line.startswith(b'{"kind":"%b ' % kind.encode())
        )
        (event,) = events_in(lines[place])
        lines[place] = b"{K" + lines[place][2:]
        journal.write_bytes(b"\n".join(lines))
        return event["number"], journal.read_bytes()


@pytest.fixture
def hurt(finished_toy, make_home, toy_space, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finished_toy(trials=2)
    return Hurt(make_home(), toy_space)


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_event_is_one_message_and_costs_nothing_else(hurt, kind):
    # What the sweep is, is repeated at each start; here it was started once.
    if kind == "begun":
        assert hurt.call("run").exit_code == 0
    number, garbled = hurt.garble(kind)
    journal = hurt.store.journal.path
    has_run = False
    for words in READERS[kind]:
        result = hurt.call(words)
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
        assert result.exit_code == 0, (words, result.output)
        said = f"{journal}: event {number} is damaged (its checksum does not fit"
        # A run tells of it, and goes on; then it need not be said again.
        assert result.stderr.count(said) == (not has_run), (words, result.output)
        has_run = has_run or words.startswith("run")
    assert journal.read_bytes().startswith(garbled), "it is left as it is"
    numbers = [event.number for event in hurt.store.journal.read(lambda line: None)]
    assert number not in numbers, "a number is not given twice"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_text_is_one_message_that_names_its_event(hurt, damage):
    text = hurt.conclude(LONG)
    text.write_bytes(DAMAGES[damage])
    for words, code in (("best toy", 0), ("report toy", 0), ("sync toy", 0), ("confirm toy", 1)):
        result = hurt.call(words)
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
        said = f"is damaged (its text {text.name} is lost); "
        assert (result.exit_code, result.stderr.count(said)) == (code, 1), (words, result.output)
    assert text.read_bytes() == DAMAGES[damage]


def test_a_generation_that_is_missing_between_others_is_not_taken_for_the_end(hurt):
    def third(events):
        begun = next(event for event in events if event["kind"] == "begun 1")
        events.append({**begun, "number": len(events) + 1, "generation": 3})

    forge(hurt.store.journal.path, third)
    result = hurt.call("best toy")
    said = f"{hurt.store.journal.path}: what generation 2 of the sweep is, is lost"
    assert (result.exit_code, said in result.stderr) == (1, True), result.output


@pytest.mark.parametrize("kind", ["requested", "finished"])
def test_what_each_start_notes_anew_is_there_after_the_next_one(hurt, kind):
    hurt.garble(kind)
    assert hurt.call("run").exit_code == 0
    state = Home(hurt.home.path).store(hurt.info.id).state(lambda line: None)
    assert (state.requested, state.finished.status) == (3, "FINISHED")


def test_doctor_names_every_damaged_file_and_puts_it_aside(hurt):
    text, folder = hurt.conclude(LONG), hurt.store.folder
    test = hurt.home.path / "test" / DIGEST[:16]
    test.mkdir(parents=True)
    for number in (1, 2):
        (test / f"000{number}.json").write_text(json.dumps(READING | {"number": number}))
    arrays = [folder / "trials" / name for name in ("0001-1.npz", "0000-1.weights.npz")]
    damaged = [*arrays, text, test / "0001.json", test / "0002.npz"]
    for path in damaged:
        path.write_bytes(b"PK torn")
    told = json.loads(hurt.call("doctor toy --json").stdout)
    found = [
        p["what"] for one in told["diagnoses"] for p in one["problems"] if p["part"] == "files"
    ]
    assert sorted(what.split(":")[0].split(" ")[0] for what in found) == sorted(map(str, damaged))
    result = hurt.call("doctor toy --fix")
    assert result.exit_code == 1, "a conclusion is made again by its own command"
    for path in damaged:
        assert path.with_name(f"{path.name}.torn").exists(), path
    assert AccessLog(hurt.home, DIGEST).count() == 2, "a reading counts whatever became of its list"
    left = json.loads(hurt.call("doctor --json").stdout)["diagnoses"]
    for problem in (p for one in left for p in one["problems"]):
        assert f"its text {text.name} is lost" in problem["what"]
    hurt.conclude(TELLING)
    assert hurt.call("doctor").exit_code == 0


def test_an_enqueued_point_whose_event_is_damaged_was_tried_all_the_same(hurt):
    assert hurt.call("run").exit_code == 0
    hurt.garble("enqueued")
    assert "queued: x=0.25" in hurt.call("enqueue toy x=0.25 layers=0 kind=b").stdout
    assert [*hurt.store.state(lambda line: None).points] == [2], "a number is not given twice"
    words = ["run", str(hurt.space), "--trials", "4", "--workers", "0"]
    ran = CliRunner().invoke(app, [*words, "--home", str(hurt.home.path)])
    assert ran.exit_code == 0, ran.output
    records = hurt.store.read_all(report=lambda line: None)
    assert [record.params["x"] for record in records][2:] == [0.125, 0.25]


def test_what_was_put_aside_is_not_written_over_by_the_next_that_is_damaged(tmp_path):
    for content in ("first", "second", "third"):
        (tmp_path / "notes.json").write_text(content)
        put_aside(tmp_path / "notes.json")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    names = ("notes.json.torn", "notes.json.2.torn", "notes.json.3.torn")
    assert kept == dict(zip(names, ("first", "second", "third"), strict=True))


def test_a_journal_that_cannot_be_read_is_not_taken_for_none(hurt):
    journal = hurt.store.journal.path
    words = ["trials", "toy", "--home", str(hurt.home.path)]
    journal.chmod(0)
    try:
        running = Launched(words, before=[give_up_the_rights_of_root], hears_all=True)
        code, said = running.wait(), running.stderr()
    finally:
        journal.chmod(0o644)
    assert (code, f"{journal}: cannot be read (Permission denied)" in said) == (1, True), said


@pytest.mark.parametrize("words", ["run", "doctor toy", "doctor toy --fix"])
def test_an_event_of_a_newer_version_ends_the_command_and_is_left_alone(hurt, words):
    path = hurt.store.journal.path
    line = b'{"kind":"asked 9","number":3,"by":"9.8.7"}'
    whole = path.read_bytes() + b"\n%b %08x\n" % (line, zlib.crc32(line))
    path.write_bytes(whole)
    result = hurt.call(words)
    assert result.exit_code == 2, result.output
    assert f"error: {path}: an event of the kind 'asked 9', which this version (" in result.stderr
    assert "use the one that wrote it (9.8.7)" in result.stderr
    assert path.read_bytes() == whole
