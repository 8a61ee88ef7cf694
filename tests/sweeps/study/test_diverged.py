"""What lies among diverged trials, and what proposals make of it."""

import math

import numpy as np
import pytest
from optuna.trial import TrialState

from sweeps.study.proposals import ENOUGH, DivergedRegions
from sweeps.study.sampler_view import TrialOutcome
from tests.sweeps.study.test_proposals import CONDITIONAL, make_proposer  # noqa: F401  # a fixture


def learnt(points, diverges):
    regions = DivergedRegions()
    for point in points:
        regions.tell(point, diverged=diverges(point))
    return regions


def random_points(number=60, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"rate": 10 ** rng.uniform(-5, -1), "width": int(rng.integers(1, 9)), "kind": kind}
        for kind in rng.choice(["a", "b", "c"], number).tolist()
    ]


POINT = {"rate": 1e-4, "width": 4, "kind": "a"}


def too_fast(point):
    return point["rate"] > 1e-3


def test_a_region_reaches_from_its_first_diverged_trial_on():
    points = random_points()
    regions = learnt(points, too_fast)
    rates = sorted(p["rate"] for p in points)
    last, first = max(r for r in rates if r <= 1e-3), min(r for r in rates if r > 1e-3)
    assert regions.contains({**POINT, "rate": first})
    assert regions.contains({**POINT, "rate": 0.1})
    assert not regions.contains({**POINT, "rate": last})
    assert not regions.contains({**POINT, "rate": math.sqrt(last * first)})  # nobody was there
    assert not regions.contains({**POINT, "rate": 1e-5})


@pytest.mark.parametrize(
    ("diverges", "inside", "outside"),
    [
        (lambda p: p["kind"] == "b", {"kind": "b"}, {"kind": "a"}),
        (lambda p: p["width"] <= 2, {"width": 1}, {"width": 8}),
        (lambda p: too_fast(p) and p["kind"] == "c", {"rate": 0.05, "kind": "c"}, {"rate": 0.05}),
        (lambda p: too_fast(p) and p["width"] > 4, {"rate": 0.05, "width": 8}, {"width": 8}),
    ],
)
def test_whatever_parameters_decide_are_found(diverges, inside, outside):
    regions = learnt(random_points(120), diverges)
    assert regions.contains({**POINT, **inside})
    assert not regions.contains({**POINT, **outside})


def test_a_parameter_that_is_absent_is_on_a_side_of_its_own():
    points = [{"x": n / 30, **({"y": n / 30} if n % 2 else {})} for n in range(30)]
    regions = learnt(points, lambda p: "y" in p)
    assert regions.contains({"x": 0.5, "y": 0.5})
    assert not regions.contains({"x": 0.5})
    assert not regions.contains({"x": 0.5, "z": True})  # never seen


@pytest.mark.parametrize("number", [0, 1, ENOUGH - 1])
def test_a_few_diverged_trials_are_no_region(number):
    points = [{"x": float(n)} for n in range(20)]
    assert not learnt(points, lambda p: p["x"] >= 20 - number).contains({"x": 19.0})
    assert learnt(points, lambda p: p["x"] >= 20 - ENOUGH).contains({"x": 19.0})


def test_where_everything_diverges_nothing_is_known():
    assert not learnt(random_points(), lambda p: True).contains(POINT)
    assert not DivergedRegions().contains(POINT)


def test_chance_is_no_region():
    rng = np.random.default_rng(1)
    regions = learnt(random_points(200), lambda p: rng.random() < 0.3)
    assert np.mean([regions.contains(p) for p in random_points(500, seed=2)]) < 0.1


def test_what_is_asked_changes_no_answer():
    points = random_points()
    asked, silent = DivergedRegions(), DivergedRegions()
    for point in points:
        asked.contains({"other": "x", **point})
        for regions in (asked, silent):
            regions.tell(point, diverged=too_fast(point))
    later = random_points(200, seed=3)
    assert [asked.contains(p) for p in later] == [silent.contains(p) for p in later]


def outcome(params):
    if params["x"] > 0:
        return TrialOutcome(TrialState.PRUNED, diverged=True)
    return TrialOutcome(TrialState.COMPLETE, (1 - (params["x"] + 0.1) ** 2,))


def run(proposer, trials, ask_ahead=4, restored=()):
    proposals = []
    for trial in range(trials):
        if trial >= ask_ahead:
            seen = trial - ask_ahead
            proposer.tell(seen, outcome(proposals[seen].params))
        if trial < len(restored):
            proposer.restore(restored[trial].origin, restored[trial].params)
            proposals.append(restored[trial])
        else:
            proposals.append(proposer.propose())
    return proposals


def share_after(trial, proposals):
    return np.mean([p.params["x"] > 0 for p in proposals[trial:]])


def test_proposals_keep_away_from_where_trials_diverge(make_proposer):  # noqa: F811
    assert share_after(40, run(make_proposer(CONDITIONAL), 80)) < 0.1
    assert share_after(40, run(make_proposer(CONDITIONAL, sampler="random"), 80)) > 0.3


def test_a_resumed_sweep_keeps_away_from_the_same(make_proposer):  # noqa: F811
    undisturbed = run(make_proposer(CONDITIONAL), 60)
    assert sum(p.rejected for p in undisturbed) > 0
    resumed = run(make_proposer(CONDITIONAL), 60, restored=undisturbed[:45])
    assert [p.params for p in resumed] == [p.params for p in undisturbed]
