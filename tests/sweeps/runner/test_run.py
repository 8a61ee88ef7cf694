import dataclasses
import fcntl
import os
import sys
import textwrap
import threading

import numpy as np
import optuna
import pytest

import sweeps
from search_spaces.space import Component
from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve
from sweeps.errors import UsageError
from sweeps.experiment import MetricInfo
from sweeps.journal import Asked
from sweeps.runner.opening import check_fingerprint, open_sweep
from sweeps.runner.ownership import SweepLock
from sweeps.study.proposals import training_seed
from sweeps.tracking.store import open_client
from tests.sweeps import journals
from tests.sweeps.conftest import TOY, table
from tests.sweeps.toy_experiment import ToyExperiment, experiment


def test_a_sweep_ends_with_as_many_outcomes_as_were_asked_for(run_toy):
    sweep = run_toy(trials=7)
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 7


def test_a_sweep_keeps_which_metrics_its_experiment_declares_to_be_shown(run_toy, monkeypatch):
    hidden = MetricInfo("minimize", shown=False)
    monkeypatch.setitem(ToyExperiment.metrics, "loss", hidden)
    sweep = run_toy(trials=1)
    assert sweep.home.store(sweep.info.id).state().shown == {"score": True, "loss": False}


def test_each_trial_is_trained_with_a_seed_of_its_own(finished_toy):
    sweep = finished_toy(trials=6)
    records = sweep.home.store(sweep.info.id).read_all()
    assert [record.seed for record in records] == [training_seed(0, n) for n in range(6)]


@pytest.mark.slow
def test_the_same_command_twice_adds_nothing(finished_toy, run_toy):
    once = table(finished_toy(trials=6))
    assert table(run_toy(trials=6)) == once
    assert table(run_toy(trials=3)) == once


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sampler": "gp"},
        *(
            pytest.param(other, marks=pytest.mark.nightly)
            for other in ({"sampler": "qmc"}, {"pruner": "median"})
        ),
    ],
)
def test_five_trials_raised_to_ten_equal_ten_at_once(run_toy, options):
    run_toy("stepwise", trials=5, **options)
    stepwise = run_toy("stepwise", trials=10, **options)
    assert table(stepwise) == table(run_toy("at once", trials=10, **options))


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["sigint", pytest.param("sigterm", marks=pytest.mark.nightly)])
def test_an_interrupted_sweep_that_is_resumed_equals_the_undisturbed_one(
    run_toy, make_home, tmp_path, signal
):
    flag = tmp_path / "flag"
    fixed = (f"mode={signal}", f"signal_file={flag}")
    flag.touch()
    undisturbed = run_toy("undisturbed", trials=12, overrides=fixed, workers=0)
    flag.unlink()
    with pytest.raises(KeyboardInterrupt if signal == "sigint" else SystemExit):
        run_toy("disturbed", trials=12, overrides=fixed, workers=0)
    interrupted = sweeps.load("toy", make_home("disturbed"))
    assert [row.state for row in interrupted.rows()] == ["WAITING"]
    resumed = run_toy("disturbed", trials=12, overrides=fixed, workers=0)
    assert table(resumed) == table(undisturbed)
    assert resumed.rows()[0].attempts == 2


def test_the_best_trial_is_found_and_its_model_loads(finished_toy):
    sweep = finished_toy(trials=10)
    best = sweep.best()
    assert best.value == max(row.objective for row in sweep.rows())
    assert best.load_model() == best.value == best.metrics["score"]
    assert best.record.result.arrays["validation_logits"].dtype == np.float32


def test_an_error_fails_its_trial_only_and_is_recorded(run_toy):
    sweep = run_toy(trials=3, overrides=("mode=raise",))
    rows = sweep.rows()
    assert [(row.state, row.reason) for row in rows] == [("FAILED", "error")] * 3
    assert rows[0].error.startswith("RuntimeError: told to raise")


