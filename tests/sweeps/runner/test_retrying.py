"""Failed trials that are run again once their cause is mended: `sweeps retry`."""

from __future__ import annotations

import json
import signal

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.manage.doctor import NOTE, PARTS, examine_sweep
from sweeps.tracking.store import open_client
from sweeps.workspace.failpoints import VARIABLE
from tests.sweeps import journals
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound, problems

FAILING = "1=error 3=error"
SHORT = ("journal.written:2", "journal.done:2", "journal.done:6")
"""The second append marks the trials; the sixth follows the end of the first of them."""
POINTS = tuple(
    f"journal.{step}:{number}" for number in range(1, 8) for step in ("begun", "written", "done")
)


@pytest.fixture
def acts(tmp_path, toy_space):
    """Write which attempts fail, and how, into the file that the experiment reads."""
    text = toy_space.read_text().replace("toy_experiment:", "failing_experiment:")
    file = tmp_path / "acts"
    toy_space.write_text(text.replace("{epochs: 3}", f"{{epochs: 3, acts_file: {file}}}"))
    file.write_text(FAILING)
    return file


@pytest.fixture
def failed(acts, run_toy):
    """Run a sweep of six trials, two of which fail; then mend the cause."""

    def run(home="home", **options):
        acts.write_text(FAILING)
        sweep = run_toy(home, **{"trials": 6, "workers": 0, **options})
        acts.write_text("")
        return sweep

    return run


def outcomes(sweep):
    return [(row.state, row.attempts) for row in sweep.rows()]


@pytest.fixture
def command(make_home):
    def command(*words):
        return CliRunner().invoke(app, ["retry", *words, "--home", str(make_home())])

    return command


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_failed_trials_get_their_outcome_and_the_others_stay_as_they_were(
    failed, make_home, workers
):
    sweep = failed()
    before = table(sweep)
    assert outcomes(sweep)[1] == ("FAILED", 2)
    sweep.retry(workers=workers, progress="quiet")
    after = table(sweep)
    assert outcomes(sweep) == [("COMPLETE", 3 if trial in (1, 3) else 1) for trial in range(6)]
    assert [row[3:6] for row in after] == [row[3:6] for row in before], "same points and seeds"
    assert [row for row in after if row[0] not in (1, 3)] == [
        row for row in before if row[0] not in (1, 3)
    ]
    assert_sound(make_home(), after)
    records = sweep.home.store(sweep.info.id).read_all()
    assert [r.ends_trial for r in records if r.trial == 1] == [False, False, True]
    client = open_client(f"sqlite:///{make_home() / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.trial_number = '1'", order_by=["tags.attempt"])
    assert [(r.info.status, r.data.tags.get("retried")) for r in runs] == [
        ("FAILED", "true"),
        ("FAILED", "true"),
        ("FINISHED", None),
    ]


def test_only_those_that_are_named_are_run_again(failed):
    sweep = failed().retry(3, workers=0, progress="quiet")
    assert outcomes(sweep)[1:4] == [("FAILED", 2), ("COMPLETE", 1), ("COMPLETE", 3)]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("qmc", marks=pytest.mark.nightly)])
def test_what_is_proposed_later_is_the_same_with_any_workers_and_after_any_loss(
    failed, run_toy, make_home, sampler
):
    options = {"sampler": sampler, "seed": 4}

    def mended(home):
        sweep = failed(home, **options)
        sweep.retry(workers=0, progress="quiet")
        return sweep

    mended("home")
    expected = table(run_toy(trials=14, workers=2, **options))
    mended("other")
    assert table(run_toy("other", trials=14, workers=0, **options)) == expected
    assert_sound(make_home("other"), expected)

    other = sweeps.load("toy", make_home("other"))
    store = other.home.store(other.info.id)
    journals.forget(store, *(key for key in store.state().ended if key >= "0005"), asked=True)
    assert table(run_toy("other", trials=14, workers=0, **options)) == expected


@pytest.mark.slow
def test_later_proposals_see_the_new_outcome_earlier_ones_do_not(failed, run_toy, make_home):
    seen = {}
    for home in ("kept", "mended"):
        sweep = failed(home, ask_ahead=1, seed=4)
        if home == "mended":
            sweep.retry(workers=0, progress="quiet")
        rows = run_toy(home, trials=14, workers=0, ask_ahead=1, seed=4).rows()
        seen[home] = [dict(row.params) for row in rows]
    assert seen["mended"][:6] == seen["kept"][:6]
    assert seen["mended"][6:] != seen["kept"][6:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [p if p in SHORT else pytest.param(p, marks=pytest.mark.faults) for p in POINTS],
)
def test_killed_at_any_point_the_same_command_or_a_start_ends_it(
    failed, toy_space, make_home, migrated_database, point
):
    sweep = failed()
    records = sweep.home.store(sweep.info.id)
    words = ["retry", "toy", "--workers", "0", "--home", str(make_home())]
    killed = Launched(words, {VARIABLE: point})
    assert killed.wait() == -signal.SIGKILL
    marked = bool(records.state().retried)
    run = ["run", str(toy_space), "--trials", "6", "--workers", "0", "--home", str(make_home())]
    again = Launched(run if marked and point[-1] in "246" else words)
    assert again.wait() == 0, again.stderr()
    assert [state for state, _ in outcomes(sweep)] == ["COMPLETE"] * 6
    assert_sound(make_home(), table(sweep))


