"""Clusters measured: what counts as steady, what figures follow, and a small one for real."""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import scale
from benchmarks.__main__ import main
from benchmarks.cluster import few, many
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


def test_ideal_is_a_core_each_for_training_and_all_workers_for_sleeping(monkeypatch):
    monkeypatch.setattr(few.os, "sched_getaffinity", lambda pid: {0, 1})
    rows = [
        {"workers": workers, "per_second": rate, "mean_seconds": 0.5}
        for workers, rate in ((1, 1.5), (2, 2.7), (4, 2.4))
    ]
    training, sleeping = (few.against_ideal(kind, rows) for kind in ("training", "sleeping"))
    assert [row["ideal"] for row in training] == [1.5, 3.0, 3.0]
    assert [row["ratio"] for row in training] == pytest.approx([1.0, 0.9, 0.8])
    assert [row["ideal"] for row in sleeping] == [2.0, 4.0, 8.0]


def row(seconds, runs, wall):
    stages = {"process": 0.05, "study": 0.01, "MLflow": 0.02, "start": 0.001}
    walls = dict.fromkeys(("propose", "tell", "submit"), wall)
    return {
        "seconds": seconds,
        "stages": stages,
        "wall": walls,
        "main_delay": wall / 2,
        "runs": runs,
    }


def test_costs_are_means_of_the_sweep_and_mlflows_are_a_runs():
    rows = [row(seconds=n / 10, runs=n // 2, wall=n / 50) for n in range(1, 101)]
    found = many.costs(rows)
    assert found["stages"]["study"] == pytest.approx(10)
    assert found["stages"]["rest"] == pytest.approx(19)
    assert found["coordinator_ms"] == pytest.approx(29)
    assert found["run_ms"] == pytest.approx(40, rel=0.05)  # every second trial got one
    assert found["runs_per_second"] == pytest.approx(5, rel=0.05)
    assert found["wall_ms"]["tell"] == pytest.approx(20)
    assert found["main_delay_ms"] == pytest.approx(10)


def test_the_least_capacity_comes_first():
    found = many.capacities({"coordinator_ms": 20.0, "scheduler_ms": 10.0, "run_ms": 30.0})
    assert list(found) == ["coordinator, MLflow keeping up", "coordinator", "scheduler"]
    assert list(found.values()) == pytest.approx([20, 50, 100])
    without = many.capacities({"coordinator_ms": 20.0, "scheduler_ms": 40.0, "run_ms": 0.0})
    assert list(without) == ["scheduler", "coordinator"]


def test_a_sleeping_trial_returns_as_much_as_one_of_the_digits():
    config = {"seconds": 0.0, "learning_rate": 1e-3, "units_1": 32}
    result = experiment.train(TrialSpec("s", 0, 1, 7, config), None, lambda epoch, metrics: None)
    assert {len(values) for values in result.history.values()} == {30}
    assert 95e3 < sum(weights.nbytes for weights in result.weights.values()) < 105e3
    assert result.arrays["confusion"].shape == (30, 10, 10)
    assert np.isfinite(result.arrays["validation_logits"]).all()
    pictures = experiment.draw(TrialSpec("s", 0, 1, 7, config), result)
    assert {"loss_curves.png", "confusion_matrix.png"} <= set(pictures)


def crowd(workers, sampler, coordinator, tracking=True):
    return {
        "workers": workers, "sampler": sampler, "seconds": 20.0, "trials": 600,
        "tracking": tracking, "per_second": 9.0, "ideal": 10.0, "busy": 0.9,
        "coordinator_ms": coordinator, "run_ms": 6.0 if tracking else 0.0, "scheduler_ms": 10.0,
        "stages": {"sampler": 1.0, "study": 2.0, "records": 1.5},
    }  # fmt: skip


def test_what_is_published_has_the_tables_and_the_figures_of_the_page():
    rows = [crowd(200, "random", 5.0), crowd(200, "random", 4.0, tracking=False),
            crowd(200, "tpe", 20.0), crowd(1000, "random", 8.0)]  # fmt: skip
    few_rows = [{"workers": 1, "ratio": 1.0}, {"workers": 2, "ratio": 0.9}]
    found = scale.summarized({"few": {"sleeping": few_rows}, "many": rows})
    assert found["tables"]["few"][1:] == [["1", "1.00"], ["2", "0.90"]]
    first = found["tables"]["many"][1]
    assert first[:4] == ["200 workers, random, 20 s", 600, "9.0 of 10.0", "90 %"]
    assert first[4:] == ["5.0", "1.0, 2.0, 1.5", "6.0", "10.0"]
    assert found["tables"]["many"][2][6] == "-"
    assert found["figures"] == {
        "coordinator_random": [125, 250],
        "coordinator_tpe": 50,
        "scheduler": [100, 100],
        "seconds_for_1000": [4, 8],
        "seconds_with_mlflow": 14,
        "busy_crowd": 0.9,
    }
    assert "busy_crowd" not in scale.summarized({"few": {}, "many": rows[:1]})["figures"]


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
    assert main(["scale", "--few", *small]) == 0
    output = capsys.readouterr().out
    rows = [line.split("|") for line in output.splitlines() if line.startswith("| 4 workers, tpe")]
    throughput, costs = rows[:2], rows[2:]
    name = "4 workers, tpe, 0.3 s"
    assert [row[1].strip() for row in rows] == 2 * [name, f"{name}, no MLflow"]
    for cells in throughput:
        rate, ideal = float(cells[2]), float(cells[3])
        assert 0 < rate < 1.2 * ideal
    assert [cells[7].strip() for cells in throughput] == ["0", "-"]
    for cells in costs:
        assert all(float(cell) > 0 for cell in (cells[2], cells[4], cells[5], cells[11]))
    assert "1000 workers: trials of" in output


@pytest.mark.nightly
def test_few_workers_for_real(tmp_path):
    found = few.measure("sleeping", 1, 8, "seconds=0.2", tmp_path)
    assert found["mean_seconds"] == pytest.approx(0.2, rel=0.5)
    assert 0.2 < found["busy"] <= 1.01
    assert 0.5 < found["per_second"] < 6
