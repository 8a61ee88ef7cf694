"""The answer of a report, with a confirmation and without, and the pictures that go with it."""

from __future__ import annotations

import dataclasses
import re

import msgspec
import numpy as np
import pytest

from sweeps.analysis.data import LoadedSamples, SweepData
from sweeps.analysis.findings import paired_difference
from sweeps.analysis.rows import trial_rows
from sweeps.analysis.summary import summarize
from sweeps.experiment import PreparedData, TrialResult
from sweeps.interval import Interval
from sweeps.records import conclusions as kept
from sweeps.records.store import RecordStore
from sweeps.render import comparing
from sweeps.render.page import figure
from sweeps.render.section import (
    Axis,
    Bars,
    Chart,
    Code,
    Facts,
    Folded,
    Heatmap,
    Line,
    Parallel,
    Points,
)
from sweeps.render.sections import render_report, report_sections
from sweeps.render.sections.classes import confusion_chart
from sweeps.render.sections.confirmed import forest_chart, put_in_words
from sweeps.render.sections.verdict import answer, fold_facts, verdict_section
from sweeps.wording import format_seconds
from tests.sweeps import toy_experiment
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import record, standing_of, sweep_info, verdict_of
from tests.sweeps.render.test_charts import CHARTS

BASELINE = record(0, 0.91, origin="baseline tutorial")
TRIALS = (BASELINE, record(1, 0.93), record(2, 0.94))


def standing(finalist, accuracy, behind=None, verdict="worse", folds_needed=None):
    ahead = None if behind is None else Interval.around(behind, 0.004)
    trial = int(number) if (number := finalist.partition("-")[2]).isdigit() else 0
    return standing_of(
        finalist, trial, Interval.around(accuracy, 0.006), ahead,
        "leads" if behind is None else verdict,
        searched=accuracy, folds_needed=folds_needed,
    )  # fmt: skip


SETTLED = verdict_of(
    standing("trial-1", 0.945), standing("trial-2", 0.938, 0.007),
    standing("baseline-tutorial", 0.93, 0.015),
)  # fmt: skip
OPEN = verdict_of(
    standing("trial-2", 0.945), standing("trial-1", 0.944, 0.001, "equivalent"),
    standing("baseline-tutorial", 0.943, 0.002, "cannot tell yet", 64),
    settled=False, champion="trial-1",
)  # fmt: skip


def summary_of(*records):
    return summarize(sweep_info(), records, asked=len(records), seconds=1.0, stopped_by=None)


def test_until_it_is_confirmed_the_best_leads_on_the_validation_set():
    lead, further = answer(summary_of(*TRIALS), [])
    assert lead == (
        "Trial 2 leads on the validation set: best_val_accuracy 0.9400, +3.00 points against the "
        "baseline tutorial."
    )
    assert further == "Not confirmed: the best of 3 trials is partly the luckiest."


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ((record(0, 0.9),), "there is no baseline to compare with."),
        ((BASELINE, record(1, 0.9)), "it is the baseline tutorial, and no other trial scored"),
    ],
)
def test_a_leader_without_a_rival_says_so(records, said):
    assert said in answer(summary_of(*records), [])[0]


def test_a_confirmed_winner_is_better_and_by_how_much():
    assert answer(summary_of(*TRIALS), [SETTLED])[:3] == [
        "Take trial-1: +1.5 points over your baseline on fresh folds (+1.1 to +1.9).",
        "Quote 94.5 % (93.9 to 95.1).",
        "Best of the three? Yes: trial-1 is better than every other one (chance 90 %).",
    ]


def test_what_is_not_settled_is_not_called_better():
    lead, *more = answer(summary_of(*TRIALS), [OPEN])
    assert lead.startswith("No winner yet: nothing beats your baseline beyond luck (trial-2: +0.2")
    assert "Best of the three? Not settled; chance of each: trial-2 90 %" in " ".join(more)


def test_the_test_set_and_what_came_later_belong_to_the_answer():
    at = kept.AtEvaluation(1, 1, "ab" * 32, "2026-11-28", "")
    found = [kept.TestedFinalist("champion", "trial-1", Interval.around(0.94, 0.01), None)]
    tested = kept.TestConclusion(at, 8, 1000, found, None, None)
    earlier = msgspec.structs.replace(SETTLED, trials=2)
    said = answer(summary_of(*TRIALS), [earlier, tested])
    assert said[-1] == "Confirmed when there were 2 trials: 1 trial came later."
    quoted = "Quote 94.0 % (93.0 to 95.0), on the test set (evaluation 1 of 1); the folds' 94.5 %"
    assert f"{quoted} agrees." in said