@pytest.mark.slow
def test_between_mark_and_outcome_nothing_disagrees(failed, make_home):
    sweep = failed()
    words = ["retry", "toy", "--workers", "0", "--home", str(make_home())]
    for point in ("journal.done:2", "journal.begun:4"):
        assert Launched(words, {VARIABLE: point}).wait() == -signal.SIGKILL
        assert [state for state, _ in outcomes(sweep)].count("WAITING") == 2
        (folder := sweep.home.store(sweep.info.id).folder / "lock").write_text("")
        found = examine_sweep(sweep.home, sweep.info, f"sqlite:///{make_home()}/mlflow.db")
        assert {PARTS[kind] for kind, _, _ in problems(found)} <= {"mlflow"}, folder
        (note,) = (what for kind, what, _ in found if kind == NOTE)
        assert "2 trials without an outcome yet (1, 3)" in note


@pytest.mark.slow
def test_one_that_fails_again_may_be_retried_again(failed, acts, command):
    sweep = failed()
    acts.write_text("3=errors")
    result = command("toy", "--workers", "0", "--quiet")
    assert result.exit_code == 1
    assert "\nfailed: 1 of 2 trials failed again (3): RuntimeError: another" in result.stderr
    assert outcomes(sweep)[3] == ("FAILED", 4), "one retry for an error, as at first"
    acts.write_text("")
    assert command("toy", "--workers", "0", "--quiet").exit_code == 0
    assert outcomes(sweep)[3] == ("COMPLETE", 5)
    assert command("toy").exit_code == 2


def test_a_sweep_that_failures_ended_is_mended_and_goes_on(acts, run_toy, make_home, command):
    acts.write_text("all=error")
    words = {"trials": 8, "workers": 0, "retries": {"error": 0}}
    with pytest.raises(sweeps.errors.TrialsError):
        run_toy(**words)
    acts.write_text("")
    result = command("toy", "--workers", "0", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.splitlines()[-1])["summary"]
    assert (summary["done"], summary["asked"]) == (5, 8)
    sweep = run_toy(**words)
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 8
    assert_sound(make_home(), table(sweep))


@pytest.mark.slow
def test_a_trial_of_an_earlier_generation_is_run_again_as_it_was(failed, run_toy, make_home):
    failed()
    sweep = run_toy(trials=8, workers=0, extend=True, overrides=("x=-1..0.9",))
    before = [dict(row.params) for row in sweep.rows()]
    sweep.retry(workers=0, progress="quiet")
    assert [dict(row.params) for row in sweep.rows()] == before
    assert [state for state, _ in outcomes(sweep)] == ["COMPLETE"] * 8
    assert_sound(make_home(), table(sweep))


@pytest.mark.slow
def test_a_shared_sweep_takes_its_marks_along(failed, make_home, tmp_path):
    sweep = failed().retry(1, workers=0, progress="quiet")
    runner = CliRunner()
    file = tmp_path / "toy.sweep"
    shared = runner.invoke(app, ["share", "toy", str(file), "--home", str(make_home())])
    assert shared.exit_code == 0, shared.output
    there = make_home("there")
    arrived = runner.invoke(app, ["import", str(file), "--home", str(there)])
    assert arrived.exit_code == 0, arrived.output
    assert_sound(there, table(sweep))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("toy", "0"), "trial 0 is COMPLETE; failed are 1, 3"),
        (("toy", "1", "2", "4"), "trials 2, 4 are COMPLETE; failed are 1, 3"),
        (("toy", "17"), "has no trial 17; failed are 1, 3"),
        (("toys",), "no sweep 'toys'"),
        (("toy", "--data", "other"), "was made on other data"),
        (("toy", "--workers", "-1"), "--workers"),
    ],
)
def test_what_did_not_fail_is_refused_and_nothing_changes(failed, command, words, said):
    sweep = failed()
    files = sorted(path.name for path in sweep.home.store(sweep.info.id).folder.iterdir())
    result = command(*words)
    assert result.exit_code == 2
    assert said in result.stderr, result.stderr
    assert sorted(p.name for p in sweep.home.store(sweep.info.id).folder.iterdir()) == files


def test_without_a_failed_trial_there_is_nothing_to_do(finished_toy):
    with pytest.raises(UsageError, match="sweep 'toy' has no failed trial"):
        finished_toy().retry()


def test_a_diverged_trial_is_an_outcome(run_toy):
    sweep = run_toy(trials=2, workers=0, overrides=("mode=diverge",))
    with pytest.raises(UsageError, match=r"trial 1 diverged \(.*; no trial failed"):
        sweep.retry(1)


def test_a_sweep_that_runs_is_refused(failed, command):
    from sweeps.runner.ownership import hold

    sweep = failed()
    with hold(sweep.home, sweep.info):
        result = command("toy")
    assert result.exit_code == 2
    assert "is being run by" in result.stderr
