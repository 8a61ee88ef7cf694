from dataclasses import replace

from sweeps.analysis.summary import summarize
from sweeps.render.markdown import escape, render_markdown
from tests.sweeps.render.builders import record, sweep_info


def markdown(*records, **changes):
    values = {"asked": 3, "seconds": 62.0, "stopped_by": None} | changes
    pending = values.pop("pending", 0)
    summary = summarize(sweep_info(), records, **values)
    return render_markdown(replace(summary, tracking_pending=pending))


def test_it_holds_verdict_comparison_parameters_and_failures():
    text = markdown(
        record(0, 0.91, origin="baseline tutorial"),
        record(1, 0.923),
        record(2, outcome="failed", error="KeyError: 'a|b'"),
        pending=1,
    )
    lines = text.splitlines()
    assert lines[0] == "### Sweep mlp"
    assert "**best observed, not confirmed: best\\_val\\_accuracy 0.9230 (trial 1), +1.30" in text
    assert "| 1 | sampled, best observed | 0.9230 |  | 3 | 4.0 |" in lines
    assert "| 0 | baseline tutorial | 0.9100 | +1.30 points | 3 | 4.0 |" in lines
    assert "| learning\\_rate | 1.00e-03 |" in lines
    assert "| error | 1 |" in lines
    assert "First error: KeyError: 'a\\|b'" in lines
    assert "1 run not in MLflow yet." in lines


def test_every_table_has_as_many_cells_in_each_line_and_a_blank_line_around():
    lines = markdown(record(0, 0.91, origin="baseline a|b"), record(1, 0.95)).splitlines()
    for before, header, rule in zip(lines, lines[1:], lines[2:], strict=False):
        if rule.startswith("| ---"):
            assert before == ""
            assert header.count("|") == rule.count("|")
    assert "| 0 | baseline a\\|b | 0.9100 | +4.00 points | 3 | 4.0 |" in lines


def test_a_best_baseline_is_listed_once():
    text = markdown(record(0, 0.91, origin="baseline tutorial"), record(1, 0.9))
    assert text.count("| 0 | ") == 1
    assert "baseline tutorial, best observed" in text


def test_a_sweep_without_a_complete_trial_has_no_comparison():
    text = markdown(record(0, outcome="diverged"))
    assert "**no trial completed, so there is no best trial**" in text
    assert "| diverged | 1 |" in text
    assert "best leads by" not in text


def test_a_failed_baseline_stays_in_the_table_without_a_difference():
    text = markdown(record(0, outcome="failed", origin="baseline tutorial"))
    assert "| 0 | baseline tutorial | FAILED |  |  | 4.0 |" in text


def test_markup_in_messages_is_escaped_and_stays_on_one_line():
    assert escape("a|b\n<img> `x` *y*") == "a\\|b \\<img\\> \\`x\\` \\*y\\*"
