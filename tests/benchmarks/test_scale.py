"""Clusters measured: what counts as steady, what figures follow, and a small one for real."""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import scale
from benchmarks.__main__ import main
from benchmarks.cluster import many
from benchmarks.cluster.sleeping import experiment
from benchmarks.cluster.steady import steady, steady_range
from sweeps.experiment import TrialSpec


def spans(workers, rounds, seconds, gap):
    """Workers that all train for `seconds`, then wait for `gap`."""
    return [
        (turn * (seconds + gap), turn * (seconds + gap) + seconds)
        for turn in range(rounds)
        for _ in range(workers)
    ]


def test_workers_that_wait_a_fifth_of_the_time_are_busy_four_fifths():
    found = steady(spans(workers=10, rounds=40, seconds=4.0, gap=1.0), 10)
    assert found["busy"] == pytest.approx(0.8, abs=0.01)
    assert found["busy_overall"] == pytest.approx(0.8, abs=0.01)
    assert found["per_second"] == pytest.approx(2.0, rel=0.05)  # ten end at once
    assert found["mean_seconds"] == 4.0


def test_what_is_measured_by_default_has_a_steady_part():
    parser = argparse.ArgumentParser()
    scale.add_arguments(parser)
    for case in (cases := scale.cases(parser.parse_args([]))):
        first, last = steady_range(case["trials"], case["workers"])
        assert last > first
    assert cases[-1]["workers"] == 1000


def test_a_slow_start_is_no_part_of_the_steady_state():
    late = [(start + 100, end + 100) for start, end in spans(10, 40, 4.0, 0.0)]
    found = steady([(0.0, 4.0), *late], 10)
    assert found["busy"] == pytest.approx(1.0, abs=0.01)
    assert found["busy_overall"] < 0.7


def test_too_few_trials_are_refused():
    assert steady_range(40, 4) == (10, 31)
    with pytest.raises(RuntimeError, match="17 trials are too few for 4 workers"):
        steady_range(17, 4)


def row(seconds, runs):
    stages = {"process": 0.05, "journal": 0.01, "MLflow": 0.02, "start": 0.001}
    return {"seconds": seconds, "stages": stages, "runs": runs}


def test_costs_are_means_of_the_sweep_and_mlflows_are_a_runs():
    rows = [row(seconds=n / 10, runs=n // 2) for n in range(1, 101)]
    found = many.costs(rows)
    assert found["stages"]["journal"] == pytest.approx(10)
    assert found["stages"]["rest"] == pytest.approx(19)
    assert found["coordinator_ms"] == pytest.approx(29)
    assert found["run_ms"] == pytest.approx(40, rel=0.05)  # every second trial got one
    assert found["runs_per_second"] == pytest.approx(5, rel=0.05)


def test_a_sleeping_trial_returns_as_much_as_one_of_the_digits():
    config = {"seconds": 0.0, "learning_rate": 1e-3, "units_1": 32}
    result = experiment.train(TrialSpec("s", 0, 1, 7, config), None, lambda epoch, metrics: None)
    assert {len(values) for values in result.history.values()} == {30}
    assert 95e3 < sum(weights.nbytes for weights in result.weights.values()) < 105e3
    assert result.arrays["confusion"].shape == (30, 10, 10)
    assert np.isfinite(result.arrays["validation_logits"]).all()
    pictures = experiment.draw(TrialSpec("s", 0, 1, 7, config), result)
    assert {"loss_curves.png", "confusion_matrix.png"} <= set(pictures)


def test_the_table_has_a_line_a_sweep():
    row = {
        "workers": 200, "sampler": "random", "seconds": 20.0, "trials": 600, "tracking": True,
        "per_second": 9.0, "ideal": 10.0, "busy": 0.9, "coordinator_ms": 5.0, "run_ms": 6.0,
        "scheduler_ms": 10.0, "pending": 3,
        "stages": {"sampler": 1.0, "journal": 2.0, "records": 1.5},
    }  # fmt: skip
    lines = scale.table({"many": [row, {**row, "tracking": False}]}).splitlines()[2:]
    start = "| 200 workers, random, 20 s | 600 | 9.0 of 10.0 | 90% | 5.0 | 1.0, 2.0, 1.5 |"
    assert lines[0] == f"{start} 6.0 | 3 | 10.0 |"
    assert "20 s, no MLflow | 600" in lines[1]
    assert lines[1].endswith("| 1.0, 2.0, 1.5 | - | - | 10.0 |")


@pytest.mark.slow
def test_listing_the_benchmarks_does_not_need_dask():
    code = (
        "import sys; sys.modules['distributed'] = None; import benchmarks.__main__ as m;"
        "sys.exit(0 if 'scale' in m.BENCHMARKS else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.nightly
def test_a_small_one_for_real(capsys):
    small = ["--workers", "4", "--trials", "24", "--seconds", "0.3", "--samplers", "tpe",
             "--crowd", "0"]  # fmt: skip
    assert main(["scale", *small]) == 0
    output = capsys.readouterr().out
    rows = [line.split("|") for line in output.splitlines() if line.startswith("| 4 workers, tpe")]
    name = "4 workers, tpe, 0.3 s"
    assert [row[1].strip() for row in rows] == [name, f"{name}, no MLflow"]
    for cells in rows:
        rate, ideal = map(float, cells[3].split(" of "))
        assert 0 < rate < 1.2 * ideal
        assert all(float(cell) > 0 for cell in (cells[5], cells[9], *cells[6].split(",")))
    assert [cells[8].strip() for cells in rows] == ["0", "-"]