@pytest.mark.slow
def test_a_diverged_trial_is_failed_for_us_and_a_warning_to_the_sampler(run_toy, seen_by_sampler):
    sweep = run_toy(trials=30, overrides=("bad_above=0",))
    rows = sweep.rows()
    diverged = [row for row in rows if row.reason == "diverged"]
    assert diverged
    assert all(row.state == "FAILED" and row.params["x"] > 0 for row in diverged)
    ended = [trial for trial in seen_by_sampler().trials if trial.state.is_finished()]
    assert len(ended) > 20
    for trial in ended:
        row = rows[trial.number]
        if row.reason == "diverged":
            assert trial.state == optuna.trial.TrialState.PRUNED
            assert trial.constraints["diverged"] > 0
        else:
            assert trial.value == row.objective
            assert trial.constraints["diverged"] < 0
    assert sum(row.params["x"] > 0 for row in rows[-10:]) < 5


def test_the_journal_holds_every_attempt_with_all_its_parameters(finished_toy):
    sweep = finished_toy(trials=8)
    events = sweep.home.store(sweep.info.id).journal.read(pytest.fail)
    asked = [event for event in events if isinstance(event, Asked)]
    assert [(one.trial, one.attempt) for one in asked] == [(n, 1) for n in range(8)]
    assert [one.params for one in asked] == [dict(row.params) for row in sweep.rows()]


@pytest.mark.slow
@pytest.mark.parametrize("trials", [20, pytest.param(40, marks=pytest.mark.nightly)])
def test_a_median_pruner_ends_bad_trials_early(run_toy, trials):
    rows = run_toy(trials=trials, pruner="median").rows()
    pruned = [row for row in rows if row.state == "PRUNED"]
    assert pruned
    assert all(row.epochs < 3 and row.objective is None for row in pruned)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["hyperband", pytest.param("asha", marks=pytest.mark.nightly)])
def test_rungs_survive_an_interruption(run_toy, toy_space, pruner):
    # Lengths differ, so that a pruner that learns its resources from the first trials shows.
    text = toy_space.read_text().replace("fixed: {epochs: 3}\n", "")
    text = text.replace("parameters:\n", "parameters:\n  epochs: {type: int, low: 3, high: 60}\n")
    toy_space.write_text(text.replace("{x: 0.5,", "{epochs: 20, x: 0.5,"))
    options = {"pruner": pruner, "pruner_options": {"min_resource": "auto"}}
    if pruner == "hyperband":
        options["pruner_options"] = {}
    run_toy("stepwise", trials=9, **options)
    stepwise = run_toy("stepwise", trials=25, **options)
    at_once = table(run_toy("at once", trials=25, **options))
    assert table(stepwise) == at_once
    assert any(row[1] == "PRUNED" for row in at_once)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": 0.9}, 1),
        ({"stop_after": 2}, 3),
        ({"timeout": 1e-9}, 0),
    ],
)
def test_a_sweep_ends_early_when_told_to(run_toy, options, expected):
    assert len(run_toy("alone", trials=6, workers=0, **options).rows()) == expected
    # Workers have begun later trials by then: what runs ends normally, what waits is withdrawn.
    rows = run_toy("workers", trials=40, workers=2, **options).rows()
    assert expected <= len(rows) < expected + 4
    assert {row.state for row in rows} <= {"COMPLETE"}


def test_a_used_up_space_ends_the_sweep(run_toy):
    fixed = ("x=0.5", "layers=0", "kind=a,b")
    sweep = run_toy(trials=6, overrides=fixed)
    assert len(sweep.rows()) == 2
    assert sweep.home.store(sweep.info.id).state().requested == 6, "there are none for the rest"


def test_grid_tries_every_point_and_then_ends(run_toy):
    fixed = ("x=0.5", "layers=0")
    rows = run_toy(trials=9, overrides=fixed, sampler="grid").rows()
    # kind c needs a layer, which the experiment's own check says before anything is trained.
    assert [row.params["kind"] for row in rows] == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize(("order", "reproducible"), [("number", "true"), ("free", "false")])
