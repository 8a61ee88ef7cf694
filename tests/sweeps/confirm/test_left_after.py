"""All finalists on the first folds, the best two and the best baseline on all: nothing else."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from functools import partial

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.confirm.comparison import best_of
from sweeps.confirm.confirm import lacks
from sweeps.confirm.finalists import Finalist
from sweeps.home import Home
from sweeps.interval import Interval
from sweeps.records import ConfirmationRecord
from sweeps.records.conclusions import LeftAfter
from sweeps.render.answer import answer, rare_failures
from sweeps.render.methods import methods
from sweeps.render.sections.confirmed import put_in_words
from tests.homes import copy_home
from tests.sweeps.confirm.test_replacing import caller
from tests.sweeps.factories import make_info
from tests.sweeps.launching import Launched
from tests.sweeps.render.builders import standing_of, verdict_of
from tests.sweeps.voting_experiment import SPACE


def finalists(*labels):
    return [Finalist(label, n, {}, 0.9, n + 1) for n, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("means", "going"),
    [
        ({"trial-1": 5, "trial-2": 4, "trial-3": 3, "baseline-a": 2, "baseline-b": 1}, "12a"),
        ({"trial-1": 1, "trial-2": 2, "trial-3": 3, "baseline-a": 4, "baseline-b": 5}, "ab"),
        ({"trial-1": 3, "trial-2": 1, "trial-3": 4, "baseline-a": 1, "baseline-b": 2}, "13b"),
        ({"trial-1": 1, "trial-2": 1, "trial-3": 1, "baseline-a": 0}, "12a"),
        ({"trial-1": 5, "trial-2": 4, "trial-3": 3, "control-7": 1, "baseline-a": 2}, "127a"),
        ({"trial-1": 1, "trial-2": 4, "trial-3": 3, "control-7": 2}, "1237"),  # against its best
        ({"trial-1": 5, "trial-2": 4}, "12"),
        ({"trial-3": 3}, "3"),
    ],
)
def test_the_best_two_go_on_and_the_best_baseline_and_the_best_of_random_trials(means, going):
    found = best_of(finalists(*means), means)
    assert "".join(one.label.rpartition("-")[2] for one in found) == going


# In real confirmations.


def call_in(home):
    return partial(caller(home), "confirm", "one", "--workers", 0)


def trainings(home, name="one-confirmation"):
    """Return how many trainings each finalist has, and no fold twice."""
    home = Home(home)
    records = home.store(home.get(name).id).read_all()
    pairs = Counter((r.params["block"], r.params["finalist"]) for r in records)
    assert set(pairs.values()) == {1}
    return Counter(label for _, label in pairs)


def verdict(home):
    return json.loads(call_in(home)("--json")[1])


@pytest.fixture(scope="module")
def searched(tmp_path_factory, migrated_database):
    """A home with a sweep of six trials, the first of them a baseline; it is copied only."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "one.yaml").write_text(SPACE)
    home = folder / "home"
    home.mkdir()
    shutil.copy(migrated_database, home / "mlflow.db")
    assert caller(home)("run", folder / "one.yaml", "--trials", 6, "--workers", 0)[0] == 0
    return home


