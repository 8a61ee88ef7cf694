"""Files beside the records that are torn, garbled or of a newer version: said, and nothing lost."""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.access_log import AccessLog
from sweeps.home import Home
from sweeps.records import (
    Conclusions,
    ConfirmationRecord,
    EnqueuedPoints,
    Notes,
    RecordStore,
    WordedConclusion,
    put_aside,
)
from tests.sweeps.launching import Launched, give_up_the_rights_of_root

DIGEST = "ab" * 32
TELLING = WordedConclusion(
    "confirmed", "Confirmed on fresh folds", "It is trial 1.", ["a"], [["b"]]
)
READING = {
    "number": 1,
    "digest": DIGEST,
    "frozen_at": 1,
    "reason": "",
    "entries": [],
    "questions": ["accuracy"],
}
DAMAGES = {
    "empty": b"",
    "torn": b'{"anchor": "confirmed", "tit',
    "zeroed": bytes(40),
    "garbled": b"\xff\xfe\x00garbage",
    "another type": b'[["no such thing"]]',
    "a member of another type": b'{"origin": 3, "params": 7, "sweep": 1, "status": "GONE"}',
    "nested": b"[" * 100_000,
}
WHOLE_SWEEP = ("sweep.json", "generation-2.json")
READERS = {
    "sweep.json": ["best toy", "run", "list"],
    "generation-2.json": ["best toy", "run", "list"],
    "asked": ["best toy", "list", "report toy"],
    "ending.json": ["report toy", "sync toy"],
    "notes.json": ["note toy", "note toy 1 new", "share toy toy.sweep", "sync toy"],
    "confirmation.json": [
        "best toy", "ensemble toy", "confirm toy", "report toy", "sync toy",
    ],
    "tested-abababab-1.json": ["best toy", "report toy"],
    "voted-abababab-1.json": ["best toy", "report toy"],
    "enqueued-0001.json": ["enqueue toy x=0.25 layers=0 kind=b", "run"],
    "enqueued-0001.trial": ["enqueue toy x=0.25 layers=0 kind=b", "run"],
}  # fmt: skip
GO_ON = {"best", "list", "report", "sync"}
"""Commands that say it and go on, but if the sweep itself is what cannot be read."""


class Hurt:
    """A sweep of two trials with everything that can lie beside its records."""

    def __init__(self, home, space):
        self.home, self.space = Home(home), space
        self.info = sweeps.load("toy", home).info
        self.store = self.home.store(self.info.id)
        folder = self.store.folder
        Notes(folder).write("1", "a remarkable trial")
        EnqueuedPoints(folder).add({"x": 0.125, "layers": 0, "kind": "c"}, "enqueued")
        (folder / "enqueued-0001.trial").write_text("7\n")
        conclusions = Conclusions(folder)
        where = self.info.id, self.info.id, "0001-1"
        conclusions.keep(
            ConfirmationRecord(*where, "trial-1", top=2, folds=8, conclusions=[TELLING])
        )
        conclusions.keep_tested("abababab-1", TELLING, TELLING)

    def path(self, name):
        return self.store.folder / name

    def call(self, words):
        command, *options = words.split()
        if command == "run":
            options = [str(self.space), "--trials", "3", "--workers", "0", *options]
        if command == "report":
            options += ["-o", str(self.home.path.parent / "toy.html")]
        if command == "share":
            options[-1] = str(self.home.path.parent / options[-1])
        return CliRunner().invoke(app, [command, *options, "--home", str(self.home.path)])


