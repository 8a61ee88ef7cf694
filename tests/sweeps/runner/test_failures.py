"""Which failures are tried again, and when a sweep gives up."""

import pytest

import sweeps
from sweeps.config.policies import DEFAULT_RETRIES, Breaker, Failure, failure_of, is_tried_again
from sweeps.errors import TrialsError, UsageError
from sweeps.tracking.store import open_client
from tests.sweeps import journals
from tests.sweeps.conftest import table

CRASH, OOM, TIMEOUT, KILLED = (
    Failure(reason, "") for reason in ("crash", "oom", "timeout", "killed")
)
INVALID = Failure("invalid", "KeyError: 'units'")
ERROR, OTHER = Failure("error", "ValueError: deep"), Failure("error", "ValueError: wide")


@pytest.mark.parametrize(
    ("failure", "earlier", "retries", "expected"),
    [
        (CRASH, [], {}, True),
        (CRASH, [CRASH], {}, True),
        (CRASH, [CRASH, CRASH], {}, False),
        (CRASH, [OOM, TIMEOUT, ERROR], {}, True),  # each reason has a number of its own
        (OOM, [], {}, True),
        (OOM, [CRASH, OOM], {}, False),
        (TIMEOUT, [TIMEOUT], {}, False),
        (TIMEOUT, [], {"timeout": 0}, False),
        (ERROR, [], {}, True),
        (ERROR, [OTHER], {}, False),
        (ERROR, [OTHER], {"error": 3}, True),
        (ERROR, [ERROR], {"error": 3}, False),  # the same again is no accident
        (ERROR, [ERROR, OTHER], {"error": 3}, False),
        (INVALID, [], {}, False),
        (INVALID, [], {"invalid": 2}, True),
        (INVALID, [INVALID], {"invalid": 2}, False),
        (CRASH, [*[KILLED] * 20, CRASH], {}, True),  # kills from outside use none up
        (KILLED, [CRASH, CRASH, *[KILLED] * 19], {"crash": 0}, True),
        (KILLED, [KILLED] * 20, {"crash": 99}, False),
    ],
)
def test_a_failure_is_tried_again_as_often_as_its_reason_allows(
    failure, earlier, retries, expected
):
    assert is_tried_again(failure, earlier, {**DEFAULT_RETRIES, **retries}) is expected


def test_the_same_error_is_told_by_type_and_message_whatever_its_traceback():
    text = "ValueError: too deep\n\nTraceback (most recent call last):\n  line "
    assert failure_of("error", f"{text}1") == failure_of("error", f"{text}2")
    assert failure_of("error", text) != failure_of("error", text.replace("Value", "Type"))
    assert failure_of("error", text) != failure_of("error", text.replace("deep", "wide"))


def told(breaker, *failures):
    for failure in failures:
        breaker.tell(failure)
    return breaker.cause()


@pytest.mark.parametrize(
    ("limit", "failures", "expected"),
    [
        (3, [ERROR] * 2, None),
        (3, [ERROR, ERROR, None, ERROR, ERROR], None),
        (0, [ERROR] * 100, None),
        (3, [ERROR] * 3, "3 trials in a row failed (error), all with: ValueError: deep"),
        (3, [None, *[ERROR] * 5, None], "3 trials in a row failed (error), all with: ValueError"),
        (3, [OTHER, ERROR, OTHER], "3 trials in a row failed (error), the last with: ValueErro"),
        (3, [ERROR, CRASH, ERROR], "in a row failed (error 2, crash 1), the last by error: Val"),
    ],
)
def test_so_many_failures_in_a_row_end_a_sweep_with_their_common_cause(limit, failures, expected):
    cause = told(Breaker(limit), *failures)
    assert (cause is None) == (expected is None)
    assert expected is None or expected in cause


@pytest.fixture
def run_failing(toy_space, run_toy):
    """Run the toy sweep with attempts that fail as told."""
    text = toy_space.read_text()
    toy_space.write_text(text.replace("toy_experiment:", "failing_experiment:"))

    def run(home, acts, **options):
        return run_toy(home, overrides=(f"acts={acts}",), **{"trials": 8, **options})

    return run


