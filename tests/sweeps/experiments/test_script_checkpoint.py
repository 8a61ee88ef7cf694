"""A script that names `{checkpoint}` goes on where it was cut off, with the result of before."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps
from search_spaces.objectives import Objective, Script
from sweeps.executors.attempt import run_attempt
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.experiment import Stop, TrialSpec
from sweeps.experiments.script import ScriptExperiment
from sweeps.workspace.processes import marked
from tests.sweeps.executors.conftest import eventually
from tests.sweeps.launching import Launched

EPOCHS = 6
LOSS = Objective("loss", "minimize")
TRAINING = """
import json, os, pathlib, sys, time

folder, weight, pause = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
assert str(folder) == os.environ["SWEEPS_CHECKPOINT"]
state, path = {"epoch": FIRST - 1, "weight": weight}, folder / "state.json"
if path.exists():
    state = json.loads(path.read_text())
with open("begun", "a") as begun:
    print(os.getpid(), state["epoch"], file=begun)
while state["epoch"] < EPOCHS + FIRST - 1:
    time.sleep(pause)
    epoch, weight = state["epoch"] + 1, 0.7 * state["weight"] + 0.1
    print(json.dumps({"epoch": epoch, "loss": weight}))
    state = {"epoch": epoch, "weight": weight}
    (folder / "new").write_text(json.dumps(state))
    (folder / "new").replace(path)
    if epoch == HOLD:
        time.sleep(600)
print(json.dumps({"result": {"loss": state["weight"]}}))
"""
SPACE = f"""
command: {sys.executable} train.py {{checkpoint}} {{x}} 0.3
objective: {{metric: loss, direction: minimize}}
parameters:
  x: {{type: float, low: 0, high: 1}}
