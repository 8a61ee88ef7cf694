"""Sweeps with several objectives: the same promises, and a front in place of a best trial."""

import shutil

import pytest
from optuna.trial import TrialState

import sweeps
from search_spaces.objectives import Objective
from sweeps.config.options import Limits
from sweeps.errors import UsageError
from sweeps.runner.loop import StopRules
from sweeps.tracking.store import close_client, open_client
from tests.sweeps import journals
from tests.sweeps.conftest import exported, table
from tests.sweeps.trading_experiment import ONE, TIMED, TRADING, TWO

SCORE, COST = Objective("score", "maximize"), Objective("cost", "minimize")
NSGA2 = {
    "sampler": "optuna.samplers.NSGAIISampler",
    "sampler_options": {"population_size": 4},
}


@pytest.fixture
def run_trading(tmp_path, make_home):
    """Run the trading sweep quietly in the home of the given name."""

    def run(home="home", text=TRADING, **options):
        file = tmp_path / "trading.yaml"
        file.write_text(text)
        return sweeps.run(str(file), home=make_home(home), progress="quiet", **options)

    return run


@pytest.fixture(scope="module")
def traded(tmp_path_factory, migrated_database):
    """Return a trading sweep of 45 trials that has ended, only to be looked at."""
    home = tmp_path_factory.mktemp("traded") / "home"
    home.mkdir()
    shutil.copy(migrated_database, home / "mlflow.db")
    (space := home.with_name("trading.yaml")).write_text(TRADING)
    return sweeps.run(str(space), home=home, trials=45, workers=0, progress="quiet")


def values(sweep):
    return [row.values(sweep.info.objectives) for row in sweep.rows()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param(NSGA2, marks=pytest.mark.nightly),
        pytest.param({"sampler": "qmc"}, marks=pytest.mark.nightly),
    ],
    ids=["tpe", "nsga2", "qmc"],
)
def test_in_one_go_in_steps_or_by_workers_the_trials_are_the_same(run_trading, options):
    undisturbed = run_trading("undisturbed", trials=14, workers=0, **options)
    run_trading("stepwise", trials=9, workers=0, **options)
    stepwise = run_trading("stepwise", trials=14, workers=2, **options)
    workers = run_trading("workers", trials=14, workers=2, **options)
    assert table(stepwise) == table(workers) == table(undisturbed)
    assert values(stepwise) == values(workers) == values(undisturbed)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "options", [{}, pytest.param(NSGA2, marks=pytest.mark.nightly)], ids=["tpe", "nsga2"]
)
def test_interrupted_and_resumed_it_equals_the_undisturbed_one(run_trading, tmp_path, options):
    flag = tmp_path / "flag"
    more = {**options, "trials": 14, "workers": 0}
    more["overrides"] = ("mode=sigint", f"signal_file={flag}")
    flag.touch()
    undisturbed = run_trading("undisturbed", **more)
    flag.unlink()
    with pytest.raises(KeyboardInterrupt):
        run_trading("disturbed", **more)
    assert table(run_trading("disturbed", **more)) == table(undisturbed)


@pytest.mark.slow
def test_another_seed_gives_other_trials(run_trading):
    one, other = (run_trading(f"seed {seed}", trials=4, workers=0, seed=seed) for seed in (1, 2))
    assert table(one)[1:] != table(other)[1:]


@pytest.mark.slow
def test_both_objectives_steer_tpe_towards_the_front(run_trading):
    sweep = run_trading(trials=60, workers=0, overrides=("layers=0", "kind=a"))
    front = sweep.pareto_front()
    assert all(trial.params["x"] < 0.35 for trial in front), "beyond, both are worse"
    late = [row.params["x"] for row in sweep.rows()[30:]]
    assert sum(x < 0.35 for x in late) > 0.75 * len(late), "of uniform draws it were two thirds"


