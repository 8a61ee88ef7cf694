"""An imported sweep is read, and nothing that it names is run until the user has said so."""

from __future__ import annotations

import shutil
import sys
import zipfile

import pytest

import sweeps
from sweeps.errors import UsageError
from sweeps.experiments import loading
from tests.sweeps.forging import JOURNAL, adding, events_in, forge, in_each

EVIL = """
from pathlib import Path
from tests.sweeps.toy_experiment import experiment
Path({mark!r}).touch()
"""
SCRIPT = """
command: "{python} train.py {{x}} {mark}"
objective: {{metric: score, direction: maximize}}
parameters:
  x: {{type: float, low: 0.0, high: 1.0}}
"""
TRAIN = """
import json, sys
from pathlib import Path
Path(sys.argv[2]).touch()
print(json.dumps({"result": {"score": float(sys.argv[1])}}))
"""
RUNS_IT = [
    ["replay", "NAME", "0"],
    ["export", "NAME", "OUT", "--trial", "0"],
    ["confirm", "NAME"],
    ["enqueue", "NAME", "x=0.5"],
]
READS_IT = [
    ["list"],
    ["trials", "NAME"],
    ["best", "NAME"],
    ["report", "NAME", "--output", "OUT.html"],
    ["compare", "NAME:0", "NAME:1"],
    ["doctor", "NAME"],
    ["sync", "NAME"],
    ["share", "NAME", "OUT.sweep"],
    ["rename", "NAME", "other"],
]


@pytest.fixture
def theirs(finished_toy, call, tmp_path, monkeypatch):
    """Return a mark that appears when a module of the sender's choice is imported."""
    finished_toy(trials=2)
    file, mark = tmp_path / "toy.sweep", tmp_path / "it was run"
    call("share", "toy", file)
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "evilmod.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.chdir(folder)  # where an archive and a module may have come together
    evil = {"experiment": "evilmod:experiment", "directory": str(folder)}
    forge(file, in_each("begun", lambda event: event.update(evil)))
    before = list(sys.path)
    result = call("import", file, home="elsewhere")
    assert result.exit_code == 0, result.output
    assert "nothing that it names was run" in result.stdout
    assert sys.path == before
    return mark


def filled(words, tmp_path, name="toy"):
    return [w.replace("NAME", name).replace("OUT", str(tmp_path / "out")) for w in words]


@pytest.mark.parametrize("words", RUNS_IT, ids=lambda words: words[0])
def test_what_would_run_it_says_what_and_asks(theirs, call, tmp_path, words):
    result = call(*filled(words, tmp_path), home="elsewhere")
    assert result.exit_code == 2
    assert "came with toy.sweep" in result.stderr
    assert "the code of evilmod:experiment" in result.stderr
    assert "`sweeps trust toy FOLDER --home " in result.stderr
    assert not theirs.exists()


@pytest.mark.parametrize("words", READS_IT, ids=lambda words: words[0])
def test_what_reads_it_runs_nothing(theirs, call, tmp_path, words):
    before = list(sys.path)
    result = call(*filled(words, tmp_path), home="elsewhere")
    assert "Traceback" not in result.output
    assert result.exit_code == 0, result.output
    assert not theirs.exists()
    assert sys.path == before