defaults: {{trials: 2, sampler: random, pruner: none}}
"""


@pytest.fixture
def train(tmp_path):
    """Train one attempt, which may be cut off after an epoch as if by a kill."""

    def train(script=TRAINING, *, last=None, owner="mine", first=1, keeps=True, on_epoch=None):
        held = 0 if last is None else last + first  # or it would run on while it is killed
        text = filled(script, first, held)
        (tmp_path / "train.py").write_text(text)
        reported = []

        def hear(epoch, metrics):
            reported.append((epoch, metrics["loss"]))
            if epoch == last:
                raise SystemExit
            return on_epoch(epoch) if on_epoch else None

        command = f"{sys.executable} train.py {{checkpoint}} 0.9 0.02"
        experiment = ScriptExperiment(Script(command, (LOSS,)), tmp_path)
        place = CheckpointPlace(tmp_path / "0000", owner, 30.0) if keeps else None
        spec = TrialSpec("s", trial=0, attempt=1, seed=3, config={})
        folder = tmp_path / f"attempt-{len(list(tmp_path.glob('attempt-*')))}"
        data = experiment.prepare(None, 0)
        return run_attempt(experiment, spec, data, hear, None, folder, place), reported

    return train


def filled(script: str, first: int, held: int) -> str:
    """Return a script that numbers its epochs from `first`, and holds on after the one `held`."""
    known = {"FIRST": first, "EPOCHS": EPOCHS, "HOLD": held or None}
    for name, value in known.items():
        script = script.replace(name, str(value))
    return script


def begun(folder: Path) -> list[int]:
    """Return after which epoch each start went on."""
    return [int(line.split()[1]) for line in (folder / "begun").read_text().splitlines()]


@pytest.mark.parametrize("first", [1, 0])
def test_it_goes_on_after_each_kill_and_comes_out_the_same(train, tmp_path, first):
    alone, told = train(keeps=False, first=first)
    for last in (1, 1, 3):  # the second one is killed before it has an epoch of its own to report
        train(last=last, first=first)
    again, reported = train(first=first)
    assert again.error is None
    assert again.result.history == alone.result.history
    assert again.result.metrics == alone.result.metrics
    assert reported == told
    # A script prints while nobody looks: it may have ended before it was killed.
    assert again.resumed_from == min(begun(tmp_path)[-1] - first + 1, EPOCHS - 1) > 0
    assert len(told) == EPOCHS


def test_one_that_had_no_epoch_left_reports_all_of_them(train, tmp_path):
    alone, told = train(keeps=False)
    train(TRAINING.replace('print(json.dumps({"result"', 'sys.exit(print({"result"'))
    again, reported = train()
    assert begun(tmp_path)[-1] == EPOCHS
    assert again.result.history == alone.result.history
    assert (again.resumed_from, reported) == (EPOCHS - 1, told)


def test_a_pruner_that_ends_it_after_its_last_epoch_does_so_after_a_kill_too(train):
    train(last=EPOCHS - 1)
    again, _ = train(on_epoch=lambda epoch: Stop("pruned") if epoch == EPOCHS - 1 else None)
    assert again.result.outcome == "stopped"


def test_a_stop_of_an_epoch_before_ends_it_at_the_next_one(train):
    train(last=2)
    again, reported = train(on_epoch=lambda epoch: Stop("pruned") if epoch == 0 else None)
    assert again.result.outcome == "stopped"
    assert len(reported) < EPOCHS


def test_what_is_of_another_training_is_thrown_away(train, tmp_path):
    train(last=2)
    again, reported = train(owner="another")
    assert begun(tmp_path)[-1] == 0
    assert again.resumed_from is None
    assert len(reported) == EPOCHS


def test_where_epochs_are_lost_it_begins_anew_and_says_why(train, tmp_path):
    alone, told = train(keeps=False)
    train(last=2)
    files = tmp_path / "0000.files"
    lines = (files / "printed").read_text().splitlines(keepends=True)
    (files / "printed").write_text("".join(lines[:2]))
    (files / "state" / "state.json").write_text(json.dumps({"epoch": 4, "weight": 0.5}))
    again, reported = train()
    assert "went on with epoch 5, and of those before 1, 2 had been printed" in again.unsaved
    assert begun(tmp_path)[-2:] == [4, 0]
    assert again.result.history == alone.result.history
    assert reported == told


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("epoch / 2", "epoch 0.5 is no whole number"),
        ("None", "epoch None is no whole number"),
        ("1e999", "epoch inf is no whole number"),
        ("10 * epoch", "its first epoch is 10; with {checkpoint} number them 1, 2, 3"),
        ("2 * epoch - 1", "epoch 3 comes after epoch 1; with"),
        ("(epoch + 1) // 2", "epoch 1 comes after epoch 1; with"),
        ("-epoch", "its first epoch is -1"),
    ],
)
def test_epochs_that_do_not_say_where_it_goes_on_are_refused(train, number, said):
    attempt, _ = train(TRAINING.replace('{"epoch": epoch,', f'{{"epoch": {number},', 1))
    assert said in attempt.error
    assert attempt.reason == "invalid"


def test_a_result_before_the_first_epoch_changes_nothing(train):
    first = TRAINING.replace(
        "while state", 'print(json.dumps({"result": {"loss": 9}}))\nwhile state'
    )
    alone, told = train(first, keeps=False)
    train(first, last=2)
    again, reported = train(first)
    assert again.result.history == alone.result.history
    assert (again.result.metrics, reported) == (alone.result.metrics, told)


@pytest.mark.parametrize(
    ("number", "said", "reason"),
    [(9, "killed by SIGKILL (out of memory?)", "killed"), (11, "killed by SIGSEGV", "crash")],
)
def test_a_script_that_was_killed_goes_on_and_one_that_fails_does_not(
    train, tmp_path, number, said, reason
):
    saved = '(folder / "new").replace(path)'
    killed = TRAINING.replace(saved, f"{saved}\n    epoch == 3 and os.kill(os.getpid(), {number})")
    attempt, _ = train(killed)
    assert attempt.error.startswith(said)
    assert attempt.reason == reason
    again, reported = train()
    assert (again.resumed_from, len(reported)) == (3, EPOCHS)
    failing, _ = train(TRAINING.replace("while state", "sys.exit('broken')\nwhile state"))
    assert failing.reason == "error"


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_an_interrupted_script_may_save_the_epoch_that_it_has_printed(train, tmp_path, seconds):
    slow = TRAINING.replace(
        '(folder / "new").write', f'time.sleep({seconds}); (folder / "new").write'
    )
    slow = slow.replace("time.sleep(pause)", "time.sleep(1)")
    attempt, reported = train(slow, on_epoch=lambda epoch: Stop("interrupt") if epoch else None)
    assert attempt.result.outcome == "stopped"
    saved = json.loads((tmp_path / "0000.files" / "state" / "state.json").read_text())
    assert saved["epoch"] == len(reported) == 2


def test_where_its_output_cannot_be_linked_it_trains_and_says_so(train, monkeypatch):
    def refused(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("sweeps.experiments.script_checkpoint.os.link", refused)
    attempt, reported = train()
    assert len(reported) == EPOCHS
    assert "cannot be linked (Operation not permitted); put the home on" in attempt.unsaved
    assert train(keeps=False)[0].unsaved is None


def test_a_folder_that_the_script_has_spoilt_is_made_anew(train, tmp_path):
    train(last=2)
    state = tmp_path / "0000.files" / "state"
    shutil.rmtree(state)
    state.write_text("no folder")
    again, reported = train()
    assert (again.error, again.resumed_from, len(reported)) == (None, None, EPOCHS)


def test_lines_that_end_as_those_of_a_progress_bar_are_read_again(train):
    train(TRAINING.replace("}))\n    state", "}), end='\\r')\n    state"), last=3)
    again, reported = train()
    assert again.resumed_from
    assert len(reported) == EPOCHS


@pytest.mark.parametrize("sources", [{"result": "a.csv"}, {"patterns": {"loss": r"loss (\S+)"}}])
def test_other_sources_than_json_lines_are_refused(tmp_path, sources):
    with pytest.raises(ValueError, match="needs the numbers in JSON lines"):
        ScriptExperiment(Script("sh a.sh {checkpoint}", (LOSS,), **sources), tmp_path)


def test_a_script_that_outlived_its_worker_is_killed_first(train, tmp_path):
    place = CheckpointPlace(tmp_path / "0000", "mine", 30.0)
    environment = {"SWEEPS_CHECKPOINT": str(place.folder / "state")}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as orphan:
        # A process has no environment yet while it becomes another program.
        assert eventually(lambda: orphan.pid in marked(*next(iter(environment.items()))))
        train()
        assert orphan.wait(10) == -signal.SIGKILL


@pytest.fixture
def space(tmp_path):
    (tmp_path / "train.py").write_text(filled(TRAINING, 1, 0))
    file = tmp_path / "script.yaml"
    file.write_text(SPACE)
    return file


def test_an_exported_trial_says_how_it_is_run_with_a_folder_of_its_own(space, tmp_path):
    space.write_text(SPACE.replace(" 0.3\n", " 0\n"))
    sweeps.run(space, trials=1, workers=0, home=tmp_path / "home", progress="quiet")
    sweeps.export("script", tmp_path / "out", trial=0, home=tmp_path / "home")
    said = (tmp_path / "out" / "README.md").read_text()
    assert "mkdir -p again/checkpoint\n" in said
    assert "SWEEPS_OUTPUT=again SWEEPS_CHECKPOINT=again/checkpoint " in said


@pytest.mark.slow
def test_a_sweep_killed_five_times_equals_an_undisturbed_one(space, make_home, tmp_path):
    alone = sweeps.run(space, home=tmp_path / "alone", progress="quiet")
    (tmp_path / "begun").unlink()
    home = make_home()
    words = ["run", str(space), "--workers", "1", "--home", str(home)]
    for starts in range(1, 6):
        running = Launched(words)
        assert eventually(lambda starts=starts: is_under_way(tmp_path, home, starts))
        running.kill()
        running.wait()
    last = Launched(words)
    assert last.wait() == 0
    assert "goes on from the files of its checkpoint" in last.stderr()
    again = sweeps.load("script", home)
    for column in ("x", "loss"):
        assert again.trials()[column].tolist() == alone.trials()[column].tolist()
    assert again.history().equals(alone.history())
    assert max(begun(tmp_path)) > 0
    assert not list((home / "sweeps").glob("*/.checkpoints"))


def is_under_way(folder: Path, home: Path, starts: int) -> bool:
    """Whether a script has begun so often, and saved a state."""
    states = home.glob("sweeps/*/.checkpoints/*.files/state/state.json")
    return (folder / "begun").exists() and len(begun(folder)) >= starts and any(states)
