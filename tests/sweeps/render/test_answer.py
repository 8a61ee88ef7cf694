"""The answer: every case in which a reader is told something else."""

import re

import pytest
from msgspec.structs import replace

from sweeps.interval import Interval
from sweeps.records.conclusions import (
    AtEvaluation,
    Calibration,
    CalibrationConclusion,
    EnsembleConclusion,
    EnsembleMember,
    Judged,
    Measure,
    SelectionBiasConclusion,
)
from sweeps.records.conclusions import (
    TestConclusion as OnTestSet,
)
from sweeps.records.conclusions import (
    TestedFinalist as FinalistOnTestSet,
)
from sweeps.render.answer import MOST_LINES, answer, in_lines, with_commands
from sweeps.render.sections.confirmed import put_in_words
from tests.sweeps.render.builders import standing_of, verdict_of

PARAMS = {
    16: {"learning_rate": 2.01e-3, "batch_size": 16, "units_1": 125},
    17: {"learning_rate": 1e-3, "batch_size": 32, "units_1": 99},
    1: {"learning_rate": 1e-3, "batch_size": 128, "units_1": 25},
}


def standing(finalist, trial, accuracy, ahead=None, verdict="worse", chance=0.003):
    """A finalist; `ahead` is how far the leader is, with the ends of the interval, in points."""
    mean = Interval.around(accuracy / 100, 0.0065)
    lead = None if ahead is None else Interval(*(points / 100 for points in ahead))
    return standing_of(finalist, trial, mean, lead, verdict, chance_best=chance)


LEADER = standing("trial-16", 16, 94.57, verdict="leads", chance=0.664)
OPEN = standing("trial-17", 17, 94.38, (0.19, -0.8, 1.2), "cannot tell yet", 0.327)
EQUAL = standing("trial-17", 17, 94.38, (0.09, -0.2, 0.3), "equivalent", 0.327)
WORSE = standing("trial-12", 12, 93.7, (0.9, 0.2, 1.7), chance=0.006)
BEHIND = standing("baseline-tutorial", 1, 93.2, (1.4, 0.9, 1.9))
CLOSE = standing("baseline-tutorial", 1, 94.3, (0.3, -0.2, 0.8), "cannot tell yet")


def verdict(*standings, **changes):
    return verdict_of(*standings, **{"champion": "trial-16", "settled": False, **changes})


def first(*standings, **changes):
    return answer([verdict(*standings, **changes)], PARAMS)


BIAS = SelectionBiasConclusion("trial-17", 0.952, 0.944, Interval(0.0083, 0.001, 0.016))
MEMBERS = [EnsembleMember(trial, 1 / 6, 0.95, 700.0, 2.0) for trial in range(11, 17)]
ENSEMBLE = EnsembleConclusion(
    MEMBERS, replace(MEMBERS[-1], parameters=1000.0), Interval.around(0.951, 0.006),
    Interval.around(0.9457, 0.0065), Interval(0.0075, 0.002, 0.013), 0.007, "best_val_accuracy",
    "best_val_cross_entropy", 20, 1000,
)  # fmt: skip


def share(value, unit="share"):
    return Interval.around(value, 0.001, unit)


CALIBRATION = CalibrationConclusion(
    "trial-16",
    {"trial-16": Calibration(1.3, 1.2, 1.4, {
        "ece": Measure(share(0.016), share(0.006), share(-0.01), "lower"),
        "nll": Measure(share(0.2, "nats"), share(0.18, "nats"), share(-0.02, "nats"), "lower"),
    })},
)  # fmt: skip
WHOLE = [verdict(LEADER, OPEN, WORSE, BEHIND), BIAS, CALIBRATION, ENSEMBLE]


