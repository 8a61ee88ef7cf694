import math

import pytest

from sweeps.wording import (
    broken,
    first_line,
    format_difference,
    format_metric,
    format_params,
    format_roughly,
    format_seconds,
    format_value,
    spans,
)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "trial 3"),
        ([1, 0], "trials 0, 1"),
        ([0, 1, 2, 4, 7, 6, 8], "trials 0 to 2, 4, 6 to 8"),
    ],
)
def test_trials_in_a_row_are_written_as_one(numbers, text):
    assert spans(numbers) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (64, "64"),
        ("relu", "relu"),
        (0.0, "0"),
        (0.25, "0.25"),
        (0.00123456, "1.23e-03"),
        (-0.001, "-1.00e-03"),
        (0.01, "0.01"),
        (123456.0, "1.23e+05"),
        (math.inf, "inf"),
    ],
)
def test_a_parameter_is_written_as_people_write_it(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.932, "0.9320"),
        (1.0, "1.0000"),
        (0.0, "0.0000"),
        (23.0, "23"),
        (10575, "10575"),
        (1, "1"),
        (0.00001234, "1.234e-05"),
        (12345.5, "1.235e+04"),
        (math.nan, "nan"),
    ],
)
def test_a_metric_is_written_with_four_decimals_or_as_a_whole_number(value, text):
    assert format_metric(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (4.12, "4.1 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (182, "3 min 02 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_a_duration_never_shows_sixty_seconds_or_minutes(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("metric", "value", "reference", "text"),
    [
        ("best_val_accuracy", 0.941, 0.928, "+1.30 points"),
        ("recall_3", 0.9, 0.95, "-5.00 points"),
        ("accuracy", 94.1, 92.8, "+1.3000"),
        ("best_val_loss", 0.2, 0.25, "-0.0500"),
        ("best_val_loss", 0.25, 0.25, "+0.0000"),
    ],
)
def test_only_differences_of_shares_are_in_points(metric, value, reference, text):
    assert format_difference(metric, value, reference) == text


def test_parameters_keep_their_order():
    assert format_params({"b": 1, "a": 0.5}) == "b=1, a=0.5"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n\n  ValueError: boom  \n at x", "ValueError: boom"),
        ("", ""),
        ("red \x1b[31m", "red ?[31m"),
        ("x" * 200, "x" * 157 + "..."),
    ],
)
def test_the_first_line_of_an_error_is_short_and_printable(text, line):
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("best_val_accuracy", "best_val_\naccuracy"),
        ("learning_rate", "learning_\nrate"),
        ("units_1", "units_1"),
        ("incomprehensibilities", "incomprehensibilities"),
        ("", ""),
    ],
)
def test_long_names_break_after_underscores(name, lines):
    assert broken(name) == lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "a few seconds"),
        (11, "a few seconds"),
        (13, "about half a minute"),
        (44, "about half a minute"),
        (46, "about a minute"),
        (100, "about 2 minutes"),
        (570, "about 10 minutes"),
        (1300, "about 20 minutes"),
        (3299, "about 55 minutes"),
        (3301, "about an hour"),
        (5000, "about an hour"),
        (5500, "about 2 hours"),
        (100_000, "about 28 hours"),
        (200_000, "about 2 days"),
    ],
)
def test_an_estimate_says_no_more_than_it_knows(seconds, text):
    assert format_roughly(seconds) == text
