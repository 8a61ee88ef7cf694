"""Whatever lies in the folder of a sweep: the others are listed, read, examined and deleted."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.records.arrays import pack_arrays
from sweeps.records.kept_files import pack_files
from sweeps.workspace.files import remove
from tests.sweeps.forging import JOURNAL, adding, forge, in_each, in_trial, replace_member

END = 14
"""Number of the event with the end of trial 1."""
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
        forge(other / JOURNAL, in_each("begun", saying(sweep=sweep_id, name=name)))
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
    JOURNAL, "trials/0001-1.npz", "trials/0001-1.weights.npz", "trials/0001-1.files.zip",
    "trials", "texts", ".running", ".checkpoints", "lock", "sweep.log",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_not_waited_for_and_does_not_keep_from_deleting(hurt, odd):
    copies = list(hurt.each(NAMES))
    for file, _, _, folder in copies:
        remove(folder / file)
        ODD[odd](folder / file)
    for words in (("list",), ("doctor",), ("gc",), ("status",)):
        hurt.call(*words)
    for words in OTHERS[:2]:
        assert hurt.call(*words).exit_code == 0
    for file, sweep_id, name, folder in copies:
        hurt.call("trials", name)
        is_known = file != JOURNAL
        result = hurt.call("delete", name if is_known else sweep_id, "--yes")
        assert result.exit_code == 0, (file, result.output)
        assert not folder.exists()
    assert not list(hurt.home.sweeps_folder.glob(".deleted-*"))


def saying(**members):
    return lambda document: document.update(members)


def nested(**members):
    """Change members of members, such as `trained__metrics`."""

    def change(document):
        for path, value in members.items():
            *above, last = path.split("__")
            at = document
            for name in above:
                at = at[name]
            at[last] = value

    return change


NO_EVENTS = {
    "no outcome": lambda document: document.pop("outcome"),
    "a trial that is none": saying(trial=None),
    "a trial beyond all": saying(trial=10**30),
    "an attempt that is a path": saying(attempt="../1"),
    "an objective without a result": saying(trained=None),
    "complete without a result": saying(trained=None, objective=None),
    "pruned without a result": saying(trained=None, objective=None, outcome="pruned"),
    "arrays in its JSON": nested(trained__arrays={"x": 1}),
    "a history that is none": nested(trained__history={"loss": "x"}),
    "a history that is a number": nested(trained__history={"loss": 0.5}),
    "a metric that is a text": nested(trained__metrics={"score": "x"}),
    "a metric named by an escape sequence": nested(trained__metrics={"\x1b[31m": 1.0}),
    "a metric beyond all numbers": nested(trained__metrics={"score": 10**400}),
    "an objective that is a text": saying(objective="x"),
    "an outcome that is none": saying(outcome="splendid"),
    "an origin with an escape sequence": saying(origin="\x1b[31m"),
    "a time that is a text": saying(started_at="x"),
    "a time beyond all years": saying(finished_at=10**30),
    "a digest that is a path": saying(details="../" * 20 + "home"),
    "members that nobody knows": saying(mood="hopeful"),
    "a name with an escape sequence": saying(params={"\x1b[31m": 1}),
    "a fact without an end": nested(trained__info={"a": "NESTED"}),
}
"""What an event cannot say."""
NO_TRIALS = {
    "no objective": saying(objective=None),
    "another objective": saying(objective=99.0),
    "a distribution without its parameter": saying(params={}),
    "a parameter without its distribution": nested(params__new=1),
    "a parameter outside of its distribution": nested(params__x=7),
    "a parameter that is true among numbers": nested(params__layers=True),
    "a distribution that is none": nested(distributions__x="x"),
    "a distribution that allows nothing": nested(
        distributions__x='{"name": "FloatDistribution", "attributes": '
        '{"step": null, "low": 1.0, "high": -1.0, "log": false}}'
    ),
    "distributions that are a list": saying(distributions=[]),
    "features that are none": nested(environment__cpu__features=None),
    "packages that are a text": nested(environment__packages="x"),
    "code that is a number": nested(environment__code=7),
    "facts of data that are none": nested(data__info=None),
    "a seed of the split that is none": nested(data__info={"split_seed": "x"}),
}
"""What an event can say, and no trial of a sweep has."""
NESTED = b"[" * 900 + b"]" * 900


def forge_nested(path, change):
    """Forge a journal, with lists in lists, which Python's own writer refuses, for `NESTED`."""
    forge(path, change)
    lines = [line.rpartition(b" ")[0] for line in path.read_bytes().split(b"\n") if line]
    lines = [line.replace(b'"NESTED"', NESTED) for line in lines]
    path.write_bytes(b"".join(b"\n%b %08x\n" % (line, zlib.crc32(line)) for line in lines))


