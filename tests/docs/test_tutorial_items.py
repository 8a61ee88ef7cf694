"""The table of the tutorial's items: whatever it names exists, and its tests are run."""

import ast
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from digitexp.parameters import PARAMETERS

ROOT = Path(__file__).parents[2]
PLANNED = "(planned)"
CODE = re.compile(r"`([^`]+)`")
CATALOGUE = {path.stem for path in (ROOT / "search_spaces" / "catalogue").glob("*.yaml")}


def rows():
    """Item, what it is here and its test, of every row of every table of the page."""
    text = (ROOT / "docs" / "tutorial-items.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "item"]


BUILT = [row for row in rows() if PLANNED not in row[2]]


def commands():
    """Every command by name, with its options."""
    from digitexp.cli import app as digitexp
    from sweeps.cli import app as sweeps

    found = {}
    for name, app in (("digitexp", digitexp), ("sweeps", sweeps)):
        for command, what in typer.main.get_command(app).commands.items():
            found[name, command] = {option for one in what.params for option in one.opts}
    return found


def defined_in(path):
    """Names of the functions, classes and methods of a module."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


SAMPLE = """
import pytest
def test_fine(): ...
@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.skip)])
def test_some(x): ...
@pytest.mark.skip(reason="slow")
def test_skipped(): ...
@pytest.mark.skipif(True, reason="slow")
def test_skipped_if(): ...
@pytest.mark.xfail
def test_may_fail(): ...
def test_leaves():
    pytest.skip("later")
def helper():
    def test_inside(): ...
"""
COLLECT = """
import json, sys
from pathlib import Path
import pytest

class Collected:
    def pytest_collection_finish(self, session):
        found = {}
        for item in session.items:
            name = f"{item.path}::{item.originalname}"
            found[name] = found.get(name, False) or not any(map(is_off, item.iter_markers()))
        Path(sys.argv[1]).write_text(json.dumps(found))

def is_off(mark):
    is_certain = mark.args[:1] in {(), (True,)}
    return mark.name == "skip" or mark.name in {"skipif", "xfail"} and is_certain

sys.exit(pytest.main(sys.argv[2:], plugins=[Collected()]))
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Every test in a named file, and in a sample, as pytest collects it: whether it is run."""
    folder = tmp_path_factory.mktemp("collected")
    sample, answer = folder / "test_sample.py", folder / "answer.json"
    sample.write_text(SAMPLE)
    files = {name.partition("::")[0] for row in BUILT for name in CODE.findall(row[2])}
    options = ["-c", "pyproject.toml", "--collect-only", "-q", "-m", "", "--assert=plain"]
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, str(answer), *options, "-p", "no:cacheprovider",
         "-p", "no:xdist", str(sample), *sorted(files)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(answer.read_text())
    return {
        name.replace(f"{ROOT}/", "").replace(f"{folder}/", ""): is_run and not skips(name)
        for name, is_run in found.items()
    }


def skips(name):
    """Whether a test's body skips it whatever happens."""
    path, _, function = name.partition("::")
    return any(
        ast.unparse(statement).startswith(("pytest.skip(", "pytest.xfail("))
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == function
        for statement in node.body
    )


def test_a_test_that_is_not_collected_or_skipped_is_noticed(collected):
    assert {name: is_run for name, is_run in collected.items() if "test_sample" in name} == {
        "test_sample.py::test_fine": True,
        "test_sample.py::test_some": True,
        "test_sample.py::test_skipped": False,
        "test_sample.py::test_skipped_if": False,
        "test_sample.py::test_may_fail": False,
        "test_sample.py::test_leaves": False,
    }


def test_the_table_has_every_part_of_the_tutorial():
    assert len(rows()) >= 60
    assert all(len(row) == 3 and all(row) for row in rows())


def test_no_item_stands_there_twice():
    items = [row[0] for row in rows()]
    assert sorted(items) == sorted(set(items))


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row[0])
def test_what_is_named_exists_and_its_tests_are_run(row, collected):
    _, here, test = row
    for name in CODE.findall(here):
        if name.split()[0] in {"digitexp", "sweeps"}:
            check_command(name)
        elif name.endswith(".ipynb"):
            assert (ROOT / name).is_file(), name
        else:
            module, _, function = name.rpartition(".")
            assert function in defined_in(Path(find_spec(module).origin)), name
    names = CODE.findall(test)
    assert names
    for name in names:
        assert name in collected, f"{name} is not collected"
        assert collected[name], f"{name} is skipped"


def check_command(text):
    """Fail unless command, options, space and parameter of a command line exist."""
    program, command, *words = text.split()
    assert (program, command) in commands(), text
    options = {word for word in words if word.startswith("--")}
    assert options <= commands()[program, command], text
    if (program, command) == ("sweeps", "run") and words:
        assert words[0] in CATALOGUE, text
    for setting in (word for word in words if "=" in word):
        name, _, value = setting.partition("=")
        assert name in PARAMETERS, text
        number = float(value) if PARAMETERS[name].kind == "float" else value
        PARAMETERS[name].check(name, int(value) if PARAMETERS[name].kind == "int" else number)


@pytest.mark.parametrize(
    "wrong",
    ["digitexp fly", "sweeps run --no-such", "sweeps run nowhere", "digitexp train --set x=1"],
)
def test_a_command_that_does_not_exist_is_noticed(wrong):
    with pytest.raises(AssertionError):
        check_command(wrong)