def test_the_parent_run_says_whether_the_order_is_reproducible(run_toy, order, reproducible):
    sweep = run_toy(trials=12, order=order)
    assert [row.trial for row in sweep.rows()] == list(range(12))
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.kind = 'sweep'")
    assert parent.data.tags["reproducible"] == reproducible


class Drifting(ToyExperiment):
    """Its data come differently each time."""

    def prepare(self, source, split_seed):
        data = super().prepare(source, split_seed)
        return dataclasses.replace(data, irreproducible="the data drift; nail them down")


drifting = Drifting()


def test_data_that_may_come_differently_are_said_at_the_start_and_tagged(
    toy_space, make_home, capsys
):
    toy_space.write_text(
        TOY.replace("tests.sweeps.toy_experiment:experiment", f"{__name__}:drifting")
    )
    options = {"home": make_home(), "workers": 0, "trials": 2, "progress": "plain"}
    sweep = sweeps.run(str(toy_space), **options)
    assert "reproducible=false: the data drift; nail them down" in capsys.readouterr().err
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.kind = 'sweep'")
    assert parent.data.tags["reproducible"] == "false"
    assert not sweeps.load("toy", sweep.home.path).info.is_reproducible


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"seed": 1}, r"seed: 0 there, 1 asked.*name='toy-2'"),
        ({"sampler": "random"}, r"sampler: tpe \{'n_startup_trials': 5\} there, random asked"),
        ({"ask_ahead": 2}, r"ask_ahead: 4 there, 2 asked"),
        ({"data": "other"}, r"data: abababababab\.\.\. there, cdcdcdcdcdcd\.\.\. asked"),
        ({"overrides": ("x=0..1",)}, r"space"),
    ],
)
def test_the_same_name_with_other_options_is_refused_naming_the_difference(
    finished_toy, run_toy, other, expected
):
    before = table(finished_toy(trials=2))
    with pytest.raises(UsageError, match=expected):
        run_toy(trials=2, **other)
    assert table(run_toy(trials=2)) == before


@pytest.fixture
def made_earlier(toy_space, make_home):
    """The options of a toy sweep made when its start-up and its `ask_ahead` went without saying."""
    toy_space.write_text(TOY.replace(", ask_ahead: 4", ", ask_ahead: 8"))
    options = RunOptions(str(toy_space), home=make_home(), workers=0)
    now = resolve(options)
    sampler = Component("tpe")
    fingerprint = {**now.fingerprint, "sampler": dataclasses.asdict(sampler)}
    then = dataclasses.replace(now, sampler=sampler, fingerprint=fingerprint)
    open_sweep(then, {})
    toy_space.write_text(TOY.replace(", ask_ahead: 4", ""))
    return options


def test_a_sweep_made_earlier_goes_on_with_ten_at_random_and_eight_in_flight(made_earlier):
    config = resolve(made_earlier)
    assert (config.sampler, config.ask_ahead) == (Component("tpe"), 8)
    assert config.sampler_factory.make(0, 0)._n_startup_trials == 10
    assert check_fingerprint(config).name == "toy"
    said = {"sampler": "tpe", "sampler_options": {"n_startup_trials": 10}, "ask_ahead": 8}
    assert check_fingerprint(resolve(dataclasses.replace(made_earlier, **said))).name == "toy"
    other = resolve(dataclasses.replace(made_earlier, sampler_options={"n_startup_trials": 4}))
    with pytest.raises(UsageError, match=r"sampler: tpe there, tpe {'n_startup_trials': 4} asked"):
        check_fingerprint(other)


@pytest.mark.parametrize(
    ("asked", "sampler", "ask_ahead"),
    [
        ({}, {"name": "tpe", "options": {"n_startup_trials": 5}}, 4),
        (
            {"sampler_options": {"n_startup_trials": 9}},
            {"name": "tpe", "options": {"n_startup_trials": 9}},
            4,
        ),
        ({"workers": 16}, {"name": "tpe", "options": {"n_startup_trials": 5}}, 4),
        ({"sampler": "random"}, {"name": "random", "options": {}}, 8),
        ({"sampler": "random", "ask_ahead": 3}, {"name": "random", "options": {}}, 3),
    ],
)
def test_a_new_sweep_stores_its_start_up_and_its_ask_ahead(made_earlier, asked, sampler, ask_ahead):
    config = resolve(dataclasses.replace(made_earlier, name="new", **asked))
    assert config.fingerprint["sampler"] == sampler
    assert config.fingerprint["ask_ahead"] == ask_ahead


