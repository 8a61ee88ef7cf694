"""The report opened from disk with the network off: drawn, quiet, and answering questions."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import binomtest

from sweeps.records.ranking import ranked
from tests.browser.test_sweep_view import sweep_in
from tests.homes import whole_records
from tests.sweeps.confusing_experiment import IMAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return sweep_in(tmp_path_factory.mktemp("report") / "mlruns", 60)


@pytest.fixture(scope="module")
def file(sweep):
    return sweep.report(sweep.home.path.parent / "confusing.html")


@pytest.fixture(params=["light", pytest.param("dark", marks=pytest.mark.nightly)])
def report(request, browser, file):
    """Open it offline, in light or dark, and collect whatever it complains of."""
    context = browser.new_context(
        viewport={"width": 1300, "height": 900}, color_scheme=request.param, offline=True
    )
    page = context.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn === 'true'")
    yield page
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("report", ["light", "dark"], indirect=True)  # dark at each push, too
def test_every_chart_is_drawn(report, screenshots):
    charts = report.locator("[data-chart]")
    assert charts.count() >= 15
    for number in range(charts.count()):
        chart = charts.nth(number)
        assert chart.locator("svg.main-svg").count() >= 1, chart.get_attribute("id")
        marks = chart.locator(".trace, .heatmaplayer image, .bars .point, .annotation")
        assert marks.count() >= 1, chart.get_attribute("id")
    scheme = report.evaluate("document.documentElement.dataset.paper")
    report.screenshot(path=screenshots / f"report-{scheme}.png", full_page=True)


def test_pointing_at_a_trial_says_which(report):
    chart = report.locator("#chart-history")
    chart.scroll_into_view_if_needed()
    point = chart.locator(".scatterlayer .trace .points path").first
    point.hover(force=True)
    text = chart.locator(".hoverlayer .hovertext").first
    text.wait_for()
    assert re.search(r"trial \d+", text.text_content())


def test_the_table_is_sorted_and_filtered(report, sweep):
    report.get_by_role("link", name="All trials").click()  # which unfolds it
    table = report.locator("#trials .searchable")
    table.get_by_role("button", name="best_val_accuracy").click()  # worst first
    table.get_by_role("button", name="best_val_accuracy").press("Enter")
    head = table.get_by_role("columnheader", name="best_val_accuracy")
    assert head.get_attribute("aria-sort") == "descending"
    first = table.locator("tbody tr").first
    assert first.locator("td").first.text_content() == str(sweep.best().number)
    table.get_by_role("searchbox").fill("FAILED")
    visible = table.locator("tbody tr:visible")
    failed = [row for row in sweep.rows() if row.state == "FAILED"]
    assert visible.count() == len(failed)


def right_alone(*records):
    """Return how many images only the one, only the other got right; and McNemar's probability."""
    labels = np.repeat(np.arange(10), IMAGES)
    right = [r.result.arrays["validation_logits"].argmax(axis=1) == labels for r in records]
    alone = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    return alone, binomtest(alone[0], sum(alone)).pvalue


def test_five_questions_are_answered_within_three_clicks(report, sweep):
    best = sweep.best()
    verdict = report.locator("#verdict")

    # 1. The best learning rate? One click.
    history = report.locator("#history")
    history.get_by_text(f"The parameters of trial {best.number}").click()
    row = history.locator("tr", has_text="learning_rate").first
    assert float(row.locator("td").last.text_content()) == pytest.approx(
        best.params["learning_rate"], rel=0.01
    )

    # 2. The worst digit? No click.
    counts = sweep.confusion(best.number)
    recalls = [counts.iloc[i, i] / counts.iloc[i].sum() for i in range(10)]
    fact = verdict.locator(".fact", has_text="worst class")
    worst = fact.locator("b").text_content()
    tied = [digit for digit, recall in enumerate(recalls) if recall == min(recalls)]
    assert worst.startswith(f"{len(tied)} classes" if len(tied) > 3 else str(tied[0]))
    assert ("a tie" in worst) == (len(tied) > 1)

    # 3. Why did trial N fail? One click, and a word.
    failed = next(row for row in sweep.rows() if row.state == "FAILED")
    report.get_by_role("link", name="All trials").click()
    report.get_by_role("searchbox").fill("FAILED")
    assert failed.reason in report.locator(f"#trial-{failed.trial}").text_content()

    # 4. Are #1 and #2 different? One click.
    history.locator("summary", has_text="are #1,").click()
    first, *others = ranked(whole_records(sweep.home.store(sweep.info.id)), "maximize")
    told = []
    for place, other in enumerate(others[:10], 2):
        row = history.get_by_role("row").filter(has=report.get_by_text(f"#{place}", exact=True))
        alone, chance = right_alone(first, other)
        cells = row.locator("td").all_text_contents()
        assert cells[1] == str(other.trial)
        assert cells[5] == f"{alone[0]} : {alone[1]}"
        if not 0.02 < chance < 0.1:  # close to 0.05 two methods may differ
            told.append("#1 leads" if chance < 0.05 else "cannot be told apart")
            assert cells[6] == told[-1]
    assert told[0] == "cannot be told apart"
    assert told[-1] == "#1 leads"

    # 5. How to reproduce? One click.
    report.get_by_role("link", name="How to reproduce").click()
    commands = report.locator("#reproduce pre").first.text_content()
    assert "--seed 0" in commands
    assert "sweeps run space.json --name confusing --trials 60" in commands