@pytest.fixture
def home(searched, tmp_path):
    copy_home(searched, tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.slow
def test_three_of_six_are_left_after_eight_folds_and_all_that_is_said_is_of_them(home):
    call = call_in(home)
    code, said, _ = call()
    assert code == 0, said
    assert sorted(trainings(home).values()) == [8, 8, 8, 20, 20, 20]
    told = verdict(home)
    left = [one["finalist"] for one in told["left_after"]]
    assert len(told["standings"]) == len(left) == 3
    assert {label for label, count in trainings(home).items() if count == 8} == set(left)
    scores = [one["accuracy"] for one in told["left_after"]]
    assert scores == sorted(scores, reverse=True)
    assert {one["folds"] for one in told["left_after"]} == {8}
    assert "Best of the three left after 8 folds? " in " ".join(said.split())
    assert sum(trainings(home).values()) == 84, "to ask again trains nothing"

    code, said, _ = call("--all")
    assert (code, set(trainings(home).values())) == (0, {20})
    assert "Best of the six? " in said
    assert verdict(home)["left_after"] == [], "as before"
    code, said, _ = call("--quick")
    assert (code, sum(trainings(home).values())) == (0, 120)
    said = " ".join(said.split())
    assert "since this confirmation is without" in said, "it says less than the one in force"


@pytest.mark.slow
def test_with_more_folds_only_those_that_are_left_are_trained_on_them(home):
    call = call_in(home)
    assert call("--folds", 8)[0] == 0
    assert set(trainings(home).values()) == {8}
    assert verdict(home)["left_after"] == [], "there is nothing to leave out yet"
    assert call("--folds", 20)[0] == 0
    before = trainings(home)
    assert sorted(before.values()) == [8, 8, 8, 20, 20, 20]
    assert call("--folds", 28)[0] == 0
    assert trainings(home) == {label: {8: 8, 20: 28}[count] for label, count in before.items()}
    assert CliRunner().invoke(app, ["doctor", "--home", str(home)]).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("folds", [5, 9, 15])
def test_it_is_the_same_if_it_is_killed_and_goes_on_with_other_workers(home, tmp_path, folds):
    copy_home(home, tmp_path / "killed")
    assert call_in(home)("--quick")[0] == 0
    killed = Home(tmp_path / "killed")
    words = ["confirm", "one", "--workers", "2", "--home", str(killed.path)]
    running = Launched([*words, "--quick"])
    count = 4 * 6 + 3 * (folds - 4)

    def ended():
        found = killed.find("one-confirmation")
        return 0 if found is None else len(killed.store(found.id).state().ended)

    end = time.monotonic() + 60
    while ended() < count:
        assert time.monotonic() < end, running.stderr()
        assert running.is_alive(), running.stderr()
        time.sleep(0.01)
    running.kill()
    assert Launched([*words, "--quick"]).wait() == 0
    assert trainings(killed.path) == trainings(home)
    first, second = (
        {
            (r.trial, r.params["block"], r.params["finalist"]): (r.seed, r.objective)
            for r in Home(path).store(Home(path).get("one-confirmation").id).read_all()
            if r.ends_trial
        }
        for path in (home, killed.path)
    )
    assert first == second


@pytest.mark.slow
def test_both_ways_at_once_are_a_mistake(home):
    code, said, error = call_in(home)("--quick", "--all")
    assert (code, said) == (2, "")
    assert error == "error: --quick and --all: give one of them\n"
    assert Home(home).find("one-confirmation") is None


# What is said.


def told(*leaders, **changes):
    """Return the verdict on two of four finalists; one of the search, and a baseline."""
    behind = Interval(0.02, 0.01, 0.03)
    standings = [
        standing_of(*(leaders or ("trial-4", 4)), Interval(0.94, 0.93, 0.95)),
        standing_of("baseline-a", 0, Interval(0.92, 0.91, 0.93), behind, "worse"),
    ]
    left = [LeftAfter("trial-2", 2, 8, 0.935, 0.95), LeftAfter("trial-3", 3, 8, 0.93, None)]
    return verdict_of(*standings, **{"left_after": left, **changes})


def test_the_answer_counts_those_that_are_left_and_says_of_how_many():
    said = answer([told()])
    assert any(line.startswith("Best of the two left after 8 folds? ") for line in said)
    assert said[-1].startswith("From 20 folds x 2 finalists, of 4 on the first 8; 95 % intervals")


def test_tables_name_the_others_with_their_score_on_the_first_folds_and_no_more():
    worded = put_in_words(told())
    rows = [row for row in worded.rows if row[0] in {"trial-2", "trial-3"}]
    assert rows == [
        ["trial-2", "93.50", "95.00", "", "", "", "left out after 8 folds"],
        ["trial-3", "93.00", "", "", "", "", "left out after 8 folds"],
    ]
    text = " ".join([worded.lead, *worded.lines])
    assert "Left out after 8 folds, so that nothing is said of: trial-2, trial-3." in text


def test_the_paragraph_for_a_paper_says_what_was_trained_on_which_folds():
    said = methods(make_info(), [told()])
    assert "The best 3 configurations of the search and 1 baseline were trained again" in said
    assert (
        "on the same 8 folds of samples that had scored no trial; the best two there and the best"
        in said
    )
    assert "Nothing is claimed of those left out after 8 folds: trial-2 and trial-3." in said


def test_what_twenty_trainings_cannot_show_is_said_with_what_could():
    (said,) = rare_failures(told())
    assert said == (
        "None of the 20 trainings of trial-4 failed; up to 14 % may, and if 2.1 % failed "
        "altogether the lead over the baseline was gone: 140 trainings without a failure rule "
        "that out."
    )
    assert said in put_in_words(told()).lines
    assert said not in answer([told()]), "no training of any finalist went wrong"
    baseline = replace(told().standings[1], failed=1)
    assert said in answer([replace(told(), standings=[told().standings[0], baseline])])
    assert rare_failures(told(folds=40))[0].startswith(
        "None of the 40 trainings of trial-4 failed; up"
    )
    taken = replace(told().standings[0], outlying_folds=1)
    assert rare_failures(replace(told(), standings=[taken, baseline])) == []


def concluded(*leader, left=("trial-2", "trial-3")):
    left_after = [LeftAfter(label, int(label[-1]), 8, 0.9, None) for label in left]
    verdict = told(*leader, left_after=left_after)
    return ConfirmationRecord("a", "a", "0000-1", verdict.champion, conclusions=[verdict])


def test_a_confirmation_that_left_out_others_lacks_nothing_beside_another_one_that_did():
    other = concluded("trial-2", 2, left=("trial-4", "trial-3"))
    assert lacks(other, concluded()) == ""
    assert lacks(other, concluded(left=())) == "is without trial-4"
