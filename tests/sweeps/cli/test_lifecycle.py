"""A sweep gets another name, moves, or ends: all of it, or nothing, whatever is killed."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.journal.events import Noted
from sweeps.manage import sharing
from sweeps.runner.ownership import SweepLock
from tests.faults.mlflow_state import mlflow_state
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched
from tests.sweeps.shared.postgres import wait_until
from tests.sweeps.soundness import assert_sound

JOURNAL = "journal.jsonl"


def tracked(home, sweep_id):
    return mlflow_state(f"sqlite:///{home / 'mlflow.db'}", sweep_id)["runs"]


def files(folder):
    """Return size and time of change of every file but locks, which are signed and cleared."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    found = ((path, path.stat()) for path in paths)
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found}


def test_another_name_reaches_records_and_runs_and_the_sweep_goes_on(
    run_toy, finished_toy, call, make_home
):
    before = finished_toy(trials=2)
    result = call("rename", "toy", "better")
    assert (result.exit_code, result.stdout) == (0, "sweep 'toy' is called 'better' now\n")
    runs = tracked(make_home(), before.info.id)
    assert runs[0]["name"] == "better"
    assert {run["tags"]["sweep"] for run in runs} == {"better"}
    sweep = run_toy(trials=4, workers=0, name="better")
    assert (sweep.info.id, len(sweep.rows())) == (before.info.id, 4)
    assert_sound(make_home(), table(sweep), "better")
    assert call("rename", "toy", "x").exit_code == 2


def test_a_name_that_is_taken_or_none_is_refused(run_toy, finished_toy, call, make_home):
    finished_toy(trials=1)
    run_toy(trials=1, workers=0, name="other")
    for new, said in (("other", "there is a sweep 'other' already"), ("a b", "use 1 to 80")):
        result = call("rename", "toy", new)
        assert (result.exit_code, said in result.stderr) == (2, True)
    info = sweeps.load("toy", make_home()).info
    with SweepLock(Home(make_home()).store(info.id).folder / "lock", "toy"):
        for words in (("rename", "toy", "new"), ("delete", "toy", "--yes")):
            result = call(*words)
            assert (result.exit_code, "is being run by" in result.stderr) == (2, True)


@pytest.mark.slow
def test_deleted_it_is_gone_everywhere_and_the_others_stay(run_toy, finished_toy, call, make_home):
    gone = finished_toy(trials=2)
    run_toy(trials=4, workers=0, extend=True, overrides=("x=-1..0.9",))
    other = run_toy(trials=2, workers=0, name="other")
    result = call("delete", "toy", "--yes")
    assert result.exit_code == 0, result.output
    assert tracked(make_home(), gone.info.id) == []
    assert not Home(make_home()).store(gone.info.id).folder.exists()
    assert len(list(make_home().glob("artifacts/*/*/artifacts/config.json"))) == 2
    assert_sound(make_home(), table(other), "other")


