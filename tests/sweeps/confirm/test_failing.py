"""Confirmations whose trainings fail or diverge: they count, are named, and it ends."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.checks import why_no_verdict
from sweeps.confirm.finalists import Finalist
from sweeps.home import Home
from tests.sweeps.factories import make_record
from tests.sweeps.voting_experiment import SPACE

EXPERIMENT = '''
from dataclasses import replace
from pathlib import Path
from tests.sweeps.voting_experiment import VotingExperiment as Base

BAD = Path(__file__).with_name("bad.txt")

class Failing(Base):
    def train(self, spec, data, on_epoch):
        kind = "search" if data.payload is None else "fold"
        return self.ending(kind, spec.config, super().train(spec, data, on_epoch))

    def refit(self, spec, data, epochs, on_epoch):
        result = Base.train(self, spec, data, on_epoch)
        return self.ending("refit", spec.config, result)

    def ending(self, kind, config, result):
        """Fails, or diverges, as a file says: with which skill, and how it is trained."""
        skill, when, how = BAD.read_text().split()
        if kind != when or skill not in ("any", str(config["skill"])):
            return result
        if how == "diverge":
            return replace(result, outcome="diverged", stop_reason="diverged", metrics={})
        raise RuntimeError(f"no luck with {config['skill']}")

experiment = Failing()
'''


def attempts(home):
    """Return the keys of all attempts that were recorded."""
    found = Home(home)
    return [(i.name, r.key) for i in found.sweeps() for r in found.store(i.id).read_all()]


@pytest.fixture
def confirm(tmp_path, make_home, request):
    """Return what confirms a sweep of four trials, and the folder of what says how it fails."""
    module = f"failing_folds_{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / f"{module}.py").write_text(EXPERIMENT)
    (tmp_path / "bad.txt").write_text("none none none")
    space = tmp_path / "one.yaml"
    space.write_text(SPACE.replace("tests.sweeps.voting_experiment:", f"{module}:"))

    def call(*words):
        home = ("--home", make_home())
        return CliRunner().invoke(app, [*map(str, (*words, *home))])

    ran = call("run", space, "--trials", 4, "--workers", 0)
    assert ran.exit_code == 0, ran.output
    return call, tmp_path / "bad.txt"


WORDS = ("confirm", "one", "--folds", 8, "--workers", 0)


@pytest.mark.slow
def test_a_finalist_that_fails_every_time_is_named_counts_and_can_be_left_out(confirm, tmp_path):
    call, bad = confirm
    best = sweeps.load("one", tmp_path / "home").best()
    trial = best.number
    bad.write_text(f"{best.params['skill']} fold raise")
    failed = call(*WORDS, "--top", 3, "--details")
    assert failed.exit_code == 0, failed.output
    assert "warming up" not in failed.output, "its parts are one count"
    said = " ".join(failed.stdout.split())
    assert f"trial-{trial}: 8 of 8 trainings failed. They count: " in said
    assert "`sweeps retry one-confirmation` and the same command" in said
    document = json.loads(call(*WORDS, "--json").stdout)
    (own,) = (s for s in document["standings"] if s["finalist"] == f"trial-{trial}")
    assert (own["failed"], own["diverged"]) == (8, 0)
    others = [s["accuracy"]["value"] for s in document["standings"] if s is not own]
    assert own["accuracy"]["value"] < min(others), "as the worst training of any finalist"
    assert document["champion"] != own["finalist"]

    records = attempts(tmp_path / "home")
    told = call(*WORDS, "--top", 3, "--leave-out", trial, "--replace", "--json")
    assert told.exit_code == 0, told.output
    assert attempts(tmp_path / "home") == records, "none is new"
    document = json.loads(told.stdout)
    assert (document["confirmation"], document["failure"]) == ("one-confirmation", None)
    assert f"trial-{trial}" not in [s["finalist"] for s in document["standings"]]
    assert document["left_out"] == [f"trial-{trial}"]
    again = call(*WORDS)
    assert again.exit_code == 0, "as before"
    assert f"Best of the three, without trial-{trial}?" in " ".join(again.stdout.split())
    details = call(*WORDS, "--details")
    assert f"so that nothing is said of: trial-{trial}" in " ".join(details.stdout.split())

    bad.write_text("none none none")
    retried = call("retry", "one-confirmation", "--workers", 0)
    assert retried.exit_code == 0, retried.output
    whole = call(*WORDS, "--top", 3)
    assert whole.exit_code == 0, whole.output
    assert f"trial-{trial}" in whole.stdout


@pytest.mark.slow
def test_a_finalist_that_diverges_every_time_counts_and_can_be_left_out(confirm, tmp_path):
    call, bad = confirm
    best = sweeps.load("one", tmp_path / "home").best()
    bad.write_text(f"{best.params['skill']} fold diverge")
    told = call(*WORDS, "--top", 1, "--test", "--details")
    assert told.exit_code == 0, told.output
    assert f"trial-{best.number}: 8 of 8 trainings diverged. They count: " in " ".join(
        told.stdout.split()
    )
    assert "sweeps retry" not in told.stdout
    assert "The champion is baseline-dull." in told.stdout
    asked = ("--top", 3, "--leave-out", best.number, "--replace", *WORDS[2:])
    left = call("confirm", "one", *asked)
    assert left.exit_code == 0, left.output
    assert f"without trial-{best.number}?" in " ".join(left.stdout.split())
    assert left.stdout.count(f"trial-{best.number}") == 1


@pytest.mark.slow
def test_trainings_that_fail_one_after_another_are_said_to_do_so(confirm):
    call, bad = confirm
    bad.write_text("any fold raise")
    failed = call(*WORDS, "--top", 2)
    assert failed.exit_code == 1, failed.output
    assert "one-confirmation was ended, for its trainings failed one after another" in failed.stderr
    assert "sweeps retry one-confirmation 0 1 2" in failed.stderr


@pytest.mark.slow
def test_a_refit_that_fails_does_not_take_the_verdict_along(confirm, tmp_path):
    call, bad = confirm
    bad.write_text("any refit raise")
    refit = call(*WORDS, "--top", 2, "--refit")
    assert refit.exit_code == 1, refit.output
    assert "Best of the " in refit.stdout
    assert "is not there as trained on everything: of 1 training 1 failed" in refit.stderr
    assert "sweeps retry one-refit" in refit.stderr
    bad.write_text("none none none")
    assert call("retry", "one-refit", "--workers", 0).exit_code == 0
    whole = call(*WORDS, "--top", 2, "--refit", "--details")
    assert whole.exit_code == 0, whole.output
    assert [info.name for info in Home(tmp_path / "home").sweeps()] == [
        "one", "one-confirmation", "one-refit"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--leave-out", "40"], "--leave-out 40: finalists of 'one' are the trials "),
        (["--top", "1", "--leave-out", "0"], "1 of 2 finalists are left"),
    ],
)
def test_who_cannot_be_left_out_is_said(confirm, tmp_path, words, said):
    call, _ = confirm
    refused = call(*WORDS, *words)
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output
    assert not list((tmp_path / "home" / "sweeps").glob("*/finalists-*"))


@pytest.mark.parametrize(
    ("more", "way"), [(0, None), (1, "--top 3 --leave-out 0"), (9, "--top 3 --leave-out 0")]
)
def test_leaving_out_is_advised_where_two_would_be_left(more, way):
    finalists = [Finalist("trial-0", 0, {}, 0.9, 1), Finalist("trial-4", 4, {}, 0.8, 2)]
    records = [make_record(n, outcome="failed", params={"block": n, "finalist": "trial-0"})
               for n in range(8)]  # fmt: skip
    said = why_no_verdict("one", "one-confirmation", records, finalists, is_whole=True, more=more)
    assert ("--leave-out" in said) == (way is not None)
    assert way is None or way in said


def test_random_trials_that_fail_are_left_out_by_leaving_the_control_out():
    finalists = [Finalist("trial-0", 0, {}, 0.9, 1), Finalist("control-4", 4, {}, 0.8, 0)]
    records = [make_record(n, outcome="failed", params={"block": n, "finalist": "control-4"})
               for n in range(8)]  # fmt: skip
    said = why_no_verdict("one", "one-confirmation", records, finalists, is_whole=True, more=0)
    assert "control-4: of 8 trainings 8 failed" in said
    assert "no --control" in said
    assert "--leave-out" not in said
