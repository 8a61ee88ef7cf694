"""What a person sees in MLflow's UI; it also pins the undocumented format of the prepared view."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import EPOCHS, Served

pytestmark = [pytest.mark.browser, pytest.mark.nightly]  # as test_sweep_view.py, of runs one by one


def base(served: Served) -> str:
    return served.address.partition("/#/")[0]


def experiment(served: Served) -> str:
    match = re.search(r"/experiments/(\d+)/", served.address)
    assert match
    return match[1]


def test_the_printed_address_opens_the_trials_best_first_with_their_numbers(
    served: Served, page: Page, screenshots: Path
) -> None:
    page.goto(served.address)
    table = page.get_by_role("treegrid").or_(page.get_by_role("grid")).first
    expect(table).to_contain_text("best_val_accuracy")
    expect(table).to_contain_text("learning_rate")
    ranked = sorted(served.records, key=lambda record: -(record.objective or 0))
    expect(page.get_by_role("link", name=re.compile(r"^\d{4}"))).to_have_count(len(ranked))
    text = page.inner_text("body")
    page.screenshot(path=screenshots / "runs_table.png")
    assert "6 matching runs" in text
    for record in ranked:
        assert str(record.objective)[:7] in text  # the table cuts long numbers
        assert str(record.params["learning_rate"]) in text
    names = [line for line in text.splitlines() if re.fullmatch(r"\d{4}( tutorial)?", line)]
    assert [int(name[:4]) for name in names] == [record.trial for record in ranked]
    assert "Model training" in text
    assert "COMPLETE" in text
    page.get_by_role("link", name=names[0], exact=True).click()
    expect(page.get_by_text("About this run")).to_be_visible()
    expect(page.get_by_text("learning_rate").first).to_be_visible()
    page.screenshot(path=screenshots / "run_overview.png")


def test_the_chart_view_draws_learning_curves(
    served: Served, page: Page, screenshots: Path
) -> None:
    page.goto(f"{served.address}&compareRunsMode=CHART")
    heading = page.get_by_text("Learning curves").first
    heading.evaluate("heading => heading.scrollIntoView()")  # what is out of sight is not drawn
    curve = page.locator(".js-plotly-plot .scatterlayer .trace path.js-line").first
    expect(curve).to_be_visible()
    page.wait_for_timeout(1500)  # the charts fade in
    page.screenshot(path=screenshots / "charts.png")
    text = page.inner_text("body")
    assert "val_accuracy" in text  # what a pruner would watch; the rest when the sweep has ended
    assert len(curve.get_attribute("d") or "") > 20
    lines = page.locator(".js-plotly-plot .scatterlayer .trace path.js-line").count()
    assert lines >= len(served.records)


def test_a_run_shows_its_metrics_over_the_epochs(
    served: Served, page: Page, screenshots: Path
) -> None:
    run = f"{base(served)}/#/experiments/{experiment(served)}/runs/{served.run_ids[2]}"
    page.goto(f"{run}/model-metrics?workflowType=machine_learning")
    history = served.records[2].result.history
    charts = page.locator(".js-plotly-plot:has(.scatterlayer .trace path.point)")
    expect(charts).to_have_count(len(history))
    page.wait_for_timeout(1500)  # the charts fade in
    page.screenshot(path=screenshots / "run_metrics.png")
    drawn = {curve["metric"]: curve for curve in charts.evaluate_all(CURVES)}
    assert drawn.keys() == history.keys()
    for metric, values in history.items():
        curve = drawn[metric]
        assert curve["x"] == list(range(1, EPOCHS + 1))
        assert curve["y"] == pytest.approx(values)
        heights = [-down for down in curve["points"]]
        assert len(heights) == EPOCHS, metric
        assert np.corrcoef(heights, values)[0, 1] > 0.9999, metric


CURVES = """charts => charts.map((chart) => {
  const { metricKey, x, y } = chart.data.find((trace) => trace.mode === "lines+markers");
  const points = [...chart.querySelectorAll("path.point")].map(
    (point) => Number(/,(.+)\\)/.exec(point.getAttribute("transform"))[1]));
  return { metric: metricKey, x: [...x], y: [...y], points };
})"""
"""What plotly.js was given of each chart, and how far down it drew each point."""


def test_the_confusion_matrix_of_a_run_is_shown_as_an_image(
    served: Served, page: Page, screenshots: Path
) -> None:
    run = f"{base(served)}/#/experiments/{experiment(served)}/runs/{served.run_ids[2]}"
    page.goto(f"{run}/artifacts?workflowType=machine_learning")
    page.get_by_text("confusion_matrix.png").first.click()
    image = page.locator("img[src^='blob:'], img[src*='artifact'], img[src^='data:image/png']")
    expect(image.first).to_be_visible()
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "confusion_matrix.png")
    size = image.first.evaluate("element => [element.naturalWidth, element.naturalHeight]")
    assert size == [400, 400]
    for name in ("config.json", "environment.json", "history.csv", "model_summary.txt"):
        expect(page.get_by_text(name).first).to_be_visible()


def test_the_parent_run_says_what_came_out(served: Served, page: Page, screenshots: Path) -> None:
    run = f"{base(served)}/#/experiments/{experiment(served)}/runs/{served.parent_id}"
    page.goto(f"{run}?workflowType=machine_learning")
    expect(page.get_by_text("best observed (not confirmed)")).to_be_visible()
    page.screenshot(path=screenshots / "parent.png")
    text = page.inner_text("body")
    assert "Finished" in text
    assert "6 trials" in text
