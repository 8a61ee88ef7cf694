import time
from pathlib import Path

import pytest

from search_spaces.errors import SpaceError
from search_spaces.loading import parse, read_text


def test_values_and_the_line_of_each_place():
    document = parse("a: 1e-3\nb:\n  - x\n  - {c: null, d: '1'}\n", "f")
    assert document.values == {"a": 0.001, "b": ["x", {"c": None, "d": "1"}]}
    assert document.lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d"): 4,
    }


@pytest.mark.parametrize("text", ["a: 'yes'", "a: yes", "a: |\n  yes\n", 'a: "yes"'])
def test_text_stays_text(text):
    assert str(parse(text, "f").values["a"]).strip() == "yes"


def test_a_bomb_of_aliases_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    for level in range(1, 30):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 8)}]")
    start = time.perf_counter()
    with pytest.raises(SpaceError, match=r"f:2: alias \*a0; write the value out instead"):
        parse("\n".join(lines), "f")
    assert time.perf_counter() - start < 5


def test_a_bomb_of_brackets_is_refused_without_a_recursion_error():
    with pytest.raises(SpaceError, match="nested deeper"):
        parse("a: " + "[" * 50_000, "f")


def test_a_file_that_is_not_there_or_cannot_be_opened_is_refused():
    with pytest.raises(SpaceError, match=r"x.yaml: no such file"):
        read_text(Path("no", "x.yaml"), "x.yaml")
    with pytest.raises(SpaceError, match=r"cannot be read \(File name too long\)"):
        read_text(Path("x" * 300), "x.yaml")


@pytest.mark.parametrize(
    "text", ["%YAML 9.9\n---\na: 1", "a: @b", "a: 'b", "a: b: c", "? \n- a: ]"]
)
def test_broken_text_never_escapes_as_a_yaml_error(text):
    with pytest.raises(SpaceError, match="f:"):
        parse(text, "f")
