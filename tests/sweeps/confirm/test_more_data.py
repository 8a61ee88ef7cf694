"""What more training data would bring: power laws whose truth is known, and a sweep end to end."""

import json
from dataclasses import replace

import numpy as np
import pytest

import sweeps
from benchmarks.finalists import simulated
from sweeps.capabilities import nested_share
from sweeps.confirm.best import Joint
from sweeps.confirm.more_data import SHARES, gain_of_more_data
from sweeps.home import Home
from tests.chance import at_least
from tests.sweeps.folding_experiment import SPACE
from tests.sweeps.voting_experiment import SPACE as VOTING

ALL = (*SHARES, 1.0)


def curve(step, exponent, error=1e-6):
    """Return exact scores of a power law, whose last doubling brought `step`, and its next gain."""
    size = step / (2**exponent - 1)
    scores = -size * np.array(ALL) ** -exponent
    joint = Joint.of(simulated(np.random.default_rng(0), 0.0, 3, 20))
    covariance = error**2 * np.array([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
    return replace(joint, means=scores, covariance=covariance), size * (1 - 2**-exponent)


@pytest.mark.parametrize("exponent", [0.1, 0.35, 0.5, 1.0])
def test_a_power_law_is_continued(exponent):
    joint, truth = curve(0.01, exponent)
    gain = gain_of_more_data(joint, ALL)
    assert gain.value == pytest.approx(truth, rel=0.02)
    assert gain.high - gain.low < 0.1 * truth


@pytest.mark.parametrize("exponent", [0.1, 0.35, 0.5, 1.0])
def test_the_interval_covers_the_gain_of_noisy_scores(exponent):
    joint, truth = curve(0.01, exponent, error=0.002)
    random, draws = np.random.default_rng(1), 100
    noisy = random.multivariate_normal(joint.means, joint.covariance, draws)
    found = [gain_of_more_data(replace(joint, means=means), ALL) for means in noisy]
    assert sum(gain.low <= truth <= gain.high for gain in found) >= at_least(0.95, draws)


def test_a_flat_or_falling_curve_gains_nothing_and_nothing_is_better_than_perfect():
    joint, _ = curve(0.01, 0.5)
    for means in ([0.9, 0.9, 0.9], [0.9, 0.89, 0.88]):
        assert gain_of_more_data(replace(joint, means=np.array(means)), ALL).value < 1e-5
    assert gain_of_more_data(joint, ALL, room=0.002).ends == (0.002, 0.002)


def test_a_smaller_share_is_part_of_a_larger_one_and_classes_keep_theirs():
    classes = np.repeat([0, 1, 2], [100, 60, 40])
    half, quarter = (nested_share(200, share, 3, classes) for share in (0.5, 0.25))
    assert (len(half), len(quarter)) == (100, 50)
    assert set(quarter) < set(half)
    assert np.bincount(classes[quarter]) == pytest.approx([25, 15, 10], abs=1)
    assert set(nested_share(200, 0.1, 3)) < set(nested_share(200, 0.9, 3))
    assert len(nested_share(3, 0.01, 0)) == 1
    assert not np.array_equal(half, nested_share(200, 0.5, 4, classes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "direction"),
    [("mae", "minimize"), pytest.param("auc", "maximize", marks=pytest.mark.nightly)],
)
def test_the_champion_is_trained_on_less_and_never_twice(
    tmp_path, make_home, call, metric, direction
):
    space, home = tmp_path / "one.yaml", make_home()
    space.write_text(SPACE.replace("METRIC", metric).replace("DIRECTION", direction))
    sweeps.run(str(space), trials=3, home=home, workers=0, progress="quiet")
    early = call("next", "one", "--more-data")
    assert (early.exit_code, early.stdout) == (2, "")
    assert "has no champion yet; first `sweeps confirm one" in " ".join(early.stderr.split())
    margin = ("--margin", 0.01) if metric == "auc" else ()
    assert call("confirm", "one", "--folds", 8, "--workers", 0, *margin).exit_code == 0
    before = json.loads(call("next", "one", "--json").stdout)["data"]
    assert (before["gain"], before["curve"], before["folds"]) == (None, [], 0)
    assert before["seconds"] > 0
    ran = call("next", "one", "--more-data", "--workers", 0, "--json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)["data"]
    assert [point["share"] for point in found["curve"]] == [0.25, 0.5, 1.0]
    assert found["folds"] == 8
    assert found["seconds"] == 0
    assert found["gain"]["low"] <= found["gain"]["value"] <= found["gain"]["high"]
    assert found["gain"]["unit"] == found["curve"][0]["score"]["unit"]
    scores = [point["score"]["value"] for point in found["curve"]]
    if metric == "mae":
        assert scores[0] > scores[2], "less data, a larger error"
    trained = Home(home).store(Home(home).get("one-data").id)
    assert len(trained.read_all()) == 16
    confirmed = json.loads(call("confirm", "one", "--folds", 8, "--workers", 0, "--json").stdout)
    standings = confirmed["standings"]
    champion = next(one for one in standings if one["finalist"] == confirmed["champion"])
    assert scores[2] == pytest.approx(champion["accuracy"]["value"])
    assert confirmed["others"] == [], "it is no confirmation of the sweep"
    again = call("next", "one", "--more-data", "--workers", 0)
    assert again.exit_code == 0
    assert "twice the data" in again.stdout
    assert max(map(len, again.stdout.splitlines())) <= 80
    assert call("next", "one", "--csv", "-").stdout.count("\ndata,") == 1
    assert len(trained.read_all()) == 16, "nothing is trained twice"
    assert call("confirm", "one", "--folds", 12, "--workers", 0).exit_code == 0
    more = json.loads(call("next", "one", "--more-data", "--workers", 0, "--json").stdout)
    assert (more["data"]["folds"], len(trained.read_all())) == (12, 24), "it goes on"


@pytest.mark.slow
def test_an_experiment_that_cannot_be_thinned_is_refused(tmp_path, make_home, call):
    space = tmp_path / "one.yaml"
    space.write_text(VOTING)
    sweeps.run(str(space), trials=3, home=make_home(), workers=0, progress="quiet")
    assert call("confirm", "one", "--top", 2, "--folds", 8, "--workers", 0).exit_code == 0
    refused = call("next", "one", "--more-data", "--workers", 0)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "SupportsSubsets" in refused.stderr
    assert json.loads(call("next", "one", "--json").stdout)["data"] is None
    assert "one-data" not in [info.name for info in Home(make_home()).sweeps()]
