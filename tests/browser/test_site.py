"""The documentation site as `make docs` builds it, opened from disk in Chromium."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.tools import need

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        need(package)
    folder = tmp_path_factory.mktemp("site")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"-m sphinx (.+) -d build/doctrees docs build/site\n", makefile)[1]
    assert {"-W", "-n"} <= set(options.split())
    command = f"-m sphinx {options} -d {folder / 'doctrees'} docs {folder / 'site'}"
    ran = subprocess.run(
        [sys.executable, *shlex.split(command)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return folder / "site"


@pytest.fixture
def opened(site, browser):
    """A page that has complained of nothing in the end, and has read nothing but files."""
    context = browser.new_context(offline=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_the_search_finds_folds_without_a_server(opened):
    opened.get_by_placeholder("Search").first.fill("fold")
    opened.keyboard.press("Enter")
    found = opened.locator("#search-results li a")
    expect(found.filter(has_text=re.compile("^Folds$")).first).to_be_visible()
    found.filter(has_text=re.compile("^Folds$")).first.click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Folds")


def test_the_page_is_dark_when_asked_and_stays_dark(opened):
    def background():
        return opened.evaluate("getComputedStyle(document.body).backgroundColor")

    opened.emulate_media(color_scheme="light")
    light = background()
    button = opened.locator("button.theme-toggle:visible").first
    for _ in range(3):  # as the system has it, light, dark
        if opened.locator("body").get_attribute("data-theme") != "dark":
            button.click()
    assert background() != light
    dark = background()
    opened.get_by_role("link", name="Tutorial", exact=False).first.click()
    opened.wait_for_url("**/tutorial.html")
    opened.wait_for_load_state("load")  # its styles, too
    assert background() == dark
    shown = opened.locator("img.only-dark:visible")
    assert shown.count() > 0
    assert opened.locator("img.only-light:visible").count() == 0


def test_a_command_is_copied_by_its_button(opened, site):
    opened.goto((site / "tutorial.html").as_uri())
    block = opened.locator("div.highlight-sh").first
    block.hover()
    button = block.locator("button.copybtn")
    expect(button).to_be_visible()
    button.click()
    assert opened.evaluate("navigator.clipboard.readText()").strip() == "sweeps plan smoke"


def test_of_an_output_only_the_command_is_copied(opened, site):
    opened.goto((site / "reference" / "sweeps-plan.html").as_uri())
    block = opened.locator("div.highlight-console").first
    block.hover()
    block.locator("button.copybtn").click()
    copied = opened.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == "sweeps plan smoke"


def test_every_page_is_reachable_and_every_picture_is_shown(opened, site):
    opened.goto((site / "tutorial.html").as_uri())
    sizes = opened.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(sizes) >= 3
    assert min(sizes) > 0
    menu = opened.locator(".sidebar-tree a").evaluate_all("links => links.map(a => a.href)")
    assert len(menu) > 20
    for address in menu:
        assert Path(address.removeprefix("file://").partition("#")[0]).is_file()


def test_a_phone_scrolls_down_only(opened, site):
    opened.set_viewport_size({"width": 390, "height": 844})
    for name in ("index", "tutorial", "space-file", "comparison", "reference/sweeps-run"):
        opened.goto((site / f"{name}.html").as_uri())
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert opened.evaluate(wide) <= 0, name
