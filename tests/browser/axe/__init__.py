"""axe-core 4.14.1, which looks for what people without eyes, mouse or full sight cannot use.

`axe.min.js` comes unchanged from its package on npm; its licences (MPL 2.0, others) lie beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from playwright.sync_api import Page

_SCRIPT: Final = Path(__file__).parent / "axe.min.js"


def complaints_of_axe(page: Page) -> list[str]:
    """Return what axe finds serious or critical on a page, whose context must bypass its CSP."""
    page.evaluate(f"{_SCRIPT.read_text(encoding='utf-8')};0")
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 10, "it has looked"
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