@pytest.fixture
def hurt(finished_toy, make_home, toy_space, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finished_toy(trials=2)
    return Hurt(make_home(), toy_space)


def check(hurt, path, words):
    """Run a command, which is to name the file once and leave it as it is."""
    before = path.read_bytes()
    result = hurt.call(words)
    assert isinstance(result.exception, SystemExit | None), (words, result.exception)
    about = [line for line in result.stderr.splitlines() if str(path) in line]
    assert len(about) == 1, (words, result.output)
    assert f"{path}: damaged (" in about[0]
    goes_on = words.split()[0] in GO_ON and (path.name not in WHOLE_SWEEP or words == "list")
    assert (result.exit_code == 0) == goes_on, (words, result.output)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_one_message_that_names_it_and_is_not_written_over(hurt, name):
    path = hurt.path(name)
    for damage in DAMAGES.values():
        path.write_bytes(damage)
        check(hurt, path, READERS[name][0])
    path.write_bytes(b"{")
    for words in READERS[name][1:]:
        check(hurt, path, words)


def test_a_file_of_a_newer_version_is_no_damaged_one(hurt):
    path = hurt.path("enqueued-0001.json")
    newer = json.loads(path.read_text()) | {"mood": "hopeful"}
    path.write_text(json.dumps(newer))
    result = hurt.call("enqueue toy x=0.25 layers=0 kind=b")
    said = f"{path}: it has mood, which this version does not know; use the version that wrote it"
    assert (result.exit_code, result.stderr) == (1, f"error: {said}\n")
    result = hurt.call("doctor toy --fix")
    assert (result.exit_code, said in result.stdout) == (1, True)
    assert json.loads(path.read_text()) == newer


def test_a_generation_that_is_missing_between_others_is_not_taken_for_the_end(hurt):
    hurt.path("generation-3.json").write_text("{}")
    result = hurt.call("best toy")
    path = hurt.path("generation-2.json")
    assert (result.exit_code, f"{path}: missing, and there is a later" in result.stderr) == (
        1,
        True,
    )


@pytest.mark.parametrize("name", ["asked", "ending.json"])
def test_what_each_start_notes_anew_the_next_one_puts_aside(hurt, name, run_toy):
    for path in hurt.store.folder.glob("enqueued-*"):
        path.unlink()
    hurt.path(name).write_bytes(b"\0\0")
    assert hurt.call("run").exit_code == 0
    assert hurt.path(f"{name}.torn").read_bytes() == b"\0\0"
    assert hurt.store.asked() == 3
    assert hurt.store.ending().status == "FINISHED"


def test_doctor_names_every_damaged_file_and_puts_it_aside(hurt):
    names = [name for name in READERS if name not in WHOLE_SWEEP]
    whole = {name: hurt.path(name).read_bytes() for name in names}
    test = hurt.home.path / "test" / DIGEST[:16]
    test.mkdir(parents=True)
    (test / "0001.json").write_text(json.dumps(READING))
    damaged = [*map(hurt.path, names), test / "0001.json", test / "0002.npz"]
    for path in damaged[:-1]:
        path.write_bytes(b"{")
    (test / "0002.json").write_text(json.dumps(READING | {"number": 2}))
    (test / "0002.npz").write_bytes(b"PK torn")
    told = json.loads(hurt.call("doctor toy --json").stdout)
    found = [
        p["what"] for one in told["diagnoses"] for p in one["problems"] if p["part"] == "files"
    ]
    assert sorted(what.partition(": damaged")[0] for what in found) == sorted(map(str, damaged))
    result = hurt.call("doctor toy --fix")
    assert result.exit_code == 0, result.output
    for path in damaged:
        assert path.with_name(f"{path.name}.torn").exists(), path
    assert hurt.path("asked").read_bytes() == whole["asked"], "as many as there are trials"
    assert AccessLog(hurt.home, DIGEST).count() == 2, "a reading counts whatever became of its list"
    assert hurt.call("doctor").exit_code == 0
    assert "queued: x=0.25" in hurt.call("enqueue toy x=0.25 layers=0 kind=b").stdout
    assert hurt.path("enqueued-0002.json").exists(), "a number is not given twice"


@pytest.mark.parametrize("name", ["enqueued-0001.json", "enqueued-0001.trial"])
def test_doctor_writes_an_enqueued_point_anew_from_the_trial_that_tried_it(hurt, name):
    hurt.path("enqueued-0001.trial").unlink()
    assert hurt.call("run").exit_code == 0
    whole = EnqueuedPoints(hurt.store.folder).all()
    assert [point.trial for point in whole] == [2]
    hurt.path(name).write_bytes(b"")
    result = hurt.call("doctor toy --fix")
    assert result.exit_code == 0, result.output
    assert "written anew from the trial that tried it" in result.stderr
    assert EnqueuedPoints(hurt.store.folder).all() == whole


def test_what_was_put_aside_is_not_written_over_by_the_next_that_is_damaged(tmp_path):
    for content in ("first", "second", "third"):
        (tmp_path / "notes.json").write_text(content)
        put_aside(tmp_path / "notes.json")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    names = ("notes.json.torn", "notes.json.2.torn", "notes.json.3.torn")
    assert kept == dict(zip(names, ("first", "second", "third"), strict=True))


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(hurt):
    folder = hurt.store.folder
    words = ["trials", "toy", "--home", str(hurt.home.path)]
    folder.chmod(0o300)  # names in it can be opened, not listed
    try:
        running = Launched(words, before=[give_up_the_rights_of_root], hears_all=True)
        code, said = running.wait(), running.stderr()
    finally:
        folder.chmod(0o755)
    assert (code, f"{folder}: cannot be read (Permission denied)" in said) == (1, True), said


def test_a_record_of_another_sweep_is_named_and_left_out_everywhere(
    finished_toy, call, make_home, tmp_path
):
    sweep = finished_toy(trials=4)
    folder = sweep.home.store(sweep.info.id).folder
    record = sweep.home.store(sweep.info.id).read("0000-1")
    spec = replace(record.spec, sweep="20200101-0badcafe", trial=5)
    metrics = {**record.result.metrics, sweep.info.metric: 99.0}
    better = replace(record, spec=spec, result=replace(record.result, metrics=metrics))
    (tmp_path / "other").mkdir()
    RecordStore(tmp_path / "other").write(better)
    for file in (tmp_path / "other").iterdir():
        shutil.copy(file, folder)
    said = f"{folder / '0005-1.record'}: a record of another sweep (20200101-0badcafe)"
    for words in (["best", "toy"], ["trials", "toy"], ["list"], ["sync", "toy"]):
        answer = call(*words)
        assert answer.exit_code == 0, answer.output
        assert said in answer.stderr
        assert "99" not in answer.stdout
    examined = call("doctor")
    assert (examined.exit_code, said in examined.stdout) == (1, True), examined.output
    archive = tmp_path / "toy.sweep"
    assert said in call("share", "toy", archive).stderr
    assert call("import", archive, home="elsewhere").exit_code == 0
    assert call("doctor", "--fix").exit_code == 0
    assert (folder / "0005-1.record.torn").exists()
    assert len(json.loads(call("trials", "toy", "--json").stdout)) == 4
    assert "trial 5" not in call("doctor").stdout


def test_a_damaged_event_of_the_journal_is_a_note_and_costs_nothing(hurt):
    path = hurt.store.journal.path
    before, rows = path.read_bytes(), sweeps.load("toy", hurt.home.path).rows()
    garbled = before.replace(b'"trial":0', b'"trial":1', 1)
    path.write_bytes(garbled)
    said = f"{path}: event 1 is damaged (its checksum does not fit); left out"
    result = hurt.call("doctor toy --json")
    examined = json.loads(result.stdout)["diagnoses"][-1]
    assert (result.exit_code, examined["problems"]) == (0, [])
    assert examined["notes"][0] == said
    result = hurt.call("doctor toy")
    assert (result.exit_code, result.output.count(said)) == (0, 1)
    assert hurt.call("run").exit_code == 0
    assert path.read_bytes().startswith(garbled), "it is left as it is"
    numbers = [event.number for event in hurt.store.journal.read(lambda line: None)]
    assert numbers == list(range(2, len(numbers) + 2)) != [2]
    assert sweeps.load("toy", hurt.home.path).rows()[:2] == rows


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
