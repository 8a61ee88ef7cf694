from __future__ import annotations

import numpy as np
import pytest

from sweeps.tracking.view import by_importance

RNG = np.random.default_rng(0)


def trials(number: int = 60) -> list[dict[str, object]]:
    kinds = ["a", "b", "c"]
    return [
        {"noise": float(RNG.random()), "x": float(x), "kind": kinds[number % 3], "same": 4}
        for number, x in enumerate(RNG.uniform(-1, 1, number))
    ]


def test_the_parameter_that_decides_comes_first_and_what_never_varies_is_left_out() -> None:
    tried = trials()
    parabola = [-(float(str(trial["x"])) ** 2) for trial in tried]  # no correlation at all
    assert by_importance(tried, parabola)[0] == "x"
    assert set(by_importance(tried, parabola)) == {"noise", "x", "kind"}
    kinds = [float("abc".index(str(trial["kind"]))) for trial in tried]
    assert by_importance(tried, kinds)[0] == "kind"


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_few_trials_decide_nothing(number: int) -> None:
    tried = trials(number)
    expected = ["noise", "x", "kind"] if number > 1 else []
    assert by_importance(tried, [0.5] * number) == expected


def test_parameters_that_are_inactive_or_of_several_kinds_are_borne() -> None:
    tried = [{"a": 1}, {"a": None}, {"a": "x", "b": 2}, {"a": [1, 2], "b": 3}, {"b": 2.5}, {}]
    assert set(by_importance(tried, [1, 2, 3, 4, 5, 6])) == {"a", "b"}
