"""`sweeps ensemble` and votes in evaluations, on confirmed sweeps whose answers are drawn."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.access_log import evaluations_of
from sweeps.confirm.finalists import ACCURACY
from sweeps.confirm.test_set import earlier_questions, questions_of
from sweeps.errors import SamplesWarning
from sweeps.home import Home
from sweeps.runner.ownership import SweepLock
from tests.sweeps.voting_experiment import LABELS, SPACE, TEST_LABELS, drawn

pytestmark = pytest.mark.slow
CONFIRM = ("--top", 3, "--folds", 8)


def caller(home):
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a home with two confirmed sweeps of the same data, and one that is not."""
    folder = tmp_path_factory.mktemp("voting")
    (folder / "space.yaml").write_text(SPACE)
    call = caller(folder / "mlruns")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for seed, name in enumerate(["one", "two", "bare"]):
            words = ("--name", name, "--seed", seed, "--workers", 0)
            ran = call("run", folder / "space.yaml", *words)
            assert ran.exit_code == 0, ran.output
            if name != "bare":
                ran = call("confirm", name, *CONFIRM, "--workers", 0, "--details")
                assert ran.exit_code == 0, ran.output
                assert "Votes on fresh folds" in ran.stdout
        yield folder / "mlruns"


def told(home, *words):
    result = caller(home)("ensemble", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def trainings(home, name):
    """Return by finalist (8, n, classes) shares, and once (8, n) samples, fold by fold."""
    sweep = sweeps.load(f"{name}-confirmation", home)
    store = sweep.home.store(sweep.info.id)
    records = [store.read(record.key) for record in store.read_all()]
    labels = {str(record.params["finalist"]): [] for record in records}
    samples = {}
    for record in sorted(records, key=lambda record: record.params["block"]):
        labels[str(record.params["finalist"])].append(record.result.arrays["fold_predictions"])
        samples[record.params["block"]] = record.result.arrays["fold_samples"]
    return {k: np.array(v) for k, v in labels.items()}, np.array(list(samples.values()))


def answered(home, entry):
    """Return (8, n, classes) what the trainings of a frozen entry answer to the test set."""
    store = Home(home).store(entry.confirmation)
    found = []
    for record in map(store.read, entry.trainings):
        skill, seed = (one[0] for one in store.weights(record).values())
        powers = np.exp(drawn(float(skill), int(seed) + 1, TEST_LABELS).astype(float))
        found.append(powers / powers.sum(axis=1, keepdims=True))
    return np.array(found)


def test_each_vote_is_what_counting_by_hand_gives(home):
    document = told(home, "one")
    shares, samples = trainings(home, "one")
    classes = LABELS[samples]
    accuracy = {k: (v.argmax(axis=2) == classes).mean() for k, v in shares.items()}
    order = sorted(accuracy, key=accuracy.get, reverse=True)
    assert document["single"]["finalist"] == order[0]
    assert document["single"]["accuracy"]["value"] == pytest.approx(accuracy[order[0]])
    assert document["folds"] == 8
    count = len(order)
    names = [f"top {k}" for k in range(2, count)] + [f"all {count}"]
    assert [vote["ensemble"] for vote in document["votes"]] == names
    for vote in document["votes"]:
        members = order[: int(vote["ensemble"].split()[1])]
        assert vote["members"] == members
        assert vote["parameters"] == 100 * len(members)
        right = np.mean([shares[name] for name in members], axis=0).argmax(axis=2) == classes
        assert vote["vote"] == "mean"
        assert vote["accuracy"]["value"] == pytest.approx(right.mean())
        ahead = vote["ahead_by"]
        assert ahead["value"] == pytest.approx(vote["accuracy"]["value"] - accuracy[order[0]])
        assert ahead["low"] < ahead["value"] < ahead["high"]
    best = max(document["votes"], key=lambda vote: vote["accuracy"]["value"])
    assert best["ahead_by"]["low"] > 0, "their mistakes are unrelated"
    assert best["verdict"] == "cannot tell yet", "8 folds are fewer than those of the first look"
    (announced,) = [vote for vote in document["votes"] if vote["announced"]]
    assert (announced["ensemble"], announced["vote"]) == (f"all {count}", "mean")
    shown = caller(home)("ensemble", "one").stdout
    assert f"{100 * announced['accuracy']['value']:.2f} against" in " ".join(shown.split())


def test_top_asks_about_one_number_with_narrower_intervals(home):
    everything = {v["ensemble"]: v for v in told(home, "one")["votes"]}
    document = told(home, "one", "--top", 2)
    (vote,) = document["votes"]
    assert (vote["ensemble"], vote["announced"]) == ("top 2", True)
    own, wide = vote["ahead_by"], everything["top 2"]["ahead_by"]
    assert own["value"] == wide["value"]
    assert wide["low"] < own["low"] < own["high"] < wide["high"]


def test_finalists_of_two_sweeps_vote_together_and_what_both_have_counts_once(home):
    document = told(home, "one", "two")
    by_name = {vote["ensemble"]: vote for vote in document["votes"]}
    assert by_name["champions"]["announced"]
    winners = by_name["champions"]["members"]
    assert [name.partition(":")[0] for name in sorted(winners)] == ["one", "two"]
    (everyone,) = [vote["members"] for name, vote in by_name.items() if name.startswith("all")]
    own = [trainings(home, name) for name in ("one", "two")]
    assert np.array_equal(own[0][1], own[1][1])
    assert sum(name.endswith("baseline-dull") for name in everyone) == 1, "the same networks"
    assert len(everyone) == sum(len(shares) for shares, _ in own) - 1
    soft = np.mean([
        own[["one", "two"].index(sweep)][0][label]
        for sweep, _, label in (name.partition(":") for name in winners)
    ], axis=0)  # fmt: skip
    right = soft.argmax(axis=2) == LABELS[own[0][1]]
    assert by_name["champions"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert document["single"]["accuracy"]["value"] == max(
        told(home, name)["single"]["accuracy"]["value"] for name in ("one", "two")
    )


def test_the_table_fits_eighty_columns(home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = caller(home)("ensemble", "one", "two", "--top", 3)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    lines = result.stdout.splitlines()
    rows = [line for line in lines if re.match(r"(champions|top 3|all \d)", line)]
    assert len(rows) == 3
    assert all(re.search(r"[+-]\d+\.\d\d\.\.[+-]\d+\.\d\d", row) for row in rows), "never broken"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["bare"],
            "'bare' is not confirmed, so that nothing of it can vote; first: `sweeps confirm bare",
        ),
        (["nothing"], "no sweep 'nothing'"),
        (["one", "--top", 9], "--top 9: 4 different finalists can vote, give 2 to 4"),
        (["one", "--data", "others"], "was made on other data"),
    ],
)
def test_what_cannot_vote_is_said(home, words, said):
    result = caller(home)("ensemble", *words)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_what_cannot_be_confirmed_is_not_sent_to_be(finished_toy):
    toy = finished_toy()
    result = caller(toy.home.path)("ensemble", "toy")
    assert result.exit_code == 2
    assert "has no fresh folds to confirm on" in result.stderr
    assert "sweeps confirm" not in result.stderr