def test_of_a_metric_that_is_better_smaller_every_lead_says_better_or_worse():
    def mae(finalist, value, ahead=None):
        lead = None if ahead is None else Interval.around(ahead, 0.01, "number")
        mean = Interval.around(value, 0.01, "number")
        found = standing(finalist, value, ahead)
        return msgspec.structs.replace(found, accuracy=mean, leader_ahead_by=lead)

    found = mae("trial-1", 0.2), mae("baseline-tutorial", 0.25, 0.05)
    won = verdict_of(*found, metric="best_val_mae")
    bias = kept.SelectionBiasConclusion("trial-2", 0.18, 0.2, Interval.around(0.02, 0.01, "number"))
    lead, quote, *_ = answer(summary_of(*TRIALS), [won, bias])
    assert "0.050 better than your baseline in mae on fresh folds" in lead
    assert quote.startswith("Quote mae 0.200")
    (dots,) = (m for m in forest_chart(won).marks if m.name == "baseline")
    assert "the leader against it: 0.050 better (+0.040 to +0.060), worse" in dots.text[0]
    quoted, against = fold_facts(won, [])
    assert (quoted.label, against.value) == ("mae to quote", "0.050 better")
    assert forest_chart(won).x.title == "mae"
    assert "Compared by mae, from 20 folds" in " ".join(put_in_words(won).lines)
    told = put_in_words(bias)
    assert told.lead.endswith("a selection bias of +0.020 (+0.010 to +0.030).")


def test_an_earlier_version_has_its_own_words():
    told = kept.WordedConclusion("confirmed", "Confirmed", "trial-17 is better.", (), ())
    assert answer(summary_of(*TRIALS), [told]) == ["trial-17 is better."]


@pytest.fixture
def data(finished_toy):
    """A finished sweep, as if it had been confirmed: trial 1 won, whoever led."""
    sweep = finished_toy(trials=3)
    data = SweepData.read(sweep.info, sweep.home.store(sweep.info.id))
    bias = kept.SelectionBiasConclusion("trial-2", 0.95, 0.94, Interval.around(0.01, 0.02))
    data.__dict__["conclusions"] = [SETTLED, bias]  # as the cached property would
    return data


def test_all_pictures_of_a_confirmed_sweep_show_the_winner(data):
    assert data.chosen.trial == 1
    assert data.chosen is not data.leaders[0]
    sections = {section.anchor: section for section in report_sections(data)}
    assert [*sections][:3] == ["verdict", "history", "curves"]
    for anchor in ("history", "curves"):
        names = [mark.name for chart in sections[anchor].charts for mark in chart.marks]
        assert "trial 1 (winner)" in names
    parameters = [b.title for b in sections["history"].blocks if isinstance(b, Folded)]
    assert "The parameters of trial 1" in parameters


def test_a_confirmed_sweep_is_nowhere_called_not_confirmed(data):
    page = render_report(data)
    own = page[: page.index("<script>")]
    assert "Take trial-1: +1.5 points over your baseline on fresh folds" in own
    assert not re.search("not confirmed|best observed|leads on the validation set", own, re.I)
    assert "sweeps confirm toy" not in own


def test_the_tile_of_the_trials_says_of_what_its_time_is(data):
    (facts,) = (block for block in verdict_section(data).blocks if isinstance(block, Facts))
    tile = facts.facts[-1]
    assert (tile.label, tile.value) == ("trials", "3")
    assert tile.detail == f"in {format_seconds(data.seconds)} of training"


def test_what_may_settle_it_is_among_the_next_steps(data):
    data.__dict__["conclusions"] = [OPEN]
    (code,) = (b for b in verdict_section(data).blocks if isinstance(b, Code))
    assert "sweeps confirm toy --folds 64" in code.text


def test_where_nothing_beats_the_baseline_the_page_quotes_it_as_the_answer_does(data):
    data.__dict__["conclusions"] = [OPEN]
    page = render_report(data)
    assert "Keep the baseline" in page
    assert "Quote 94.3 %" in page
    facts = page[page.index("accuracy to quote") :][:300]
    assert "94.30" in facts
    assert "baseline-tutorial on fresh folds" in facts
    assert "(to take)" not in page


def test_once_the_test_set_was_read_the_page_quotes_it_in_both_places(data):
    at = kept.AtEvaluation(1, 1, "ab" * 32, "2026-11-28", "")
    found = [kept.TestedFinalist("champion", "trial-1", Interval.around(0.931, 0.01), None)]
    tested = kept.TestConclusion(at, 8, 1000, found, None, None)
    data.__dict__["conclusions"] = [SETTLED, tested]
    page = render_report(data)
    assert "Quote 93.1 % (92.1 to 94.1), on the test set" in page
    quoted, against = fold_facts(SETTLED, [SETTLED, tested])
    assert (quoted.value, quoted.detail) == ("93.10 %", "trial-1 on the test set, 92.10 to 94.10")
    assert against.detail == "on fresh folds, 95 % interval +1.10 to +1.90"
    assert quoted.detail in page
    assert against.detail in page