def test_auto_is_resolved_when_the_sweep_is_made_and_stays(toy_space, make_home):
    options = RunOptions(str(toy_space), home=make_home(), workers=0, sampler="auto")
    made = resolve(options)
    assert made.fingerprint["sampler"] == {"name": "gp", "options": {}}
    assert made.sampler_in_words == "gp (auto: 6 trials of 5 parameters)"
    open_sweep(made, {})
    later = resolve(dataclasses.replace(options, trials=1000))
    assert later.sampler_in_words == "gp (auto: as the sweep was made)"
    assert check_fingerprint(later).name == "toy"
    new = resolve(dataclasses.replace(options, trials=1000, name="new"))
    assert new.fingerprint["sampler"] == {"name": "tpe", "options": {"n_startup_trials": 5}}
    with pytest.raises(UsageError, match=r"sampler 'auto' takes no options, got seed"):
        resolve(dataclasses.replace(options, sampler_options={"seed": 1}))


@pytest.mark.slow
def test_a_second_coordinator_is_refused_and_told_who_the_first_is(finished_toy, run_toy):
    sweep = finished_toy(trials=2)
    folder = sweep.home.sweeps_folder / sweep.info.id
    with (
        SweepLock(folder / "lock", sweep.name),
        pytest.raises(UsageError, match=r"is being run by process \d+ on .* since 20"),
    ):
        run_toy(trials=3)
    assert len(run_toy(trials=3).rows()) == 3


@pytest.mark.slow
def test_weights_are_kept_for_baselines_and_the_best_twenty(run_toy):
    sweep = run_toy(trials=24)
    ranked = sorted(sweep.rows()[1:], key=lambda row: -row.objective)
    keep = {0, *(row.trial for row in ranked[:20])}
    kept = journals.weights(sweep.home.store(sweep.info.id))
    assert {int(key[:4]) for key in kept} == keep


@pytest.mark.slow
def test_a_killed_attempt_never_gives_its_number_to_another(finished_toy, run_toy):
    sweep = finished_toy(trials=3)
    # As a kill leaves it: the attempt was begun, nothing recorded.
    journals.forget(sweep.home.store(sweep.info.id), "0002-1")
    assert run_toy(trials=3).rows()[2].attempts == 2


def test_a_complete_sweep_is_not_late(finished_toy, run_toy):
    sweep = finished_toy(trials=4)
    assert table(run_toy(trials=4, timeout=1e-9)) == table(sweep)


def test_a_lock_that_is_a_link_is_put_aside_and_what_it_leads_to_stays(finished_toy, tmp_path):
    sweep = finished_toy(trials=1)
    lock, other = sweep.home.sweeps_folder / sweep.info.id / "lock", tmp_path / "other"
    other.write_text("of somebody else")
    lock.unlink()
    lock.symlink_to(other)
    with SweepLock(lock, "toy"):
        assert other.read_text() == "of somebody else"
    assert other.read_text() == "of somebody else"
    assert not lock.is_symlink()