@pytest.mark.parametrize(
    "step",
    [pytest.param(1, marks=pytest.mark.nightly), pytest.param(4, marks=pytest.mark.slow)],
    ids=["all", "each fourth"],
)
def test_events_with_wrong_contents_are_left_out_and_named(hurt, step):
    copies = list(hurt.each([*NO_EVENTS][::step]))
    for bad, _, _, folder in copies:
        forge_nested(folder / JOURNAL, in_trial(1, NO_EVENTS[bad]))
    hurt.check(*(f"{folder / JOURNAL}: event " for _, _, _, folder in copies))
    for bad, _, name, folder in copies:
        shown = hurt.call("trials", name)
        said = f"{folder / JOURNAL}: event {END} is damaged (no"
        assert (shown.exit_code, shown.stderr.count(said)) == (0, 1), (bad, shown.output)
        assert "\x1b" not in shown.output, bad
    assert hurt.call("doctor", "--fix").exit_code == 0
    for bad, _, name, folder in copies:
        assert (
            f"{name!r}: {folder / JOURNAL}: event {END} is damaged" in hurt.call("doctor").stdout
        ), bad


NO_LINES = {
    "no JSON": b"hello",
    "nothing": b"",
    "a list": b"[]",
    "an object of nothing": b"{}",
    "a kind that is a list": b'{"kind":[]}',
    "no end": b"[" * 60_000,
    "too many levels": b'{"kind":"noted 1","subject":"sweep","text":' + NESTED + b"}",
    "no text": b"\xff\xfe",
    "a number that is none": b'{"kind":"noted 1","number":1e999,"subject":"sweep","text":"x"}',
}


@pytest.mark.parametrize("line", NO_LINES)
def test_a_line_whose_checksum_fits_and_that_is_no_event_is_left_out(hurt, line):
    text = NO_LINES[line]
    with (hurt.folder / JOURNAL).open("ab") as journal:
        journal.write(b"\n%b %08x\n" % (text, zlib.crc32(text)))
    told = hurt.call("doctor", "toy")
    assert (told.exit_code, "is damaged (" in told.stdout) == (0, True), told.output
    shown = hurt.call("trials", "toy", "--json")
    assert len(json.loads(shown.stdout)) == 2
    assert shown.stderr.count("is damaged (") == 1


def test_an_event_of_a_later_version_is_said_and_kept(hurt):
    journal = hurt.folder / JOURNAL
    forge(journal, adding(kind="judged 1", by="9.9"))
    content, said = journal.read_bytes(), "use the one that wrote it (9.9)"
    hurt.check(f"{journal}: an event of the kind 'judged 1'")
    refused = hurt.call("trials", "toy")
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output
    hurt.call("doctor", "toy", "--fix")
    assert journal.read_bytes() == content


def test_an_end_that_is_there_twice_counts_once(hurt, toy_space):
    def twice(events):
        end = next(e for e in events if e["kind"].startswith("ended "))
        events.append({**end, "number": len(events) + 1, "objective": 99.0})

    forge(hurt.folder / JOURNAL, twice)
    ran = hurt.call("run", str(toy_space), "--trials", "3", "--workers", "0")
    assert ran.exit_code == 0, ran.output
    rows = sweeps.load("toy", hurt.home.path).rows()
    assert [row.trial for row in rows] == [0, 1, 2]
    assert max(row.objective for row in rows) < 2
    assert hurt.call("doctor", "toy").exit_code == 0


@pytest.mark.parametrize("name", ["0001-1 (copy).npz", "0001-1.sync-conflict.npz"])
def test_copies_that_a_backup_makes_are_left_alone(hurt, name, toy_space):
    copy = hurt.folder / "trials" / name
    shutil.copy(hurt.folder / "trials" / "0001-1.npz", copy)
    shutil.copy(hurt.folder / JOURNAL, hurt.folder / "journal (copy).jsonl")
    assert len(sweeps.load("toy", hurt.home.path).rows()) == 2
    ran = hurt.call("run", str(toy_space), "--trials", "3", "--workers", "0")
    assert ran.exit_code == 0, ran.output
    assert hurt.call("doctor", "toy", "--fix").exit_code == 0
    assert copy.exists()