def test_of_a_folder_that_lies_elsewhere_only_the_link_is_deleted(
    finished_toy, call, make_home, tmp_path
):
    sweep = finished_toy(trials=1)
    folder = Home(make_home()).store(sweep.info.id).folder
    elsewhere = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(elsewhere)
    result = call("delete", "toy", "--yes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert list(folder.parent.iterdir()) == []
    assert (elsewhere / "journal.jsonl").exists()


@pytest.mark.slow
def test_deleted_in_a_copied_home_the_files_of_the_original_stay(
    finished_toy, call, make_home, tmp_path
):
    sweep = finished_toy(trials=1)
    files = [path for path in (make_home() / "artifacts").rglob("*") if path.is_file()]
    copy = tmp_path / "copy"
    shutil.copytree(make_home(), copy)
    result = CliRunner().invoke(app, ["delete", "toy", "--yes", "--home", str(copy)])
    assert result.exit_code == 0, result.output
    assert tracked(copy, sweep.info.id) == []
    assert [path for path in (make_home() / "artifacts").rglob("*") if path.is_file()] == files


def test_nothing_is_deleted_without_a_word(finished_toy, call, make_home):
    finished_toy(trials=1)
    result = call("delete", "toy")
    assert (result.exit_code, "say --yes; nothing was changed" in result.stderr) == (2, True)
    assert len(sweeps.load("toy", make_home()).rows()) == 1


DELETION = ("delete.begun", "delete.done", "delete.unregistered", "delete.untracked")


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [*DELETION[::2], *(pytest.param(p, marks=pytest.mark.nightly) for p in DELETION[1::2])],
)
def test_a_deletion_that_is_killed_is_undone_or_finished_by_the_next_start(
    run_toy, finished_toy, call, make_home, toy_space, point
):
    gone = finished_toy(trials=2)
    other = run_toy(trials=2, workers=0, name="other")
    words = ["delete", "toy", "--yes", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    if point == "delete.begun":
        assert call("doctor", "--fix").exit_code == 0
        assert table(sweeps.load("toy", make_home())) == table(gone)
        return
    words = ["run", str(toy_space), "--name", "other", "--trials", "2", "--workers", "0"]
    assert Launched([*words, "--home", str(make_home())]).wait() == 0
    assert tracked(make_home(), gone.info.id) == []
    assert_sound(make_home(), table(other), "other")


def test_a_deletion_that_another_command_finishes_has_succeeded(finished_toy, call, make_home):
    finished_toy(trials=1)
    words = ["delete", "toy", "--yes", "--home", str(make_home())]
    deleting = Launched(words, {"SWEEPS_FAILPOINT": "delete.untracked:pause"})
    wait_until(lambda: Path(f"/proc/{deleting.pid}/stat").read_text().split()[2] == "T")
    assert call("doctor", "--fix").exit_code == 0
    deleting.signal(signal.SIGCONT)
    assert (deleting.wait(), deleting.stderr()) == (0, "")
    assert list((make_home() / "sweeps").iterdir()) == []


@pytest.mark.slow
def test_shared_and_imported_it_is_the_same_sweep(run_toy, finished_toy, call, make_home, tmp_path):
    sweep = finished_toy(trials=3)
    file = tmp_path / "toy.sweep"
    assert call("share", "toy", file).exit_code == 0
    assert call("share", "toy", file).exit_code == 2, "an existing file is not overwritten"
    result = call("import", file, home="elsewhere")
    assert result.exit_code == 0, result.output
    arrived = sweeps.load("toy", make_home("elsewhere"))
    assert table(arrived) == table(sweep)
    assert call("trust", "toy", "--yes", home="elsewhere").exit_code == 0
    assert call("sync", "toy", home="elsewhere").exit_code == 0
    assert_sound(make_home("elsewhere"), table(sweep))
    assert tracked(make_home("elsewhere"), sweep.info.id) == tracked(make_home(), sweep.info.id)
    assert table(run_toy("elsewhere", trials=5, workers=0)) == table(run_toy(trials=5, workers=0))
    assert "is here already" in call("import", file, home="elsewhere").stderr


def test_it_can_be_imported_under_another_name(run_toy, finished_toy, call, make_home, tmp_path):
    finished_toy(trials=2)
    run_toy("elsewhere", trials=1, workers=0)
    call("share", "toy", tmp_path / "f")
    taken = call("import", tmp_path / "f", home="elsewhere")
    assert (taken.exit_code, "give another --name" in taken.stderr) == (2, True)
    assert call("import", tmp_path / "f", "--name", "theirs", home="elsewhere").exit_code == 0
    assert len(sweeps.load("theirs", make_home("elsewhere")).rows()) == 2
    assert not list(make_home("elsewhere").glob("sweeps/.import-*"))


def altered(file, **changes):
    """Write the archive again with members changed, added, or (None) left out."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {name.replace("__", "."): content for name, content in changes.items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def without_journal(file):
    """Leave the journal out, in the manifest as well."""
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    manifest["files"] = {}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))


def with_member(name):
    """Return what adds a member of this name, in the manifest as well, with its digest."""

    def add(file):
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        manifest["files"][name] = hashlib.sha256(b"evil").hexdigest()
        altered(file, manifest__json=json.dumps(manifest).encode(), **{name: b"evil"})

    return add


ATTACKS = {
    "altered": (
        lambda f: altered(f, journal__jsonl=b"7\n"),
        "journal.jsonl was altered",
    ),
    "missing": (lambda f: altered(f, journal__jsonl=None), "'journal.jsonl' does not belong in it"),
    "foreign": (lambda f: altered(f, evil__py=b"import os"), "'evil.py' does not belong in it"),
    "escape": (with_member("../../evil"), "'../../evil' does not belong in it"),
    "digits of another script": (
        with_member("trials/\u0661\u0662\u0663\u0664-1.npz"),
        "does not belong in",
    ),
    "a number too long for a name": (
        with_member(f"trials/{'0' * 300}-1.npz"),
        "does not belong in",
    ),
    "of no event": (with_member("trials/0000-7.npz"), "trials/0000-7.npz is not what an event"),
    "another file of an attempt": (
        with_member("trials/0000-1.npz"),
        "trials/0000-1.npz is not what an event",
    ),
    "a record of an earlier version": (with_member("0000-1.record"), "does not belong in it"),
    "no journal": (without_journal, "it has no journal.jsonl"),
    "torn": (lambda f: f.write_bytes(f.read_bytes()[:-40]), "not a shared sweep, or damaged"),
    "text": (lambda f: f.write_text("hello"), "not a shared sweep, or damaged"),
    "absent": (lambda f: f.unlink(), "there is no such file"),
    "no manifest": (lambda f: altered(f, manifest__json=None), "not a shared sweep"),
    "other format": (lambda f: altered(f, manifest__json=b'{"format": "9"}'), "needed"),
    "an earlier version": (
        lambda f: altered(f, manifest__json=b'{"format": "sweeps-share 2"}'),
        "import it with that version, and take over that home: `sweeps import HOME",
    ),
    "a manifest that is no JSON": (lambda f: altered(f, manifest__json=b"{"), "Expecting"),
    "a manifest that is no text": (
        lambda f: altered(f, manifest__json=b"\xff"),
        "not a shared sweep",
    ),
    "a manifest that is a list": (lambda f: altered(f, manifest__json=b"[]"), "Expected `object`"),
    "a manifest of a format alone": (
        lambda f: altered(f, manifest__json=b'{"format": "sweeps-share 3"}'),
        "missing required field",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_no_whole_sweep_is_refused_and_leaves_nothing(
    finished_toy, call, make_home, tmp_path, attack
):
    finished_toy(trials=1)
    file = tmp_path / "toy.sweep"
    call("share", "toy", file)
    act, said = ATTACKS[attack]
    act(file)
    result = call("import", file, home="elsewhere")
    assert result.exit_code == 2
    assert said in result.stderr, result.stderr
    assert list((make_home("elsewhere") / "sweeps").glob("*")) == []
    assert not (tmp_path / "evil").exists()


def saying_more(file):
    """Write an archive whose directory says of a small member that it is 21 GB."""
    content = {"format": "sweeps-share 3", "name": "toy", "id": "x", "files": {JOURNAL: "0"}}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(content))
        archive.writestr(JOURNAL, "7\n")
        archive.getinfo(JOURNAL).file_size = 21 * 2**30  # written when the archive is closed


def saying_less(file):
    """Write an archive whose directory says 2 bytes of a member that unpacks to a million."""
    content = {"format": "sweeps-share 3", "name": "toy", "id": "x", "files": {JOURNAL: "0"}}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(content))
        archive.writestr(JOURNAL, b"7" * 10**6)
        archive.getinfo(JOURNAL).file_size = 2


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (saying_more, "not a shared sweep, or damaged (it unpacks to more than 128 MB)"),
        (saying_less, "not a shared sweep, or dama"),
    ],
)
def test_an_archive_that_unpacks_to_more_than_it_may_is_refused_and_leaves_nothing(
    tmp_path, write, said
):
    write(tmp_path / "bomb.sweep")
    words = ["import", str(tmp_path / "bomb.sweep"), "--home", str(tmp_path / "new" / "home")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {tmp_path / 'bomb.sweep'}: {said}")
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.sweep"]


@pytest.mark.parametrize(("beyond", "code"), [(0, 0), (1, 2)])
def test_the_limit_is_of_all_members_together(
    finished_toy, call, make_home, tmp_path, monkeypatch, beyond, code
):
    finished_toy(trials=1)
    call("share", "toy", tmp_path / "toy.sweep")
    with zipfile.ZipFile(tmp_path / "toy.sweep") as archive:
        size = sum(member.file_size for member in archive.infolist())
    monkeypatch.setattr(sharing, "MOST_BYTES", size - beyond)
    assert call("import", tmp_path / "toy.sweep", home="elsewhere").exit_code == code
    assert len(Home(make_home("elsewhere")).sweeps()) == (1 if code == 0 else 0)


@pytest.mark.parametrize(
    "point", [pytest.param("import.unpacked", marks=pytest.mark.slow), "import.done"]
)
def test_an_import_that_is_killed_is_undone_or_finished(
    finished_toy, call, make_home, tmp_path, migrated_database, point
):
    sweep = finished_toy(trials=2)
    file = tmp_path / "toy.sweep"
    call("share", "toy", file)
    shutil.copy(migrated_database, make_home("elsewhere") / "mlflow.db")
    words = ["import", str(file), "--home", str(make_home("elsewhere"))]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    fixed = call("doctor", "--fix", home="elsewhere")
    assert fixed.exit_code == 0, fixed.output
    if point == "import.unpacked":
        assert call("import", file, home="elsewhere").exit_code == 0
    assert_sound(make_home("elsewhere"), table(sweep))


@pytest.mark.slow
@pytest.mark.parametrize("point", ["share.begun", "share.packed"])
def test_a_sharing_that_is_killed_leaves_no_file_and_can_be_repeated(
    finished_toy, call, make_home, tmp_path, point
):
    sweep = finished_toy(trials=2)
    file = tmp_path / "toy.sweep"
    words = ["share", "toy", str(file), "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    assert not file.exists()
    assert_sound(make_home(), table(sweep))
    assert call("share", "toy", file).exit_code == 0
    assert [path.name for path in tmp_path.glob("*toy.sweep*")] == ["toy.sweep"]
    assert call("import", file, home="elsewhere").exit_code == 0


@pytest.mark.parametrize("point", ["gc.begun", "gc.done:2"])
def test_a_gc_that_is_killed_has_freed_some_and_the_next_frees_the_rest(
    finished_toy, call, make_home, point
):
    sweep = finished_toy(trials=6)
    folder = Home(make_home()).store(sweep.info.id).folder
    before = len(list(folder.glob("trials/*.weights.npz")))
    words = ["gc", "--keep-top", "1", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    freed = before - len(list(folder.glob("trials/*.weights.npz")))
    assert freed == (0 if point == "gc.begun" else 2)
    assert call("doctor", "--fix").exit_code == 0
    assert call("gc", "--keep-top", "1").exit_code == 0
    left = {path.name.partition(".")[0] for path in folder.glob("trials/*.weights.npz")}
    assert left == {"0000-1", sweep.best().record.key}
    assert_sound(make_home(), table(sweep))


@pytest.mark.parametrize("point", ["run.filed:2", "end.valued"])
def test_an_archived_sweep_whose_return_is_killed_returns_with_the_next(
    finished_toy, call, make_home, point
):
    sweep = finished_toy(trials=2)
    call("archive", "toy")
    words = ["archive", "toy", "--undo", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    assert call("doctor", "--fix").exit_code == 0
    assert call("archive", "toy", "--undo").exit_code == 0
    assert_sound(make_home(), table(sweep))


def test_archived_it_is_hidden_and_comes_back_as_it_was(finished_toy, call, make_home):
    sweep = finished_toy(trials=2)
    before = tracked(make_home(), sweep.info.id)
    assert call("archive", "toy").exit_code == 0
    assert "no sweeps in" in call("list").stdout
    assert "toy" in call("list", "--all").stdout
    assert tracked(make_home(), sweep.info.id) == []
    assert call("doctor").exit_code == 0
    assert call("sync").exit_code == 0
    assert tracked(make_home(), sweep.info.id) == []
    assert call("archive", "toy", "--undo").exit_code == 0
    assert tracked(make_home(), sweep.info.id) == before
    assert call("doctor").stdout == "all is well with 1 sweep\n"


@pytest.mark.slow
def test_running_an_archived_sweep_brings_it_back(run_toy, finished_toy, call, make_home):
    finished_toy(trials=2)
    call("archive", "toy")
    sweep = run_toy(trials=3, workers=0)
    assert_sound(make_home(), table(sweep))
    assert "toy" in call("list").stdout


@pytest.mark.parametrize("point", [f"journal.{step}" for step in ("begun", "written", "done")])
def test_an_archiving_that_is_killed_is_undone_or_finished(finished_toy, call, make_home, point):
    sweep = finished_toy(trials=2)
    words = ["archive", "toy", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    assert call("doctor", "--fix").exit_code == 0
    assert call("archive", "toy", "--undo").exit_code == 0
    assert_sound(make_home(), table(sweep))


def test_gc_frees_the_weights_of_all_but_the_best_and_says_what(finished_toy, call, make_home):
    sweep = finished_toy(trials=6)
    folder = Home(make_home()).store(sweep.info.id).folder
    (folder / "trials" / "0001-1.npz.torn").write_bytes(bytes(2_000_000))
    before = files(make_home())
    dry = call("gc", "--keep-top", "1", "--dry-run")
    assert files(make_home()) == before, "only said"
    result = call("gc", "--keep-top", "1")
    assert result.stdout == dry.stdout.replace("would free", "freed")
    removed = before.keys() - files(make_home()).keys()
    assert sum(before[path][0] for path in removed) == pytest.approx(2e6, abs=5e4)
    assert result.stdout == f"toy: {len(removed)} files, 2.0 MB\nfreed 2.0 MB\n"
    assert {path.suffix for path in removed} == {".npz", ".torn"}
    left = {path.name.partition(".")[0] for path in folder.glob("trials/*.weights.npz")}
    assert left == {"0000-1", sweep.best().record.key}, "the baseline and the best"
    assert not list(folder.glob("*/*.torn"))
    assert call("gc", "--keep-top", "1").stdout == "toy: 0 files, 0.0 MB\nfreed 0.0 MB\n"
    assert_sound(make_home(), table(sweep))


@pytest.mark.slow
def test_notes_are_shown_by_mlflow_and_survive_a_lost_store(
    run_toy, finished_toy, call, make_home, migrated_database
):
    sweep = finished_toy(trials=2)
    assert call("note", "toy", "the first try").exit_code == 0
    picture = "<img src=http://evil> ![x](http://evil)"
    assert call("note", "toy", "0", picture).exit_code == 0
    assert call("note", "toy", "1", "looks odd").exit_code == 0
    assert call("note", "toy", "0").stdout == f"trial 0: {picture}\n"
    loads_nothing = "&lt;img src=http://evil&gt; !\\[x](http://evil)"
    assert call("note", "toy").stdout == (
        f"the first try\ntrial 0: {picture}\ntrial 1: looks odd\n"
    )
    assert call("note", "toy", "1").stdout == "trial 1: looks odd\n"

    def notes():
        runs = tracked(make_home(), sweep.info.id)
        return [run["tags"].get("mlflow.note.content", "") for run in runs]

    parent, first, second = notes()
    assert parent.startswith("the first try\n\n")
    assert (first, second) == (loads_nothing, "looks odd")
    for file in make_home().glob("mlflow.db*"):
        file.unlink()
    shutil.copy(migrated_database, make_home() / "mlflow.db")
    assert call("sync").exit_code == 0
    assert notes() == [parent, first, second]
    run_toy(trials=3, workers=0)
    assert notes()[0].startswith("the first try\n\n")
    assert call("note", "toy", "9", "x").exit_code == 2
    call("note", "toy", "1", "")
    assert call("note", "toy").stdout == f"the first try\ntrial 0: {picture}\n"
    assert notes()[2] == ""


def test_text_that_is_no_utf8_is_refused_as_a_note_and_ends_nothing_where_it_was_shared(
    finished_toy, call, tmp_path
):
    sweep = finished_toy(trials=2)
    for words in (["caf\udce9"], ["0", "caf\udce9"]):
        refused = call("note", "toy", *words)
        assert (refused.exit_code, "is not UTF-8" in refused.stderr) == (2, True), refused.output
    store = sweep.home.store(sweep.info.id)
    assert store.state().notes == {}
    store.append(Noted("sweep", "a \ud800 b"), Noted("0", "c \udce9 d"))
    sent = call("sync", "toy")
    assert sent.exit_code == 0, sent.output
    assert call("note", "toy").stdout == "a ? b\ntrial 0: c ? d\n"
    assert call("report", "toy", "-o", str(tmp_path / "toy.html")).exit_code == 0
    parent, first, _ = tracked(sweep.home.path, sweep.info.id)
    assert parent["tags"]["mlflow.note.content"].startswith("a ? b")
    assert first["tags"]["mlflow.note.content"] == "c ? d"


@pytest.mark.slow
@pytest.mark.parametrize("point", ["journal.begun", "journal.written", "run.filed:2", "end.valued"])
def test_a_renaming_that_is_killed_is_undone_or_finished(finished_toy, call, make_home, point):
    sweep = finished_toy(trials=3)
    words = ["rename", "toy", "better", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    assert call("doctor", "--fix").exit_code == 0
    (info,) = Home(make_home()).sweeps()
    assert info.name == ("toy" if point == "journal.begun" else "better")
    assert {run["tags"]["sweep"] for run in tracked(make_home(), info.id)} == {info.name}
    assert_sound(make_home(), table(sweep), info.name)


@pytest.mark.parametrize("step", ["begun", "written", "done"])
def test_a_note_that_is_killed_is_there_or_not(finished_toy, call, make_home, step):
    sweep = finished_toy(trials=1)
    words = ["note", "toy", "0", "odd", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": f"journal.{step}"}).wait() == -signal.SIGKILL
    assert call("sync").exit_code == 0
    said = call("note", "toy").stdout
    assert said == ("" if step == "begun" else "trial 0: odd\n")
    tags = tracked(make_home(), sweep.info.id)[1]["tags"]
    assert tags.get("mlflow.note.content", "") == ("" if step == "begun" else "odd")
    assert call("doctor").exit_code == 0


@pytest.mark.parametrize("words", [("delete", "toy", "--yes"), ("archive", "toy")])
def test_while_the_server_is_away_nothing_is_removed(finished_toy, call, make_home, words):
    sweep = finished_toy(trials=1)
    result = call(*words, "--tracking-uri", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "nothing was changed" in result.stderr
    assert_sound(make_home(), table(sweep))
    assert "toy" in call("list").stdout


def test_renamed_while_archived_it_comes_back_under_its_new_name(finished_toy, call, make_home):
    sweep = finished_toy(trials=2)
    call("archive", "toy")
    assert call("rename", "toy", "better").exit_code == 0
    assert call("archive", "better", "--undo").exit_code == 0
    assert_sound(make_home(), table(sweep), "better")


@pytest.mark.slow
def test_a_killed_deletion_is_finished_by_a_start_from_python_too(
    run_toy, finished_toy, call, make_home
):
    gone = finished_toy(trials=1)
    words = ["delete", "toy", "--yes", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": "delete.done"}).wait() == -signal.SIGKILL
    run_toy(trials=1, workers=0, name="other")
    assert tracked(make_home(), gone.info.id) == []
