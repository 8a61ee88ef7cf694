import pytest

from sweeps.analysis.summary import summarize
from sweeps.render.verdict import failure_line, progress_line, retry_line, verdict_line, with_hints
from tests.sweeps.render.builders import record, sweep_info


def summary_of(*records, stopped_by=None, **info):
    return summarize(
        sweep_info(**info), records, asked=len(records), seconds=1.0, stopped_by=stopped_by
    )


BASELINE = record(0, 0.91, origin="baseline tutorial")


@pytest.mark.parametrize(
    ("records", "line"),
    [
        (
            [BASELINE, record(1, 0.923)],
            "best observed, not confirmed: best_val_accuracy 0.9230 (trial 1), "
            "+1.30 points against the baseline tutorial (0.9100)",
        ),
        (
            [BASELINE, record(1, 0.9)],
            "best observed, not confirmed: best_val_accuracy 0.9100 (trial 0), "
            "which is the baseline tutorial; no other trial scored better",
        ),
        (
            [record(0, 0.9)],
            "best observed, not confirmed: best_val_accuracy 0.9000 (trial 0), "
            "no baseline to compare with: the sweep has none",
        ),
        (
            [record(0, outcome="diverged", origin="baseline tutorial"), record(1, 0.9)],
            "best observed, not confirmed: best_val_accuracy 0.9000 (trial 1), "
            "no baseline to compare with: none completed",
        ),
        ([record(0, outcome="failed")], "no trial completed, so there is no best trial"),
    ],
)
def test_the_verdict_claims_no_more_than_was_seen(records, line):
    assert verdict_line(summary_of(*records)) == line


def test_a_minimised_loss_is_compared_without_points():
    records = [
        record(0, 0.25, origin="baseline tutorial", metric="best_val_loss"),
        record(1, 0.2, metric="best_val_loss"),
    ]
    line = verdict_line(summary_of(*records, metric="best_val_loss", direction="minimize"))
    assert line.endswith("0.2000 (trial 1), 0.0500 better than the baseline tutorial (0.2500)")


def test_counts_are_said_with_what_stopped_the_sweep():
    records = [BASELINE, record(1, outcome="failed"), record(2, outcome="interrupted")]
    line = progress_line(summary_of(*records, stopped_by="interrupt"))
    expected = "2 of 3 trials: 1 COMPLETE, 1 FAILED, 1 to run again; stopped by interrupt"
    assert line == expected


def test_a_sweep_without_trials_says_so_without_counts():
    assert progress_line(summary_of()) == "0 of 0 trials"


@pytest.mark.parametrize(
    ("failures", "error", "line"),
    [
        ({}, None, ""),
        ({"diverged": 1}, None, "1 trial failed: diverged 1"),
        (
            {"error": 2, "diverged": 1},
            "boom",
            "3 trials failed: error 2, diverged 1; first error: boom",
        ),
    ],
)
def test_failures_are_said_by_reason(failures, error, line):
    assert failure_line(failures, error) == line


@pytest.mark.parametrize(
    ("retried", "line"),
    [
        ({}, ""),
        ({"oom": 1}, "1 failed attempt was tried again: oom 1"),
        ({"crash": 2, "error": 1}, "3 failed attempts were tried again: crash 2, error 1"),
    ],
)
def test_retries_are_said_by_reason(retried, line):
    assert retry_line(retried) == line


def test_a_hint_stands_in_a_column_beside_it_or_nowhere_but_never_makes_a_line_wide():
    assert with_hints({"a": "one", "bbb": "two"}) == [("  a  ", "   one"), ("  bbb", "   two")]
    wide = with_hints({"a": "one two", "b" * 60: "three", "c" * 77: "four"})
    assert wide == [("  a", "   one two"), (f"  {'b' * 60}", "   three"), (f"  {'c' * 77}", "")]
