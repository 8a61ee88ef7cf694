"""Functions that no other process can import: what they are made of, and how workers get them."""

from __future__ import annotations

import functools
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import sweeps
from sweeps.errors import UsageError
from sweeps.experiments import given
from sweeps.experiments.given import UNCOUNTED, facts_of_function
from tests import chance

ROOT = Path(__file__).parents[3]


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, trial):
        return self.factor * trial.suggest_float("x", 0, 1)

    def method(self, trial):
        return self(trial)


class Named:
    """Compares by what it holds, and can be pickled."""

    def __init__(self, name):
        self.name = name


def holding(value):
    def objective(trial):
        return trial.suggest_float("x", 0, 1) if value is not None else 0.0

    return objective


def with_default(value):
    def objective(trial, number=value):
        return number

    return objective


def calling(helper):
    def objective(trial):
        return helper(trial)

    return objective


def plus_one(trial):
    return trial.number + 1


def plus_two(trial):
    return trial.number + 2


class Helped:
    def __call__(self, trial):
        return plus_one(trial)


def partly(value):
    return functools.partial(Scaled.__call__, Scaled(value))


def test_the_facts_are_its_source_and_the_values_that_it_holds():
    facts = facts_of_function(holding(3))
    assert list(facts) == ["(objective)", "(objective) value"]
    assert facts["(objective)"].startswith("def objective(trial):\n    return")
    assert facts["(objective) value"] == "value = 3"