BAD_SWEEPS = {
    "a time that is a text": saying(created_at="x"),
    "a time beyond all years": saying(created_at=10**30),
    "a name that leads out": saying(name="../../x"),
    "a name with an escape sequence": saying(name="\x1b[31m"),
    "a name that is none": saying(name={}),
    "another id": saying(sweep="20260101-ffffffff"),
    "an id that leads out": saying(sweep="../../x"),
    "a metric that is none": saying(metric=7),
    "a metric with an escape sequence": saying(metric="\x1b[31m"),
    "a direction that is none": saying(direction="sideways"),
    "a fingerprint that is none": saying(fingerprint=[]),
    "a space that is none": saying(space="x"),
    "a space without an end": saying(space={"a": "NESTED"}),
    "parameters that are none": nested(space__body__parameters=None),
    "a parameter without a name": nested(space__body__parameters=[{"a": 7}]),
    "a body that is none": nested(space__body=None),
    "defaults that are none": nested(space__defaults=None),
    "options that are a number": nested(fingerprint__sampler__options=7),
    "code that is a list": nested(fingerprint__code=[7]),
    "a commit that is a number": nested(code__commit=7),
    "data that are none": saying(data=None),
    "baselines that are none": saying(baselines=7),
    "a diff that is a path": saying(diff="/etc/passwd"),
    "generations of its own": saying(generations=[7]),
    "nothing": lambda document: document.clear(),
}


@pytest.mark.slow
def test_sweeps_that_say_nonsense_are_named_and_keep_nobody_from_the_others(hurt):
    copies = list(hurt.each(BAD_SWEEPS))
    for bad, _, _, folder in copies:
        forge_nested(folder / JOURNAL, in_each("begun", BAD_SWEEPS[bad]))
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


class Import:
    """An archive of the sweep, and its import elsewhere."""

    def __init__(self, hurt, file, elsewhere):
        self.file, self.elsewhere = file, elsewhere
        assert hurt.call("share", "toy", str(file)).exit_code == 0

    def check(self, said):
        """See that it is refused by one line that names the file, and leaves nothing."""
        result = CliRunner().invoke(app, ["import", str(self.file), "--home", str(self.elsewhere)])
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
        assert result.stderr.startswith(f"error: {self.file}: ")
        assert said in result.stderr, result.stderr
        assert not set(result.stderr) & {"\x1b", "\x00"}
        assert not list(self.elsewhere.glob("sweeps/*"))
        assert not list(self.elsewhere.glob("sweeps/.import-*"))


@pytest.fixture
def shared(hurt, tmp_path, make_home):
    return Import(hurt, tmp_path / "toy.sweep", make_home("elsewhere"))


@pytest.mark.parametrize("bad", [*NO_TRIALS][:2])
def test_what_no_study_takes_is_shown_and_not_imported(hurt, tmp_path, make_home, toy_space, bad):
    forge(hurt.folder / JOURNAL, in_trial(1, NO_TRIALS[bad]))
    for words in (
        ("trials", "toy"),
        ("report", "toy", "-o", "REPORT"),
        ("run", str(toy_space), "--trials", "3", "--workers", "0"),
    ):
        assert hurt.call(*words).exit_code == 0
    Import(hurt, tmp_path / "toy.sweep", make_home("elsewhere")).check("0001-1: ")


@pytest.mark.parametrize("bad", NO_TRIALS)
def test_a_trial_that_is_none_is_not_imported(shared, bad):
    forge(shared.file, in_trial(1, NO_TRIALS[bad]))
    shared.check("its trials do not fit its study" if "ob" in bad else "")


@pytest.mark.parametrize("bad", [bad for bad in NO_EVENTS if "without an end" not in bad])
def test_an_archive_with_such_an_event_is_refused_as_a_whole(shared, bad):
    forge(shared.file, in_trial(1, NO_EVENTS[bad]))
    shared.check("toy.sweep: journal.jsonl: event ")


def cut(events):
    del events[4]


def unnumbered(events):
    events[4]["number"] = 4


