"""Five hundred trials: the prepared view and the report hold, and how long they take is printed."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from sweeps.records.ranking import ranked
from tests.browser.conftest import sweeps_ui
from tests.browser.test_sweep_view import home_records, open_charts, section, shown_images, sweep_in

pytestmark = [pytest.mark.browser, pytest.mark.nightly]  # two minutes of CPU


def test_view_and_report_of_five_hundred_trials(tmp_path, page, screenshots):
    home = tmp_path / "mlruns"
    sweep = sweep_in(home, 500)
    best = [f"{record.trial:04d}" for record in ranked(home_records(sweep), "maximize")]
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    began = time.monotonic()
    text = sweep.report(tmp_path / "big.html").read_text(encoding="utf-8")
    print(f"report: {time.monotonic() - began:.1f} s, {len(text) / 1e6:.1f} MB")
    assert len(text) < 5e6
    assert text.count('<tr id="trial-') == 500
    began = time.monotonic()
    page.goto((tmp_path / "big.html").as_uri())
    page.wait_for_function("document.documentElement.dataset.drawn === 'true'")
    print(f"report drawn: {time.monotonic() - began:.1f} s")
    assert errors == []

    with sweeps_ui(home, "confusing") as address:
        began = time.monotonic()
        page.goto(address)
        expect(page.get_by_text(best[0], exact=True).first).to_be_visible()
        print(f"table: {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        page.get_by_text("best_val_accuracy", exact=True).first.click()  # sorts the other way
        expect(page.get_by_text(best[0], exact=True)).to_have_count(0)
        print(f"sorted: {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        page.goto("about:blank")  # leave the grid in order
        assert errors == []
        open_charts(page, f"{address}&compareRunsMode=CHART")
        print(f"charts: {time.monotonic() - began:.1f} s")
        page.screenshot(path=screenshots / "five_hundred.png")
        section(page, "Confusion matrices of the best runs")
        shown = {m[1] for a in shown_images(page) if (m := re.search(r"(\d{4})-1", a))}
        assert shown == set(best[:10])
    assert [error for error in errors if "ResizeObserver" not in error] == []
