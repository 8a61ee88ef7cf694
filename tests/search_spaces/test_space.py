import json
import subprocess
import sys

import pytest

from search_spaces.errors import SpaceError
from search_spaces.space import Space
from tests.search_spaces.known import SPACE


def test_everything_in_the_file_is_in_the_space(space, tmp_path):
    assert space.name == tmp_path.name, "a space.yaml is called as its folder is"
    assert space.description == "A space with everything in it"
    assert (space.objective.metric, space.objective.direction) == ("best_val_accuracy", "maximize")
    assert space.fixed == {"epochs": 40}
    assert [str(constraint) for constraint in space.constraints] == ["parameters <= 20000"]
    assert space.directory == tmp_path
    assert (space.defaults.trials, space.defaults.ask_ahead) == (20, None)
    assert (space.defaults.sampler.name, space.defaults.pruner.name) == ("tpe", "none")


def test_defaults_may_carry_options(load):
    text = SPACE + "defaults: {trials: 3, sampler: {name: tpe, options: {n_startup_trials: 5}}}\n"
    defaults = load(text).defaults
    assert defaults.trials == 3
    assert defaults.sampler.options == {"n_startup_trials": 5}


def test_baselines_are_kept_in_file_order_with_the_order_and_types_of_a_walk(space):
    assert list(space.baselines) == ["small", "large"]
    large = space.baselines["large"]
    assert list(large) == [
        "learning_rate",
        "batch_size",
        "hidden_layers",
        "units_1",
        "units_2",
        "optimizer",
        "momentum",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("description: A space", "# a comment\ndescription: Another space"),
        ("low: 1e-4, high: 1e-2", "high: 0.01, low: 0.0001"),
        ("learning_rate: 0.001, batch_size: 32", "batch_size: 32, learning_rate: 1e-3"),
        ("constraints: [parameters <= 20000]", "constraints: ['parameters<=20000']"),
        ("constraints:", "defaults: {trials: 7}\nconstraints:"),
    ],
)
def test_the_digest_ignores_what_does_not_decide_points(load, space, old, new):
    assert SPACE.count(old) == 1
    assert load(SPACE.replace(old, new), "other.yaml").digest() == space.digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("high: 1e-2", "high: 2e-2"),
        ("[16, 32, 64, 128]", "[32, 16, 64, 128]"),
        ("{epochs: 40}", "{epochs: 41}"),
        ("units_1: 25", "units_1: 26"),
        ("  small:", "  tiny:"),
        ("20000", "20001"),
        ("step: 0.1", "step: 0.05"),
        ("low: 1, high: 3", "low: 1, high: 4"),
        ("package.module:experiment", "package.module:other"),
        ("best_val_accuracy, direction: maximize", "best_val_loss, direction: minimize"),
    ],
)
def test_the_digest_sees_what_decides_points(load, space, old, new):
    assert SPACE.count(old) == 1
    assert load(SPACE.replace(old, new)).digest() != space.digest()


def test_the_order_of_parameters_decides(load, space):
    first, second = SPACE.splitlines()[4:6]
    swapped = SPACE.replace(f"{first}\n{second}", f"{second}\n{first}")
    assert load(swapped).digest() != space.digest()


def test_the_order_of_baselines_decides(space):
    stored = space.to_dict()
    stored["baselines"].reverse()
    assert Space.from_dict(stored).digest() != space.digest()


def test_a_space_survives_json_without_its_file(space):
    again = Space.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again == space
    assert again.digest() == space.digest()
    assert list(again.baselines["large"]) == list(space.baselines["large"])


@pytest.mark.parametrize("stored", [{}, {"body": None}, {"body": {"parameters": [{"name": 1}]}}])
def test_a_stored_space_that_cannot_be_read_says_so(stored):
    with pytest.raises(SpaceError, match="stored space: cannot be read"):
        Space.from_dict(stored)


def test_violated_constraints_are_named_with_the_value(space):
    assert space.feasible({"parameters": 20000.0}) == []
    assert space.feasible({"parameters": 20001.0}) == ["parameters <= 20000 (parameters is 20001)"]


def test_a_constraint_on_an_inactive_parameter_is_not_violated(load):
    space = load(SPACE.replace("parameters <= 20000", "units_2 <= units_1"))
    assert space.feasible({"units_1": 8}) == []
    assert space.feasible({"units_1": 8, "units_2": 9}) == [
        "units_2 <= units_1 (units_2 is 9, units_1 is 8)"
    ]


def test_loading_is_quick_to_import_and_needs_no_optuna():
    code = (
        "import sys, time; start = time.perf_counter(); import search_spaces.loading;"
        "print(time.perf_counter() - start);"
        "assert not {'optuna', 'numpy', 'pydantic', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1  # 0.05 s on an idle machine