def test_the_forest_plot_has_all_finalists_in_their_order_and_marks_the_baseline():
    chart = forest_chart(OPEN)
    assert [label.split()[0] for label in chart.y.labels] == [
        "trial-2", "trial-1", "baseline-tutorial",
    ]  # fmt: skip
    (line,) = (mark for mark in chart.marks if isinstance(mark, Line))
    assert list(line.x) == pytest.approx([94.3, 94.3])
    dots = {mark.name: mark for mark in chart.marks if isinstance(mark, Points)}
    assert list(dots) == ["champion", "other finalists", "baseline"]
    assert dots["champion"].y == pytest.approx([94.4])
    assert dots["champion"].low == pytest.approx([93.8])
    assert "trial-1  94.40±0.60 94.4 (93.8 to 95)" in chart.alternative


def test_no_mistake_of_a_matrix_has_the_colour_of_a_right_answer():
    """Five mistakes once had the colour of 100 right ones, and a darker one than 92."""
    counts = np.array([[95, 5], [8, 92]])
    chart = confusion_chart("confusion-1", "Trial 1", counts, ["a", "b"])
    heat, *keys = figure(chart)["data"]
    (right, taken), (also_taken, also_right) = heat["z"]
    assert right > also_right > 0 > taken > also_taken
    assert heat["zmin"] == -heat["zmax"]
    assert [key["name"] for key in keys if key["showlegend"]] == ["right", "wrong"]
    assert [key["marker"]["color"] for key in keys] == [
        heat["colorscale"][-1][1], heat["colorscale"][0][1],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", CHARTS)
def test_each_chart_is_said_in_words_too(kind):
    chart = CHARTS[kind]
    said = chart.alternative
    assert said.startswith(f"{chart.title}.")
    for mark in chart.marks:
        if isinstance(mark, Parallel):
            assert all(dimension.title in said for dimension in mark.dimensions)
        elif not isinstance(mark, Heatmap):
            assert mark.name in said


def test_a_chart_of_few_values_is_said_value_by_value():
    bars = Bars("share", ["rate", "units"], [0.7, None], "best", [0.6, 0.1], [0.8, 0.2])
    chart = Chart("a", "Importance", [bars], Axis("share"), Axis())
    assert (
        chart.alternative
        == "Importance. share. share: rate 0.7 (0.6 to 0.8); units none (0.1 to 0.2)."
    )
    many = Points("complete", [*range(40)], [*range(40)], "trial")
    assert "complete: 40 between 0 and 39." in Chart("b", "B", [many]).alternative


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((5, 40), "mlp:3 leads on the validation set."),
        ((40, 5), "mlp:0 leads on the validation set."),
        ((5, 6), "neither leads beyond luck of the samples."),
    ],
)
def test_of_two_trials_of_a_search_one_leads_there_and_is_not_called_better(counts, said):
    right, other = np.ones(1000, bool), np.ones(1000, bool)
    right[: counts[0]], other[-counts[1] :] = False, False
    sentence = comparing._sentence("mlp:3", "mlp:0", paired_difference(right, other))
    assert sentence.endswith(said)
    assert "better" not in sentence


def test_trials_are_compared_by_sample_only_if_their_split_is_the_same(tmp_path):
    labels = np.arange(100) % 2
    scores = np.eye(2)[labels]
    result = TrialResult("complete", "", {}, {}, arrays={"validation_logits": scores})
    wrong = dataclasses.replace(result, arrays={"validation_logits": scores[:, ::-1]})
    split = {"digest": "d", "split_digest": "one"}
    first, same, elsewhere = (
        altered(record(trial), result=found, data={**split, **other})
        for trial, (found, other) in enumerate(
            [(result, {}), (wrong, {}), (wrong, {"split_digest": "another"})]
        )
    )
    samples = LoadedSamples(
        toy_experiment.experiment, PreparedData("d", "d", "one", {}, None), labels
    )
    data = SweepData(sweep_info(), RecordStore(tmp_path), (), 3, None, samples)
    contestants = [
        comparing.Contestant(f"mlp:{row.trial}", data, row)
        for row in trial_rows([first, same, elsewhere])
    ]
    for contestant, known in zip(contestants, (first, same, elsewhere), strict=True):
        contestant.__dict__["record"] = known  # as the cached property would
    of_same, of_other = comparing.TrialsCompared(tuple(contestants)).differences.values()
    assert of_same.value == -1.0
    assert of_other is None, "the same samples, divided otherwise"