def test_a_winner_is_told_in_the_order_in_which_one_asks():
    assert answer(WHOLE, PARAMS, is_served=True) == [
        "Take trial-16: +1.4 points over your baseline on fresh folds (+0.9 to +1.9).",
        "  learning_rate=2.01e-03, batch_size=16, units_1=125",
        "Quote 94.6 % (93.9 to 95.2).",
        "Not the search's 95.2 % (trial-17): 0.8 points (0.1 to 1.6) were luck.",
        "Best of the four? Not settled; chance of each: trial-16 66 %, trial-17 33 %; trial-12 and "
        "the baseline under 1 %.",
        "Six trials as an ensemble: +0.8 points over trial 16 (+0.2 to +1.3) in validation, at 4.2 "
        "times size and time: `sweeps export mlp DIR --ensemble`.",
        "Champion in MLflow: trial-16.",
        "From 20 folds x 4 finalists; 95 % intervals, for new samples and seeds.",
    ]


def test_it_is_twelve_lines_of_80_columns_with_its_three_commands():
    commands = {f"sweeps {word} mlp": "a hint" for word in ("confirm", "run", "report")}
    lines = with_commands(answer(WHOLE[:-1], PARAMS, is_served=True), commands)
    assert len(lines) == 11
    with_ensemble = with_commands(answer(WHOLE, PARAMS, is_served=True), commands)
    assert len(with_ensemble) == MOST_LINES == 12
    assert with_ensemble[-3] == "  sweeps confirm mlp   a hint", "there is no room for its source"
    assert max(map(len, lines)) <= 80
    assert lines[-4] == "  sweeps confirm mlp   a hint"
    assert lines[-1].startswith("From 20 folds")
    many = {16: {f"parameter_{n}": 0.5 for n in range(30)}}
    longer = with_commands(answer(WHOLE, many, is_served=True), commands)
    assert len(longer) <= 12
    assert any(re.search(r", and \d\d more$", line) for line in longer), longer


@pytest.mark.parametrize(
    ("standings", "changes", "told"),
    [
        (
            (LEADER, OPEN, CLOSE), {},
            "No winner yet: nothing beats your baseline beyond luck (trial-16: +0.3 points, -0.2 "
            "to +0.8). Keep the baseline.",
        ),
        (
            (LEADER, replace(CLOSE, verdict="equivalent")), {},
            "No winner: nothing beats your baseline beyond luck (trial-16: +0.3 points, -0.2 to "
            "+0.8). Keep the baseline.",
        ),
        (
            (replace(CLOSE, leader_ahead_by=None, verdict="leads"), WORSE),
            {"champion": "baseline-tutorial"},
            "Keep your baseline: nothing beats it (best found: trial-12, -0.9 points, -1.7 to "
            "-0.2).",
        ),
        (
            (replace(CLOSE, leader_ahead_by=None, verdict="leads"), EQUAL),
            {"champion": "trial-17"},
            "Nothing beats your baseline, but trial-17 is as good, and smaller: take it.",
        ),
        (
            (LEADER, EQUAL, BEHIND), {"champion": "trial-17"},
            "Take trial-17: as good as the leader, trial-16 (+1.4 points over your baseline on "
            "fresh folds (+0.9 to +1.9)), and smaller.",
        ),
        (
            (LEADER, WORSE), {},
            "Take trial-16: 94.6 % on fresh folds; there is no baseline to beat.",
        ),
        (
            (LEADER, EQUAL), {"champion": "trial-17"},
            "Take trial-17: as good as the leader, trial-16 (94.6 % on fresh folds), and smaller; "
            "there is no baseline to beat.",
        ),
        (
            (LEADER, BEHIND, standing("baseline-wide", 2, 93.0, (1.6, 0.4, 2.8))), {},
            "Take trial-16: +1.6 points over baseline-wide on fresh folds (+0.4 to +2.8).",
        ),
    ],
)  # fmt: skip
def test_the_first_sentence_says_what_to_take(standings, changes, told):
    assert first(*standings, **changes)[0] == told


def test_a_baseline_that_is_kept_gives_the_parameters_and_the_figure():
    lines = first(LEADER, OPEN, CLOSE)
    assert lines[1] == "  learning_rate=1.00e-03, batch_size=128, units_1=25"
    assert lines[2] == "Quote 94.3 % (93.7 to 94.9) for the baseline, on fresh folds."
    assert lines[-2] == "Champion: trial-16, though it is not proven better."


