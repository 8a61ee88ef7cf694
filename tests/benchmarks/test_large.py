"""What a large home takes: a small one measured for real."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import large


def row(trials: int, seconds: float, size: int) -> dict:
    used = {"seconds": seconds, "cpu_seconds": seconds, "peak_mb": 1024 * seconds}
    return {
        "trials": trials,
        "commands": dict.fromkeys(("run", *large.COMMANDS), used),
        "bytes": dict.fromkeys(large.PARTS, size),
        "files": dict.fromkeys(large.PARTS, trials),
        "report_bytes": size,
        "per_second": 38.0,
    }


def test_the_table_says_what_was_asked_only_of_the_number_of_trials_it_was_asked_for():
    few, many = row(1000, 0.5, 2**20), row(10_000, 5.0, 2**20)
    text = large.table({"trials": 10_000, "rows": [few, many]})
    assert "| best | 0.5 | 0.5 | 512 | 5.0 | 5.0 | 5120 | 0.7 s: missed |" in text
    assert "| report | 0.5 | 0.5 | 512 | 5.0 | 5.0 | 5120 | 6 s: kept |" in text
    assert "| files of a trial | 1 | 0: missed |" in text
    assert "| time that workers spend in trials | 95.0% | 90%: kept |" in text
    most = large.table({"trials": 100_000, "rows": [row(100_000, 2.0, 2**20)]})
    assert "| best | 2.0 | 2.0 | 2048 | 2.5 s: kept |" in most
    assert "| report | 2.0 | 2.0 | 2048 |  |" in most
    assert "s: kept" not in large.table({"trials": 1000, "rows": [few]})


@pytest.mark.nightly
def test_a_small_home_is_measured():
    result = large.run(argparse.Namespace(trials=300))
    few, many = result["rows"]
    assert (few["trials"], many["trials"]) == (30, 300)
    assert many["bytes"]["sweeps"] > few["bytes"]["sweeps"] > 30 * 1000
    assert many["files"]["sweeps"] == few["files"]["sweeps"], "a small attempt has no file"
    assert all(many["commands"][name]["cpu_seconds"] > 0 for name in ("run", *large.COMMANDS))
    assert 0 < many["per_second"] <= large.WORKERS / large.SECONDS


def test_trials_a_second_are_those_after_the_first_ones(monkeypatch, tmp_path):
    spans = [(0.0, 50.0), *((100.0 + n, 101.0 + n) for n in range(10))]
    monkeypatch.setattr(large, "spans_of", lambda home, name: spans)
    assert large.per_second(tmp_path, 1) == 1


def test_too_few_trials_are_refused():
    with pytest.raises(RuntimeError, match="20 trials are too few"):
        large.run(argparse.Namespace(trials=20))
