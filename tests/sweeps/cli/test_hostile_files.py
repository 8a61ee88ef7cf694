"""Whatever lies in the folder of a sweep: the others are listed, read, examined and deleted."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.records.format import pack_arrays, seal, unseal

OTHER = "20260101-abcdabcd"
OTHERS = (
    ("trials", "other"),
    ("report", "other", "-o", "REPORT"),
    ("gc",),
    ("delete", "other", "--yes"),
)


class Hurt:
    """A home with a sweep `toy`, in whose folder something lies, and a sound one, `other`."""

    def __init__(self, path):
        self.home = Home(path)
        self.info = sweeps.load("toy", path).info
        self.folder = self.home.store(self.info.id).folder
        self.another(OTHER, "other")

    def another(self, sweep_id, name):
        """Copy the sweep `toy` under another id and name; return the folder of the copy."""
        other = self.home.store(sweep_id).folder
        shutil.copytree(self.folder, other)
        altered(other / "sweep.json", saying(id=sweep_id, name=name))
        for record in other.glob("*.record"):
            sealed(record, nested(spec__sweep=sweep_id))
        return other

    def call(self, *words):
        words = [word.replace("REPORT", str(self.home.path / "r.html")) for word in words]
        result = CliRunner().invoke(app, [*words, "--home", str(self.home.path)])
        assert isinstance(result.exception, SystemExit | None), (words, result.exception)
        return result

    def each(self, changes):
        """Yield the key of each change, and the id, name and folder of a new copy for it."""
        for number, key in enumerate(changes):
            sweep_id, name = f"20260102-{number:08x}", f"copy-{number:02}"
            yield key, sweep_id, name, self.another(sweep_id, name)

    def check(self, *named):
        """See that each file is named, and that the commands work for the other sweep."""
        listing = self.call("list")
        assert (listing.exit_code, "other" in listing.stdout) == (0, True), listing.output
        assert [one for one in named if one not in listing.stderr] == []
        told = self.call("doctor")
        assert told.exit_code == 1
        assert [one for one in named if one not in told.stdout] == []
        for words in OTHERS:
            result = self.call(*words)
            assert result.exit_code == 0, (words, result.output)


@pytest.fixture
def hurt(finished_toy, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finished_toy(trials=2)
    return Hurt(make_home())


def folder(path):
    path.mkdir()
    (path / "inside").touch()


ODD = {
    "pipe": os.mkfifo,
    "folder": folder,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o644),
}
NAMES = (
    "0001-1.record", "0001-1.weights", "0001-1.files", "asked", "ending.json", "notes.json",
    "confirmation.json", "checked.json", "enqueued-0001.json", "code-1.json", "retry-1.json",
    "lock", "sweep.json", "generation-2.json", "foreign.json",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_not_waited_for_and_does_not_keep_from_deleting(hurt, odd):
    copies = list(hurt.each(NAMES))
    for file, _, _, folder in copies:
        (folder / file).unlink(missing_ok=True)
        ODD[odd](folder / file)
    for words in (("list",), ("doctor",), ("gc",), ("status",)):
        hurt.call(*words)
    for words in OTHERS[:2]:
        assert hurt.call(*words).exit_code == 0
    for file, sweep_id, name, folder in copies:
        hurt.call("trials", name)
        is_known = file not in ("sweep.json", "generation-2.json")
        result = hurt.call("delete", name if is_known else sweep_id, "--yes")
        assert result.exit_code == 0, (file, result.output)
        assert not folder.exists()
    assert not list(hurt.home.records.glob(".deleted-*"))


def altered(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def sealed(record, change):
    """Write a record again, whole to its checksum, with other contents."""
    members = dict(np.load(io.BytesIO(unseal(record.read_bytes()))))
    document = json.loads(members["record.json"].tobytes())
    change(document)
    members["record.json"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    record.write_bytes(seal(pack_arrays(members)))


def replaced(archive, name, content):
    """Write an archive again with other contents of one file, and a manifest that fits."""
    with zipfile.ZipFile(archive) as packed:
        members = {one: packed.read(one) for one in packed.namelist()} | {name: content}
    manifest = json.loads(members["manifest.json"])
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(archive, "w") as packed:
        for one, its in members.items():
            packed.writestr(one, its)


def saying(**members):
    return lambda document: document.update(members)


def nested(**members):
    """Change members of members, such as `spec__slot`."""

    def change(document):
        for path, value in members.items():
            *above, last = path.split("__")
            at = document
            for name in above:
                at = at[name]
            at[last] = value

    return change


BAD_RECORDS = {
    "no spec": lambda document: document.pop("spec"),
    "a spec that is a text": saying(spec="x"),
    "a trial that is none": nested(spec__trial=None),
    "a trial beyond all": nested(spec__trial=10**30),
    "a trial of another record": nested(spec__trial=7),
    "an objective without a result": saying(result=None),
    "complete without a result": saying(result=None, objective=None),
    "pruned without a result": saying(result=None, objective=None, outcome="pruned"),
    "arrays in its JSON": nested(result__arrays={"x": 1}),
    "a history that is none": nested(result__history={"loss": "x"}),
    "a history that is a number": nested(result__history={"loss": 0.5}),
    "a metric that is a text": nested(result__metrics={"score": "x"}),
    "a metric named by an escape sequence": nested(result__metrics={"\x1b[31m": 1.0}),
    "a metric beyond all numbers": nested(result__metrics={"score": 10**400}),
    "an objective that is a text": saying(objective="x"),
    "an outcome that is none": saying(outcome="splendid"),
    "a time that is a text": saying(started_at="x"),
    "a time beyond all years": saying(finished_at=10**30),
    "a distribution without its parameter": nested(params={}),
    "a parameter without its distribution": nested(params__new=1),
    "a parameter outside of its distribution": nested(params__x=7),
    "a parameter that is true among numbers": nested(params__layers=True),
    "a distribution that is none": nested(distributions__x="x"),
    "a distribution that allows nothing": nested(
        distributions__x='{"name": "FloatDistribution", "attributes": '
        '{"step": null, "low": 1.0, "high": -1.0, "log": false}}'
    ),
    "features that are none": nested(environment__cpu__features=None),
    "packages that are a text": nested(environment__packages="x"),
    "code that is a number": nested(environment__code=7),
    "facts of data that are none": nested(data__info=None),
    "a seed of the split that is none": nested(data__info__split_seed="x"),
    "a name with an escape sequence": nested(params={"\x1b[31m": 1}),
}


@pytest.mark.parametrize(
    "step",
    [pytest.param(1, marks=pytest.mark.nightly), pytest.param(4, marks=pytest.mark.slow)],
    ids=["all", "each fourth"],
)
def test_sealed_records_with_wrong_contents_are_left_out_and_put_aside(hurt, step):
    copies = list(hurt.each([*BAD_RECORDS][::step]))
    for bad, _, _, folder in copies:
        sealed(folder / "0001-1.record", BAD_RECORDS[bad])
    hurt.check(*(str(folder / "0001-1.record") for _, _, _, folder in copies))
    for bad, _, name, folder in copies:
        shown, record = hurt.call("trials", name), folder / "0001-1.record"
        assert (shown.exit_code, shown.stderr.count(str(record))) == (0, 1), (bad, shown.output)
        assert "\x1b" not in shown.output, bad
    assert hurt.call("doctor", "--fix").exit_code == 0
    for bad, _, _, folder in copies:
        assert (folder / "0001-1.record.torn").exists(), bad


ODD_PAYLOADS = {
    "no archive": b"hello",
    "an archive without record.json": pack_arrays({"x": np.zeros(2)}),
    "record.json that is no JSON": pack_arrays({"record.json": np.frombuffer(b"{", np.uint8)}),
    "record.json that is a list": pack_arrays({"record.json": np.frombuffer(b"[]", np.uint8)}),
    "record.json without an end": pack_arrays(
        {"record.json": np.frombuffer(b"[" * 200_000, np.uint8)}
    ),
    "record.json that is no text": pack_arrays({"record.json": np.zeros(3)}),
}


@pytest.mark.parametrize("payload", ODD_PAYLOADS)
def test_what_is_sealed_and_no_record_is_left_out(hurt, payload):
    record = hurt.folder / "0001-1.record"
    record.write_bytes(seal(ODD_PAYLOADS[payload]))
    hurt.check(str(record))


def test_a_record_of_a_later_format_is_said_and_kept(hurt):
    record = hurt.folder / "0001-1.record"
    content = record.read_bytes().replace(b"sweeps-record 2 ", b"sweeps-record 3 ", 1)
    record.write_bytes(content)
    hurt.check("record format 3, but this version reads up to 2")
    refused = hurt.call("trials", "toy")
    assert (refused.exit_code, "record format 3" in refused.stderr) == (1, True)
    hurt.call("doctor", "toy", "--fix")
    assert record.read_bytes() == content


def test_a_record_under_the_name_of_another_is_said_and_does_not_end_the_sweep(hurt, toy_space):
    copy = hurt.folder / "0002-1.record"
    shutil.copy(hurt.folder / "0001-1.record", copy)
    hurt.check(f"{copy}: a copy of record 0001-1")
    ran = hurt.call("run", str(toy_space), "--trials", "3", "--workers", "0")
    assert ran.exit_code == 0, ran.output
    assert "0002-1.record: a copy of record 0001-1" in ran.stderr
    assert [row.trial for row in sweeps.load("toy", hurt.home.path).rows()] == [0, 1, 2]
    assert hurt.call("doctor", "toy").exit_code == 0


@pytest.mark.parametrize("name", ["0001-1 (copy).record", "0001-1.sync-conflict.record"])
def test_copies_that_a_backup_makes_are_no_records(hurt, name, toy_space):
    shutil.copy(hurt.folder / "0001-1.record", hurt.folder / name)
    assert len(sweeps.load("toy", hurt.home.path).rows()) == 2
    shutil.copy(hurt.folder / "0001-1.record", hurt.folder / f"{name}.torn")
    ran = hurt.call("run", str(toy_space), "--trials", "3", "--workers", "0")
    assert ran.exit_code == 0, ran.output


BAD_SWEEPS = {
    "a time that is a text": saying(created_at="x"),
    "a time beyond all years": saying(created_at=10**30),
    "a name that leads out": saying(name="../../x"),
    "a name with an escape sequence": saying(name="\x1b[31m"),
    "a name that is none": saying(name={}),
    "another id": saying(id="20260101-ffffffff"),
    "an id that leads out": saying(id="../../x"),
    "a metric that is none": saying(metric=7),
    "a metric with an escape sequence": saying(metric="\x1b[31m"),
    "a direction that is none": saying(direction="sideways"),
    "a fingerprint that is none": saying(fingerprint=[]),
    "a space that is none": saying(space="x"),
    "a space without an end": saying(space="NESTED"),
    "parameters that are none": nested(space__body__parameters=None),
    "a parameter without a name": nested(space__body__parameters=[{"a": 7}]),
    "a body that is none": nested(space__body=None),
    "defaults that are none": nested(space__defaults=None),
    "options that are a number": nested(fingerprint__sampler__options=7),
    "code that is a list": nested(fingerprint__code=[7]),
    "a commit that is a number": nested(code__commit=7),
    "data that are none": saying(data=None),
    "baselines that are none": saying(baselines=7),
    "generations of its own": saying(generations=[7]),
    "nothing": lambda document: document.clear(),
}


@pytest.mark.slow
def test_sweeps_that_say_nonsense_are_named_and_keep_nobody_from_the_others(hurt):
    copies = list(hurt.each(BAD_SWEEPS))
    for bad, _, _, folder in copies:
        path = folder / "sweep.json"
        altered(path, BAD_SWEEPS[bad])
        path.write_text(path.read_text().replace('"NESTED"', "[" * 900 + "]" * 900))
    hurt.check(*(str(folder) for _, _, _, folder in copies))
    for bad, sweep_id, name, folder in copies:  # the first of those that are left
        refused = hurt.call("trials", name)
        assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1), (
            bad,
            refused.output,
        )
        assert str(folder) in refused.stderr, bad
        assert "\x1b" not in refused.stderr, bad
        deleted = hurt.call("delete", sweep_id, "--yes")
        assert (deleted.exit_code, folder.exists()) == (0, False), (bad, deleted.output)
    listing = hurt.call("list").output
    assert [name for _, _, name, _ in copies if name in listing] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (saying(objective=None), "complete without an objective"),
        (saying(objective=99.0), "its objective is not its score"),
    ],
)
def test_what_no_study_takes_is_shown_and_not_imported(
    hurt, make_home, tmp_path, toy_space, change, said
):
    sealed(hurt.folder / "0001-1.record", change)
    file = tmp_path / "toy.sweep"
    for words in (
        ("trials", "toy"),
        ("report", "toy", "-o", "REPORT"),
        ("share", "toy", str(file)),
        ("run", str(toy_space), "--trials", "3", "--workers", "0"),
    ):
        assert hurt.call(*words).exit_code == 0
    words = ["import", str(file), "--home", str(make_home("elsewhere"))]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, said in result.stderr) == (2, True)


@pytest.mark.parametrize("bad", ["no spec", "a trial of another record", "a history that is none"])
def test_an_archive_with_such_a_record_is_refused_as_a_whole(hurt, make_home, tmp_path, bad):
    file, record = tmp_path / "toy.sweep", hurt.folder / "0001-1.record"
    assert hurt.call("share", "toy", str(file)).exit_code == 0
    sealed(record, BAD_RECORDS[bad])
    replaced(file, record.name, record.read_bytes())
    left_out = tmp_path / "rest.sweep"
    assert "0001-1.record" in hurt.call("share", "toy", str(left_out)).stderr
    elsewhere = make_home("elsewhere")
    result = CliRunner().invoke(app, ["import", str(file), "--home", str(elsewhere)])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
    assert result.stderr.startswith(f"error: {file}: 0001-1.record: ")
    assert not list(elsewhere.glob("records/*"))


@pytest.mark.parametrize("name", ["notes.json", "confirmation.json", "generation-2.json", "asked"])
def test_a_damaged_file_in_an_archive_is_named_as_it_is_there(make_home, tmp_path, hurt, name):
    file = tmp_path / "toy.sweep"
    assert hurt.call("share", "toy", str(file)).exit_code == 0
    replaced(file, name, b'"x')
    words = ["import", str(file), "--home", str(make_home("elsewhere"))]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {file}: {name}: ")
    assert "sweeps doctor" not in result.stderr


def test_more_than_any_home_takes_in_is_not_shared(hurt, tmp_path):
    with (hurt.folder / "0001-1.weights").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    refused = hurt.call("share", "toy", str(tmp_path / "toy.sweep"))
    assert (refused.exit_code, "more than 20 GB" in refused.stderr) == (2, True), refused.output
    assert not (tmp_path / "toy.sweep").exists()


def test_a_lock_that_names_nobody_is_that_of_another_process(hurt):
    (hurt.folder / "lock").write_text("[" * 4000)
    with (hurt.folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = hurt.call("delete", "toy", "--yes")
    assert (refused.exit_code, "another process" in refused.stderr) == (2, True)
