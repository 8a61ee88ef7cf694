"""A trial that was cut off goes on from its checkpoint; the sweep comes out as if left alone."""

import numpy as np
import pytest

import sweeps
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.progress import Progress
from tests.sweeps.conftest import table

SPACE = """
experiment: tests.sweeps.resuming_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
fixed: {epochs: 8}
defaults: {trials: 3, sampler: tpe, pruner: none, ask_ahead: 1}
"""


class Heard(Progress):
    """Keeps the epochs and the notes."""

    def __init__(self):
        self.epochs, self.notes = [], []

    def epoch(self, spec, epoch, metrics):
        self.epochs.append((spec.trial, spec.attempt, epoch, metrics["val_score"]))

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def run(tmp_path, make_home):
    space = tmp_path / "resuming.yaml"
    space.write_text(SPACE)
    once = tmp_path / "once"
    once.mkdir()

    def run(home, acts="", *, overrides=(), progress="quiet", **options):
        told = [f"acts={acts}", f"once={once}"] if acts else []
        options = {"workers": 1, "checkpoint_every": 0, **options}
        return sweeps.run(
            str(space), home=make_home(home), overrides=[*told, *overrides], progress=progress,
            **options,
        )  # fmt: skip

    return run


def records(sweep):
    return [sweep.trial(row.trial).record for row in sweep.rows()]


def assert_as_undisturbed(found, alone):
    assert [row[:2] for row in table(found)] == [row[:2] for row in table(alone)]
    for one, other in zip(records(found), records(alone), strict=True):
        assert (one.params, one.reason) == (other.params, other.reason)
        assert one.result.history == other.result.history
        assert one.result.metrics == other.result.metrics
        np.testing.assert_equal(one.result.arrays, other.result.arrays)
        assert one.weights_sha256 == other.weights_sha256


def epochs_by_attempt(heard, trial):
    found = {}
    for number, attempt, epoch, _ in heard.epochs:
        if number == trial:
            found.setdefault(attempt, []).append(epoch)
    return found


def test_a_worker_that_is_killed_or_out_of_memory_goes_on(run, tmp_path):
    alone, heard = run("alone"), Heard()
    sweep = run("killed", "2=crash 5=oom", progress=heard)
    assert_as_undisturbed(sweep, alone)
    assert [record.resumed_from for record in records(sweep)] == [6, 6, 6]
    assert [record.attempt for record in records(sweep)] == [3, 3, 3]
    assert [record.resumed_from for record in records(alone)] == [None] * 3
    assert not list((tmp_path / "killed").rglob(".checkpoints"))
    assert "trial 1 goes on from its checkpoint, after epoch 3" in heard.notes
    assert "trial 1 goes on from its checkpoint, after epoch 6" in heard.notes
    # The last attempt has reported each epoch once, the first ones from its checkpoint.
    assert epochs_by_attempt(heard, 1)[3] == list(range(8))


@pytest.mark.slow
def test_a_pruner_sees_the_epochs_of_before_and_decides_as_if_undisturbed(run):
    later = {"n_startup_trials": 1, "n_warmup_steps": 3}
    pruned = {"pruner": "median", "pruner_options": later, "trials": 6}
    alone = run("alone", **pruned)
    sweep = run("killed", "1=crash", **pruned)
    assert "PRUNED" in {row.state for row in alone.rows()}
    assert_as_undisturbed(sweep, alone)
    assert {record.resumed_from for record in records(sweep)} == {2}


def test_after_ctrl_c_the_next_start_goes_on(run):
    alone = run("alone", trials=1, workers=0)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", "3=sigint", trials=1, workers=0)
    heard = Heard()
    sweep = run("stopped", "3=sigint", trials=1, workers=0, progress=heard)
    assert_as_undisturbed(sweep, alone)
    assert records(sweep)[0].resumed_from == 4
    assert "trial 0 goes on from its checkpoint, after epoch 4" in heard.notes


@pytest.mark.slow
def test_after_an_error_the_trial_begins_anew(run):
    alone, heard = run("alone", trials=1), Heard()
    sweep = run("failed", "3=error", trials=1, progress=heard)
    assert_as_undisturbed(sweep, alone)
    assert records(sweep)[0].resumed_from is None
    assert epochs_by_attempt(heard, 0)[2] == list(range(8))


def test_a_damaged_checkpoint_is_refused_and_the_trial_begins_anew(run, tmp_path):
    alone = run("alone", trials=1, workers=0)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", "3=sigint", trials=1, workers=0)
    (file,) = (tmp_path / "stopped").rglob(".checkpoints/*")
    file.write_bytes(file.read_bytes()[:-1])
    heard = Heard()
    sweep = run("stopped", "3=sigint", trials=1, workers=0, progress=heard)
    assert_as_undisturbed(sweep, alone)
    assert records(sweep)[0].resumed_from is None
    assert any("begins anew: its checkpoint is damaged" in note for note in heard.notes)


def test_a_state_that_cannot_be_saved_is_said_once_and_the_trial_begins_anew(run):
    heard = Heard()
    sweep = run("secret", "3=crash", trials=2, overrides=("unsavable=true",), progress=heard)
    assert [record.resumed_from for record in records(sweep)] == [None, None]
    secret = "its random state is a secret"
    assert heard.notes.count(f"trial 0 begins anew: {secret}") == 1
    assert sum(f"could not go on after a kill: {secret}" in one for one in heard.notes) == 1


def test_short_trials_write_no_checkpoint(run, tmp_path, monkeypatch):
    from sweeps.executors.checkpoint import CheckpointFile

    def refuse(*_):
        raise AssertionError("a checkpoint was written")

    monkeypatch.setattr(CheckpointFile, "save", refuse)
    sweep = run("short", trials=1, workers=0, checkpoint_every=None)
    assert [row.state for row in sweep.rows()] == ["COMPLETE"]


@pytest.mark.parametrize("every", [-1, float("inf"), "soon"])
def test_an_interval_that_is_none_creates_nothing(every, run, tmp_path):
    with pytest.raises(UsageError, match="checkpoint_every"):
        run("home", checkpoint_every=every)
    assert not (tmp_path / "home" / "sweeps").exists()


def test_what_another_host_has_ended_is_forgotten_at_the_next_start(run, tmp_path):
    sweep = run("home", trials=1, workers=0)
    store = Home.resolve(tmp_path / "home").store(sweep.info.id)
    left = store.checkpoint_path(0)
    left.parent.mkdir()
    left.write_bytes(b"")
    half = left.with_name(".0001.77.tmp")
    half.write_bytes(b"half")
    run("home", trials=2, workers=0)
    assert not left.parent.exists()
