"""Parameters lie in their distributions; damaged files are named, and never overwritten."""

from __future__ import annotations

import json

import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from sweeps.records import RecordError
from sweeps.records.schema import DamagedRecordWarning, check_sampled, heard, listed, put_aside

RATE = FloatDistribution(1e-5, 1.0, log=True)
STEPPED = FloatDistribution(0.0, 1.0, step=0.1)
LAYERS = IntDistribution(0, 8, step=2)
KIND = CategoricalDistribution(["a", 1, None, 0.5])


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (RATE, [1e-5, 0.3, 1]),
        (STEPPED, [0.0, 0.1 + 0.2, 1.0]),
        (LAYERS, [0, 6, 8]),
        (KIND, ["a", 1, 1.0, None, 0.5]),
        (CategoricalDistribution([True, False]), [True, False]),
    ],
)
def test_what_optuna_may_have_sampled_is_allowed(distribution, values):
    for value in values:
        check_sampled({"x": value}, {"x": distribution_to_json(distribution)})
    check_sampled({"x": "anything"}, {})  # an earlier version kept none


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (RATE, [0.0, 1.1, True, "a", None, float("nan")]),
        (STEPPED, [0.15, -0.1]),
        (LAYERS, [1, 10, 2.5, False]),
        (KIND, ["b", True, 2]),
        (CategoricalDistribution([True, False]), [1, 0, None]),
    ],
)
def test_what_it_cannot_have_sampled_is_refused(distribution, values):
    for value in values:
        with pytest.raises(ValueError, match=r"x is .*, outside of its distribution"):
            check_sampled({"x": value}, {"x": distribution_to_json(distribution)})
    check_sampled({"x": "anything"}, {})  # an earlier version kept none


@pytest.mark.parametrize(("params", "known"), [({"x": 1, "y": 1}, "x"), ({}, "x")])
def test_a_value_without_its_distribution_is_refused_and_the_reverse(params, known):
    with pytest.raises(ValueError, match="has a value or a distribution, and not both"):
        check_sampled(params, {known: distribution_to_json(LAYERS)})


def stored(name="FloatDistribution", **changes):
    attributes = {"low": 0.0, "high": 1.0, "log": False, "step": None, **changes}
    return json.dumps({"name": name, "attributes": attributes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "\udc80",
        '{"name": "FloatDistribution"}',
        stored("UniformDistribution"),
        stored("CategoricalDistribution"),
        stored(choices=["a"]),
        stored(low=2.0),
        stored(low="0"),
        stored(high=float("inf")),
        stored(low=float("nan")),
        stored(high=10**400),
        stored(log=True),
        stored(step=1e-300),
        stored(step=0.0),
        '{"name": "CategoricalDistribution", "attributes": {"choices": []}}',
        '{"name": "CategoricalDistribution", "attributes": {"choices": [[]]}}',
    ],
)
def test_a_distribution_that_optuna_never_wrote_is_refused(text):
    with pytest.raises(ValueError, match="the distribution of x is not valid"):
        check_sampled({"x": 0.5}, {"x": text})


def test_a_damaged_file_may_be_reported_and_left_out():
    def read():
        raise RecordError("x.json: damaged")

    told = []
    assert heard(read, told.append) is None
    assert told == ["x.json: damaged"]
    with pytest.warns(DamagedRecordWarning, match=r"x\.json: damaged"):
        assert heard(read) is None
    assert heard(lambda: 7) == 7


def test_a_file_that_is_put_aside_overwrites_no_other(tmp_path):
    file = tmp_path / "0001.json"
    for content in ("one", "two", "three"):
        file.write_text(content)
        assert put_aside(file).read_text() == content
    names = ["0001.json.2.torn", "0001.json.3.torn", "0001.json.torn"]
    assert [path.name for path in listed(tmp_path)] == names
    assert listed(tmp_path, "[0-9]*.json") == listed(tmp_path / "nowhere") == []


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path):
    folder = tmp_path / "test"
    folder.write_text("a file")
    with pytest.raises(RecordError, match="test: cannot be read"):
        listed(folder)
