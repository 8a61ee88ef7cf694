"""A space against what its experiment says of itself."""

import pytest

from search_spaces.errors import SpaceError
from search_spaces.parameters import ParameterInfo
from tests.search_spaces.known import FINITE, MEASURES, METRICS, PARAMETERS, SPACE


@pytest.mark.parametrize("text", [SPACE, FINITE])
def test_a_space_the_experiment_understands_passes(load, text):
    load(text).check(PARAMETERS, METRICS, MEASURES)


BUNDLES = "{type: categorical, choices: [sgd, adam]}"

CASES = {
    "unknown metric": (
        ("best_val_accuracy", "best_accuracy"),
        [":3: objective.metric: ", "no metric 'best_accuracy'", "did you mean 'best_val_accuracy'"],
    ),
    "other direction": (
        ("direction: maximize", "direction: minimize"),
        [":3: objective.direction: received 'minimize'", "the other way: maximize"],
    ),
    "unknown parameter": (
        ("  batch_size: {", "  batchsize: {"),
        [":6: parameters.batchsize: the experiment has no parameter", "did you mean 'batch_size'?"],
    ),
    "unknown repeated parameter": (
        ("  units: {", "  unit: {"),
        [":8: parameters.unit: the experiment has no parameter 'unit_1'", "'units_{i}'?"],
    ),
    "above the limit": (
        ("low: 8, high: 128", "low: 8, high: 5000"),
        [":8: parameters.units.high: received 5000; allowed: a whole number from 1 to 4096"],
    ),
    "below the limit": (
        ("low: 0, high: 1, step", "low: -1, high: 1, step"),
        [":10: parameters.momentum.low: received -1; allowed: a number from 0 to 1"],
    ),
    "float for an int": (
        (
            "batch_size: {type: categorical, choices: [16, 32, 64, 128]}",
            "batch_size: {type: float, low: 1, high: 128}",
        ),
        [":6: parameters.batch_size.type: is float; the experiment needs a whole number"],
    ),
    "range for a text": (
        (
            "  momentum: {type: float, low: 0, high: 1, step: 0.1,",
            "  activation: {type: int, low: 0, high: 1,",
        ),
        [":10: parameters.activation.type: is int; the experiment needs one of relu, tanh, elu"],
    ),
    "unknown choice": (
        ("[sgd, adam]", "[sgd, adamw]"),
        [":9: parameters.optimizer.choices: received 'adamw'", "did you mean 'adam'?"],
    ),
    "text among numbers": (
        ("[16, 32, 64, 128]", "[16, 32, many]"),
        [":6: parameters.batch_size.choices: received 'many'; allowed: a whole number"],
    ),
    "unknown in a bundle": (
        (BUNDLES, "{type: categorical, choices: {sgd: {optimiser: sgd}, adam: {optimizer: adm}}}"),
        [
            ":9: parameters.optimizer.choices.sgd.optimiser: the experiment has no parameter",
            ":9: parameters.optimizer.choices.adam.optimizer: received 'adm'",
        ],
    ),
    "unknown fixed": (
        ("{epochs: 40}", "{epoch: 40}"),
        [":11: fixed.epoch: the experiment has no parameter 'epoch'", "did you mean 'epochs'?"],
    ),
    "fixed outside": (
        ("{epochs: 40}", "{epochs: 0}"),
        [":11: fixed.epochs: received 0; allowed: a whole number from 1 to 10000"],
    ),
    "fixed of another type": (
        ("{epochs: 40}", "{epochs: 40.5, nesterov: 1, label: 3}"),
        [
            "fixed.epochs: received 40.5",
            "fixed.nesterov: received 1; allowed: true or false",
            "fixed.label: received 3; allowed: text",
        ],
    ),
    "switched off what cannot be": (
        ("{epochs: 40}", "{epochs: null}"),
        [":11: fixed.epochs: received null; allowed"],
    ),
    "unknown in a constraint": (
        ("parameters <= 20000", "paramters <= 20000"),
        [":17: constraints.0: 'paramters' is neither", "did you mean 'parameters'?"],
    ),
}


@pytest.mark.parametrize(("change", "fragments"), CASES.values(), ids=CASES)
def test_a_disagreement_is_refused_with_file_line_and_what_is_allowed(load, change, fragments):
    assert SPACE.count(change[0]) == 1 or change[0] == "best_val_accuracy"
    text = SPACE.partition("baselines:")[0].replace(*change)
    text += "\n" * 5 + SPACE[SPACE.index("constraints:") :].replace(*change)
    space = load(text)
    with pytest.raises(SpaceError) as refusal:
        space.check(PARAMETERS, METRICS, MEASURES)
    message = str(refusal.value)
    for fragment in fragments:
        assert fragment in message
    assert "space.yaml:" in message


@pytest.mark.parametrize(
    "fixed", ["clipnorm: null", "clipnorm: 1", "nesterov: true", "label: x", "patience_epochs: 3"]
)
def test_values_the_experiment_allows_may_be_fixed(load, fixed):
    load(SPACE.replace("{epochs: 40}", f"{{epochs: 40, {fixed}}}")).check(
        PARAMETERS, METRICS, MEASURES
    )


def test_a_constraint_may_name_parameters_and_measures(load):
    space = load(SPACE.replace("parameters <= 20000", "units_2 <= units_1, parameters > 3"))
    space.check(PARAMETERS, METRICS, MEASURES)


@pytest.mark.parametrize("name", ["momentum", "patience_epochs"])
def test_what_the_experiment_requires_must_always_be_set(space, name):
    required = {**PARAMETERS, name: ParameterInfo("float", required=True)}
    with pytest.raises(SpaceError, match=f"requires '{name}'; vary it or fix it"):
        space.check(required, METRICS, MEASURES)


def test_a_required_repetition_is_set_by_its_first(space):
    required = {**PARAMETERS, "units_{i}": ParameterInfo("int", low=1, required=True)}
    space.check(required, METRICS, MEASURES)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (ParameterInfo("float", low=0), "a number from 0 up"),
        (ParameterInfo("float", high=0), "a number up to 0"),
        (ParameterInfo("int", optional=True), "a whole number, or null"),
    ],
)
def test_limits_are_said_in_words(space, info, words):
    with pytest.raises(SpaceError, match=f"allowed: {words}"):
        space.check({**PARAMETERS, "optimizer": info}, METRICS, MEASURES)
