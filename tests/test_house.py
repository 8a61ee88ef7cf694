"""The house rules that no linter knows: links, names, pins, light imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tools import need

ROOT = Path(__file__).parent.parent
PACKAGES = ("digitexp", "search_spaces", "sweeps")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SKIPPED = {".venv", ".git", "build", "dist", "node_modules", ".pytest_cache"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not SKIPPED & set(path.relative_to(ROOT).parts) and path.parent.name != "artifacts"
)
NEEDS_KERAS = re.compile(r"mark\.(tensorflow|keras)\b")
HEAVY = ("tensorflow", "keras", "mlflow", "pandas", "matplotlib", "sklearn")
PIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.]+( ?; ?python_version [<>=!]+ ['\"]3\.1\d['\"])?"
)


def local_links(text: str) -> list[str]:
    """Targets of links and pictures outside code that are files, without their anchors."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)", prose)
    targets += re.findall(r"^\[[^\]]+\]:\s+(\S+)", prose, flags=re.MULTILINE)
    targets += re.findall(r"<(?:img|source)\b[^>]*?\bsrc(?:set)?=\"([^\"]+)\"", prose)
    return [t.partition("#")[0] for t in targets if not re.match(r"[a-z]+:|#", t)]


def test_links_are_found_in_prose_and_not_in_code():
    text = "[a](docs/a.md#top) ![b](b.png 'x') [c](https://x.y) `[d](d.md)`\n[e](#f)\n[g]: h.md\n"
    text += "<source media='(x)' srcset='i.png'>\n<img src='j.png' alt='k.png'>"
    expected = ["docs/a.md", "b.png", "h.md", "i.png", "j.png"]
    assert local_links(text.replace("'", '"')) == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_markdown_link_to_a_file_resolves(page):
    missing = [
        t for t in local_links(page.read_text(encoding="utf-8")) if not (page.parent / t).exists()
    ]
    assert not missing


def test_the_pages_a_newcomer_looks_for_exist():
    names = {path.name for path in PAGES if path.parent == ROOT}
    assert names >= {
        *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
    }


def test_every_module_says_what_it_is():
    silent = [str(p.relative_to(ROOT)) for p in MODULES if not ast.get_docstring(_tree(p))]
    assert silent == []


def test_no_module_has_a_name_that_says_nothing():
    nothing = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert [str(p) for p in MODULES if nothing & {p.stem, p.parent.name}] == []


def test_constraints_are_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 50
    assert [line for line in lines if not PIN.fullmatch(line)] == []


def test_every_direct_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    required = {_normalised(re.split(r"[^A-Za-z0-9._-]", r)[0]) for g in groups for r in g}
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert "tensorflow" in required
    pinned = {_normalised(line.partition("==")[0]) for line in pins}
    assert required - pinned == {"digit-sweeps"}, "an extra may name another one of ours"


def test_nothing_of_a_sweep_is_tracked_but_the_readme_of_its_home():
    need("a git checkout")
    tracked = subprocess.run(
        ["git", "ls-files", "mlruns"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(tracked.stdout.split()) <= {"mlruns/.gitignore", "mlruns/README.md"}


def test_importing_the_packages_loads_nothing_heavy():
    code = (
        f"import sys, {', '.join(PACKAGES)}\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_few_tests_of_the_framework_need_tensorflow():
    # All others pass without the extra `keras`, see .ci/without-keras.
    folders = (ROOT / "tests" / "sweeps", ROOT / "tests" / "search_spaces")
    tests = (path for folder in folders for path in folder.rglob("*.py"))
    need = {path.stem for path in tests if NEEDS_KERAS.search(path.read_text("utf-8"))}
    assert need == {
        "test_determinism", "test_edited_code", "test_exporting", "test_init", "test_mistakes",
        "test_planning", "test_serving", "test_verifying",
    }  # fmt: skip
