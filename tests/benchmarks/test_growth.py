"""CPU time by stage: what a stage counts, and a short sweep measured for real."""

from __future__ import annotations

import time

import pytest

from benchmarks import growth
from benchmarks.stages import StageClock


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_an_inner_stage_is_taken_out_of_the_outer_and_waiting_costs_nothing():
    class Work:
        def outer(self):
            burn(0.05)
            self.inner()
            time.sleep(0.5)

        def inner(self):
            burn(0.2)

    clock = StageClock()
    clock.watch(Work, "outer", "outer")
    clock.watch(Work, "inner", "inner")
    Work().outer()
    clock.end_trial()
    clock.end_trial()
    first, second = clock.trials
    assert 0.05 <= first["outer"] < 0.2 <= first["inner"]
    assert first["process"] >= first["outer"] + first["inner"]
    assert first["process"] < 0.5 + first["outer"] + first["inner"]
    assert set(second) == {"process"}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [pytest.param("random", marks=pytest.mark.nightly), "tpe"])
def test_growth_measures_every_stage_of_a_real_sweep(sampler):
    measured = growth.measure(sampler, 4)
    (stages,) = measured["milliseconds"].values()
    assert set(stages) == set(growth.STAGES)
    assert all(milliseconds > 0 for milliseconds in stages.values())
    assert stages["MLflow"] > stages["training"]
    assert measured["growth"] == 1.0


def test_the_table_says_whether_the_limits_are_kept():
    points = {"100": dict.fromkeys(growth.STAGES, 0.7), "2000": dict.fromkeys(growth.STAGES, 0.75)}
    result = {"samplers": {"tpe": {"milliseconds": points, "growth": 1.25}}}
    *_, grown, own = growth.table(result).splitlines()
    assert grown.endswith("2000 / 100: 1.25 (1.3: kept)")
    assert own == "without MLflow too, at the last point: 3.75 ms (4 ms: kept)"
    result["samplers"] = {"random": {"milliseconds": points, "growth": 1.31}}
    *_, grown, own = growth.table(result).splitlines()
    assert grown.endswith("(1.3: missed)")
    assert own.endswith("3.75 ms (3 ms: missed)")
