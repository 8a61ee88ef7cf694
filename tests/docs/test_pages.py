"""What single pages say of the code: every key of a space, every parameter, metric and member."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from digitexp.experiment import experiment as digits
from digitexp.experiments.keras_experiment.experiment import training_parameters
from digitexp.experiments.keras_experiment.judging import metrics_of
from search_spaces.loading import catalogue, load_space
from search_spaces.reading import json_schema
from sweeps import capabilities
from sweeps.config.sweep import ASK_AHEAD
from sweeps.experiment import Experiment

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SPACE_FILE = (DOCS / "space-file.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", SPACE_FILE, re.DOTALL)
USUAL = {
    "experiment": "experiment: digitexp.experiment:experiment\n",
    "objective": "objective: {metric: best_val_accuracy, direction: maximize}\n",
}
"""What a part of a space file leaves out because another example has it."""


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_of_a_space_file_is_valid(number, tmp_path):
    part = yaml.safe_load(EXAMPLES[number])
    missing = [text for key, text in USUAL.items() if key not in part]
    if "command" in part:
        missing = []
    file = tmp_path / "space.yaml"
    file.write_text(EXAMPLES[number] + "".join(missing), encoding="utf-8")
    space = load_space(file)
    if "command" not in part:
        directions = {name: info.direction for name, info in digits.metrics.items()}
        space.check(digits.parameters, directions, digits.measures)


def keys(schema):
    """Every key that a space file may have, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from keys(part)


def used(value):
    if isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from used(part)
    elif isinstance(value, list):
        for part in value:
            yield from used(part)


def test_the_examples_have_every_key_of_the_schema():
    every = set(keys(json_schema()))
    assert {"when", "repeat", "step", "constraints", "confirm", "folds"} <= every
    shown = {key for example in EXAMPLES for key in used(yaml.safe_load(example))}
    assert every - shown == set()


def test_the_page_on_networks_lists_every_space_that_is_shipped():
    page = (DOCS / "networks.md").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in catalogue():
        assert f"| `{name}` |" in page
        assert f"`{name}`" in changes


def test_the_page_on_own_experiments_has_every_parameter_with_its_default():
    page = (DOCS / "own-experiments.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w.-]+) \|", page, re.MULTILINE))
    defaults = {name: info.default for name, info in training_parameters().items()}
    told = {n: rows[n] if isinstance(d, str) else float(rows[n]) for n, d in defaults.items()}
    assert told == defaults


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_page_on_own_experiments_has_every_metric(task):
    page = (DOCS / "own-experiments.md").read_text(encoding="utf-8")
    assert [name for name in metrics_of(task) if f"`{name}`" not in page] == []


def test_the_page_on_own_experiments_has_every_member_and_capability():
    page = (DOCS / "own-experiments.md").read_text(encoding="utf-8")
    methods = {name for name, member in vars(Experiment).items() if callable(member)}
    members = {name for name in methods if not name.startswith("_")} | set(
        Experiment.__annotations__
    )
    assert len(members) > 10
    assert [name for name in members if not re.search(rf"^\| `{name}\b", page, re.MULTILINE)] == []
    named = [name for name in capabilities.__all__ if name.startswith("Supports")]
    assert [name for name in named if f"| `{name}` |" not in page] == []


def test_the_defaults_of_a_space_are_those_of_the_page():
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| `?(\w+)`? \|$", SPACE_FILE, re.MULTILINE))
    assert {"trials", "sampler", "pruner", "ask_ahead"} <= rows.keys()
    defaults = json_schema()["$defs"]["DefaultsModel"]["properties"]
    assert rows["ask_ahead"] == str(ASK_AHEAD)
    for name in ("trials", "sampler", "pruner"):
        assert rows[name] == str(defaults[name]["default"])
