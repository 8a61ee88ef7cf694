import pytest

from search_spaces.bodies import parse_expression
from search_spaces.errors import SpaceError


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("parameters <= 20000", {"parameters": 20000}, True),
        ("parameters <= 20000", {"parameters": 20001}, False),
        ("a < 2", {"a": 2}, False),
        ("a>=2", {"a": 2}, True),
        ("a > -1e-3", {"a": 0}, True),
        ("optimizer == sgd", {"optimizer": "sgd"}, True),
        ("optimizer == 'sgd'", {"optimizer": "adam"}, False),
        ("optimizer != sgd", {"optimizer": "adam"}, True),
        ("a == 1", {"a": True}, False),
        ("a == true", {"a": True}, True),
        ("a == null", {"a": None}, True),
        ("a in [16, 32]", {"a": 32}, True),
        ("a in [sgd, adam]", {"a": "rmsprop"}, False),
        ("units_2 <= units_1", {"units_1": 8, "units_2": 9}, False),
        ("units_2 <= units_1", {"units_1": 9, "units_2": 9}, True),
        ("a > 1 and b > 1", {"a": 2, "b": 1}, False),
        ("a > 1 and b > 1", {"a": 2, "b": 2}, True),
    ],
)
def test_an_expression_holds_as_it_reads(text, values, expected):
    assert parse_expression(text).holds(values, if_absent=not expected) is expected


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize(
    "values", [{}, {"units_2": 3}, {"units_1": 3}, {"units_1": None, "units_2": 1}]
)
def test_a_name_without_a_value_gives_the_answer_for_absence(values, answer):
    assert parse_expression("units_2 <= units_1").holds(values, if_absent=answer) is answer


def test_names_are_listed_once_in_order():
    assert parse_expression("b < a and a > 1 and c == d").names == ("b", "a", "c")


@pytest.mark.parametrize(
    "text",
    [
        "a <= 20000",
        "a in [16, 32.5, x]",
        "a == 'no way'",
        'a == "it\'s"',
        "a == '1'",
        "a == '.nan'",
        "b < a and c > 1",
    ],
)
def test_written_out_it_is_read_back_as_the_same(text):
    expression = parse_expression(text)
    assert parse_expression(str(expression)) == expression


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "not a comparison"),
        ("parameters", "not a comparison"),
        ("8 <= a", "not a comparison"),
        ("a = 3", "not a comparison"),
        ("a <=", "not a comparison"),
        ("a and", "not a comparison"),
        ("8 <= a <= 20", "not a comparison"),
        ("a <= 3 <= 4", "not one value"),
        ("a == __import__('os')", "not one value"),
        ("a <= 'x'", "a number or a name is needed"),
        ("a < true", "a number or a name is needed"),
        ("a in 3", "a list is needed"),
        ("a in []", "a list is needed"),
        ("a <= 1e999", "only finite numbers"),
        ("a or b == 3", "not a comparison"),
    ],
)
def test_anything_else_is_refused_with_how_to_write_it(text, fragment):
    with pytest.raises(SpaceError, match=fragment):
        parse_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "x <= 0x" + "f" * 290,  # 290 digits: beyond what a float holds
        "x <= 0x" + "f" * 400,
        "x <= " + "9" * 5000,
        "x <= " + " " * 20_000 + "\n1\nb",  # took minutes: the pattern went back and forth
        "x " + " " * 20_000 + "y",
        "x <= ",
    ],
    ids=["large", "longer", "decimal", "spaces", "no operator", "nothing"],
)
def test_huge_numbers_and_much_space_are_refused_at_once(text):
    with pytest.raises(SpaceError, match="received"):
        parse_expression(text)


def test_space_around_and_between_does_not_matter():
    written = "\t x  <=\n 3  and\ty in [ 1,2 ] "
    assert parse_expression(written) == parse_expression("x <= 3 and y in [1, 2]")