def test_a_look_at_the_lock_does_not_refuse_a_start(finished_toy, run_toy):
    sweep = finished_toy(trials=1)
    descriptor = os.open(sweep.home.sweeps_folder / sweep.info.id / "lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    threading.Timer(0.1, os.close, [descriptor]).start()
    assert len(run_toy(trials=2).rows()) == 2


@pytest.mark.parametrize("trials", [2.5, "3", True])
def test_numbers_of_the_wrong_kind_are_refused(run_toy, trials):
    with pytest.raises(UsageError, match=r"trials=.*: give a whole number"):
        run_toy(trials=trials)


def test_identical_baselines_are_refused(run_toy, toy_space):
    text = toy_space.read_text()
    twin = "  twin: {x: 0.5, layers: 0, kind: a}\nconstraints"
    toy_space.write_text(text.replace("constraints", twin))
    with pytest.raises(UsageError, match="'first' and 'twin' are the same point"):
        run_toy()


def test_a_space_that_nothing_fits_into_is_refused_before_anything_is_created(run_toy, toy_space):
    text = toy_space.read_text().replace("size <= 20", "size > 100")
    toy_space.write_text(text[: text.index("baselines")] + text[text.index("constraints") :])
    with pytest.raises(UsageError, match="constraint"):
        run_toy()
    with pytest.raises(UsageError, match="there are no sweeps yet"):
        sweeps.load("toy", toy_space.parent / "home")


def test_options_of_a_sampler_may_be_given_in_any_form_json_knows(run_toy):
    options = {"sampler": "tpe", "sampler_options": {"n_startup_trials": 3}}
    before = table(run_toy(trials=3, **options))
    assert table(run_toy(trials=3, **options)) == before
    with pytest.raises(UsageError, match="are not plain numbers and texts"):
        run_toy(trials=3, name="odd", sampler_options={"constant_liar": np.bool_(True)})


def test_nothing_but_the_sweep_is_left_behind(run_toy):
    sweep = run_toy(trials=3)
    names = {path.name for path in sweep.home.path.iterdir()}
    assert names - {"mlflow.db-shm", "mlflow.db-wal"} == {"mlflow.db", "sweeps", "artifacts"}
    assert not list(sweep.home.path.rglob("*.tmp"))


def test_an_experiment_of_this_process_only_comes_out_the_same_in_workers(
    tmp_path, make_home, monkeypatch
):
    monkeypatch.setattr(sys.modules["__main__"], "experiment", experiment, raising=False)
    space = tmp_path / "toy.yaml"
    space.write_text(TOY.replace("tests.sweeps.toy_experiment:", "__main__:"))
    options = {"trials": 2, "home": make_home(), "progress": "quiet"}
    here, there = (
        sweeps.run(str(space), workers=workers, name=f"by-{workers}", **options)
        for workers in (0, 2)
    )
    assert [row.metrics for row in here.rows()] == [row.metrics for row in there.rows()]
    assert [row.state for row in there.rows()] == ["COMPLETE"] * 2


@pytest.mark.slow
def test_a_start_does_not_list_the_folder_of_records_once_a_trial(run_toy, monkeypatch):
    listings = {}
    for trials in (12, 20):  # of the ten best, pictures are made
        home, seen = f"of-{trials}", []

        def listdir(path=".", seen=seen, original=os.listdir):
            if threading.current_thread() is threading.main_thread():  # others go by the clock
                seen.append(str(path))
            return original(path)

        run_toy(home, trials=trials, workers=0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "listdir", listdir)
            run_toy(home, trials=trials, workers=0)
        listings[trials] = sum("/sweeps/" in path for path in seen)
    assert 0 <= listings[20] - listings[12] < 20 - 12


def test_data_that_could_not_be_split_again_are_refused(run_toy, make_home, tmp_path):
    (tmp_path / "oddly_split.py").write_text(
        textwrap.dedent("""
        import dataclasses

        from tests.sweeps.toy_experiment import ToyExperiment

        class OddlySplit(ToyExperiment):
            def prepare(self, source, split_seed):
                data = super().prepare(source, split_seed)
                return dataclasses.replace(data, info={**data.info, "split_seed": "x"})

        experiment = OddlySplit()
        """)
    )
    space = tmp_path / "toy.yaml"
    space.write_text(space.read_text().replace("tests.sweeps.toy_experiment:", "oddly_split:"))
    with pytest.raises(UsageError, match=r"info\['split_seed'\] is 'x'; give the"):
        run_toy(trials=1)
    assert not list(make_home().glob("sweeps/*"))
