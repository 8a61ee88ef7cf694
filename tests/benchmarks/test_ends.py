"""What a sweep takes beside its trainings: read from its records, judged by what was asked."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import ends


def test_the_table_says_what_was_asked_of_the_median():
    rounds = [
        {"importing": 2.0, "start": start, "around": around, "end": 1.4, "whole": 30.0}
        for start, around in ((2.9, 29.0), (3.2, 31.0), (2.5, 45.0))
    ]
    text = ends.table({"space": "mlp", "trials": 40, "rounds": rounds})
    assert "| beyond the import, s | 0.90 | 0.90, 1.20, 0.50 | 1: kept |" in text
    assert (
        "| of a trial in its worker, outside its epochs, ms | 31 | 29, 31, 45 | 30: missed |"
        in text
    )
    assert "to the prompt, s | 1.40 | 1.40, 1.40, 1.40 | 1.5: kept |" in text


def test_too_few_trials_are_refused():
    with pytest.raises(RuntimeError, match="more than 10 trials"):
        ends.run(argparse.Namespace(space="smoke", trials=10, repeats=1))


@pytest.mark.nightly
def test_a_small_sweep_is_measured():
    result = ends.run(argparse.Namespace(space="smoke", trials=12, repeats=1))
    (found,) = result["rounds"]
    assert 0 < found["start"] < found["whole"]
    assert 0 < found["end"] < found["whole"]
    assert found["around"] > 0
    assert "12 trials of `smoke`" in ends.table(result)