def of_another_sweep(events):
    begun = next(e for e in events if e["kind"] == "begun 1")
    events.append({**begun, "number": len(events) + 1, "sweep": "20260101-ffffffff"})


UNFINISHED = {
    "kind": "unfinished 1", "generation": 1, "trial": 9, "attempts": 1, "origin": "sampled",
    "params": {"x": 7.0}, "config": {},
    "distributions": {
        "x": '{"name": "FloatDistribution", "attributes": '
        '{"step": null, "low": -1.0, "high": 1.0, "log": false}}'
    },
}  # fmt: skip


def extended(events):
    """Add a second generation with a trial that no distribution allows."""
    begun = next(e for e in events if e["kind"] == "begun 1")
    more = [{**UNFINISHED, "generation": 2}, {**begun, "generation": 2, "first_trial": 2}]
    for event in more:
        events.append({"at": 0, "host": "x", "by": "1", **event, "number": len(events) + 1})


JOURNALS = {
    "an event that is missing": (cut, "1 event missing before event 6"),
    "an event that is doubled": (unnumbered, "two have written it at once"),
    "an event of another sweep": (of_another_sweep, "is of another sweep"),
    "an id that is none": (in_each("begun", saying(sweep="toy")), "is no sweep's id"),
    "a kind that nobody knows": (adding(kind="judged 1"), "of the kind 'judged 1'"),
    "an unfinished trial that is none": (extended, "outside of its distribution"),
    "a command in the name of its experiment": (
        in_each("begun", saying(experiment="a\x1b[31m")),
        "cannot be printed",
    ),
    "a parameter that cannot be printed": (
        adding(kind="enqueued 1", point=1, params={"\x1b[31m": 1}, origin="enqueued"),
        "cannot be printed",
    ),
    "an origin that cannot be printed": (
        adding(kind="enqueued 1", point=1, params={"x": 1}, origin="\x1b[31m"),
        "cannot be printed",
    ),
    "a conclusion that is lost": (
        adding(kind="confirmed 1", conclusion={}, text="ab" * 32),
        "its text",
    ),
    "a conclusion that is none": (adding(kind="confirmed 1", conclusion={"a": 1}), "is damaged ("),
    "no sweep": (lambda events: events[:] == events.clear(), ""),
}


@pytest.mark.parametrize("bad", JOURNALS)
def test_a_journal_that_is_not_whole_is_not_imported(shared, bad):
    change, said = JOURNALS[bad]
    forge(shared.file, change)
    shared.check(said)


@pytest.mark.parametrize("cut_off", [1, 40])
def test_a_journal_whose_last_line_is_cut_off_is_not_imported(shared, hurt, cut_off):
    replace_member(shared.file, JOURNAL, (hurt.folder / JOURNAL).read_bytes()[:-cut_off])
    shared.check("events are missing, doubled or cut off" if cut_off == 1 else "")


def test_a_damaged_line_in_an_archive_is_named_by_its_number(shared, hurt):
    content = (
        (hurt.folder / JOURNAL).read_bytes().replace(b'"trial":1,"attempt"', b'"trial":7,"attempt"')
    )
    replace_member(shared.file, JOURNAL, content)
    shared.check("journal.jsonl: event 11 is damaged (its checksum does not fit")


def with_file(shared, member, name, content, **said):
    """Put a file into the archive, and into the end of trial 1."""
    digest = hashlib.sha256(content).hexdigest()
    replace_member(shared.file, name, content)
    forge(shared.file, in_trial(1, saying(**{member: digest}, **said)))


def moved(**members):
    return pack_arrays({"moved.json": np.frombuffer(json.dumps(members).encode(), np.uint8)})


MOVED = {
    "names": (
        {"metrics": {f"m{n}": 0.5 for n in range(10_001)}},
        "Expected `object` of length <= 10000 - at `$.metrics`",
    ),
    "a text": (
        {"summary": "x" * (4 * 2**20 + 1)},
        "Expected `str` of length <= 4194304 - at `$.summary`",
    ),
    "a name that cannot be printed": (
        {"history": {"\x1b[31m": [0.5]}},
        "'\\x1b[31m' is not one line",
    ),
    "a history that is none": ({"history": {"loss": "x"}}, "Expected `array`"),
    "a member that nobody knows": ({"mood": "hopeful"}, "Object contains unknown field `mood`"),
}


