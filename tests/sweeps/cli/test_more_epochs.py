"""`--more-epochs`: the best trials of a sweep, trained with more epochs, as trials of their own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import sweeps
from sweeps.analysis.data import SweepData
from sweeps.errors import UsageError
from sweeps.render.sections.reproduce import rerun_commands
from sweeps.runner import loop
from tests.sweeps import journals
from tests.sweeps.conftest import TOY, table
from tests.sweeps.soundness import assert_sound


def records_of(sweep):
    return {one.trial: one for one in sweep.home.store(sweep.info.id).read_all()}


def best_of(sweep):
    """Return number and seed of the best trial."""
    best = max(sweep.rows(), key=lambda row: (row.objective, -row.trial))
    return best.trial, best.seed


def test_the_best_is_trained_with_more_epochs_as_the_next_trial(call, finished_toy, make_home):
    sweep = finished_toy(trials=4)
    trial, seed = best_of(sweep)
    done = call("run", "TOY", "--trials", "4", "--workers", "0", "--more-epochs", "2")
    assert done.exit_code == 0, done.output
    assert f"--more-epochs 2: trial {trial} with 5 epochs is the next trial" in done.stderr
    sweep = sweeps.load("toy", make_home())
    longer = sweep.rows()[4]
    assert longer.origin == f"enqueued, trial {trial} with 5 epochs"
    assert (longer.seed, longer.epochs) == (seed, 5)
    assert dict(longer.params) == dict(sweep.rows()[trial].params)
    assert records_of(sweep)[4].config["epochs"] == 5
    assert_sound(make_home(), table(sweep))


def test_a_trial_that_has_them_already_is_not_trained_again(call, finished_toy, make_home):
    trial, _ = best_of(finished_toy(trials=4))
    words = ("enqueue", "toy", "--more-epochs", "2", "--like", str(trial))
    first = call(*words)
    assert first.stdout.startswith("queued: ")
    assert "epochs=5\n" in first.stdout
    assert call(*words).stdout.startswith("queued already, as point 1: ")
    call("run", "TOY", "--trials", "4", "--workers", "0")
    assert call(*words).stdout.startswith("is trial 4 already: ")
    # What goes on from the longer one goes on from the same trial: seed and epochs say all.
    further = call("enqueue", "toy", "--more-epochs", "2", "--like", "4")
    assert further.stdout.startswith("queued: ")
    call("run", "TOY", "--trials", "4", "--workers", "0")
    assert sweeps.load("toy", make_home()).rows()[5].origin == (
        f"enqueued, trial {trial} with 7 epochs"
    )


def test_the_point_itself_can_still_be_found_among_the_trials(call, finished_toy):
    finished_toy(trials=1)
    call("enqueue", "toy", "--more-epochs", "2")
    call("run", "TOY", "--trials", "1", "--workers", "0")
    again = call("enqueue", "toy", "x=0.5", "layers=0", "kind=a")
    assert again.stdout.startswith("is trial 0 already: ")


def test_a_longer_trial_whose_events_are_lost_is_trained_as_it_was(call, finished_toy, make_home):
    finished_toy(trials=4)
    run = ("run", "TOY", "--trials", "4", "--workers", "0")
    call(*run, "--more-epochs", "2")
    sweep = sweeps.load("toy", make_home())
    before = records_of(sweep)[4]
    journals.forget(sweep.home.store(sweep.info.id), "0004-1", asked=True)
    assert call(*run).exit_code == 0
    after = records_of(sweeps.load("toy", make_home()))[4]
    assert (after.config, after.seed) == (before.config, before.seed)


def test_an_extended_sweep_keeps_the_epochs_of_a_longer_trial_without_a_record(
    call, finished_toy, make_home
):
    finished_toy(trials=4)
    call("run", "TOY", "--trials", "4", "--workers", "0", "--more-epochs", "2")
    sweep = sweeps.load("toy", make_home())
    journals.forget(sweep.home.store(sweep.info.id), "0004-1")
    done = call("run", "TOY", "--trials", "5", "--workers", "0", "--extend", "--sampler", "random")
    assert done.exit_code == 0, done.output
    assert records_of(sweeps.load("toy", make_home()))[4].config["epochs"] == 5


@pytest.mark.slow
def test_the_commands_that_reproduce_a_sweep_train_it_longer_again(
    call, finished_toy, make_home, tmp_path, monkeypatch
):
    finished_toy(trials=4)
    call("run", "TOY", "--trials", "4", "--workers", "0", "--more-epochs", "2")
    sweep = sweeps.load("toy", make_home())
    data = SweepData.read(sweep.info, sweep.home.store(sweep.info.id))
    commands = rerun_commands(data)
    assert [command.split()[1] for command in commands] == ["run", "enqueue", "run"]
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    Path("space.json").write_text(json.dumps(dict(sweep.info.space)))
    for command in commands:
        words = shlex.split(command)[1:]
        done = call(*words, *(["--workers", "0"] if words[0] == "run" else []), home="other")
        assert done.exit_code == 0, done.output
    assert table(sweeps.load("toy", make_home("other"))) == table(sweep)


def test_python_enqueues_the_best_longer(finished_toy, run_toy):
    sweep = finished_toy(trials=4)
    found = sweeps.enqueue(sweep, more_epochs=3, top=2)
    assert [one.state for one in found.trials] == ["queued", "queued"]
    rows = run_toy(trials=4).rows()
    assert [row.epochs for row in rows[4:]] == [6, 6]
    with pytest.raises(UsageError, match="one of them"):
        sweeps.enqueue(sweep, {"x": 0.1}, more_epochs=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--more-epochs", "0"), "--more-epochs 0: give"),
        (("--more-epochs", "2"), "there is no sweep 'toy' yet whose best trial could be trained"),
    ],
)
def test_what_cannot_be_trained_longer_is_refused_and_nothing_is_made(
    call, make_home, words, message
):
    before = sorted(make_home().rglob("*"))
    done = call("run", "TOY", "--workers", "0", *words)
    assert (done.exit_code, message in done.stderr) == (2, True), done.output
    assert sorted(make_home().rglob("*")) == before


def test_more_epochs_than_the_experiment_allows_are_refused(call, finished_toy, make_home):
    finished_toy(trials=4)
    before = sorted(make_home().rglob("enqueued*"))
    done = call("run", "TOY", "--trials", "4", "--workers", "0", "--more-epochs", "1000")
    assert done.exit_code == 2, done.output
    assert "would train 1003 epochs; at most 1000 are allowed" in done.stderr
    assert sorted(make_home().rglob("enqueued*")) == before


def test_a_sweep_that_searches_epochs_is_told_how_to_enqueue_a_point(call, tmp_path, make_home):
    space = tmp_path / "searched.yaml"
    text = TOY.replace("fixed: {epochs: 3}\n", "").replace(
        "parameters:\n", "parameters:\n  epochs: {type: int, low: 2, high: 9}\n"
    )
    space.write_text(text.replace("{x: 0.5, ", "{epochs: 4, x: 0.5, "))
    sweeps.run(str(space), trials=1, name="toy", workers=0, home=make_home(), progress="quiet")
    done = call("enqueue", "toy", "--more-epochs", "2")
    assert done.exit_code == 2
    assert "`sweeps enqueue toy --like 0 epochs=6 " in done.stderr


def test_a_trial_that_stopped_early_is_left_out_with_its_reason(call, tmp_path, make_home):
    space = tmp_path / "folded.yaml"
    space.write_text(
        "experiment: tests.sweeps.cli.stopping_early:experiment\n"
        "objective: {metric: score, direction: maximize}\n"
        "parameters: {x: {type: float, low: 0, high: 1}}\n"
        "baselines: {early: {x: 0.3}, late: {x: 0.9}}\n"
    )
    sweeps.run(str(space), trials=2, workers=0, home=make_home(), progress="quiet")
    done = call("enqueue", "folded", "--more-epochs", "2", "--top", "1")
    assert done.exit_code == 2
    assert "trial 0: early stopping ended it, not its last epoch (3)" in done.stderr
    assert "`sweeps enqueue folded --more-epochs 2 --top 2 " in done.stderr
    done = call("enqueue", "folded", "--more-epochs", "2", "--top", "2")
    assert done.exit_code == 0
    assert "trial 0: early stopping ended it" in done.stdout
    assert "queued: x=0.9 epochs=5" in done.stdout


def test_the_last_state_of_a_trial_is_kept_as_long_as_its_weights(finished_toy, monkeypatch):
    sweep = finished_toy(trials=4)
    store, found = sweep.home.store(sweep.info.id), records_of(sweep)
    for trial in found:
        store.last_state_path(trial).parent.mkdir(exist_ok=True)
        store.last_state_path(trial).touch()
    monkeypatch.setattr(loop, "KEEP_BEST", 1)
    keeper = loop.WeightKeeper(store, sweep.info.objectives)
    for record in found.values():
        keeper.add(record)
    baseline = 0  # keeps its weights
    kept = sorted(path.name for path in store.last_state_path(0).parent.iterdir())
    ranked = max((r for r in found.values() if r.trial != baseline), key=lambda r: r.objective)
    assert kept == sorted({f"{baseline:04d}.last", f"{ranked.trial:04d}.last"})


def test_a_trial_of_another_space_is_left_out(call, finished_toy, make_home):
    trial, _ = best_of(finished_toy(trials=4))
    sweep = sweeps.load("toy", make_home())
    x = sweep.rows()[trial].params["x"]
    narrower = f"x={x + 0.01}..1"
    run = ("run", "TOY", "--trials", "4", "--workers", "0", "--extend", "--set", narrower)
    assert call(*run).exit_code == 0
    done = call("enqueue", "toy", "--more-epochs", "2", "--like", str(trial))
    assert done.exit_code == 2, done.output
    assert f"trial {trial}: the space of the sweep has changed since" in done.stderr
    assert not list(make_home().rglob("enqueued*"))
