"""The stock recipe is judged by what its documentation promises."""

import pytest

from tests.faults.stock_lab import StockLab


@pytest.mark.parametrize(
    ("violation", "is_promised"),
    [
        ("I1: trial 3 was recorded, its record is gone", True),
        ("I2: trial 3 is RUNNING", True),
        ("I2: MLflow run 3 is RUNNING", False),
        ("I3: attempt 3 has 0 runs", False),
        ("I4: 11 trials have an outcome, 12 were asked for", True),
        ("I4: 14 trials have an outcome, 12 were asked for", False),
        ("I4: trial 4 is FAIL for no fault of its own", False),
        ("I4: the trials are not numbered densely: [0, 2]", True),
        ("I5: 4 trainings were begun again, 2 killed", True),
        ("I6: best by the report None, by the study (3, 0.5)", True),
        ("I7: 3 trials, undisturbed 4", False),
        ("I8: exit code 1, must be 0", False),
    ],
)
def test_a_violation_counts_if_it_breaks_a_promise(tmp_path, violation, is_promised):
    (tmp_path / "migrated").touch()
    lab = StockLab(tmp_path / "lab", 1, tmp_path / "migrated")
    assert lab.promises(violation) == is_promised
