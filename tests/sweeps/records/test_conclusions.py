"""A conclusion whose parts do not fit together is a damaged file, whoever wrote it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from sweeps.interval import Interval
from sweeps.journal import events
from sweeps.journal.events import MOST_BYTES, Confirmed, json_text
from sweeps.records import RecordError, RecordStore
from sweeps.records import conclusions as kept
from sweeps.render.sections.confirmed import put_in_words
from sweeps.workspace.files import parse_json
from tests.sweeps.records.test_store import INFO
from tests.sweeps.render.builders import standing_of, verdict_of

SHARE = Interval(0.9, 0.89, 0.91, "share")
GAIN = Interval(0.01, 0.0, 0.02, "share")
BEST = standing_of("trial-1", 1, SHARE, searched=0.9)
NEXT = standing_of("control-2", 2, SHARE, GAIN, "cannot tell yet", searched=0.9, folds_needed=40)
AT = kept.AtEvaluation(1, 1, "ab" * 32, "2026-11-28", "")
MEASURE = kept.Measure(SHARE, SHARE, GAIN, "cannot tell")
MEMBER = kept.EnsembleMember(1, 0.6, 0.9, 10.0, 1.0)
TESTED = kept.TestConclusion(
    AT, 8, 1000, [kept.TestedFinalist("champion", "trial-1", SHARE, None)], None, None
)
WHOLE = (
    verdict_of(BEST, NEXT, settled=False, gain_over_control=GAIN, control_trials=20),
    kept.SelectionBiasConclusion("trial-1", 0.92, 0.9, GAIN),
    kept.CalibrationConclusion(
        "trial-1", {"trial-1": kept.Calibration(1.1, 1.0, 1.2, {"ece": MEASURE})}
    ),
    kept.EnsembleConclusion(
        [MEMBER, msgspec.structs.replace(MEMBER, trial=2, weight=0.4)], MEMBER, SHARE, SHARE, GAIN,
        0.005, "best_val_accuracy", "best_val_cross_entropy", 20, 1000,
    ),
    TESTED,
)  # fmt: skip
UNFIT = {
    "champion": ["verdict", lambda d: d.update(champion="trial-9")],
    "no finalists": ["verdict", lambda d: d.update(standings=[])],
    "no control": ["verdict", lambda d: d["standings"].pop()],
    "uncalibrated": ["calibration", lambda d: d.update(champion="trial-9")],
    "unknown measure": [
        "calibration",
        lambda d: d["finalists"]["trial-1"].update(measures={"brier": d["finalists"]}),
    ],
    "no member": ["ensemble", lambda d: d.update(members=[])],
    "nobody tested": ["test", lambda d: d.update(finalists=[])],
}


def document(conclusion):
    return parse_json(json_text(kept.facts_of(conclusion)).encode())


def kind_of(conclusion):
    return document(conclusion)["kind"]


@pytest.fixture
def conclusions(tmp_path):
    store = RecordStore(tmp_path / "20260101-abcdabcd")
    store.begin(INFO)
    return kept.Conclusions(store)


def record(**changes):
    """Return the conclusion of a confirmation whose folder is that of the sweep itself."""
    values = {
        "confirmation": "20260101-abcdabcd", "trained_in": "20260101-abcdabcd",
        "champion": "0001-1", "finalist": "trial-1", "top": 2, "folds": 8,
        "conclusions": WHOLE[:4],
    }  # fmt: skip
    return kept.ConfirmationRecord(**(values | changes))


@pytest.mark.parametrize("whole", WHOLE, ids=kind_of)
def test_a_conclusion_comes_back_as_it_was_kept_and_is_put_in_words(whole):
    again = msgspec.convert(document(whole), kept.Conclusion)
    assert type(again) is type(whole)
    assert document(again) == document(whole)
    assert put_in_words(again) == put_in_words(whole)


@pytest.mark.parametrize("case", UNFIT)
def test_one_whose_parts_do_not_fit_is_refused_when_it_is_read(case):
    kind, spoil = UNFIT[case]
    spoilt = document(next(one for one in WHOLE if kind_of(one) == kind))
    spoil(spoilt)
    with pytest.raises(msgspec.ValidationError, match=r"."):
        msgspec.convert(spoilt, kept.Conclusion)


def test_a_confirmation_comes_back_from_its_journal_whatever_its_numbers_are(conclusions):
    odd = Interval(math.nan, -math.inf, math.inf, "number")
    bias = kept.SelectionBiasConclusion("trial-1", -0.0, np.float64(5e-324), odd)
    conclusions.keep(record(conclusions=[*WHOLE[:4], bias]))
    found = conclusions.confirmed()
    assert (found.champion, found.finalist, found.verdict.champion) == ("0001-1", *["trial-1"] * 2)
    assert [document(one) for one in found.conclusions[:4]] == [document(one) for one in WHOLE[:4]]
    assert repr(found.conclusions[4]) == repr(msgspec.convert(document(bias), kept.Conclusion))
    assert math.copysign(1, found.conclusions[4].searched) == -1


def test_one_that_has_no_room_in_a_line_lies_in_a_text_and_one_without_it_is_damaged(conclusions):
    worded = kept.WordedConclusion("old", "Confirmed", "It leads.", ["x"], [["y" * 70_000]])
    conclusions.keep(record(conclusions=[worded]))
    store = conclusions._store
    assert store.journal.path.stat().st_size < MOST_BYTES
    (found,) = conclusions.confirmed().conclusions
    assert document(found) == document(worded)
    text = store.text_path(store.state().confirmed[-1].text)
    text.write_bytes(text.read_bytes().replace(b"leads", b"loses"))
    with pytest.raises(RecordError, match=r"event 2 is damaged \(its text [0-9a-f]{64} is lost\)"):
        conclusions.confirmed()
    told = []
    assert conclusions.all(told.append) == []
    assert len(told) == 1
    assert "`sweeps confirm` with --top and --folds as before then makes it again" in told[0]


def test_results_of_the_same_evaluation_are_replaced_and_kept_once(conclusions):
    name = "abababab-1"
    for _ in range(2):
        conclusions.keep_tested(name, TESTED)
    assert len(conclusions._store.journal.read(pytest.fail)) == 2, "sweep, results"
    assert [document(one) for one in conclusions.all()] == [document(TESTED)]
    later = msgspec.structs.replace(TESTED, samples=2000)
    conclusions.keep_tested(name, later)
    assert [document(one) for one in conclusions.all()] == [document(later)]


def test_votes_of_an_earlier_version_are_skipped_and_lose_nothing_else(conclusions):
    facts = document(record())
    facts["conclusions"].insert(1, {"kind": "votes", "sweeps": ["mlp"], "single": {"of": 3}})
    of_votes = {"kind": "test votes", "champions": []}
    conclusions._store.append(
        Confirmed(conclusion=facts),
        events.Tested(evaluation="abababab-1", is_vote=False, conclusion=document(TESTED)),
        events.Tested(evaluation="abababab-1", is_vote=True, conclusion=of_votes),
    )
    assert [document(one) for one in conclusions.all(pytest.fail)] == [
        document(one) for one in WHOLE
    ]
    assert conclusions.confirmed().champion == "0001-1"


def test_of_one_that_was_stored_in_words_only_the_title_is_a_fact():
    worded = kept.WordedConclusion("old", "Confirmed", "It leads.", [], [])
    assert kept.document_of(worded) == {"kind": "stored in words", "title": "Confirmed"}
    assert kept.document_of(WHOLE[0])["champion"] == "trial-1"


SPOILT = {
    "champion": lambda d: d.update(champion="1"),
    "a line": lambda d: d.update(finalist="trial-1\x1b[31m"),
    "a name of a finalist": lambda d: d["conclusions"][2]["finalists"].update(
        {"a\nb": d["conclusions"][2]["finalists"]["trial-1"]}
    ),
    "the id of a sweep": lambda d: d.update(trained_in="../elsewhere"),
    "an unknown member": lambda d: d.update(winner="trial-1"),
    "an unknown kind": lambda d: d["conclusions"][0].update(kind="belief"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_one_that_no_confirmation_wrote_is_damaged(conclusions, case):
    facts = document(record())
    SPOILT[case](facts)
    conclusions._store.append(Confirmed(conclusion=facts))
    with pytest.raises(RecordError, match=r"event 2 is damaged \(.*\); `sweeps confirm` with"):
        conclusions.confirmed()
    told = []
    assert conclusions.all(told.append) == []
    assert len(told) == 1
