import io
from dataclasses import replace

import pytest
from rich.console import Console

from sweeps.analysis.rows import trial_rows
from sweeps.analysis.summary import summarize
from sweeps.render.section import Section, Table
from sweeps.render.summaries import render_best, render_sections, render_text, render_trial
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import record, sweep_info

RECORDS = [
    record(0, 0.91, origin="baseline tutorial"),
    record(1, 0.923, params={"learning_rate": 0.00123, "note": "[red]x[/red]"}),
    record(2, outcome="failed", error="ValueError: [bold]boom[/bold]"),
]


def shown(renderable, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable, crop=False)
    return console.file.getvalue()


def summary_of(records=RECORDS, **changes):
    values = {"asked": 3, "seconds": 62.0, "stopped_by": None} | changes
    pending = values.pop("pending", 0)
    return replace(summarize(sweep_info(), records, **values), tracking_pending=pending)


def test_the_end_of_a_run_shows_best_baseline_failures_and_three_commands():
    text = shown(
        render_text(
            summary_of(pending=2),
            home_option="--home elsewhere",
            run_command="sweeps run mlp",
        ),
        width=120,
    )
    assert len(text.splitlines()) == 10
    assert "best observed, not confirmed: best_val_accuracy 0.9230 (trial 1), +1.30 points" in text
    assert "1 trial failed: error 1; first error: ValueError: [bold]boom[/bold]" in text
    assert "2 runs not in MLflow yet" in text
    assert "  learning_rate=1.23e-03, note=[red]x[/red]" in text
    for command in (
        "sweeps ui mlp", "sweeps trials mlp", "sweeps confirm mlp", "sweeps run mlp --trials 6",
    ):  # fmt: skip
        assert f"  {command} --home elsewhere " in text
    for command in ("sweeps trials mlp 2", "sweeps retry mlp"):
        assert f": {command} --home elsewhere" in text


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (("early_stopping", "max_epochs"), True),
        (("max_epochs", "early_stopping"), False),  # the best stopped by itself
        (("max_epochs", "max_epochs"), False),  # nothing here stops early
    ],
)
def test_it_is_said_when_the_best_trained_to_its_last_epoch(reasons, said):
    records = [altered(record(n, 0.9 + n / 100), reason=why) for n, why in enumerate(reasons)]
    text = shown(render_text(summary_of(records, asked=2)), width=120)
    line = "1 of 2 trials, the best among them, trained to the last epoch: more may do better"
    assert (line in text) is said


def test_a_table_gets_closer_and_breaks_texts_then_names_as_room_gets_scarce():
    rows = [
        ["trial-14", "94.83±0.63", "-0.32..+0.61", "may be the best, as good"],
        ["baseline-tutorial-wide", "93.16±0.67", "+1.30..+2.34", "not the best"],
    ]
    table = Table(["finalist", "fresh, %", "95 %", "so"], rows)
    wide, close, texts, names = (
        shown(render_sections([Section("a", "A", [table])]), width) for width in (100, 72, 64, 56)
    )
    for said in (wide, close):
        assert "may be the best, as good" in said
    for said in (wide, close, texts):
        assert "baseline-tutorial-wide" in said
    assert len(close.splitlines()[2]) <= 72 < len(wide.splitlines()[2])
    assert [line.split()[0] for line in names.splitlines()[-2:]] == ["baseline-", "tutorial-wide"]
    for said in (wide, close, texts, names):
        assert "-0.32..+0.61" in said, "never broken"


def test_before_a_confirmation_only_the_best_and_failures_are_said():
    text = shown(render_text(summary_of(), run_command="sweeps run mlp", is_last=False), width=120)
    first, failed, *more = text.splitlines()
    assert first.startswith("best observed, not confirmed: best_val_accuracy 0.9230 (trial 1)")
    assert failed.startswith("1 trial failed: error 1")
    assert [line.partition(":")[0] for line in more] == [
        "the whole error",
        "once its cause is mended",
    ]


def test_where_the_time_went_is_said_if_asked():
    split = {"warm_up": 4.0, "training": 90.0, "study": 0.01}
    text = shown(render_text(summary_of(time_split=split), verbose=True), width=120)
    assert "Time: training 1 min 30 s, warm up 4.0 s\n" in text
    assert "Time" not in shown(render_text(summary_of(time_split=split)), width=120)


def test_best_and_baseline_are_compared_and_parameters_shown_as_they_are():
    text = shown(render_text(summary_of()), width=120)
    assert "+1.30 points against the baseline tutorial (0.9100)" in text
    assert "learning_rate=1.23e-03" in text
    assert "[red]x[/red]" in text, "markup is not obeyed"


def test_a_best_baseline_is_said_once():
    text = shown(render_text(summary_of(RECORDS[:1])), width=120)
    assert text.count("0.9100") == 1
    assert "which is the baseline tutorial" in text


def test_a_command_longer_than_the_terminal_stays_on_one_line():
    command = f"sweeps run {'x' * 60}/space.yaml --seed 3"
    text = shown(render_text(summary_of(), run_command=command), width=40)
    assert any(f"{command} --trials 6" in line for line in text.splitlines())


def test_nothing_is_invented_where_no_trial_completed():
    text = shown(render_text(summary_of([record(0, outcome="failed", error="boom")])))
    assert "no trial completed" in text
    assert "learning_rate" not in text


def test_a_baseline_that_failed_is_not_compared_with():
    records = [record(0, outcome="failed", origin="baseline tutorial"), record(1, 0.9)]
    text = shown(render_text(summary_of(records)), width=120)
    assert "no baseline to compare with: none completed" in text


def test_the_best_trial_shows_parameters_and_every_metric():
    text = shown(render_best(summary_of()))
    assert "best observed, not confirmed" in text
    for part in ("learning_rate       1.23e-03", "best_val_loss       0.2500", "0.9230"):
        assert " ".join(part.split()) in " ".join(text.split())


@pytest.mark.parametrize("records", [[], [record(0, outcome="pruned")]])
def test_there_is_no_best_trial_without_a_complete_one(records):
    assert shown(render_best(summary_of(records))).startswith("no trial completed")


def test_an_error_moves_no_cursor_and_keeps_its_lines():
    (row,) = trial_rows([record(0, outcome="failed", error="no\x1b[31m red\n\x9b2J second")])
    text = shown(render_trial(row))
    assert "no?[31m red\n?2J second" in text
    assert "\x1b" not in text