def outcomes(sweep):
    return [(row.state, row.reason, row.attempts) for row in sweep.rows()]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.nightly), 2])
def test_a_trial_that_is_tried_again_leaves_no_trace_in_the_table(run_failing, workers):
    # Errors only: with --workers 0 a crash would be ours.
    undisturbed = run_failing("undisturbed", "99=error", workers=0)
    disturbed = run_failing("disturbed", "0-1=error 3-1=oom 3-2=error", workers=workers)
    assert [row.attempts for row in disturbed.rows()] == [2, 1, 1, 3, 1, 1, 1, 1]
    assert without_acts(table(disturbed)) == without_acts(table(undisturbed))


def without_acts(rows):
    return [(*row[:5], {k: v for k, v in row[5].items() if k != "acts"}, row[6]) for row in rows]


@pytest.mark.slow
def test_every_reason_is_tried_again_as_often_as_it_may_and_no_more(run_failing):
    sweep = run_failing(
        "home",
        "1-1=crash 1-2=crash 2=crash 3=oom 4=error 5=errors 6-1=hang",
        workers=2,
        retries={"error": 2},
        trial_timeout="2s",
    )
    assert outcomes(sweep) == [
        ("COMPLETE", "max_epochs", 1),
        ("COMPLETE", "max_epochs", 3),
        ("FAILED", "crash", 3),
        ("FAILED", "oom", 2),
        ("FAILED", "error", 2),  # the same twice
        ("FAILED", "error", 3),
        ("COMPLETE", "max_epochs", 2),
        ("COMPLETE", "max_epochs", 1),
    ]
    records = sweep.home.store(sweep.info.id).read_all()
    for trial in range(8):
        attempts = [r for r in records if r.trial == trial]
        assert [r.attempt for r in attempts] == list(range(1, len(attempts) + 1))
        assert [r.ends_trial for r in attempts] == [False] * (len(attempts) - 1) + [True]
        assert len({(r.seed, str(r.params)) for r in attempts}) == 1


def test_what_no_repetition_mends_is_tried_once(run_failing):
    sweep = run_failing("home", "1=mistake 2=unnamed 3=error", trials=4, workers=0)
    assert outcomes(sweep)[1:] == [
        ("FAILED", "invalid", 1),
        ("FAILED", "invalid", 1),
        ("FAILED", "error", 2),
    ]
    asked = run_failing("asked", "1=mistake", trials=2, workers=0, retries={"invalid": 1})
    assert outcomes(asked)[1] == ("FAILED", "invalid", 2)


@pytest.mark.parametrize(
    ("fails", "last"), [("1-1=error", ("FINISHED", None)), ("1=error", ("FAILED", None))]
)
def test_an_attempt_that_was_tried_again_is_a_failed_run_that_says_so(run_failing, fails, last):
    sweep = run_failing("home", fails, trials=2, workers=0)
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.trial_number = '1'", order_by=["tags.attempt"])
    assert [(r.info.status, r.data.tags.get("retried")) for r in runs] == [
        ("FAILED", "true"),
        last,
    ]


def test_failures_of_an_earlier_start_count_when_a_trial_is_tried_again(run_failing):
    # Interrupted between two attempts, as the time was up.
    sweep = run_failing("home", "1=error", trials=2, workers=0)
    store = sweep.home.store(sweep.info.id)
    journals.forget(store, "0001-2")
    resumed = run_failing("home", "1=error", trials=2, workers=0)
    assert outcomes(resumed)[1] == ("FAILED", "error", 3)
    assert [r.ends_trial for r in store.read_all() if r.trial == 1] == [False, True]


