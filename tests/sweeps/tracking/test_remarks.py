from __future__ import annotations

import json
from typing import Any

import pytest

from sweeps.tracking.content import LABEL_CHARACTERS, label_params, trial_run, why
from tests.sweeps.factories import make_info, make_record


@pytest.mark.parametrize(
    ("outcome", "changes", "words"),
    [
        ("complete", {}, "early stopping, epoch 5"),
        ("pruned", {}, "pruned, epoch 5"),
        ("diverged", {}, "diverged, epoch 5"),
        ("failed", {}, "ValueError: too deep"),
        ("failed", {"reason": "timeout", "error": None}, "timeout"),
        ("failed", {"reason": "oom", "error": "\n killed\nmore"}, "oom killed"),
        ("failed", {"error": "x" * 200}, "x" * 77 + "..."),
        ("failed", {"error": "\x1b[31mred"}, "?[31mred"),
    ],
)
def test_a_run_says_in_a_few_words_why_it_ended(
    outcome: Any, changes: dict[str, Any], words: str
) -> None:
    assert why(make_record(outcome=outcome, **changes)) == words


def chosen(value: str, choices: list[str]) -> dict[str, str]:
    text = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": choices}})
    record = make_record(params={"loss": value}, distributions={"loss": text})
    params = trial_run(make_info(), record, "parent").params
    assert params["loss"] == value
    assert label_params(record).items() <= params.items()
    return label_params(record)


def test_short_words_need_no_label() -> None:
    assert chosen("relu", ["relu", "tanh", "nine char"]) == {}


@pytest.mark.parametrize(
    "choices",
    [
        ["categorical_crossentropy", "categorical_hinge", "mse"],
        ["layers_64_dropout", "layers_32_dropout", "layers_16_dropout"],
        ["[64, 32, 16]", "[64, 32]", "[128, 64, 32]"],
    ],
)
def test_long_words_get_labels_that_a_chart_neither_cuts_nor_merges(choices: list[str]) -> None:
    labels = [chosen(choice, choices)["loss_label"] for choice in choices]
    assert len(set(labels)) == len(choices)
    assert max(map(len, labels)) <= LABEL_CHARACTERS


def test_lists_stay_readable() -> None:
    choices = ["[64, 32, 16]", "[64, 32]"]
    assert [chosen(choice, choices)["loss_label"] for choice in choices] == ["64-32-16", "64-32"]
