"""A whole sweep as an analyst finds it: best first, charts, matrices with a slider, comparison.

Sixty trials, some of which fail and many of which are pruned; nothing is trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

import sweeps
from sweeps.analysis.rows import TrialRow
from sweeps.records.ranking import ranked
from tests.browser.conftest import complaints_of, sweeps_ui
from tests.sweeps.confusing_experiment import SPACE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KEPT = "13"
"""The last step of the slider: twelve epochs, then the weights that were kept."""


@dataclass(frozen=True)
class Swept:
    """A sweep in a running UI, at the address that `sweeps ui NAME` printed."""

    address: str
    home: Path
    rows: list[TrialRow]
    ranked: list[str]

    @property
    def charts(self) -> str:
        return f"{self.address}&compareRunsMode=CHART"


def sweep_in(home: Path, trials: int) -> sweeps.Sweep:
    home.mkdir()
    space = home / "confusing.yaml"
    space.write_text(SPACE)
    return sweeps.run(str(space), trials=trials, home=home, workers=0, progress="quiet")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    home = tmp_path_factory.mktemp("swept") / "mlruns"
    sweep = sweep_in(home, 60)
    records = ranked(home_records(sweep), "maximize")
    with sweeps_ui(home, "confusing") as address:
        yield Swept(address, home, sweep.rows(), [f"{r.trial:04d}" for r in records])


def home_records(sweep: sweeps.Sweep) -> list[sweeps.records.Record]:
    return sweep.home.store(sweep.info.id).read_all()


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """Collect what the page complains of; a test that uses it fails if there is anything."""
    found = complaints_of(page)
    yield found
    assert found == []


NOTHING_MISDRAWN = """() => [...document.querySelectorAll('svg *')].filter(drawn =>
    [...drawn.attributes].some(attribute => attribute.value.includes('NaN'))).length === 0"""


def open_charts(page: Page, address: str) -> None:
    """Open the charts and wait until the first is drawn, each of its parts in its place."""
    page.goto(address)
    expect(page.get_by_text("Parallel Coordinates")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('canvas').length > 1")
    page.wait_for_timeout(2500)
    page.wait_for_function(NOTHING_MISDRAWN)


def search_field(page: Page) -> Locator:
    """Return the field above the table, once the table is there: an early search is overtaken."""
    field = page.get_by_placeholder(re.compile("metrics.rmse|Search")).first
    expect(field).to_have_value(re.compile("tags.sweep_id"))
    expect(page.get_by_text("matching runs")).to_be_visible()
    page.wait_for_timeout(1500)
    return field


def section(page: Page, name: str) -> None:
    """Bring a section to the top: what is out of sight is not drawn."""
    heading = page.get_by_text(name).first
    heading.evaluate("heading => heading.scrollIntoView({block: 'start'})")


def from_above(links: Locator) -> list[str]:
    """Return the texts in the order in which they are seen, which is not that of the document."""
    texts: list[str] = links.evaluate_all(
        "links => links.sort((a, b) => a.getBoundingClientRect().y - b.getBoundingClientRect().y)"
        ".map(link => link.innerText)"
    )
    return texts


def shown_images(page: Page) -> list[str]:
    """Return the addresses of the matrices in the grid, once they are loaded."""
    pictures = page.locator("img[src*='confusion_matrix']")
    expect(pictures).to_have_count(10)
    page.wait_for_function(
        "[...document.querySelectorAll(\"img[src*='confusion_matrix']\")]"
        ".every(image => image.complete && image.naturalWidth > 100)"
    )
    return [str(picture.get_attribute("src")) for picture in pictures.all()]


def test_some_trials_failed_and_some_were_pruned(swept: Swept) -> None:
    states = {row.state for row in swept.rows}
    assert states == {"COMPLETE", "PRUNED", "FAILED"}


def test_the_table_opens_with_its_columns_in_order_best_first(
    swept: Swept, page: Page, screenshots: Path, complaints: list[str]
) -> None:
    page.goto(swept.address)
    names = page.get_by_role("link", name=re.compile(r"^\d{4}"))
    expect(names.first).to_be_visible()
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "sweep_table.png")
    objectives = {f"{row.trial:04d}": row.objective for row in swept.rows}
    seen = [objectives[name[:4]] for name in from_above(names)[:10]]
    assert seen == [objectives[name] for name in swept.ranked[:10]]  # MLflow orders equal ones
    headers = page.locator(".ag-header-cell").evaluate_all(
        "cells => cells.sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x)"
        ".map(cell => cell.getAttribute('col-id'))"
    )
    shown = [header for header in headers if "`" in header][1:]  # without the run's name
    assert shown[:2] == ["metrics.`best_val_accuracy`", "metrics.`best_epoch`"]
    varied = ("learning_rate", "units", "loss", "dropout")
    assert set(shown[2:6]) == {f"params.`{name}`" for name in varied}
    assert shown[6:8] == ["tags.`why`", "tags.`confusion_1`"]
    text = page.inner_text("body")
    assert "early stopping, epoch" in text
    assert re.search(r"\d as \d: \d", text)
    assert "Model training" in text


def test_the_charts_are_drawn(
    swept: Swept, page: Page, screenshots: Path, complaints: list[str]
) -> None:
    open_charts(page, swept.charts)
    page.screenshot(path=screenshots / "sweep_charts.png")
    text = page.inner_text("body")
    assert "cate~ropy" in text  # labels that are neither cut nor merged
    assert "cate~inge" in text
    section(page, "best_val_accuracy against each parameter")
    points = page.locator(".js-plotly-plot .scatterlayer path.point")
    expect(points.first).to_be_visible()
    assert points.count() >= 4 * len(swept.ranked)
    section(page, "Learning curves")
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "sweep_curves.png")
    lines = page.locator(".js-plotly-plot .scatterlayer .trace path.js-line")
    expect(lines.first).to_be_visible()
    assert lines.count() >= len(swept.ranked)
    assert {"val_accuracy", "val_loss"} <= set(page.inner_text("body").split())


def test_the_champion_is_in_the_registry(swept: Swept, page: Page, screenshots: Path) -> None:
    base = swept.address.partition("#")[0]
    page.goto(f"{base}#/models?workflowType=machine_learning")
    expect(page.get_by_role("link", name=re.compile("^confusing-"))).to_be_visible()
    page.wait_for_timeout(1500)
    welcome = page.get_by_role("dialog")  # MLflow greets a first visitor
    if welcome.count():
        page.keyboard.press("Escape")
        expect(welcome).to_have_count(0)
    page.get_by_role("link", name=re.compile("^confusing-")).first.click()
    expect(page.get_by_text("champion").first).to_be_visible()
    page.get_by_role("link", name=re.compile("Version 1|^1$")).first.click()
    expect(page.get_by_text("provisional").first).to_be_visible()
    page.screenshot(path=screenshots / "sweep_champion.png")
    text = page.inner_text("body")
    assert f"{swept.ranked[0]}-1" in text
    assert "Inputs (1)" in text, "its signature"


@pytest.mark.nightly
def test_the_confusion_matrices_of_the_best_ten_change_with_the_slider(
    swept: Swept, page: Page, screenshots: Path, complaints: list[str]
) -> None:
    open_charts(page, swept.charts)
    section(page, "Confusion matrices of the best runs")
    kept = shown_images(page)
    assert all(f"%2Bstep%2B{KEPT}%2B" in address or f"+step+{KEPT}+" in address for address in kept)
    assert {match[1] for a in kept if (match := re.search(r"(\d{4})-1", a))} == set(
        swept.ranked[:10]
    )
    slider = page.get_by_role("slider").first
    slider.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "sweep_matrices.png")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "12")
    page.wait_for_timeout(1500)
    assert set(shown_images(page)).isdisjoint(kept)
    track = page.locator("[data-orientation=horizontal]").first.bounding_box()
    assert track is not None
    page.mouse.click(track["x"] + 2, track["y"] + track["height"] / 2)
    expect(slider).to_have_attribute("aria-valuenow", "1")
    page.wait_for_timeout(1500)
    first = shown_images(page)
    page.screenshot(path=screenshots / "sweep_matrices_first.png")
    assert set(first).isdisjoint(kept)
    assert all(re.search(r"step(%2B|\+)1(%2B|\+)", address) for address in first)


def test_the_parent_says_what_came_out_and_leads_to_the_best_three(
    swept: Swept, page: Page, screenshots: Path, complaints: list[str]
) -> None:
    base = swept.address.partition("/#/")[0]
    page.goto(swept.address.partition("&viewState")[0])
    page.get_by_role("link", name="confusing", exact=True).first.click()
    expect(page.get_by_text("best observed, not confirmed").first).to_be_visible()
    page.screenshot(path=screenshots / "sweep_parent.png")
    text = page.inner_text("body")
    assert "60 of 60 trials" in text
    assert "tags.sweep = 'confusing' and tags.kind = 'trial' and tags.state = 'FAILED'" in text
    trials = page.get_by_role("link", name="All trials, best first").get_attribute("href")
    assert trials == swept.address.removeprefix(f"{base}/")
    page.goto(f"{base}/{page.get_by_role('link', name='The best 3').get_attribute('href')}")
    expect(page.get_by_text("Comparing 3 Runs from 1 Experiment")).to_be_visible()
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "sweep_compare.png")
    text = page.inner_text("body")
    assert all(name in text for name in swept.ranked[:3])


def test_five_questions_are_answered_by_the_prepared_pages(
    swept: Swept, page: Page, complaints: list[str]
) -> None:
    # 1. The best learning rate? No click: first row, its column.
    page.goto(swept.address)
    first = page.get_by_role("row").filter(has_text=swept.ranked[0]).first
    expect(first).to_be_visible()
    best = next(row for row in swept.rows if f"{row.trial:04d}" == swept.ranked[0])
    rate = str(best.params["learning_rate"])[:8]
    cells = page.locator(f"[row-index='{first.get_attribute('row-index')}']")
    assert any(rate in text for text in cells.all_inner_texts())

    # 2. The worst digit; 4. are #1 and #2 different; 5. how to reproduce? Two clicks: its parent.
    page.get_by_role("link", name=swept.ranked[0], exact=True).first.click()
    page.get_by_role("link", name="confusing", exact=True).first.click()
    expect(page.get_by_text("Are #1 and #2 different?")).to_be_visible()
    text = page.inner_text("body")
    assert re.search(r"Worst class of the best trial: \d[^%]*, \d+\.\d % recognised", text)
    assert re.search(r"leads trial \d+ by \+\d+\.\d points, 95 % interval", text)
    assert "sweeps run space.json --name confusing --trials 60 --seed 0" in text

    # 3. Why did this trial fail? The search of the description, and the column `why`.
    page.goto(swept.address)
    field = search_field(page)
    failed = next(row for row in swept.rows if row.state == "FAILED")
    field.fill(f"tags.sweep = 'confusing' and tags.trial_number = '{failed.trial}'")
    field.press("Enter")
    expect(page.get_by_text("leaves no unit").first).to_be_visible()


@pytest.mark.nightly
def test_a_search_from_the_description_finds_the_failed_trials(
    swept: Swept, page: Page, complaints: list[str]
) -> None:
    page.goto(swept.address)
    field = search_field(page)
    field.fill("tags.sweep = 'confusing' and tags.kind = 'trial' and tags.state = 'FAILED'")
    field.press("Enter")
    attempts = sum(row.attempts for row in swept.rows if row.state == "FAILED")
    expect(page.get_by_text(f"{attempts} matching runs")).to_be_visible()
    expect(page.get_by_text("leaves no unit").first).to_be_visible()


def test_the_trial_table_is_shown_as_a_table(
    swept: Swept, page: Page, screenshots: Path, complaints: list[str]
) -> None:
    page.goto(swept.address.partition("&viewState")[0])
    page.get_by_role("link", name="confusing", exact=True).first.click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("trials.json").first.click()
    expect(page.get_by_text("View as table")).to_be_visible()
    expect(page.get_by_text("best_val_accuracy").first).to_be_attached()
    page.screenshot(path=screenshots / "sweep_trials.png")
    assert "early_stopping" in page.inner_text("body")
