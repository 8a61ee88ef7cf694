"""Sweeps that go on in a changed space."""

import os
import signal
from functools import partial

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

import sweeps
from sweeps.errors import UsageError
from sweeps.journal import Journal
from sweeps.records import RecordStore
from sweeps.tracking.store import open_client
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched

SPACE = """
experiment: tests.sweeps.toy_experiment:experiment
objective: {{metric: score, direction: maximize}}
parameters:
  x: {{type: float, low: {low}, high: {high}}}
  kind: {{type: categorical, choices: [{kinds}]}}
{more}fixed: {{epochs: 3{fixed}}}
baselines:
  first: {{x: {first}}}
{baselines}defaults: {{trials: 6, ask_ahead: 4}}
"""
LAYERS = (
    "  layers: {type: int, low: 0, high: 1}\n  y: {type: float, low: 0, high: 1, repeat: layers}\n"
)


@pytest.fixture
def run_space(tmp_path, make_home):
    """Run a sweep called `toy` in a space made to order."""

    def run(
        home="home",
        *,
        low=-1,
        high=1,
        kinds="a, b",
        more="",
        fixed="",
        first="0.5, kind: a",
        **options,
    ):
        file = tmp_path / "toy.yaml"
        text = SPACE.format(
            low=low,
            high=high,
            kinds=kinds,
            more=more,
            fixed=fixed,
            first=first,
            baselines=options.pop("baselines", ""),
        )
        file.write_text(text)
        options = {"workers": 0, "progress": "quiet"} | options
        return sweeps.run(str(file), home=make_home(home), **options)

    return run


def runs_of(sweep):
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.sweep_id = '{sweep.info.id}'")
    return sorted(found, key=lambda run: run.data.tags.get("trial", ""))


@pytest.mark.slow
def test_a_widened_sweep_goes_on_with_its_trials_in_the_joint_space(run_space, seen_by_sampler):
    before = run_space(trials=12)
    rows = table(before)
    after = run_space(
        trials=24,
        high=2,
        kinds="a, b, c",
        more=LAYERS,
        first="0.5, kind: a, layers: 0",
        extend=True,
    )
    assert after.info.id == before.info.id
    assert table(after)[:12] == rows
    assert [row.trial for row in after.rows()] == list(range(24))
    late = after.rows()[12:]
    assert any(row.params["x"] > 1 for row in late)
    assert any(row.params["kind"] == "c" for row in late)
    study = seen_by_sampler()
    for trial, row in zip(study.trials, after.rows(), strict=True):
        assert trial.value == (row.objective if row.trial <= 23 - 4 else None)  # ask_ahead
        assert trial.params.items() >= row.params.items()
        assert trial.params["layers"] == row.params.get("layers", 0)
    joint = optuna.search_space.intersection_search_space(study.trials)
    assert joint["x"] == FloatDistribution(-1, 2)
    assert joint["kind"] == CategoricalDistribution(["a", "b", "c"])
    sampler = optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=5)
    seen = sampler.infer_relative_search_space(study, study.trials[-1])
    assert {"x", "kind", "layers"} <= seen.keys()


def test_without_extending_the_widened_space_is_refused_with_three_ways_out(run_space):
    run_space(trials=2)
    with pytest.raises(UsageError) as caught:
        run_space(trials=2, high=2)
    message = str(caught.value)
    assert "space, x: -1..1 there, -1..2 asked" in message
    assert "repeat the options" in message
    assert "begin another: name='toy-2'" in message
    assert "its trials kept: extend=True" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "kept"),
    [({"seed": 1}, "seed"), ({"data": "other"}, "data"), ({"order": "free"}, "order")],
)
def test_what_makes_trials_compare_is_not_extended(run_space, other, kept):
    before = table(run_space(trials=2))
    with pytest.raises(UsageError, match=f"extend=True cannot change {kept}: trials of one sweep"):
        run_space(trials=2, high=2, extend=True, **other)
    assert table(run_space(trials=2)) == before


def test_another_objective_is_not_extended(run_space, tmp_path, make_home):
    run_space(trials=2)
    file = tmp_path / "toy.yaml"
    file.write_text(file.read_text().replace("score, direction: max", "loss, direction: min"))
    with pytest.raises(UsageError, match="extend=True cannot change objective"):
        sweeps.run(str(file), home=make_home(), extend=True, progress="quiet")


def test_only_an_existing_sweep_is_extended(run_space, make_home):
    with pytest.raises(
        UsageError, match=r"no sweep 'toy' .* existing: none\. Leave extend=True out"
    ):
        run_space(trials=2, extend=True)
    assert not (make_home() / "sweeps").exists()
    run_space(trials=2)
    with pytest.raises(UsageError, match=r"no sweep 'toi' .*did you mean 'toy'"):
        run_space(trials=2, extend=True, name="toi")


