"""The table of the tutorial's items: whatever it names exists."""

import ast
import re
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


def test_the_table_has_every_part_of_the_tutorial():
    assert len(rows()) >= 60
    assert all(len(row) == 3 and all(row) for row in rows())


def test_no_item_stands_there_twice():
    items = [row[0] for row in rows()]
    assert sorted(items) == sorted(set(items))


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row[0])
def test_what_is_named_exists(row):
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
        path, _, function = name.partition("::")
        assert function.startswith("test_"), name
        assert function in defined_in(ROOT / path), name


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
