"""A self-contained page opened from disk in Chromium, and what it complains of or asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page


@contextmanager
def opened(
    browser: Browser, file: Path, html: str, *, drawn: bool = False, refused: bool = False,
    **context: Any,
) -> Iterator[Page]:  # fmt: skip
    """Open a page offline; in the end it has complained of nothing and asked for nothing else.

    With `drawn` it is waited for until the page says that its charts are. With `refused` the
    browser may say that it refuses a worker.
    """
    file.write_text(html, encoding="utf-8")
    made = browser.new_context(offline=True, **context)
    page = made.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    if drawn:
        page.wait_for_function("document.documentElement.dataset.drawn === 'true'")
    yield page
    made.close()
    if refused:
        complaints = [text for text in complaints if "'blob:" not in text]
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