@pytest.mark.slow
def test_extending_twice_with_the_same_options_is_extending_once(run_space):
    run_space(trials=5)
    once = table(run_space(trials=9, high=2, extend=True))
    again = run_space(trials=9, high=2, extend=True)
    assert table(again) == once
    assert again.info.generation == 2
    assert table(run_space(trials=9, high=2)) == once
    with pytest.raises(UsageError, match=r"x: -1\.\.2 there, -1\.\.1 asked"):
        run_space(trials=9)
    third = run_space(trials=12, high=3, extend=True)
    assert third.info.generation == 3
    assert [g.first_trial for g in third.info.generations] == [0, 5, 9]
    assert table(third)[:9] == once


@pytest.mark.slow
def test_with_nothing_changed_a_sweep_just_goes_on(run_space):
    run_space("plain", trials=4)
    plain = run_space("plain", trials=8)
    run_space("extended", trials=4)
    extended = run_space("extended", trials=8, extend=True)
    assert table(extended) == table(plain)
    assert extended.info.generation == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"high": 2, "kinds": "a, b, c"}, marks=pytest.mark.nightly),
        pytest.param({"high": 2, "sampler": "qmc"}, marks=pytest.mark.nightly),
        {"low": 0, "high": 0.6, "pruner": "median", "ask_ahead": 2},
    ],
)
@pytest.mark.parametrize(
    ("steps", "trials"), [(11, 14), pytest.param(13, 26, marks=pytest.mark.nightly)]
)
def test_an_extension_is_the_same_in_one_go_or_in_steps_with_or_without_workers(
    run_space, changes, steps, trials
):
    options = {"trials": trials, **changes}
    run_space("at once", trials=8, workers=0)
    at_once = table(run_space("at once", workers=0, extend=True, **options))
    run_space("steps", trials=8, workers=0)
    run_space("steps", workers=0, extend=True, **{**options, "trials": steps})
    assert table(run_space("steps", workers=0, **options)) == at_once
    run_space("workers", trials=8, workers=2)
    assert table(run_space("workers", workers=2, extend=True, **options)) == at_once


@pytest.mark.slow
def test_trials_outside_a_narrowed_space_stay_in_the_table_and_out_of_the_study(
    run_space, seen_by_sampler
):
    before = table(run_space(trials=8))
    after = run_space(trials=14, low=0, high=0.6, extend=True)
    assert table(after)[:8] == before
    assert all(0 <= row.params["x"] <= 0.6 for row in after.rows()[8:])
    outside = {row.trial for row in after.rows() if not 0 <= row.params["x"] <= 0.6}
    assert outside
    assert len(outside) < 8
    for trial in seen_by_sampler().trials[:-4]:
        if trial.number in outside:
            assert (trial.state, trial.params) == (TrialState.FAIL, {})
        else:
            assert trial.state == TrialState.COMPLETE
            assert trial.distributions["x"] == FloatDistribution(0, 0.6)
    assert after.best().value == max(row.objective for row in after.rows())


@pytest.mark.slow
def test_a_parameter_that_is_gone_keeps_the_trials_that_had_its_default(run_space, seen_by_sampler):
    kept = {"more": LAYERS, "first": "0.5, kind: a, layers: 0"}
    before = run_space(trials=10, **kept).rows()
    after = run_space(trials=14, extend=True)
    states = [trial.state for trial in seen_by_sampler().trials[:10]]
    had_default = [row.params["layers"] == 0 for row in before]
    assert [state == TrialState.COMPLETE for state in states] == had_default
    assert True in had_default
    assert False in had_default
    assert all(row.params.keys() == {"x", "kind"} for row in after.rows()[10:])


@pytest.mark.slow
def test_new_baselines_are_tried_first_and_old_ones_not_again(run_space):
    run_space(trials=4)
    more = "  second: {x: 1.5, kind: b}\n"
    after = run_space(trials=7, high=2, baselines=more, extend=True)
    assert [row.origin for row in after.rows()][4:] == ["baseline second", "sampled", "sampled"]


@pytest.mark.slow
def test_a_sweep_that_did_not_improve_may_try_again_in_another_space(run_space):
    # The baseline is at the optimum: whatever follows it brings no improvement.
    options = {"trials": 20, "stop_after": 3, "workers": 0, "first": "0.3, kind: a"}
    assert len(run_space(**options).rows()) == 4
    assert len(run_space(high=2, extend=True, **options).rows()) == 7
    assert len(run_space(high=2, **options).rows()) == 7


