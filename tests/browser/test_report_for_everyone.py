"""The report of a confirmed sweep in Chromium: its first screen, keyboard, axe, phone, paper."""

from __future__ import annotations

import pytest

from sweeps.analysis.data import read_sweep
from sweeps.render.sections import render_report
from tests.browser.axe import complaints_of_axe
from tests.browser.opened import opened
from tests.browser.test_sweep_view import sweep_in
from tests.sweeps.records.test_conclusions import WHOLE
from tests.sweeps.render.builders import verdict_of
from tests.sweeps.render.test_sections import standing

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREEN = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The report of a search of sixty trials, as if one had been confirmed."""
    sweep = sweep_in(tmp_path_factory.mktemp("report") / "mlruns", 60)
    data = read_sweep(sweep.info, sweep.home.store(sweep.info.id))
    best, following = (row.trial for row in data.ranking[:2])
    verdict = verdict_of(
        standing(f"trial-{following}", 0.945), standing(f"trial-{best}", 0.938, 0.007),
        standing("baseline-tutorial", 0.93, 0.015), trials=60,
    )  # fmt: skip
    data.__dict__["conclusions"] = [verdict, *WHOLE[1:]]  # as the cached property would
    return render_report(data)


@pytest.fixture
def open_page(browser, html, tmp_path):
    def open_page(**context):
        return opened(browser, tmp_path / "report.html", html, drawn=True, **context)

    return open_page


def test_it_takes_less_than_two_megabytes(html):
    assert len(html.encode()) < 2e6


def test_one_screen_says_who_won_by_how_much_and_what_next(open_page, screenshots):
    with open_page(viewport=SCREEN) as page:
        page.screenshot(path=screenshots / "report-top.png")
        for what in (".text.lead", ".facts", "#verdict .code", "#chart-finalists .errorbar"):
            box = page.locator(what).last.bounding_box()
            assert box["y"] + box["height"] <= SCREEN["height"], what
        lead = page.locator(".text.lead").text_content()
        assert "over your baseline on fresh folds" in lead
        contents = page.locator("nav")
        assert contents.bounding_box()["x"] < page.locator("main").bounding_box()["x"]
        page.get_by_role("link", name="How to reproduce").click()
        assert contents.is_visible(), "it stays at the side"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [SCREEN, PHONE], ids=["screen", "phone"])
def test_axe_finds_nothing_serious(open_page, scheme, viewport):
    with open_page(viewport=viewport, color_scheme=scheme, bypass_csp=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert complaints_of_axe(page) == []


def test_every_chart_has_words_in_its_place(open_page):
    with open_page(viewport=SCREEN) as page:
        charts = page.get_by_role("img").and_(page.locator("[data-chart]"))
        assert charts.count() == page.locator("[data-chart]").count() >= 15
        assert all(
            len(words) > 20 for words in charts.evaluate_all("all => all.map(c => c.ariaLabel)")
        )


def test_it_is_read_by_keyboard_alone(open_page):
    with open_page(viewport=SCREEN) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip the contents"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('section').id") == "verdict"
        folded = page.locator("#verdict summary").first
        folded.focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("cell", name="leads", exact=True).is_visible()


def test_a_phone_has_the_contents_on_top_folded_and_nothing_beside_the_page(open_page, screenshots):
    with open_page(viewport=PHONE) as page:
        page.screenshot(path=screenshots / "report-phone.png", full_page=True)
        assert not page.get_by_role("link", name="How to reproduce").is_visible()
        page.locator("nav summary").click()
        page.get_by_role("link", name="All trials").click()
        page.locator("#trials table").wait_for(state="visible")  # a moment later
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_paper_is_light_and_has_all_that_is_folded(open_page, screenshots):
    with open_page(viewport=SCREEN, color_scheme="dark") as page:
        shown = "[...document.querySelectorAll('main details')].map((one) => one.open)"
        page.pdf(path=screenshots / "report.pdf", format="A4")
        assert not any(page.evaluate(shown)), "as before"
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert all(page.evaluate(shown))
        assert page.evaluate("document.documentElement.dataset.paper") == "light"
        widths = page.locator("svg.main-svg").evaluate_all("all => all.map((s) => s.clientWidth)")
        assert max(widths) <= 670, "A4, less its margins"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate("document.documentElement.dataset.paper") == "dark"
