import pytest

from sweeps.analysis.rows import best_row, is_retried, trial_rows
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import METRIC, record


def test_rows_come_in_trial_order_whatever_the_order_of_records():
    rows = trial_rows([record(2, 0.7), record(0, 0.5), record(1, 0.6)])
    assert [(row.trial, row.objective) for row in rows] == [(0, 0.5), (1, 0.6), (2, 0.7)]


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        ("complete", "COMPLETE", "early_stopping"),
        ("pruned", "PRUNED", "pruned"),
        ("diverged", "FAILED", "diverged"),
        ("failed", "FAILED", "error"),
        ("interrupted", "WAITING", "interrupted"),
    ],
)
def test_an_outcome_gives_a_state_and_a_reason(outcome, state, reason):
    (row,) = trial_rows([record(0, 0.9, outcome=outcome)])
    assert (row.state, row.reason) == (state, reason)
    assert (row.objective is not None) == (state == "COMPLETE")


def test_a_diverged_trial_is_diverged_even_if_its_record_says_another_word():

    (row,) = trial_rows([altered(record(0, outcome="diverged"), reason="nan")])
    assert row.reason == "diverged"


def test_the_last_final_attempt_decides_a_trial():
    attempts = [
        record(0, outcome="failed", attempt=1, error="first"),
        record(0, 0.9, attempt=2),
        record(0, outcome="interrupted", attempt=3),
    ]
    (row,) = trial_rows(attempts)
    assert (row.state, row.objective, row.attempts, row.error) == ("COMPLETE", 0.9, 3, None)


def test_a_trial_with_interrupted_attempts_only_is_running():
    attempts = [record(0, outcome="interrupted", attempt=n) for n in (1, 2)]
    (row,) = trial_rows(attempts)
    assert (row.state, row.reason, row.attempts) == ("WAITING", "interrupted", 2)


def test_a_trial_whose_failed_attempt_is_to_be_tried_again_is_running():

    crashed = altered(record(0, outcome="failed", error="boom"), reason="crash", ends_trial=False)
    assert is_retried(crashed)
    (row,) = trial_rows([crashed])
    assert (row.state, row.reason, row.error, row.attempts) == ("WAITING", "crash", "boom", 1)
    (row,) = trial_rows([crashed, record(0, 0.9, attempt=2)])
    assert (row.state, row.reason, row.error, row.attempts) == (
        "COMPLETE",
        "early_stopping",
        None,
        2,
    )


def test_a_row_carries_metrics_epochs_seconds_and_seed():
    (row,) = trial_rows([record(3, 0.9, seconds=2.5, epochs=7)])
    assert row.metrics == {"best_val_loss": 0.25, METRIC: 0.9}
    assert (row.epochs, row.seconds, row.seed) == (7, 2.5, 103)


def test_a_failed_row_has_no_metrics_and_no_epochs():
    (row,) = trial_rows([record(0, outcome="failed", error="boom")])
    assert (dict(row.metrics), row.epochs, row.error) == ({}, 0, "boom")


@pytest.mark.parametrize(("direction", "trial"), [("maximize", 1), ("minimize", 0)])
def test_the_best_row_follows_the_direction(direction, trial):
    best = best_row(trial_rows([record(0, 0.5), record(1, 0.9), record(2, 0.7)]), direction)
    assert best is not None
    assert best.trial == trial


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_tie_goes_to_the_lower_trial(direction):
    best = best_row(reversed(trial_rows([record(0, 0.9), record(1, 0.9)])), direction)
    assert best is not None
    assert best.trial == 0


def test_a_baseline_may_be_the_best():
    rows = trial_rows([record(0, 0.9, origin="baseline tutorial"), record(1, 0.8)])
    best = best_row(rows, "maximize")
    assert best is not None
    assert best.baseline == "tutorial"


def test_pruned_and_failed_rows_are_never_the_best():
    rows = trial_rows([record(0, 0.9, outcome="pruned"), record(1, outcome="failed")])
    assert best_row(rows, "maximize") is None