@pytest.mark.slow
def test_runs_know_their_generation(run_space):
    before = run_space(trials=3)
    unchanged = {
        run.info.run_id: run.data.tags for run in runs_of(before) if "trial" in run.data.tags
    }
    assert all("generation" not in run.data.tags for run in runs_of(before))
    after = run_space(trials=5, high=2, extend=True)
    parent, *children = runs_of(after)
    assert parent.data.tags["generations"] == "2"
    assert parent.data.tags["first_trials"] == "0, 3"
    assert parent.data.tags["space_digest"] == after.info.fingerprint["space"]
    assert [run.data.tags.get("generation") for run in children] == [None, None, None, "2", "2"]
    digests = [run.data.tags["space_digest"] for run in children]
    assert digests == [before.info.fingerprint["space"]] * 3 + [after.info.fingerprint["space"]] * 2
    for run in children[:3]:
        assert run.data.tags == unchanged[run.info.run_id]


@pytest.mark.slow
def test_an_unfinished_trial_is_finished_as_it_was_proposed(run_space, tmp_path):
    flag = tmp_path / "flag"
    fixed = f", mode: sigint, signal_file: {flag}"
    flag.touch()
    undisturbed = run_space("undisturbed", trials=1, fixed=fixed, workers=0)
    flag.unlink()
    with pytest.raises(KeyboardInterrupt):
        run_space(trials=5, fixed=fixed, workers=0)
    after = run_space(
        trials=5, fixed=fixed, workers=0, low=0.6, high=2, first="0.7, kind: a", extend=True
    )
    first = after.rows()[0]
    assert (first.attempts, first.params["x"]) == (2, 0.5)
    assert table(after)[0] == table(undisturbed)[0]


def kill_at(owner, method, calls, when):
    """Have this process killed before or after so many calls of a method."""
    original, left = getattr(owner, method), [calls]

    def killing(*args, **options):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **options)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, killing)


@pytest.mark.slow
def test_an_extension_that_is_killed_again_and_again_equals_the_undisturbed_one(
    run_space, make_home, tmp_path
):
    wider = {"trials": 14, "high": 2, "workers": 0, "extend": True}
    run_space("undisturbed", trials=8, workers=0)
    undisturbed = run_space("undisturbed", **wider)
    run_space(trials=8, workers=0)
    (tmp_path / "toy.yaml").write_text((tmp_path / "toy.yaml").read_text().replace("1}", "2}", 1))
    for *point, generation in [
        (RecordStore, "write_generation", 1, "before", 1),
        (RecordStore, "write_generation", 1, "after", 2),
        (Journal, "append", 1, "before", 2),
        (Journal, "append", 3, "after", 2),
        (RecordStore, "write", 2, "after", 2),
    ]:
        words = ["run", str(tmp_path / "toy.yaml"), "--home", str(make_home()), "--workers", "0"]
        killed = Launched([*words, "--trials", "14", "--extend"], before=[partial(kill_at, *point)])
        assert killed.wait() == -signal.SIGKILL, killed.stderr()
        assert sweeps.load("toy", make_home()).info.generation == generation
    after = run_space(**wider)
    assert table(after) == table(undisturbed)


FROM_FILE = """
import dataclasses, hashlib
from pathlib import Path
from tests.sweeps.toy_experiment import ToyExperiment

class FromFile(ToyExperiment):
    def prepare(self, source, split_seed):
        digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
        prepared = super().prepare(None, split_seed)
        return dataclasses.replace(prepared, name=Path(source).stem, digest=digest)

experiment = FromFile()
"""


@pytest.mark.parametrize("extend", [False, True])
def test_data_that_changed_under_its_path_are_refused_either_way(
    run_space, make_home, tmp_path, extend
):
    (tmp_path / "from_file.py").write_text(FROM_FILE)
    data, space = tmp_path / "mine.npz", tmp_path / "toy.yaml"
    data.write_bytes(b"then")
    text = SPACE.format(
        low=0, high=1, kinds="a", more="", fixed="", first="0, kind: a", baselines=""
    )
    space.write_text(text.replace("tests.sweeps.toy_experiment:", "from_file:"))

    def run(**options):
        home = make_home()
        return sweeps.run(
            str(space), home=home, data=str(data), progress="quiet", workers=0, **options
        )

    before = table(run(trials=2))
    data.write_bytes(b"now")
    with pytest.raises(UsageError, match=r"data: mine has changed, \w+\.\.\. then, \w+\.\.\. now"):
        run(trials=3, extend=extend)
    data.write_bytes(b"then")
    assert table(run(trials=2)) == before
