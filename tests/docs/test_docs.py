"""Every command block of the documentation, run in an empty folder, in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def blocks(page):
    return re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.stem)
def test_every_command_works(tmp_path, page):
    left_out = {"MLFLOW_TRACKING_URI", "SWEEPS_HOME", "GITHUB_STEP_SUMMARY"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    script = (
        f'set -eux\npython() {{ {sys.executable} "$@"; }}\nsweeps() {{ python -m sweeps "$@"; }}\n'
    )
    ran = subprocess.run(
        ["bash", "-c", script + "\n".join(blocks(page))],
        cwd=tmp_path, env=kept, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_every_link_leads_somewhere():
    root = DOCS.parent
    for page in [*PAGES, *root.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_reference_is_what_the_code_says():
    command = [sys.executable, str(DOCS / "build_reference.py"), "--check"]
    ran = subprocess.run(command, check=False, env=os.environ | {"COLUMNS": "100"})
    assert ran.returncode == 0, "run: python docs/build_reference.py"
