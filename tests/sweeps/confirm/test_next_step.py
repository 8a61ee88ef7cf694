"""Where the next minute pays: simulated searches whose truth is known, and a sweep end to end."""

import json
import math
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.best import LOOKS
from sweeps.confirm.next_step import gain_of_more_trials
from sweeps.interval import Interval
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


def test_words_say_stop_or_go_on_and_which_folds_settle():
    gain = Interval(0.02, 0.001, 0.06)
    said = next_in_words("a sweep", trials=20, gain=gain, margin=0.005, folds=28)
    assert said == (
        "Go on searching: 20 more trials are expected to bring the margin or more (0.50 points). "
        "`sweeps confirm 'a sweep' --folds 28` settles which of those on all folds is the best, "
        "in 8 of 10 cases."
    )
    little = Interval(0.002, 0.0, 0.01)
    stop = next_in_words("a sweep", trials=20, gain=little, margin=0.005, folds=None)
    assert stop == (
        "Stop searching: 20 more trials are expected to bring less than the margin (0.50 points)."
    )
    assert next_in_words("a sweep", trials=5, gain=None, margin=0.005, folds=None) == ""


@pytest.mark.slow
def test_a_confirmation_ends_with_what_to_do_next(tmp_path, make_home):
    space, home = tmp_path / "one.yaml", make_home()
    space.write_text(SPACE)

    def said(trials):
        sweeps.run(str(space), trials=trials, home=home, workers=0, progress="quiet")
        line = ("confirm", "one", "--top", 2, "--folds", 8, "--workers", 0, "--home", home)
        done = CliRunner().invoke(app, [*map(str, line), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["next"]

    early = said(5)
    assert "searching:" not in early, "too few trials to say"
    found = re.match(r"`sweeps confirm one --folds (\d+)` settles which of those", early)
    assert found is not None, early
    assert int(found[1]) in LOOKS
    then = said(14)
    assert then.startswith("Stop searching: 13 more trials"), "the baseline is no trial of it"