@pytest.mark.slow
def test_the_study_holds_every_value_and_its_best_trials_are_the_front(traded, tmp_path):
    study = exported(traded, tmp_path)
    assert [way.name for way in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    stored = [tuple(t.values) if t.state == TrialState.COMPLETE else None for t in study.trials]
    assert stored == values(traded)
    front = {trial.number for trial in traded.pareto_front()}
    assert front == {trial.number for trial in study.best_trials}
    assert len(front) > 1


@pytest.mark.slow
def test_a_trial_of_which_one_objective_is_no_number_has_diverged(traded, tmp_path):
    diverged = [row for row in traded.rows() if row.reason == "diverged"]
    assert diverged, "kind c costs NaN"
    assert all(row.params["kind"] == "c" for row in diverged)
    trials = exported(traded, tmp_path).trials
    for row in diverged:
        assert (row.state, trials[row.trial].state) == ("FAILED", TrialState.PRUNED)
        assert trials[row.trial].values is None
        assert trials[row.trial].constraints["diverged"] > 0


def test_a_trial_without_one_of_its_objectives_fails_and_says_which(run_trading):
    text = TRADING.replace("metric: cost", "metric: absent")
    (row,) = run_trading(text=text, trials=1, workers=0, retries={"error": 0}).rows()
    assert row.state == "FAILED"
    assert "returned no metric 'absent'" in row.error


def test_there_is_no_best_trial_and_the_error_says_where_to_look(traded):
    for ask in (traded.best, traded.confusion, lambda: traded.model_uri):
        with pytest.raises(UsageError, match=r"several objectives \(score, cost\).*pareto_front"):
            ask()
    assert [t.values["score"] for t in traded.pareto_front()] == sorted(
        (t.values["score"] for t in traded.pareto_front()), reverse=True
    )


def test_with_one_objective_the_front_is_the_best_trial(run_toy):
    sweep = run_toy(trials=5)
    (only,) = sweep.pareto_front()
    assert only.number == sweep.best().number
    assert only.values == {"score": sweep.best().value}
    assert "on_front" not in sweep.trials().columns


@pytest.mark.slow
def test_the_frame_has_a_column_for_each_and_who_is_on_the_front(traded):
    frame = traded.trials()
    assert list(frame.columns[frame.columns.get_loc("score") :][:2]) == ["score", "cost"]
    assert str(frame["on_front"].dtype) == "boolean"
    assert set(frame[frame.on_front].trial) == {t.number for t in traded.pareto_front()}


def test_stop_after_counts_trials_that_do_not_change_the_front():
    rules = StopRules(Limits(99, stop_after=2), [SCORE, COST])
    told = [
        ((0.5, 3.0), None),
        ((0.4, 2.0), None),  # worse in one, better in the other
        ((0.4, 2.5), None),
        ((0.6, 2.0), None),  # beats both before
        (None, None),
        ((0.6, 2.0), "stop_after"),  # nothing new
    ]
    for worth, expected in told:
        rules.tell(worth)
        assert rules.reason == expected


def test_a_running_trial_that_improves_does_not_take_back_the_end_of_the_sweep():
    rules = StopRules(Limits(99, stop_after=2), [SCORE])
    for score in (0.5, 0.4, 0.3):
        rules.tell((score,))
    rules.tell((0.9,))  # began before the sweep ended
    assert rules.reason == "stop_after"


@pytest.mark.slow
def test_a_sweep_whose_front_stands_still_ends(run_trading):
    sweep = run_trading(trials=60, workers=0, stop_after=6, overrides=("x=0.3",))
    assert 6 < len(sweep.rows()) < 60


@pytest.mark.slow
def test_weights_of_the_front_are_kept_however_many_are_better_in_the_first(traded):
    store = traded.home.store(traded.info.id)
    kept = {int(key[:4]) for key in journals.weights(store)}
    assert {trial.number for trial in traded.pareto_front()} <= kept
    best = sorted((r for r in traded.rows() if r.objective is not None), key=lambda r: -r.objective)
    assert {row.trial for row in best[:20]} <= kept
    assert len(kept) < len(best)


@pytest.mark.parametrize(("text", "expected"), [(TRADING, "true"), (TIMED, "false")])
def test_a_clock_among_the_objectives_is_marked(run_trading, text, expected):
    sweep = run_trading(text=text, trials=3, workers=0)
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name != "Default")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    close_client(client)
    assert parent.data.tags["reproducible"] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"), [(ONE, TWO), (TWO, ONE), (TWO, TWO.replace("cost", "loss"))]
)
def test_an_extension_cannot_change_the_objectives(run_trading, before, after):
    first, second = (TRADING.replace(TWO, objectives) for objectives in (before, after))
    run_trading(text=first, trials=2, workers=0)
    with pytest.raises(UsageError, match="extend=True cannot change objective"):
        run_trading(text=second, trials=4, workers=0, extend=True)


@pytest.mark.slow
def test_an_extended_sweep_goes_on_with_both(run_trading):
    run_trading(trials=5, workers=0)
    wider = TRADING.replace("low: -1", "low: -0.9")
    sweep = run_trading(text=wider, trials=9, workers=0, extend=True)
    assert sweep.info.generation == 2
    assert len(sweep.info.objectives) == 2
    assert len(sweep.rows()) == 9