@pytest.mark.slow
def test_kills_from_outside_use_up_no_retry_also_over_restarts(run_failing):
    alone = run_failing("alone", "99=error", trials=3, workers=1)
    kills = " ".join(f"1-{attempt}=kill" for attempt in (1, 2, 4, 5, 8))
    acts = f"{kills} 1-3=crash 1-6=error 1-9=error 1-10=error"
    sweep = run_failing("home", acts, trials=3, workers=1)
    assert outcomes(sweep)[1] == ("COMPLETE", "max_epochs", 7)
    assert without_acts(table(sweep)) == without_acts(table(alone))
    store = sweep.home.store(sweep.info.id)
    journals.forget(store, "0001-7", "0001-6")  # interrupted after five attempts
    resumed = run_failing("home", acts, trials=3, workers=1)
    assert outcomes(resumed)[1] == ("FAILED", "error", 10)
    told = [record.reason for record in store.read_all() if record.trial == 1]
    assert told == ["killed", "killed", "crash", "killed", "killed", "killed", "error", "error"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.nightly), 2])
def test_a_sweep_whose_trials_all_fail_stops_and_goes_on_once_it_is_mended(
    run_failing, make_home, workers
):
    options = {"trials": 20, "workers": workers, "retries": {"error": 0}}
    with pytest.raises(TrialsError, match=r"5 trials in a row .* all with: RuntimeError: told to"):
        run_failing("home", "all=error", **options)
    failed = sweeps.load("toy", make_home()).rows()
    assert 5 <= len(failed) < 5 + 2 * 2 + 1
    assert {row.reason for row in failed} == {"error"}
    client = open_client(f"sqlite:///{make_home() / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.kind = 'sweep'")
    assert (parent.info.status, parent.data.tags["stopped_by"]) == ("FAILED", "failures")
    with pytest.raises(TrialsError):  # still not mended: five more
        run_failing("home", "all=error", **options)
    again = sweeps.load("toy", make_home()).rows()
    assert len(failed) + 5 <= len(again) < len(failed) + 10
    assert again[: len(failed)] == failed
    patient = run_failing("home", "all=error", **options, max_failures_in_row=0)
    assert [row.state for row in patient.rows()] == ["FAILED"] * 20


def test_diverged_trials_do_not_count_as_failures_in_a_row(run_toy):
    sweep = run_toy(trials=12, overrides=("mode=diverge",), max_failures_in_row=2)
    assert [row.reason for row in sweep.rows()] == ["diverged"] * 12


@pytest.mark.slow
def test_no_configuration_that_failed_or_diverged_is_ever_proposed_again(run_failing, toy_space):
    text = toy_space.read_text()
    finite = text.replace("low: -1, high: 1}", "low: -1, high: 1, step: 0.25}")
    toy_space.write_text(finite.replace("high: 2}", "high: 0}"))
    options = {"retries": {"error": 0}, "max_failures_in_row": 0, "workers": 0}
    diverging = "fixed: {epochs: 3, bad_above: 0}"
    toy_space.write_text(toy_space.read_text().replace("fixed: {epochs: 3}", diverging))
    acts = " ".join(f"{trial}=error" for trial in range(0, 40, 3))
    for trials in (6, 12, 40):  # also by a sweep that is resumed
        sweep = run_failing("home", acts, trials=trials, **options)
    rows = sweep.rows()
    points = {(row.params["x"], row.params["kind"]) for row in rows}
    assert {row.reason for row in rows} == {"error", "diverged", "max_epochs"}
    assert len(points) == len(rows) == 9 * 2  # kind c needs a layer


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"retries": {"crahs": 1}}, r"unknown reason; did you mean 'crash'\?; known: crash, oom"),
        ({"retries": {"crash": -1}}, r"retries crash=-1: give a whole number from 0 on"),
        ({"retries": {"crash": 1.5}}, r"retries crash=1.5: give a whole number"),
        ({"max_failures_in_row": -1}, r"max_failures_in_row=-1: give a whole number from 0"),
        ({"trial_timeout": 0}, r"trial_timeout=0: give seconds above 0"),
        ({"trial_timeout": float("nan")}, r"trial_timeout: nan is no duration"),
        ({"trial_timeout": 5, "workers": 0}, r"trial_timeout=5 with workers=0: .* can"),
    ],
)
def test_what_cannot_be_done_about_failures_is_refused(run_toy, options, expected):
    with pytest.raises(UsageError, match=expected):
        run_toy(**options)
