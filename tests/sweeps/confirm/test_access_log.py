"""Evaluations of a test set are counted over a home, and told from what was stored."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from sweeps.confirm.access_log import (
    AccessLog,
    Entry,
    Evaluation,
    MachineLog,
    state_folder,
)
from sweeps.confirm.access_log import TestSetUse as MachineUse
from sweeps.confirm.finalists import ACCURACY, Scored
from sweeps.confirm.test_set import conclude_evaluations, earlier_questions, questions_of
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.records import Conclusions, DamagedRecordWarning, RecordError, put_aside
from sweeps.render.sections.confirmed import put_in_words
from tests.sweeps.factories import make_info
from tests.sweeps.records.test_conclusions import TESTED

DIGEST = "ab" * 32


def entry(role="winner", label="trial-1", sweep="20250101-aaaaaaaa", weights="w"):
    return Entry(sweep, "mlp", role, label, "20250101-bbbbbbbb", ["0000-1"], [weights])


@pytest.fixture
def access_log(tmp_path):
    return AccessLog(Home(tmp_path), DIGEST)


def test_the_first_reading_needs_no_reason_and_the_same_list_is_the_same_evaluations(access_log):
    first = access_log.freeze([entry()], ["accuracy"], "")
    assert (first.number, first.reason) == (1, "")
    again = replace(entry(), name="renamed", confirmation="20250101-dddddddd")
    same = access_log.freeze([again], ["accuracy"], "")
    assert same == replace(first, entries=[again]), "the models count, by weights"
    assert access_log.all() == [first]
    assert access_log.scores(first) is None, "frozen, not scored yet: it counts already"


@pytest.mark.parametrize(
    ("entries", "questions"),
    [
        ([entry(label="trial-2")], ["accuracy"]),
        ([entry(weights="other")], ["accuracy"]),
        ([entry()], ["accuracy", "recall"]),
        ([entry(sweep="20250101-cccccccc")], ["accuracy"]),
    ],
)
def test_another_list_is_another_reading_and_asks_for_a_reason(access_log, entries, questions):
    access_log.freeze([entry()], ["accuracy"], "")
    with pytest.raises(UsageError, match=r"was read once, last on .* for mlp: .*--again"):
        access_log.freeze(entries, questions, " ")
    assert len(access_log.all()) == 1
    second = access_log.freeze(entries, questions, "a mistake in the first")
    assert (second.number, second.reason) == (2, "a mistake in the first")
    assert [evaluation.number for evaluation in access_log.all()] == [1, 2]
    with pytest.raises(UsageError, match="was read 2 times"):
        access_log.freeze([entry(label="trial-9")], questions, "")


NOW, EARLIER = questions_of(ACCURACY), earlier_questions(ACCURACY)


@pytest.mark.parametrize("asked", EARLIER, ids=" ".join)
def test_a_reading_that_asked_otherwise_is_the_same_one_if_its_scores_answer_all(access_log, asked):
    first = access_log.freeze([entry()], asked, "")
    same = access_log.freeze([entry()], NOW, "", earlier=EARLIER)
    assert (same.number, same.list_digest) == (1, first.list_digest)
    assert same.questions == list(asked), "what was asked then is not rewritten"
    with pytest.raises(UsageError, match="was read once"):
        access_log.freeze([entry(weights="other")], NOW, "", earlier=EARLIER)
    with pytest.raises(UsageError, match="was read once"):
        access_log.freeze([entry()], NOW, "")


@pytest.mark.parametrize(
    ("asked", "was"),
    [
        (EARLIER[-2], "07985e56f9e33574494e747e0528c0f5d984eb151edfd656bc03fc6c411cad38"),
        (EARLIER[-1], "1d4b6cfe9da4680b3c616ed1f2f04a30b657d8207c87f04be7bded794598697f"),
        (
            earlier_questions(Scored.by("mae", "minimize"))[1],
            "1f935bce1e9df983f5e476cad041df2b808522b71e0b873d65c444051ba448de",
        ),
    ],
)
def test_the_digest_of_a_reading_made_by_an_earlier_version_is_what_it_was(asked, was):
    evaluation = Evaluation(1, DIGEST, 0, "", [entry()], asked, "best_val_accuracy")
    assert evaluation.list_digest == was
    assert replace(evaluation, questions=NOW).list_digest != was


def test_readings_that_came_with_an_imported_sweep_count_too(access_log, tmp_path):
    store = Home(tmp_path).store(make_info().id)
    store.begin(make_info())
    for number, digest in ((3, DIGEST), (7, "cd" * 32)):
        Conclusions(store).keep_tested(f"{digest[:8]}-{number}", TESTED)
    assert access_log.count() == 3
    with pytest.raises(UsageError, match="was read 3 times: what is chosen"):
        access_log.freeze([entry()], ["accuracy"], "")
    assert access_log.freeze([entry()], ["accuracy"], "moved").number == 4


def test_another_test_part_has_readings_of_its_own(access_log, tmp_path):
    access_log.freeze([entry()], ["accuracy"], "")
    assert AccessLog(Home(tmp_path), "cd" * 32).all() == []


def test_scores_come_back_as_they_were_kept(access_log):
    evaluation = access_log.freeze([entry()], ["accuracy"], "")
    scores = {"samples": np.array(3), "values_0": np.ones((1, 3)), "labels": np.arange(3)}
    access_log.keep(evaluation, scores)
    kept = access_log.scores(evaluation)
    assert kept is not None
    assert all(np.array_equal(kept[name], scores[name]) for name in scores)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": np.ones((3, 1))}, "it has no samples"),
        ({"samples": np.array(3.0)}, "it has no samples"),
        ({"values_0": np.ones((2, 3))}, r"values_0 of trial-1 .* shape \(1, 3\)"),
        ({"values_0": np.ones((1, 4))}, r"values_0 of trial-1 .* shape \(1, 3\)"),
        ({}, "no whole archive of arrays"),
    ],
)
def test_damaged_scores_name_their_file_and_the_way_out(access_log, tmp_path, change, said):
    evaluation = access_log.freeze([entry()], ["accuracy"], "")
    whole = {"samples": np.array(3), "values_0": np.ones((1, 3))}
    access_log.keep(evaluation, whole | change)
    (path,) = tmp_path.glob("test/*/0001.npz")
    if not change:
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RecordError, match=rf"0001\.npz: damaged \({said}.*as the same evaluation"):
        access_log.scores(evaluation)


def test_a_damaged_list_is_not_read_past_and_counts_when_it_was_put_aside(access_log, tmp_path):
    access_log.freeze([entry()], ["accuracy"], "")
    (path,) = tmp_path.glob("test/*/0001.json")
    path.write_text(path.read_text()[:50])
    with pytest.raises(RecordError, match=r"0001\.json: damaged .*it counts as an evaluation"):
        access_log.freeze([entry()], ["accuracy"], "")
    found = []
    assert access_log.all(found.append) == []
    assert "damaged" in str(found[0])
    put_aside(path)
    assert access_log.count() == 1
    with pytest.raises(UsageError, match="was read once"):
        access_log.freeze([entry()], ["accuracy"], "")


def scored(access_log, shares, trainings=6, n=400):
    random = np.random.default_rng(0)
    roles = ["winner", "runner-up", "baseline"]
    entries = [entry(role, f"trial-{k}", weights=str(k)) for k, role in enumerate(roles)]
    easy = random.random((1, n))
    scores = {
        f"values_{k}": (easy + random.normal(0, 0.02, (trainings, n)) < share).astype(float)
        for k, share in enumerate(shares)
    } | {"samples": np.array(n)}
    return access_log.freeze(entries, ["accuracy"], ""), scores


def test_a_reading_says_shares_gaps_with_intervals_and_compares_the_two_files(access_log):
    evaluation, scores = scored(access_log, [0.95, 0.95, 0.80])
    told = put_in_words(conclude_evaluations(evaluation, entry().sweep, scores, evaluation.at(1)))
    shares = [scores[f"values_{k}"].mean() for k in range(3)]
    assert [row[2].split("±")[0] for row in told.rows] == [f"{100 * s:.2f}" for s in shares]
    gaps = [100 * (shares[0] - share) for share in shares[1:]]
    assert [row[3] for row in told.rows] == ["", *(f"{gap:+.2f}" for gap in gaps)]
    low, high = map(float, told.rows[2][4].split(".."))
    assert 0 < low < gaps[1] < high
    low, high = map(float, told.rows[1][4].split(".."))
    assert low < 0 < high
    champion, baseline = (scores[f"values_{k}"][0] != 0 for k in (0, 2))
    alone = (champion & ~baseline).sum(), (baseline & ~champion).sum()
    assert f"alone is right on {alone[0]} samples, trial-2 alone on {alone[1]}" in told.lines[0]
    p = float(told.lines[0].partition("p = ")[2].partition(")")[0])
    assert p < 1e-6
    assert told.title == "The test set, read once"
    assert told.lines[-1] == f"Evaluation 1 of 1 of test set {DIGEST[:8]} in this home."


def test_how_often_it_was_read_stands_with_every_evaluations(access_log):
    evaluation, scores = scored(access_log, [0.95, 0.9, 0.8])
    told = put_in_words(conclude_evaluations(evaluation, entry().sweep, scores, evaluation.at(3)))
    assert told.title == "The test set, evaluation 1 of 3"
    assert "Evaluation 1 of 3" in told.lines[-1]


def test_votes_among_the_scores_of_an_earlier_version_are_no_damage(access_log):
    evaluation, scores = scored(access_log, [0.95, 0.9, 0.8], trainings=1)
    access_log.keep(evaluation, scores | {"vote_0": np.ones(400)})
    assert {*access_log.scores(evaluation)} == {*scores, "vote_0"}


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Turn the machine's logs on, in a folder of the test."""
    monkeypatch.setenv("SWEEPS_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_evaluations_of_another_home_count_on_this_machine(state, tmp_path):
    first, second = (AccessLog(Home(tmp_path / name), DIGEST) for name in "ab")
    first.freeze([entry()], ["accuracy"], "")
    with pytest.raises(UsageError, match=r"was read once, last on .* for mlp \(other homes are .*"):
        second.freeze([entry(weights="other")], ["accuracy"], "")
    evaluation = second.freeze([entry(weights="other")], ["accuracy"], "a new home")
    assert (evaluation.number, first.count(), second.count()) == (2, 2, 2)
    assert second.at(evaluation).on_machine
    (file,) = state.iterdir()
    assert file.name == f"test-set-{DIGEST}.jsonl"


def test_the_same_list_in_another_home_is_the_same_evaluation(state, tmp_path):
    first, second = (AccessLog(Home(tmp_path / name), DIGEST) for name in "ab")
    first.freeze([entry()], ["accuracy"], "")
    copied = second.freeze([entry()], ["accuracy"], "")
    assert copied.reason == ""
    assert len((state / f"test-set-{DIGEST}.jsonl").read_text().splitlines()) == 1


def test_evaluations_of_a_home_from_before_the_log_are_merged_into_it(tmp_path, monkeypatch):
    old = AccessLog(Home(tmp_path / "old"), DIGEST)
    old.freeze([entry()], ["accuracy"], "")
    latest = old.freeze([entry(weights="2")], ["accuracy"], "again")
    assert not old.at(latest).on_machine, "turned off"
    monkeypatch.setenv("SWEEPS_STATE", str(tmp_path / "state"))
    new = AccessLog(Home(tmp_path / "new"), DIGEST)
    new.freeze([entry(weights="3")], ["accuracy"], "")
    old = AccessLog(Home(tmp_path / "old"), DIGEST)
    assert old.count() == 3, "its own two, and the one of another home"
    old.freeze([entry()], ["accuracy"], "")
    assert new.count() == 3, "seen from there, too, once that home was used again"


def test_damaged_lines_are_reported_and_whole_ones_count(state, tmp_path):
    access_log = AccessLog(Home(tmp_path / "a"), DIGEST)
    access_log.freeze([entry()], ["accuracy"], "")
    (file,) = state.iterdir()
    file.write_bytes(b'{"key": 3}\n\xff\n' + file.read_bytes() + b'{"key": "tor')
    other = AccessLog(Home(tmp_path / "b"), DIGEST)
    with pytest.warns(DamagedRecordWarning, match="3 damaged lines left out"):
        evaluation = other.freeze([entry(weights="other")], ["accuracy"], "again")
    assert evaluation.number == 2
    assert other.count() == 2, "what was added behind a torn line is a line of its own"


@pytest.mark.parametrize("made", ["a folder for the file", "a file for the folder"])
def test_a_log_that_cannot_be_kept_is_reported_and_the_home_counts(state, tmp_path, made):
    if made == "a file for the folder":
        state.write_text("")
    else:
        (state / f"test-set-{DIGEST}.jsonl").mkdir(parents=True)
    access_log = AccessLog(Home(tmp_path / "a"), DIGEST)
    with pytest.warns(DamagedRecordWarning, match="only this home is counted.*SWEEPS_STATE"):
        evaluation = access_log.freeze([entry()], ["accuracy"], "")
    assert evaluation.number == access_log.count() == 1
    assert not access_log.at(evaluation).on_machine


def add_uses(folder, name):
    os.environ["SWEEPS_STATE"] = folder
    log = MachineLog("test-set", DIGEST, MachineUse)
    for number in range(20):
        log.add([MachineUse(f"{name}-{number}", number, 0, [name]), MachineUse("all", 0, 0, [])])


def test_processes_that_write_at_once_lose_no_line(state):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add_uses, args=(str(state), name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(MachineLog("test-set", DIGEST, MachineUse).read()) == 61


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"SWEEPS_STATE": "off"}, None),
        ({"SWEEPS_STATE": "/tmp/logs", "XDG_STATE_HOME": "/xdg"}, "/tmp/logs"),
        ({"XDG_STATE_HOME": "/xdg"}, "/xdg/sweeps"),
        ({"XDG_STATE_HOME": "not/absolute"}, "/home/me/.local/state/sweeps"),
        ({}, "/home/me/.local/state/sweeps"),
    ],
)
def test_the_folder_of_the_logs(monkeypatch, variables, folder):
    for name in ("SWEEPS_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert state_folder() == (None if folder is None else Path(folder))