def test_sweeps_of_different_data_do_not_vote_together(home, tmp_path):
    call = caller(home)
    (tmp_path / "space.yaml").write_text(SPACE)
    words = ("--name", "elsewhere", "--data", "others", "--workers", 0)
    assert call("run", tmp_path / "space.yaml", *words).exit_code == 0
    words = ("confirm", "elsewhere", *CONFIRM, "--data", "others", "--workers", 0)
    assert call(*words).exit_code == 0
    refused = call("ensemble", "one", "elsewhere")
    assert refused.exit_code == 2
    assert (
        "cannot vote together: they were made on different data (drawn, others)" in refused.stderr
    )
    assert call("ensemble", "elsewhere", "--data", "others").exit_code == 0


class TestReading:
    """In the order they stand here: an evaluation is made, seen, and taken for an older one."""

    def test_votes_over_trainings_are_told_from_stored_logits(self, home):
        call = caller(home)
        assert not told(home, "one")["test"], "nothing was read yet"
        assert not (home / "test").exists()
        ran = call("confirm", "one", "two", *CONFIRM, "--workers", 0, "--test", "--json")
        assert ran.exit_code == 0, ran.output
        first, second = (document["test_votes"] for document in json.loads(ran.stdout))
        assert first == second
        assert (first["was_asked"], first["evaluation"]["number"]) == (True, 1)
        page = sweeps.load("one", home).report(home.parent / "one.html").read_text()
        assert "among the questions of evaluation 1" in page
        (_, evaluation) = evaluations_of(sweeps.load("one", home).home, [])[0]
        assert tuple(evaluation.questions) == questions_of(ACCURACY)
        assert [winner["sweep"] for winner in first["champions"]] == ["one", "two"]
        rows = {(vote["voters"], vote["vote"]): vote for vote in first["votes"]}
        names = ("one", "two")
        assert list(rows) == [(name, "mean") for name in names]
        for name, entry in zip(
            names, [e for e in evaluation.entries if e.role == "winner"], strict=True
        ):
            own = answered(home, entry)
            share = (own.mean(axis=0).argmax(axis=1) == TEST_LABELS).mean()
            rival = (own.argmax(axis=2) == TEST_LABELS).mean()
            found = rows[name, "mean"]
            assert found["members"] == 8
            assert found["accuracy"]["value"] == pytest.approx(share)
            assert found["ahead_by"]["value"] == pytest.approx(share - rival)
        assert rows["two", "mean"]["verdict"] == "better"
        assert "the mean prediction of 8 trainings is better" in page

    def test_ensemble_and_report_show_what_the_reading_said_without_another_one(self, home):
        for names in (["one"], ["one", "two"]):
            document = told(home, *names)
            assert [document["kind"], *(t["kind"] for t in document["test"])] == [
                "votes", "test votes"
            ]  # fmt: skip
            shown = caller(home)("ensemble", *names).stdout
            assert shown.index("Votes on fresh folds") < shown.index("the test set, read once")
        assert len(list((home / "test").glob("*/*.json"))) == 1
        page = sweeps.load("two", home).report(home.parent / "two.html").read_text()
        assert page.index("Votes on fresh folds") < page.index("The test set, read once")
        assert page.index("The test set, read once") < page.index("Votes on the test set")
        assert caller(home)("doctor").exit_code == 0

    def test_a_reading_made_before_there_were_votes_is_the_same_one_and_tells_them(self, home):
        (path,) = (home / "test").glob("*/0001.json")
        before = json.loads(path.read_text())
        without_votes, across_sweeps, *_ = earlier_questions(ACCURACY)
        asked = questions_of(ACCURACY)
        assert across_sweeps[: len(asked)] == asked
        path.write_text(json.dumps(before | {"questions": list(without_votes)}))
        scores = path.with_suffix(".npz").stat().st_mtime_ns
        assert told(home, "one")["test"][0]["was_asked"] is False
        assert "Asked after the evaluation" in caller(home)("ensemble", "one").stdout
        call = caller(home)
        ran = call("confirm", "one", "two", *CONFIRM, "--workers", 0, "--test", "--json")
        assert ran.exit_code == 0, ran.output
        document = json.loads(ran.stdout)[0]
        assert document["test"]["evaluation"]["number"] == 1
        assert document["test_votes"]["was_asked"] is False
        assert json.loads(path.read_text())["questions"] == list(without_votes)
        assert path.with_suffix(".npz").stat().st_mtime_ns == scores, "nothing was scored again"
        other = call("confirm", "one", *CONFIRM, "--workers", 0, "--test")
        assert (other.exit_code, "--again" in other.stderr) == (2, True), "another list"

    def test_a_reading_is_told_while_a_sweep_of_an_earlier_one_is_run_again(self, home):
        two = sweeps.load("two", home)
        lock = two.home.store(two.info.id).folder / "lock"
        first = ("confirm", "one", "two", *CONFIRM, "--workers", 0, "--test")
        assert caller(home)(*first).exit_code == 0, "evaluation 1, unless it is there already"
        words = ("confirm", "one", *CONFIRM, "--workers", 0, "--test", "--again", "two goes on")
        with SweepLock(lock, "two"):  # as `sweeps run` does with more trials
            ran = caller(home)(*words, "--json")
        assert ran.exit_code == 0, ran.output
        assert json.loads(ran.stdout)["test"]["evaluation"]["number"] == 2

    def test_a_sweep_that_was_sent_elsewhere_takes_its_votes_along(self, home, tmp_path):
        assert caller(home)("share", "one", tmp_path / "one.sweep").exit_code == 0
        there = caller(tmp_path / "there")
        assert there("import", tmp_path / "one.sweep").exit_code == 0
        with pytest.warns(SamplesWarning, match="If you trust it: `sweeps trust one FOLDER`"):
            file = sweeps.load("one", tmp_path / "there").report(tmp_path / "one.html")
        page = file.read_text()
        assert "Votes on the test set" in page
