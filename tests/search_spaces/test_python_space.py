"""Spaces written as a function."""

import json
import sys
from functools import partial
from itertools import count

import optuna
import pytest

from search_spaces.bodies import Replay
from search_spaces.errors import SpaceError
from search_spaces.loading import load_space
from search_spaces.overrides import apply_overrides
from search_spaces.python_space import scored_by, takes_fold
from search_spaces.space import Space
from tests.search_spaces.known import MEASURES, METRICS, PARAMETERS, answers_of

MODULE = '''
from search_spaces.python_space import space


@space(
    experiment="package.module:experiment",
    objective={"metric": "best_val_accuracy", "direction": "maximize"},
    baselines={"small": {"power": 4, "hidden_layers": 1, "units_1": 16, "learning_rate": 0.01}},
    constraints=["parameters <= 20000"],
    defaults={"trials": 7, "sampler": "random"},
    fixed={"epochs": 40, "dropout": 0.5},
)
def pyramid(trial):
    """Layers that never widen.

    More text.
    """
    config = {"batch_size": 2 ** trial.suggest_int("power", 4, 7), "dropout": 0.1}
    config["hidden_layers"] = trial.suggest_int("hidden_layers", 1, 3)
    width = 64
    for index in range(1, config["hidden_layers"] + 1):
        width = trial.suggest_int(f"units_{index}", 8, width)
        config[f"units_{index}"] = width
    config["learning_rate"] = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return config
'''

FINITE = """
from search_spaces.python_space import space


@space(experiment="a:b", objective={"metric": "best_val_loss", "direction": "minimize"})
def finite(trial):
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam"])
    if optimizer == "sgd":
        return {"optimizer": optimizer, "momentum": trial.suggest_float("momentum", 0, 1, step=0.5)}
    assert trial.suggest_categorical("optimizer", ["sgd", "adam"]) == optimizer
    return {"optimizer": optimizer}
"""

_numbers = count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module of its own into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text: str) -> str:
        name = f"space_module_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


@pytest.fixture
def pyramid(module) -> Space:
    return load_space(f"{module(MODULE)}:pyramid")


def walks(space, number=40):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.walk(answers_of(study.ask())).params for _ in range(number)]


def test_the_decorator_carries_the_header(pyramid):
    assert pyramid.name == "pyramid"
    assert pyramid.description == "Layers that never widen."
    assert pyramid.experiment == "package.module:experiment"
    assert (pyramid.defaults.trials, pyramid.defaults.sampler.name) == (7, "random")
    assert [str(constraint) for constraint in pyramid.constraints] == ["parameters <= 20000"]
    assert list(pyramid.baselines["small"]) == [
        "power",
        "hidden_layers",
        "units_1",
        "learning_rate",
    ]


def test_a_configuration_is_what_the_function_returned_over_fixed_values(pyramid):
    for params in walks(pyramid):
        config = pyramid.configuration(params)
        assert config["batch_size"] == 2 ** params["power"]
        assert (config["epochs"], config["dropout"]) == (40, 0.1)
        assert "power" not in config
        widths = [config[f"units_{i}"] for i in range(1, config["hidden_layers"] + 1)]
        assert widths == sorted(widths, reverse=True)


def test_points_outside_are_refused_as_in_a_file(pyramid):
    point = pyramid.baselines["small"]
    pyramid.configuration(point)
    with pytest.raises(SpaceError, match=r"units_1: received 65, outside 8..64"):
        pyramid.configuration({**point, "units_1": 65})
    with pytest.raises(SpaceError, match=r"units_2: is not active"):
        pyramid.configuration({**point, "units_2": 8})


def test_it_passes_the_check_of_its_experiment(pyramid):
    pyramid.check(PARAMETERS, METRICS, MEASURES)


def test_what_it_returns_is_checked(module):
    name = module(MODULE.replace('"dropout": 0.1', '"drop_out": 0.1'))
    with pytest.raises(SpaceError, match=r"no parameter 'drop_out'.*did you mean 'dropout'"):
        load_space(f"{name}:pyramid").check(PARAMETERS, METRICS, MEASURES)


def test_a_finite_one_is_counted_and_enumerated(module):
    space = load_space(f"{module(FINITE)}:finite")
    assert space.size() == 4
    assert space.conditional
    assert list(space.enumerate()) == [
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "sgd", "momentum": 1.0},
        {"optimizer": "adam"},
    ]


def test_an_infinite_one_has_no_size(pyramid):
    assert pyramid.size() is None
    with pytest.raises(SpaceError, match=r"learning_rate: is continuous"):
        pyramid.enumerate()


def test_counting_stops_at_ten_thousand_points(module):
    text = FINITE.replace('"momentum", 0, 1, step=0.5', '"momentum", 0, 1000000, step=1')
    assert load_space(f"{module(text)}:finite").size() is None


