"""The command of a script: words, placeholders, optional parts, what only a shell understands."""

from __future__ import annotations

import pytest

from sweeps.experiments.script import ScriptCommand


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("a {x}", {"x": "1 2"}, ["a", "1 2"]),
        ("a --x={x} 'b c'", {"x": "$(rm)"}, ["a", "--x=$(rm)", "b c"]),
        ("a {{x}} {{{x}}}", {"x": "1"}, ["a", "{x}", "{1}"]),
        ("a {?m --m {m}} b", {"m": "1 2"}, ["a", "--m", "1 2", "b"]),
        ("a {?m --m {m}} b", {}, ["a", "b"]),
        ("a {?m: --m {m}} b", {"m": "1"}, ["a", "--m", "1", "b"]),
        ("a {?m --flag} b", {"m": "1"}, ["a", "--flag", "b"]),
        ("a {?m --m {m} --n {n}}", {"m": "1"}, ["a"]),
        ("a {?m --m {m}}{?n --n {n}}", {"m": "1"}, ["a", "--m", "1"]),
        ("a {?m --m {m}} {?n --n {n}}", {"n": "1"}, ["a", "--n", "1"]),
        ("bash -c 'a {?m --m {m}} | b'", {"m": "1"}, ["bash", "-c", "a --m 1 | b"]),
        ("bash -c 'a {?m --m {m}} | b'", {}, ["bash", "-c", "a  | b"]),
        ("a '{?m --m {m}}'", {"m": "1"}, ["a", "--m", "1"]),
        ("a {?m --m '{{{m}}}'}", {"m": "1"}, ["a", "--m", "{1}"]),
    ],
)
def test_words_are_those_of_the_values_and_parts_without_one_are_left_out(text, values, words):
    assert ScriptCommand(text).words(values) == words


def test_names_in_parts_are_optional_and_others_are_required():
    command = ScriptCommand("a {x} {?m --m {m} --n {n}} {?f --flag}")
    assert command.required == {"x"}
    assert command.names == command.required | {"m", "n", "f"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a {?m --m {m}", "is not closed"),
        ("a {?m}", r"is no optional part, or is not closed; write \{\?name --option \{name\}\}"),
        ("a {?m {?n {n}}}", "is no optional part"),
        ("a {?1 --m}", "is no optional part"),
        ("a {x.y}", r"\{x.y\} is no placeholder"),
        ("a {x:3d}", r"\{x:3d\} is no placeholder"),
        ("a {}", r"\{\} is no placeholder"),
        ("a 'b", "No closing quotation"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text, said):
    with pytest.raises(ValueError, match=said):
        ScriptCommand(text)


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "a|b",
        "a || b",
        "a && b",
        "a; b",
        "a > b",
        "a >>b",
        "a 2>b",
        "a &> b",
        "a < b",
        "a &",
    ],
)
def test_an_operator_of_a_shell_is_refused_with_the_way_to_have_one(text):
    with pytest.raises(ValueError, match=r"is for a shell.* Write command: \[bash, -c, '.*a"):
        ScriptCommand(text).check_no_shell()


@pytest.mark.parametrize(
    "text",
    [
        "a 'b | c'",
        'a "b > c"',
        r"a b\|c",
        "a http://x/?b=1&c=2",
        "bash -c 'a | b'",
        "a {?m --m {m}}",
        "a --expect={x}",
    ],
)
def test_what_is_quoted_or_is_no_operator_is_an_argument(text):
    ScriptCommand(text).check_no_shell()


def test_scripts_are_found_in_lines_for_a_shell_but_not_what_these_write():
    named = ScriptCommand("bash -c 'cd x&&python train.py --lr {lr}|tee log.txt'").named()
    assert {"train.py", "bash"} <= set(named)
    assert "log.txt" not in named