FORGED = {
    "another experiment in the space": lambda space: space.update(experiment="evilmod:experiment"),
    "a space that is a function": lambda space: space["body"].update(function="evilmod:space"),
}


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("words", [["enqueue", "NAME", "x=0.5"], ["replay", "NAME", "0"]], ids=str)
def test_what_is_shipped_vouches_for_nothing_beside_it(
    finished_toy, call, tmp_path, monkeypatch, forged, words
):
    monkeypatch.setattr(loading, "SHIPPED", {finished_toy(trials=2).info.experiment})
    file, mark = tmp_path / "toy.sweep", tmp_path / "it was run"
    call("share", "toy", file)
    (tmp_path / "evilmod.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.syspath_prepend(str(tmp_path))
    forge(file, in_each("begun", lambda event: FORGED[forged](event["space"])))
    assert call("import", file, home="elsewhere").exit_code == 0
    refused = call(*filled(words, tmp_path), home="elsewhere")
    assert (refused.exit_code, "this would run the" in refused.stderr) == (2, True), refused.output
    assert "evilmod" in refused.stderr
    assert not mark.exists()


def test_from_a_folder_that_the_user_names_it_runs_once_trusted(theirs, call, tmp_path):
    refused = call("trust", "toy", tmp_path / "downloads", home="elsewhere")
    assert (refused.exit_code, theirs.exists()) == (2, False)
    assert "will run the code of evilmod:experiment" in refused.stdout
    assert "say --yes" in refused.stderr
    empty = call("trust", "toy", tmp_path, "--yes", home="elsewhere")
    assert (empty.exit_code, "is not there" in empty.stderr) == (2, True)
    assert call("trust", "toy", tmp_path / "downloads", "--yes", home="elsewhere").exit_code == 0
    replayed = call("replay", "toy", "0", home="elsewhere")
    assert (replayed.exit_code, "was trained by other code" in replayed.stderr) == (2, True)
    assert theirs.exists()


def test_once_trusted_it_is_as_if_it_had_been_made_here(finished_toy, run_toy, call, tmp_path):
    finished_toy(trials=2)
    call("share", "toy", tmp_path / "toy.sweep")
    call("import", tmp_path / "toy.sweep", home="elsewhere")
    with pytest.raises(UsageError, match=r"came with toy\.sweep"):
        run_toy("elsewhere", trials=3, workers=0)
    assert call("trust", "toy", "--yes", home="elsewhere").exit_code == 0
    assert call("replay", "toy", "0", home="elsewhere").exit_code == 0
    assert len(run_toy("elsewhere", trials=3, workers=0).rows()) == 3


def test_trust_does_not_travel(theirs, call, tmp_path, make_home):
    call("trust", "toy", tmp_path / "downloads", "--yes", home="elsewhere")
    call("share", "toy", tmp_path / "again.sweep", home="elsewhere")
    call("import", tmp_path / "again.sweep", home="third")
    result = call("replay", "toy", "0", home="third")
    assert (result.exit_code, "came with again.sweep" in result.stderr) == (2, True)
    assert sweeps.load("toy", make_home("third")).info.directory is None


@pytest.mark.parametrize("words", RUNS_IT[:2], ids=lambda words: words[0])
def test_trust_that_the_sender_forged_is_none(theirs, call, tmp_path, words):
    trusting = {"file": "toy.sweep", "archive": "ab" * 32, "trusted": True}
    file = tmp_path / "toy.sweep"
    forge(file, adding(kind="received 1", **trusting, folder=str(tmp_path / "downloads")))
    call("delete", "toy", "--yes", home="elsewhere")
    assert call("import", file, home="elsewhere").exit_code == 0
    result = call(*filled(words, tmp_path), home="elsewhere")
    assert (result.exit_code, "came with toy.sweep" in result.stderr) == (2, True), result.output
    assert not theirs.exists()


def test_nothing_that_is_true_on_one_machine_only_travels(finished_toy, call, make_home, tmp_path):
    """Neither sent, nor taken in if a sender forges it."""
    sweep, file = finished_toy(trials=1), tmp_path / "toy.sweep"
    assert call("note", "toy", "it travels").exit_code == 0
    assert call("share", "toy", file).exit_code == 0
    with zipfile.ZipFile(file) as archive:
        sent = archive.read(JOURNAL)
    kinds = {event["kind"] for event in events_in(sent)}
    folder = sweep.info.directory.encode()
    assert folder in sweep.home.store(sweep.info.id).journal.path.read_bytes()
    assert folder not in sent
    assert kinds.isdisjoint({"started 1", "returned 1", "received 1"})
    assert "noted 1" in kinds
    forge(file, adding(kind="started 1", began_at=7, command="sweeps run evil", folder="/evil"))
    forge(file, in_each("begun", lambda event: event.update(directory="/evil")))
    assert call("import", file, home="elsewhere").exit_code == 0
    arrived = sweeps.load("toy", make_home("elsewhere"))
    journal = arrived.home.store(arrived.info.id).journal.path
    assert b"evil" not in journal.read_bytes()
    assert call("note", "toy", home="elsewhere").stdout == "it travels\n"


def test_what_was_made_here_needs_no_trust(finished_toy, call):
    finished_toy(trials=1)
    result = call("trust", "toy", "--yes")
    assert (result.exit_code, "was made here" in result.stderr) == (2, True)


def test_a_command_that_came_with_a_script_is_not_run(call, tmp_path):
    mark, folder = tmp_path / "mark", tmp_path / "script"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    space = folder / "script.yaml"
    space.write_text(SCRIPT.format(python=sys.executable, mark=mark))
    ran = call("run", space, "--trials", "1", "--workers", "0")
    assert ran.exit_code == 0, ran.output
    call("share", "script", tmp_path / "script.sweep")
    mark.unlink()
    assert call("import", tmp_path / "script.sweep", home="elsewhere").exit_code == 0
    asked = call("replay", "script", "0", home="elsewhere")
    assert asked.exit_code == 2
    assert f"this would run the command  {sys.executable} train.py" in asked.stderr
    assert not mark.exists()
    assert call("trust", "script", folder, "--yes", home="elsewhere").exit_code == 0
    more = call("run", space, "--trials", "2", "--workers", "0", home="elsewhere")
    assert more.exit_code == 0, more.output
    assert mark.exists()


@pytest.mark.parametrize("name", ["../../../x", "/abs/x", "a\nb", "\x1b[31mred", ""])
def test_a_name_of_the_senders_choice_is_refused(finished_toy, call, tmp_path, make_home, name):
    finished_toy(trials=1)
    call("share", "toy", tmp_path / "toy.sweep")
    for change in (
        in_each("begun", lambda event: event.update(name=name)),
        adding(kind="renamed 1", name=name),
    ):
        shutil.copy(tmp_path / "toy.sweep", tmp_path / "forged.sweep")
        forge(tmp_path / "forged.sweep", change)
        result = call("import", tmp_path / "forged.sweep", home="elsewhere")
        assert (result.exit_code, "at `$.name`" in result.stderr) == (2, True), result.output
        assert "\x1b" not in result.stderr
        assert not list((make_home("elsewhere") / "sweeps").glob("*"))


@pytest.mark.parametrize("trained_in", ["/outside", "../../x", "20261127-1a2b3c4d/../../x"])
def test_a_conclusion_never_leads_out_of_the_home(finished_toy, call, tmp_path, trained_in):
    finished_toy(trials=1)
    call("share", "toy", tmp_path / "toy.sweep")
    conclusion = {
        "confirmation": "20261127-1a2b3c4d", "trained_in": trained_in, "champion": "0000-1",
        "finalist": "trial 0",
    }  # fmt: skip
    forge(tmp_path / "toy.sweep", adding(kind="confirmed 1", conclusion=conclusion))
    result = call("import", tmp_path / "toy.sweep", home="elsewhere")
    assert (result.exit_code, "matching regex" in result.stderr) == (2, True)
    assert "`$.trained_in`" in result.stderr
    assert "sweeps confirm" not in result.stderr, "there is nothing to confirm yet"


@pytest.mark.parametrize(
    "changed",
    [
        {"created_at": "x"},
        {"metric": 7},
        {"metric": "\x1b[31mred"},
        {"direction": "sideways"},
        {"fingerprint": []},
        {"space": "x"},
        {"data": None},
        {"baselines": 7},
        {"experiment": ["x"]},
        {"other_objectives": [1]},
    ],
    ids=str,
)
def test_what_a_sweep_says_of_itself_is_of_the_right_kind(finished_toy, call, tmp_path, changed):
    finished_toy(trials=1)
    call("share", "toy", tmp_path / "toy.sweep")
    forge(tmp_path / "toy.sweep", in_each("begun", lambda event: event.update(changed)))
    result = call("import", tmp_path / "toy.sweep", home="elsewhere")
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert call("list", home="elsewhere").exit_code == 0
