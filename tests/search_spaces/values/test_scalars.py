import pytest

from search_spaces.errors import SpaceError
from search_spaces.values import is_number, parse_scalar, same


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("e5", "e5"),
    ],
)
def test_plain_text_becomes_the_value_yaml_1_2_gives_it(text, value):
    parsed = parse_scalar(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", [".nan", "NaN", "-inf", ".INF", "1e400", "9" * 301])
def test_numbers_that_are_not_finite_or_endless_are_refused(text):
    with pytest.raises(SpaceError, match="received"):
        parse_scalar(text)


def test_a_bool_is_neither_a_number_nor_equal_to_one():
    assert not is_number(True)
    assert not same(True, 1)
    assert same(1, 1.0)
