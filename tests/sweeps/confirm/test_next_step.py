"""Where the next minute pays: simulated searches whose truth is known, and a sweep end to end."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from benchmarks.finalists import simulated
from benchmarks.racing import worth
from sweeps.cli import app
from sweeps.confirm.best import Joint, gain_of_more_folds
from sweeps.confirm.intervals import Outcomes
from sweeps.confirm.next_step import gain_of_more_trials
from sweeps.render.answer import next_in_words
from tests.chance import at_least
from tests.sweeps.voting_experiment import SPACE

NOISE, MARGIN, DRAWS, TRIALS = 0.5, 0.5, 60, 30


def same(random, count):
    return np.zeros(count)


def same_or_bad(random, count):
    return np.where(random.random(count) < 0.4, -random.exponential(5, count), 0.0)


def limited(random, count):
    return random.uniform(-3, 0, count)


def long_tailed(random, count):
    return random.exponential(2, count)


def found(law):
    """Return the estimates of some searches, and the gain of as many trials again on average."""
    random = np.random.default_rng(3)
    truths = law(random, 8000 * TRIALS).reshape(4000, -1)
    gained = float((truths.max(axis=1) - truths[:, :TRIALS].max(axis=1)).mean())
    searches = [law(random, TRIALS) + random.normal(0, NOISE, TRIALS) for _ in range(DRAWS)]
    return [gain_of_more_trials(scores, NOISE, TRIALS) for scores in searches], gained


@pytest.mark.parametrize("law", [same, pytest.param(same_or_bad, marks=pytest.mark.slow), limited])
def test_where_nothing_is_left_to_find_more_trials_are_not_worth_it(law):
    gains, gained = found(law)
    assert gained < 0.06
    assert sum(gain.value < MARGIN for gain in gains) >= at_least(0.95, DRAWS)


def test_the_best_score_rises_by_luck_alone_and_that_is_no_gain():
    scores = np.random.default_rng(1).normal(0, 3, TRIALS)
    assert gain_of_more_trials(scores, 0.0, TRIALS).value > MARGIN
    assert gain_of_more_trials(scores, 3.0, TRIALS).value < 0.25


def test_where_much_is_left_to_find_more_trials_are_worth_it():
    gains, gained = found(long_tailed)
    assert gained == pytest.approx(2 * math.log(2), rel=0.1)
    assert np.mean([gain.value for gain in gains]) == pytest.approx(gained, rel=0.25)
    assert sum(gain.value >= MARGIN for gain in gains) >= at_least(0.9, DRAWS)
    assert sum(gain.low <= gained <= gain.high for gain in gains) >= at_least(0.9, DRAWS)


@pytest.mark.parametrize("trials", [20, pytest.param(40, marks=pytest.mark.slow)])
def test_what_random_trials_of_the_shipped_space_gain_is_expected(trials):
    random, known, noise = np.random.default_rng(trials), worth(), 0.0075
    truths = np.array([random.choice(known, 2 * trials, replace=False) for _ in range(2000)])
    gained = float((truths.max(axis=1) - truths[:, :trials].max(axis=1)).mean())
    searches = [
        random.choice(known, trials, replace=False) + random.normal(0, noise, trials)
        for _ in range(DRAWS)
    ]
    gains = [gain_of_more_trials(scores, noise, trials) for scores in searches]
    with_luck = [gain_of_more_trials(scores, 0.0, trials).value for scores in searches]
    assert gained < np.mean([gain.value for gain in gains]) < 2 * gained
    assert np.mean(with_luck) > 1.2 * np.mean([gain.value for gain in gains])
    assert sum(gain.low <= gained <= gain.high for gain in gains) >= at_least(0.93, DRAWS)


def test_a_baseline_that_is_better_leaves_less_to_find():
    scores = np.random.default_rng(2).exponential(1, TRIALS)
    free, behind = (
        gain_of_more_trials(scores, 0.1, TRIALS, at_least) for at_least in (-math.inf, 50.0)
    )
    assert free.value > 0.2
    assert behind.value == behind.high == 0.0


def test_trials_without_a_score_count_as_trials_that_found_nothing():
    scores = np.random.default_rng(2).exponential(1, 10)
    few = gain_of_more_trials(np.append(scores, np.full(90, -math.inf)), 0.1, 10)
    assert 0 < few.value < gain_of_more_trials(scores, 0.1, 10).value


def test_more_folds_bring_what_choosing_another_leader_brings():
    outcomes = [simulated(np.random.default_rng(seed), 0.4, 3, 20) for seed in range(30)]
    joints = [Joint.of(one) for one in outcomes]
    gains = [gain_of_more_folds(joint, 100) for joint in joints]
    truths = np.array([0.004, 0.0, 0.0])
    lost = np.mean([truths.max() - truths[joint.leader] for joint in joints])
    assert np.mean([gain.value for gain in gains]) <= 0.002 + 2 * lost
    for joint, gain in zip(joints, gains, strict=True):
        assert 0 <= gain.low <= gain.value <= gain.high
        assert gain.value > gain_of_more_folds(joint, 28).value
    same = Outcomes(outcomes[0].scores[[0, 0]], outcomes[0].samples)
    assert gain_of_more_folds(Joint.of(same), 100).ends == (0, 0)
    sure = Joint.of(simulated(np.random.default_rng(1), 8.0, 3, 20))
    assert gain_of_more_folds(sure, 100).high < 1e-4


def test_words_say_stop_or_go_on_in_twelve_lines():
    gain = {"value": 0.02, "low": 0.001, "high": 0.06, "unit": "share", "level": 0.95}
    document = {
        "sweep": "a sweep", "is_confirmed": True, "margin": 0.005, "should_search": True,
        "trials": {"gain": gain, "seconds": 100.0, "number": 20},
        "folds": {"gain": gain, "seconds": 300.0, "number": 8}, "folds_now": 20,
        "is_settled": False,
        "vote": {"ensemble": "all 6", "ahead_by": gain},
        "data": {"champion": "trial-3", "gain": None, "curve": [], "folds": 0, "seconds": 100.0},
    }  # fmt: skip
    said = next_in_words(document)
    assert len(said) <= 12
    assert max(map(len, said)) <= 80
    text = " ".join("\n".join(said).split())
    assert "20 more trials +2.00 points (+0.10 to +6.00) about 2 minutes" in text
    assert "Go on searching: 20 more trials" in text
    assert "`sweeps confirm 'a sweep' --folds 28` settles" in text
    stop = " ".join(next_in_words({**document, "should_search": False, "folds": None}))
    assert "Stop searching" in stop
    assert "more data may" in stop
    assert "twice the data not measured about 2 minutes to measure" in text
    assert "`sweeps next 'a sweep' --more-data` measures" in text
    points = [{"share": s, "score": gain | {"value": v}} for s, v in ((0.25, 0.9), (1.0, 0.95))]
    data = document["data"] | {"gain": gain, "curve": points, "folds": 20}
    measured = next_in_words({**document, "data": data})
    assert len(measured) <= 12
    text = " ".join("\n".join(measured).split())
    assert "twice the data +2.00 points (+0.10 to +6.00) if they can be had" in text
    assert "trial-3 on 25 and 100 % of its training data: 90.00 and 95.00 % (20 folds)." in text
    nothing = next_in_words({**document, "data": None})
    assert not any("data" in line for line in nothing)
    done = " ".join(next_in_words({**document, "folds": None, "is_settled": True}))
    assert "More folds bring nothing" in done


@pytest.mark.slow
def test_a_sweep_is_told_what_to_do_next(tmp_path, make_home):
    space, home = tmp_path / "one.yaml", make_home()
    space.write_text(SPACE)

    def call(*words):
        return CliRunner().invoke(app, [*map(str, words), "--home", str(home)])

    sweeps.run(str(space), trials=5, home=home, workers=0, progress="quiet")
    early = json.loads(call("next", "one", "--json").stdout)
    assert (early["trials"]["gain"], early["should_search"]) == (None, None), "too few trials"
    sweeps.run(str(space), trials=14, home=home, workers=0, progress="quiet")
    before = json.loads(call("next", "one", "--json").stdout)
    assert (before["is_confirmed"], before["noise"], before["vote"]) == (False, None, None)
    assert before["trials"]["number"] == 13, "the baseline is no trial of the search"
    assert before["folds"] == {"gain": None, "number": 20, "seconds": before["folds"]["seconds"]}
    assert "luck included" in call("next", "one").stdout
    assert call("confirm", "one", "--top", 2, "--folds", 8, "--workers", 0).exit_code == 0
    written = sorted(path.stat().st_mtime_ns for path in home.rglob("*.json"))
    then = json.loads(call("next", "one", "--json", "--trials", 20).stdout)
    assert sorted(path.stat().st_mtime_ns for path in home.rglob("*.json")) == written
    assert then["trials"]["number"] == 20
    assert then["noise"] == pytest.approx(math.sqrt(0.8 * 0.2 / 60), rel=0.5)
    assert then["trials"]["gain"]["value"] < then["margin"]
    assert then["should_search"] is False
    assert (then["folds_now"], then["folds"]["number"]) == (8, 12)
    assert then["folds"]["seconds"] > 0
    assert then["vote"]["ahead_by"]["low"] > 0
    said = call("next", "one").stdout
    assert "Stop searching" in said
    assert "--folds 20" in said
    assert max(map(len, said.splitlines())) <= 80
