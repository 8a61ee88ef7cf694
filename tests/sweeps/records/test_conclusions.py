"""A conclusion whose parts do not fit together is a damaged file, whoever wrote it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sweeps.interval import Interval
from sweeps.records import conclusions as kept
from sweeps.records.schema import shaped
from sweeps.render.sections.confirmed import put_in_words

SHARE = Interval(0.9, 0.89, 0.91, "share")
GAIN = Interval(0.01, 0.0, 0.02, "share")
BEST = kept.ConfirmedStanding("trial-1", 1, SHARE, 0.9, None, None, "leads", None)
NEXT = kept.ConfirmedStanding("control-2", 2, SHARE, 0.9, GAIN, 0.9, "cannot tell yet", 40)
AT = kept.AtEvaluation(1, 1, "ab" * 32, "2026-11-28", "")
MEASURE = kept.Measure(SHARE, SHARE, GAIN, "cannot tell")
ON_FOLDS = kept.VoteOnFolds("all 2", ["trial-1"], True, "soft", SHARE, GAIN, "better", 10.0, 1.0)
ON_TEST = kept.VoteOnTest("mlp", "soft", 8, SHARE, GAIN, "mlp", "better")
WHOLE = (
    kept.VerdictConclusion(
        "verdict",
        "mlp",
        20,
        "mlp-confirmation",
        8,
        8,
        False,
        "trial-1",
        [BEST, NEXT],
        GAIN,
        [],
        None,
        [],
    ),
    kept.SelectionBiasConclusion("selection_bias", "trial-1", 0.92, 0.9, GAIN, {"seed": GAIN}),
    kept.CalibrationConclusion(
        "calibration", "trial-1", {"trial-1": kept.Calibration(1.1, 1.0, 1.2, {"ece": MEASURE})}
    ),
    kept.VotesConclusion(
        "votes", ["mlp"], ["trial-1"], kept.SingleBest("trial-1", SHARE, 10.0, 1.0), [ON_FOLDS], 8
    ),
    kept.TestConclusion(
        "test", AT, 8, 1000, [kept.TestedFinalist("winner", "trial-1", SHARE, None)], None, None
    ),
    kept.TestVotesConclusion(
        "test votes", AT, True, [kept.TestedWinner("mlp", "trial-1", 8, SHARE)], "mlp", [ON_TEST]
    ),
)
UNFIT = {
    "recommended": ["verdict", lambda d: d.update(recommended="trial-9")],
    "no finalists": ["verdict", lambda d: d.update(standings=[])],
    "no control": ["verdict", lambda d: d["standings"].pop()],
    "uncalibrated": ["calibration", lambda d: d.update(recommended="trial-9")],
    "unknown measure": [
        "calibration",
        lambda d: d["finalists"]["trial-1"].update(measures={"brier": d["finalists"]}),
    ],
    "no vote": ["votes", lambda d: d.update(votes=[])],
    "a vote that leads": ["votes", lambda d: d["votes"][0].update(verdict="leads")],
    "nobody tested": ["test", lambda d: d.update(finalists=[])],
    "no soft vote": ["test votes", lambda d: d["votes"][0].update(vote="hard")],
    "of nobody": ["test votes", lambda d: d["votes"][0].update(of="cnn")],
}


def document(conclusion):
    return json.loads(json.dumps(dataclasses.asdict(conclusion)))


@pytest.mark.parametrize("whole", WHOLE, ids=lambda one: one.kind)
def test_a_conclusion_comes_back_as_it_was_kept_and_is_put_in_words(whole):
    again = shaped(kept.Conclusion, document(whole))
    assert document(again) == document(whole)
    assert put_in_words(again) == put_in_words(whole)


@pytest.mark.parametrize("case", UNFIT)
def test_one_whose_parts_do_not_fit_is_refused_when_it_is_read(case):
    kind, spoil = UNFIT[case]
    spoilt = document(next(one for one in WHOLE if one.kind == kind))
    spoil(spoilt)
    with pytest.raises(ValueError, match=r"."):
        shaped(kept.Conclusion, spoilt)
