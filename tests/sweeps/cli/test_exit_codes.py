import dataclasses

import pytest

from sweeps.analysis.rows import TrialRow
from sweeps.analysis.summary import Summary
from sweeps.cli.run import exit_code, failure, gate_line


def row(objective):
    return TrialRow(
        trial=0,
        state="COMPLETE",
        reason="max_epochs",
        attempts=1,
        origin="sampled",
        seed=1,
        params={},
        metrics={},
        objective=objective,
        epochs=1,
        seconds=1.0,
        started_at=0,
        finished_at=1,
        error=None,
    )


def summary(**changes):
    plain = Summary(
        id="x",
        name="x",
        metric="score",
        direction="maximize",
        asked=2,
        counts={"COMPLETE": 2, "PRUNED": 0, "FAILED": 0, "WAITING": 0},
        failures={},
        first_error=None,
        best=row(0.7),
        baselines=(),
        seconds=1.0,
    )
    return dataclasses.replace(plain, **changes)


FAILED = {"counts": {"COMPLETE": 1, "PRUNED": 0, "FAILED": 1, "WAITING": 0}}
ALL_FAILED = {
    "counts": {"COMPLETE": 0, "PRUNED": 0, "FAILED": 2, "WAITING": 0},
    "failures": {"error": 1, "diverged": 1},
    "first_error": "RuntimeError: no data",
    "first_failed": 0,
    "best": None,
}
NONE_DONE = {"counts": {"COMPLETE": 0, "PRUNED": 0, "FAILED": 0, "WAITING": 1}, "best": None}


@pytest.mark.parametrize(
    ("changes", "strict", "fail_under", "expected"),
    [
        ({}, True, 0.7, 0),
        ({}, False, None, 0),
        (FAILED, False, None, 0),
        (FAILED, True, None, 1),
        (ALL_FAILED, False, None, 1),
        (NONE_DONE, False, None, 0),
        ({}, False, 0.71, 1),
        ({"direction": "minimize"}, False, 0.6, 1),
        ({"direction": "minimize"}, False, 0.7, 0),
        ({"best": None}, False, 0.1, 1),
        ({"best": None}, False, None, 0),
        ({"tracking_pending": 1}, True, 0.1, 3),
        ({"tracking_pending": 1} | FAILED, True, None, 1),
        ({"stopped_by": "interrupt"} | FAILED, True, 0.99, 130),
        ({"stopped_by": "terminate", "tracking_pending": 2}, False, None, 143),
        ({"stopped_by": "timeout"}, True, None, 0),
    ],
)
def test_exit_codes_follow_their_precedence(changes, strict, fail_under, expected):
    assert exit_code(summary(**changes), strict=strict, fail_under=fail_under) == expected


def test_the_reason_of_a_failed_run_names_figures_and_option():
    text = failure(summary(), False, 0.9)
    assert text == "best score 0.7 is below the bound 0.9 (--fail-under; higher is better)"
    assert failure(summary(**FAILED), True, None) == ("1 of 2 trials failed (--strict)")


def test_all_trials_that_failed_are_named_with_their_first_error():
    said = failure(summary(**ALL_FAILED), False, None)
    assert said == (
        "all 2 trials failed (error 1, diverged 1), the first with: RuntimeError: no data; mend "
        "the cause, then `sweeps retry x`"
    )


MINIMIZED = {"metric": "loss", "direction": "minimize"}
OF_A_SHARE = {"metric": "best_val_accuracy"}


@pytest.mark.parametrize(
    ("changes", "strict", "bound", "said"),
    [
        ({}, False, None, None),
        ({}, True, None, "passed: no trial failed (--strict)"),
        (
            {}, False, 0.7,
            "passed: best score 0.7 is not below the bound 0.7 (--fail-under; higher is better)",
        ),
        (
            MINIMIZED, True, 0.9,
            "passed: no trial failed (--strict); best loss 0.7 is not above the bound 0.9 "
            "(--fail-under; lower is better)",
        ),
        (
            MINIMIZED, False, 0.5,
            "failed: best loss 0.7 is above the bound 0.5 (--fail-under; lower is better)",
        ),
        (
            OF_A_SHARE, False, 90,
            "failed: best best_val_accuracy 0.7 is below the bound 90 (--fail-under; higher is "
            "better; if it is a share from 0 to 1, no trial reaches 90: write 0.9)",
        ),
        (FAILED, True, 0.1, "failed: 1 of 2 trials failed (--strict)"),
        (FAILED, False, None, None),
        ({"stopped_by": "interrupt"}, True, 0.1, None),
    ],
)  # fmt: skip
def test_a_gate_says_what_it_is_applied_to_when_it_is_passed_as_well(changes, strict, bound, said):
    """A bound of 0.9 that was meant for the accuracy lay on a cross-entropy, and was passed."""
    assert gate_line(summary(**changes), strict, bound) == said