def test_tables_show_what_probing_met(pyramid):
    rows = {row.name: row for row in pyramid.parameters}
    assert rows["power"].range == "4..7"
    assert rows["units_2"].range.count("|") >= 1
    assert rows["learning_rate"].kind == "float"


def test_it_is_imported_again_from_its_stored_form(pyramid):
    again = Space.from_dict(pyramid.to_dict())
    assert again == pyramid
    assert again.digest() == pyramid.digest()


@pytest.mark.parametrize(("old", "new"), [("width = 64", "width = 65"), ("0.1}", "0.2}")])
def test_another_function_has_another_digest(module, pyramid, old, new):
    other = load_space(f"{module(MODULE.replace(old, new))}:pyramid").to_dict()
    other["body"]["function"] = pyramid.to_dict()["body"]["function"]
    assert other["body"] != pyramid.to_dict()["body"]


def test_overrides_fix_narrow_and_replace(pyramid):
    changed, dropped = apply_overrides(
        pyramid, ["hidden_layers=2", "learning_rate=1e-3..2e-3", "dropout=0.3"], PARAMETERS
    )
    assert dropped == ("small",)
    for params in walks(changed):
        config = changed.configuration(params)
        assert "hidden_layers" not in params
        assert changed.walk(Replay(params)).held == {"hidden_layers": 2}
        assert 1e-3 <= params["learning_rate"] <= 2e-3
        assert (config["hidden_layers"], config["dropout"]) == (2, 0.3)
    assert Space.from_dict(changed.to_dict()).digest() == changed.digest() != pyramid.digest()
    assert {row.name: row.range for row in changed.parameters}["hidden_layers"] == "2 (fixed)"


def test_a_baseline_inside_the_overrides_stays(pyramid):
    changed, dropped = apply_overrides(pyramid, ["power=4", "units_1=8..32"], PARAMETERS)
    assert dropped == ()
    assert list(changed.baselines["small"]) == ["hidden_layers", "units_1", "learning_rate"]


@pytest.mark.parametrize(
    ("override", "fragment"),
    [
        ("power=8", "received 8, outside 4..7"),
        ("units_1=4..16", "received 4, outside 8..64"),
        ("powr=5", "the function samples power.*did you mean 'power'"),
        ("dropout=2", "received 2; allowed: a number from 0 to 0.95"),
        ("batch_size=16,32", "it takes one value"),
    ],
)
def test_bad_overrides_are_refused(pyramid, override, fragment):
    with pytest.raises(SpaceError, match=f"--set {override}: .*{fragment}"):
        apply_overrides(pyramid, [override], PARAMETERS)


def test_a_plain_function_is_an_objective_whose_parameters_are_not_known_before(module):
    name = module('def rates(trial):\n    """One line."""\n    return 1.0\n')
    space = load_space(f"{name}:rates", directions=["maximize"])
    assert (space.name, space.is_open, space.size()) == ("rates", True, None)
    assert space.description == "One line."
    assert space.experiment == f"{name}:rates@maximize"
    assert [one.metric for one in space.objectives] == ["value"]
    assert space.configuration({"x": 1}) == {"x": 1}, "every point lies in it"
    again = Space.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again.digest() == space.digest()
    with pytest.raises(SpaceError, match="names its parameters only while it runs"):
        next(iter(space.enumerate()))
    with pytest.raises(SpaceError, match="stands in the function; change it there"):
        apply_overrides(space, ["x=1"], {})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def rates():\n    return 1\n", "takes nothing; an objective function takes a trial"),
        ("def rates(a, b, c):\n    return 1\n", "takes a, b, c; an objective function"),
        ("class rates:\n    pass\n", "is a class; give an object of it"),
    ],
)
def test_what_is_no_objective_function_is_refused(module, code, said):
    with pytest.raises(SpaceError, match=said):
        load_space(f"{module(code)}:rates")


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("lambda trial: 1", False),
        ("lambda trial, fold: 1", True),
        ("lambda trial, x: 1", True),
        ("lambda trial, x=3: 1", False),
        ("lambda trial, fold=0: 1", True),
        ("lambda trial, *, x=3: 1", False),
        ("lambda *arguments: 1", False),
    ],
)
def test_a_second_argument_without_a_default_is_a_fold(text, takes):
    assert takes_fold("m:f", eval(text)) is takes


ON_TEST = {
    "variable": ("test_acc = 1.0\n    return test_acc", "line 3 returns test_acc; the test set"),
    "number": ("test = {'f1': 1}\n    return float(-test['test_f1'].item())", "calls test_f1; the"),
    "attribute": ("return trial.testing_loss", "which it calls testing_loss; the test set"),
    "noted": (
        "x = 1.0\n    trial.set_user_attr('on test', x)\n    return round(x, 3)",
        r"line 4 returns round\(x, 3\), which it calls on test; the test set is for the end",
    ),
    "logged": ("x = 1\n    log_metric('x.test', x)\n    return x", "which it calls x.test; "),
    "one of two": ("test_acc = 1\n    return 0, test_acc", "which it calls test_acc; the test set"),
    "one way of two": (
        "if trial:\n        return 1\n    return test_acc",
        "line 4 returns test_acc",
    ),
}


