"""The house rules that no linter knows: links, sizes, names, pins, light imports."""

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
HEAVY = ("tensorflow", "keras", "mlflow", "pandas", "matplotlib", "sklearn")
PIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.]+( ?; ?python_version [<>=!]+ ['\"]3\.1\d['\"])?"
)


def local_links(text: str) -> list[str]:
    """Targets of Markdown links outside code that are files, without their anchors."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)", prose)
    targets += re.findall(r"^\[[^\]]+\]:\s+(\S+)", prose, flags=re.MULTILINE)
    return [t.partition("#")[0] for t in targets if not re.match(r"[a-z]+:|#", t)]


def long_functions(source: str, limit: int) -> list[str]:
    """Functions with more lines of body than `limit`, without signature and docstring."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = ((node.name, _body_lines(node)) for node in functions)
    return [f"{name} ({lines} lines)" for name, lines in lengths if lines > limit]


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    statements = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def test_links_are_found_in_prose_and_not_in_code():
    text = "[a](docs/a.md#top) ![b](b.png 'x') [c](https://x.y) `[d](d.md)`\n[e](#f)\n[g]: h.md\n"
    assert local_links(text.replace("'", '"')) == ["docs/a.md", "b.png", "h.md"]


def test_a_function_is_measured_without_its_signature_and_docstring():
    source = "def f(\n    a,\n):\n    'Doc.'\n    1\n    2\n    3\n\ndef g():\n    'Doc.'\n"
    assert long_functions(source, 2) == ["f (3 lines)"]
    assert long_functions(source, 3) == []


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


def test_no_module_is_longer_than_330_lines():
    lengths = {str(p.relative_to(ROOT)): p.read_text("utf-8").count("\n") for p in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > 330} == {}


def test_no_function_is_longer_than_60_lines():
    found = {str(p.relative_to(ROOT)): long_functions(p.read_text("utf-8"), 60) for p in MODULES}
    assert {path: functions for path, functions in found.items() if functions} == {}


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
    assert required - {_normalised(line.partition("==")[0]) for line in pins} == set()


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