@pytest.mark.parametrize("make", [holding, with_default, Scaled, lambda n: Scaled(n).method])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        ("1", 1),
        (None, False),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        ({"a", "b"}, {"a", "c"}),
        ("a" * 500 + "b", "a" * 500 + "c"),
        (np.arange(3), np.arange(3.0)),
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.arange(10**5), np.append(np.arange(10**5 - 1), 0)),
        ({"data": [np.zeros(2)]}, {"data": [np.ones(2)]}),
        (Named("a"), Named("b")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_another_value_is_another_fact_and_an_equal_one_is_the_same(make, one, other):
    facts = facts_of_function(make(one))
    assert facts == facts_of_function(make(pickle.loads(pickle.dumps(one))))
    assert facts != facts_of_function(make(other))
    assert not any(text.endswith(UNCOUNTED) for text in facts.values())


def test_functions_that_it_calls_count_and_those_of_packages_do_not():
    facts = facts_of_function(calling(plus_one))
    assert "trial.number + 1" in facts["(objective) helper"]
    assert facts != facts_of_function(calling(plus_two))
    assert list(facts_of_function(calling(json.dumps))) == ["(objective)"]


def test_functions_that_an_object_calls_count():
    assert any("trial.number + 1" in text for text in facts_of_function(Helped()).values())


def test_functions_of_an_own_module_that_it_calls_count():
    def function(trial):
        return chance.at_most(trial)

    facts = facts_of_function(function)
    assert "def at_most" in facts["(objective) chance"]


def test_arguments_of_a_partial_count():
    facts = facts_of_function(functools.partial(plus_one, 1, other=2))
    assert (facts["(objective) 0"], facts["(objective) other"]) == ("0 = 1", "other = 2")
    assert facts_of_function(partly(1)) != facts_of_function(partly(2))


def test_functions_that_call_each_other_end():
    def even(trial):
        return trial == 0 or odd(trial - 1)

    def odd(trial):
        return trial != 0 and even(trial - 1)

    assert "even(trial - 1)" in facts_of_function(even)["(objective) odd"]


def test_without_a_text_its_byte_code_counts():
    made = []
    for number in (1, 1, 2):
        names = {}
        exec(f"def objective(trial):\n    return {number}", names)
        made.append(facts_of_function(names["objective"]))
    assert made[0] == made[1] != made[2]


PROGRAM = """
import json, sys
import numpy as np
from tests.sweeps.experiments.test_given import *
names = {}
exec("def objective(trial): return [n for n in range(trial.number)]", names)
made = {
    "values": holding({"x": {"a", "b", "c", "d"}, "y": [np.arange(5), None, frozenset("pqr")]}),
    "default": with_default("text"),
    "object": Scaled(Named("name")),
    "helper": calling(plus_one),
    "partial": partly(3),
    "object with a set": Scaled(Named({"a", "b", "c", "d"})),
    "without a text": names["objective"],
}
json.dump({name: facts_of_function(one) for name, one in made.items()}, sys.stdout)
"""


@pytest.fixture(scope="module")
def in_two_processes():
    found = []
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(json.loads(ran.stdout))
    return found


@pytest.mark.parametrize(
    "name",
    [
        *("values", "default", "object", "helper", "partial", "object with a set"),
        "without a text",
    ],
)
def test_they_are_the_same_in_every_process(in_two_processes, name):
    one, other = in_two_processes
    assert one[name] == other[name]
    assert one[name]


@pytest.fixture
def unpicklable(tmp_path):
    with (tmp_path / "open.txt").open("w") as file:
        yield {"file": file, "lock": threading.Lock()}


@pytest.mark.parametrize("name", ["file", "lock"])
def test_what_no_other_process_can_have_is_refused_with_workers_only(make_home, unpicklable, name):
    function, options = holding(unpicklable[name]), {"home": make_home(), "progress": "quiet"}
    with pytest.raises(UsageError, match=r"cannot be handed over to worker processes .*workers=0"):
        sweeps.run(function, trials=2, workers=1, **options)
    assert len(sweeps.run(function, trials=2, workers=0, **options).trials) == 2


def test_what_no_other_process_can_have_is_trained_in_this_one_and_that_is_said_once(
    make_home, unpicklable, capsys
):
    study = sweeps.run(holding(unpicklable["lock"]), trials=4, home=make_home(), progress="plain")
    assert len(study.trials) == 4
    said = capsys.readouterr().err
    assert said.count("one trial at once, in the calling process; ") == 1
    assert "cannot be handed over to worker processes (TypeError: " in said
    assert sweeps.replay(study.sweep, 1).is_bit_equal


@pytest.mark.parametrize("name", ["file", "lock"])
def test_a_value_whose_change_is_not_noticed_is_named(make_home, unpicklable, name, capsys):
    function = holding(unpicklable[name])
    assert facts_of_function(function)["(objective) value"].endswith(UNCOUNTED)
    sweeps.run(function, trials=1, workers=0, home=make_home(), progress="plain")
    assert "; a change of value is not noticed" in capsys.readouterr().err


def test_a_package_of_what_was_given_brings_it_to_another_process(monkeypatch):
    monkeypatch.setattr(given, "_given", {})
    given.give("here:lost", holding(5))
    packed = given.packed("here:lost@minimize")
    given._given.clear()
    assert given.given("here:lost") is None
    given.unpack(packed)
    assert given.given("here:lost").__closure__[0].cell_contents == 5


def test_what_can_be_imported_is_not_handed_over(monkeypatch):
    monkeypatch.setattr(given, "_given", {})
    given.give(f"{__name__}:plus_one", plus_one)
    assert not given.lives_here(f"{__name__}:plus_one@minimize")
    assert given.packed(f"{__name__}:plus_one@minimize") == b""
    assert given.given(f"{__name__}:plus_one") is None


def test_two_lambdas_of_one_line_differ_and_a_name_without_a_value_is_none_of_it():
    one, other = (lambda trial: 1), (lambda trial: 2)
    assert facts_of_function(one) != facts_of_function(other)

    def objective(trial):
        return study or trial

    assert "return study" in facts_of_function(objective)["(objective)"]
    study = None


def test_a_password_that_a_function_holds_is_kept_nowhere(make_home):
    password = "tr0ub4dor-and-3-horses"

    def objective(trial):
        return trial.suggest_float("x", 0, len(password))

    sweep = sweeps.run(objective, trials=1, workers=0, home=make_home(), progress="quiet").sweep
    for file in (one for one in sweep.home.path.rglob("*") if one.is_file()):
        assert password.encode() not in file.read_bytes(), file


def test_the_settings_of_an_experiment_that_ships_count():
    from digitexp.keras_experiment import KerasExperiment

    def build(params):
        raise NotImplementedError

    one, other = (KerasExperiment(build, (1, 2), {}, class_weight={1: w}) for w in (5.0, 8.0))
    facts = given.facts_of_experiment(one)
    assert facts == given.facts_of_experiment(
        KerasExperiment(build, (1, 2), {}, class_weight={1: 5.0})
    )
    assert facts != given.facts_of_experiment(other)