@pytest.mark.parametrize(
    ("total", "told"),
    [
        ((0.008, 0.001, 0.016), "0.8 points (0.1 to 1.6) were luck."),
        ((0.003, -0.002, 0.008), "+0.3 points (-0.2 to +0.8) may be luck."),
        ((-0.003, -0.008, 0.002), "no luck is seen in it (-0.3 points, -0.8 to +0.2)."),
        ((-0.008, -0.016, -0.001), "on fresh folds it has +0.8 points."),
        ((0.002, 0.0004, 0.0036), "0.20 points (0.04 to 0.36) were luck."),
    ],
)
def test_the_luck_of_the_search_is_said_as_far_as_it_is_known(total, told):
    bias = replace(BIAS, total=Interval(*total))
    (line,) = [one for one in answer([WHOLE[0], bias]) if one.startswith("Not ")]
    assert line == f"Not the search's 95.2 % (trial-17): {told}"


@pytest.mark.parametrize(
    ("ahead", "pays"),
    [
        ((0.0075, 0.002, 0.013), True),
        ((0.0075, -0.001, 0.016), False),
        ((0.0065, 0.002, 0.011), False),
        ((-0.0075, -0.013, -0.002), False),
    ],
    ids=["better", "not told apart", "within the margin", "worse"],
)
def test_an_ensemble_is_named_only_if_it_is_better_by_more_than_the_margin(ahead, pays):
    found = replace(ENSEMBLE, ahead_by=Interval(*ahead))
    assert any("as an ensemble" in line for line in answer([WHOLE[0], found])) is pays


def test_where_less_is_better_an_ensemble_is_told_in_words():
    ahead = Interval(0.099, 0.012, 0.186, "number")
    found = replace(ENSEMBLE, ahead_by=ahead, metric="mae", margin=0.05)
    assert (
        "Six trials as an ensemble: 0.099 better than trial 16 (+0.012 to +0.186) in validation, "
        "at 4.2 times size and time: `sweeps export mlp DIR --ensemble`."
    ) in answer([WHOLE[0], found])


def test_the_figure_of_the_test_set_is_the_one_to_quote():
    at = AtEvaluation(1, 1, "1234abcd" * 8, "2026-11-28", "")
    winner = FinalistOnTestSet("champion", "trial-16", Interval.around(0.941, 0.01), None)
    tested = OnTestSet(at, 20, 1000, [winner], None, None)
    quoted = "Quote 94.1 % (93.1 to 95.1), on the test set (evaluation 1 of 1); the folds' "
    assert f"{quoted}94.6 % agrees." in answer([*WHOLE, tested])
    lower = replace(winner, accuracy=Interval.around(0.92, 0.01))
    apart = answer([*WHOLE, replace(tested, finalists=[lower])])
    assert any(line.endswith("the folds' 94.6 % does not agree.") for line in apart)
    other = replace(winner, finalist="trial-3")
    stale = replace(tested, finalists=[other])
    assert "Quote 94.6 % (93.9 to 95.2)." in answer([*WHOLE, stale])


@pytest.mark.parametrize(
    ("score", "says"), [(0.9342, "agrees"), (0.9332, "does not agree"), (0.9582, "does not agree")]
)
def test_the_folds_agree_with_the_test_set_up_to_the_errors_of_both_added_in_squares(score, says):
    """The ends are 1.00 and 0.65 points away, so that 1.19 points are allowed."""
    at = AtEvaluation(1, 1, "1234abcd" * 8, "2026-11-28", "")
    winner = FinalistOnTestSet("champion", "trial-16", Interval.around(score, 0.01), None)
    lines = answer([*WHOLE, OnTestSet(at, 20, 1000, [winner], None, None)])
    assert any(line.endswith(f"the folds' 94.6 % {says}.") for line in lines)


@pytest.mark.parametrize("change", ["lower", "cannot tell", "higher"])
def test_calibration_is_told_in_its_section_alone(change):
    own = CALIBRATION.finalists["trial-16"]
    measures = {**own.measures, "ece": replace(own.measures["ece"], verdict=change)}
    found = replace(CALIBRATION, finalists={"trial-16": replace(own, measures=measures)})
    *_, champion, _ = answer([WHOLE[0], found], PARAMS)
    assert champion == "Champion: trial-16."
    says = {"lower": "is lower", "cannot tell": "cannot be said to change", "higher": "is higher"}
    assert f"its calibration error {says[change]}" in put_in_words(found).lead