@pytest.mark.parametrize(("code", "said"), ON_TEST.values(), ids=ON_TEST)
def test_a_score_of_the_test_set_is_no_objective_unless_the_function_says_so(module, code, said):
    both = f"def tuned(trial):\n    {code}\ndef tuned_on_test(trial):\n    {code}\n"
    name = module(both)
    with pytest.raises(SpaceError, match=said):
        load_space(f"{name}:tuned")
    assert load_space(f"{name}:tuned_on_test").is_open


class Scored:
    def __call__(self, trial):
        return self.latest(trial)

    def latest(self, trial):
        """Return what is called neither `test_acc` nor a score of the test set."""

        def inner():
            return self.test_acc

        contest = attested = inner()
        trial.set_user_attr("test_acc", trial.other)
        return contest if trial else attested


def fitted(trial):
    return trial.score(trial.x_val, x_test)  # noqa: F821


def long(trial):
    return trial.suggest_float("a_long_name", 0, 1) + trial.suggest_float("another_one", 0, 1) + 1


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda trial: trial.x, ("trial.x", "")),
        (Scored(), ("self.latest(trial)", "")),
        (Scored().latest, ("contest if trial else attested", "")),
        (partial(fitted), ("trial.score(trial.x_val, x_test)", "x_test")),
        (long, ("", "")),
        (print, ("", "")),
        (eval("lambda trial: test_acc"), ("", "")),
    ],
    ids=["lambda", "object", "method", "partial", "long", "builtin", "no text"],
)
def test_what_a_function_returns_is_said_in_its_own_words(function, text):
    assert scored_by("m:f", function) == text


BAD = {
    "header": (
        '"direction": "maximize"',
        '"direction": "up"',
        "objective.direction: received 'up'",
    ),
    "baseline": ('"units_1": 16', '"units_1": 160', "baselines.small.units_1: received 160"),
    "constraint": ("parameters <= 20000", "parameters", "constraints.0: received 'parameters'"),
    "range": ('"power", 4, 7', '"power", 7, 4', "power: low is 7, above high, which is 4"),
    "crash": ("width = 64", "width = missing", "the function raised NameError: name 'missing'"),
    "number of a trial": ("width = 64", "width = trial.number", "raised AttributeError"),
    "no dict": ("return config", "return 3", "the function returned 3; a dict of values"),
    "nothing": ("return config", "pass", "the function returned null; a dict"),
    "odd key": ("return config", "return {1: 2}", "returned a key 1; a name is needed"),
    "odd value": ("return config", "return {'a': [1]}", "a: received a list; text"),
    "twice": (
        "width = 64",
        'width = trial.suggest_int("power", 4, 8)',
        "power: is asked for twice, with 4..7 and 4..8",
    ),
    "import": (
        "from search_spaces",
        "import no_such_neighbour\nfrom search_spaces",
        "importing it failed",
    ),
    "syntax": ("config = {", "config = = {", "importing it failed: SyntaxError"),
}


@pytest.mark.parametrize(("old", "new", "fragment"), BAD.values(), ids=BAD)
def test_a_bad_function_is_refused_when_it_is_loaded(module, old, new, fragment):
    assert old in MODULE
    name = module(MODULE.replace(old, new))
    with pytest.raises(SpaceError, match=fragment) as refusal:
        load_space(f"{name}:pyramid")
    assert str(refusal.value).startswith(f"{name}:pyramid: ")


@pytest.mark.parametrize(
    ("source", "fragment"),
    [
        ("no_such_module_here:f", "no module 'no_such_module_here', neither installed nor"),
        ("json:lods", "json has no 'lods'; did you mean 'loads'"),
        ("json:__doc__", "is str, not a function"),
        ("json:a:b", "a Python space is written module:function"),
        (":f", "a Python space is written module:function"),
    ],
)
def test_an_import_path_that_leads_nowhere_is_refused(source, fragment):
    with pytest.raises(SpaceError, match=fragment):
        load_space(source)


def test_a_function_without_source_text_has_no_digest(module):
    name = module(MODULE.replace("@space(", "code = compile\n@space(", 1))
    space = load_space(f"{name}:pyramid")
    scope: dict = {}
    exec(MODULE, scope)
    from dataclasses import replace

    typed_in = replace(space, body=replace(space.body, function=scope["pyramid"]))
    with pytest.raises(SpaceError, match="source text cannot be read"):
        typed_in.digest()


def test_a_module_is_found_in_the_search_path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "space_elsewhere.py").write_text(FINITE)
    assert load_space("space_elsewhere:finite", search_path=[tmp_path]).size() == 4
