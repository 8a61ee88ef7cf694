"""Every sentence of an answer stands on its page, with the condition under which it is said."""

import ast
import re
from pathlib import Path

import pytest

import sweeps.render.answer

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "the-answer.md"
FEWEST_LETTERS = 5


def spoken():
    """Return the pieces of text that functions of the module put together, without docstrings."""
    tree = ast.parse(Path(sweeps.render.answer.__file__).read_text())
    docstrings = {
        node.value
        for of in ast.walk(tree)
        if isinstance(of, ast.Module | ast.ClassDef | ast.FunctionDef)
        for node in of.body[:1]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    pieces = set()
    for function in (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)):
        returned = [function.returns, *(one.annotation for one in function.args.args)]
        left_out = {inner for one in returned if one for inner in ast.walk(one)}
        for node in ast.walk(function):
            if isinstance(node, ast.Constant) and node not in docstrings | left_out:
                pieces.add(node.value)
    texts = (one for one in pieces if isinstance(one, str))
    return sorted(one for one in texts if len(re.findall("[a-z]", one)) >= FEWEST_LETTERS)


WORDS_OF_THE_CODE = {
    "share", "unchecked", "unverified", "verified", "equivalent", "folds", "rolling origin",
    "sample", "points", " points",
}  # fmt: skip


def test_there_is_something_to_look_for():
    assert len(spoken()) > 40


@pytest.mark.parametrize("piece", [one for one in spoken() if one not in WORDS_OF_THE_CODE])
def test_it_stands_on_the_page(piece):
    page = re.sub(r"\s+", " ", PAGE.read_text())
    words = re.sub(r"\s+", " ", piece).strip(" .,:;?()`")
    assert words in page