def test_missing_folds_left_out_finalists_and_a_refit_are_said():
    lines = first(
        LEADER, BEHIND, folds=16, left_out=["trial-3"], refit="mlp-refit",
    )  # fmt: skip
    assert lines[3] == (
        "Best of the two, on 16 of 20 folds, without trial-3? Not settled; chance of each: "
        "trial-16 66 %; the baseline under 1 %."
    )
    assert lines[-2] == "Champion: trial-16, trained on all but the test set (mlp-refit)."


def test_many_finalists_are_counted_and_a_control_has_no_parameters():
    others = [standing(f"trial-{n}", n, 93, (1, 0.1, 2)) for n in range(9)]
    control = standing("control-1", 1, 94.6, verdict="leads", chance=0.9)
    lines = first(control, *others, champion="control-1")
    order = next(line for line in lines if line.startswith("Best of the 10?"))
    assert order.endswith("control-1 90 %; trial-0, trial-1, trial-2 and 6 more under 1 %.")
    assert not any("learning_rate" in line for line in lines)


def test_of_one_random_search_it_is_not_said():
    control = standing("control-1", 1, 94.0, (0.6, 0.1, 1.1))
    gained = Interval(0.006, 0.001, 0.011)
    of_one = verdict(LEADER, control, BEHIND, gain_over_control=gained, control_trials=20)
    assert not any("pay" in line for line in answer([of_one], PARAMS))
    assert not any("it paid" in line for line in put_in_words(of_one).lines)
    assert any(
        "one random search of 20 trials (control-1)" in s for s in put_in_words(of_one).lines
    )


def test_without_a_verdict_there_is_no_answer():
    assert answer([BIAS, ENSEMBLE]) == []


def test_a_sentence_goes_on_indented():
    assert in_lines(["one two three", "four"], width=9) == ["one two", "  three", "four"]


def test_a_settled_leader_has_its_chance_and_is_never_certain():
    said = first(replace(LEADER, chance_best=0.9999), WORSE, settled=True)
    assert (
        "Best of the two? Yes: trial-16 is better than every other one (chance over 99 %)." in said
    )


def test_the_figure_to_quote_is_less_what_picking_it_on_these_folds_added():
    said = first(LEADER, OPEN, quotable=Interval(0.944, 0.936, 0.95), quotable_bias=0.0017)
    assert "Quote 94.4 % (93.6 to 95.0), corrected by 0.2 points for being picked." in said
    nothing = first(LEADER, OPEN, quotable=Interval(0.944, 0.936, 0.95), quotable_bias=0.00004)
    assert "Quote 94.4 % (93.6 to 95.0)." in nothing


def test_below_the_first_look_there_is_no_verdict():
    said = first(LEADER, BEHIND, folds=8, folds_asked=8, margin=0.007, looks=[])
    assert (
        said[0]
        == "No verdict on 8 folds: trial-16 is +1.4 points over your baseline (+0.9 to +1.9)."
    )
    assert said[1].startswith("  learning_rate=2.01e-03")
    assert "Best of the two? Too few folds to say: trial-16 leads." in said


def test_commands_beyond_the_twelfth_line_are_left_out():
    commands = {f"sweeps {number}": "" for number in range(3)}
    assert len(with_commands([f"Sentence {number}." for number in range(11)], commands)) == 12
    assert len(with_commands([f"Sentence {number}." for number in range(15)], commands)) == 15


def test_data_that_have_judged_other_sweeps_too_are_named_in_a_line_of_its_own():
    used = Judged(finalists=114, sweeps=23, on_machine=True)
    said = first(*[LEADER] * 11, BEHIND, judged=used, folds=100)[-1]
    assert said == (
        "From 100 folds x 12 finalists; 95 % intervals. These samples judged 114 finalists of 23 "
        "sweeps."
    )
    once = first(LEADER, BEHIND, judged=Judged(2, 1, True))[-1]
    assert once == "From 20 folds x 2 finalists; 95 % intervals, for new samples and seeds."