@pytest.mark.parametrize("bad", MOVED)
def test_what_was_moved_out_of_its_event_is_checked_like_it(shared, bad):
    members, said = MOVED[bad]
    with_file(shared, "details", "trials/0001-1.npz", moved(**members), moved=[*members])
    shared.check(f"trials/0001-1.npz: {said}")


def test_moved_members_that_are_no_object_are_refused(shared):
    content = pack_arrays({"moved.json": np.frombuffer(b"[7]", np.uint8)})
    with_file(shared, "details", "trials/0001-1.npz", content, moved=["history"])
    shared.check("trials/0001-1.npz: ")


def test_arrays_that_are_none_are_refused(shared):
    with_file(shared, "details", "trials/0001-1.npz", b"PK no archive")
    shared.check("trials/0001-1.npz: no whole archive of arrays")


def test_a_digest_that_no_event_has_is_refused(shared):
    replace_member(shared.file, "trials/0001-1.npz", pack_arrays({}))
    shared.check("trials/0001-1.npz is not what an event names")


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a\nb"])
def test_kept_files_that_lead_out_are_refused(shared, name):
    with_file(shared, "files", "trials/0001-1.files.zip", pack_files({name: b"evil"}))
    shared.check("trials/0001-1.files.zip: ")


def test_a_sweep_whose_details_are_lost_is_shared_without_them(hurt, tmp_path, make_home):
    (hurt.folder / "trials" / "0001-1.npz").write_bytes(b"damaged")
    file, elsewhere = tmp_path / "toy.sweep", make_home("elsewhere")
    told = hurt.call("share", "toy", str(file))
    assert (told.exit_code, "trials/0001-1.npz: damaged" in told.stderr) == (0, True), told.output
    result = CliRunner().invoke(app, ["import", str(file), "--home", str(elsewhere)])
    assert result.exit_code == 0, result.output
    found = [row.objective for row in sweeps.load("toy", elsewhere).rows()]
    assert found == [row.objective for row in sweeps.load("toy", hurt.home.path).rows()]


def test_a_sweep_with_a_damaged_event_is_shared_without_it(hurt, tmp_path, make_home):
    journal = hurt.folder / JOURNAL
    journal.write_bytes(
        journal.read_bytes().replace(
            b'"trial":1,"attempt":1,"seed"', b'"trial":7,"attempt":1,"seed"'
        )
    )
    file, elsewhere = tmp_path / "toy.sweep", make_home("elsewhere")
    told = hurt.call("share", "toy", str(file))
    assert (told.exit_code, f"{journal}: event {END} is damaged" in told.stderr) == (0, True)
    result = CliRunner().invoke(app, ["import", str(file), "--home", str(elsewhere)])
    assert (result.exit_code, "is damaged" in result.stderr) == (0, False), result.output
    assert [row.trial for row in sweeps.load("toy", elsewhere).rows() if row.objective] == [0]


def test_more_than_any_home_takes_in_is_not_shared(hurt, tmp_path):
    with (hurt.folder / "trials" / "0001-1.weights.npz").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    refused = hurt.call("share", "toy", str(tmp_path / "toy.sweep"))
    assert (refused.exit_code, "more than 20 GB" in refused.stderr) == (2, True), refused.output
    assert not (tmp_path / "toy.sweep").exists()


@pytest.mark.parametrize("name", ["0001-1.npz", "0001-1.files.zip"])
def test_a_file_larger_than_any_of_ours_is_refused_unread(hurt, name):
    file = hurt.folder / "trials" / name
    forge(hurt.folder / JOURNAL, in_trial(1, saying(files="ab" * 32)))
    with file.open("wb") as sparse:
        sparse.truncate(2**40)
    told = hurt.call("doctor")
    assert (told.exit_code, f"{file} is damaged" in told.stdout) == (1, True), told.output
    for words in (("report", "toy", "-o", "REPORT"), ("sync", "toy"), *OTHERS[:2]):
        assert hurt.call(*words).exit_code == 0, words
    hurt.call("doctor", "--fix")
    assert file.with_name(f"{name}.torn").stat().st_size == 2**40


def test_a_lock_that_names_nobody_is_that_of_another_process(hurt):
    (hurt.folder / "lock").write_text("[" * 4000)
    with (hurt.folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = hurt.call("delete", "toy", "--yes")
    assert (refused.exit_code, "another process" in refused.stderr) == (2, True)
