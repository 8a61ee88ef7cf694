"""The report of a sweep with two objectives, opened from disk: its front is drawn, and answers."""

from __future__ import annotations

import pytest

import sweeps
from tests.sweeps.trading_experiment import SMALL

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    home = tmp_path_factory.mktemp("pareto") / "mlruns"
    home.mkdir()
    space = home / "small.yaml"
    space.write_text(SMALL)
    return sweeps.run(str(space), trials=40, home=home, workers=0, progress="quiet")


@pytest.fixture(params=["light", pytest.param("dark", marks=pytest.mark.nightly)])
def report(request, browser, sweep):
    file = sweep.report(sweep.home.path.parent / "small.html")
    context = browser.new_context(
        viewport={"width": 1300, "height": 900}, color_scheme=request.param, offline=True
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn === 'true'")
    yield page
    assert complaints == []
    context.close()


def test_the_front_is_drawn_and_pointing_at_it_says_what_a_trial_is_worth(
    report, sweep, screenshots
):
    chart = report.locator("#chart-pareto")
    front = sweep.pareto_front()
    traces = chart.locator(".scatterlayer .trace")
    counts = [traces.nth(n).locator(".points path").count() for n in range(traces.count())]
    assert counts[-1] == len(front)
    assert sum(counts) == sum(row.objective is not None for row in sweep.rows())
    assert traces.last.locator(".errorbar").count() == len(front)
    traces.last.locator(".points path").first.hover(force=True)
    text = chart.locator(".hoverlayer .hovertext").first
    text.wait_for()
    assert f"trial {front[0].number}" in text.text_content()
    scheme = report.evaluate("document.documentElement.dataset.paper")
    report.locator("#verdict").screenshot(path=screenshots / f"pareto-{scheme}.png")


def test_the_front_is_found_in_the_table_of_all_trials_by_a_word(report, sweep):
    report.get_by_role("link", name="All trials").click()
    report.get_by_role("searchbox").fill("on the front")
    rows = report.locator("#trials tbody tr:visible")
    shown = {rows.nth(n).locator("td").first.text_content() for n in range(rows.count())}
    assert shown == {str(trial.number) for trial in sweep.pareto_front()}
