"""`--set`: fixing and narrowing, and what it must refuse."""

import pytest

from search_spaces.bodies import Replay, random_answers
from search_spaces.errors import SpaceError
from search_spaces.overrides import apply_overrides
from search_spaces.space import Space
from search_spaces.values import Float, Int
from tests.search_spaces.known import MEASURES, METRICS, PARAMETERS, SPACE

BUNDLES = """\
experiment: a:b
objective: {metric: best_val_loss, direction: minimize}
parameters:
  net:
    type: categorical
    choices:
      plain: {units_1: 25, epochs: 40}
      wide: {units_1: 50, epochs: 40}
      long: {units_1: 25, epochs: 100}
  momentum: {type: float, low: 0, high: 1, step: 0.5, when: net == wide}
"""


def overridden(space, *overrides):
    return apply_overrides(space, overrides, PARAMETERS)


def walks(space, count=40):
    return [space.walk(random_answers(seed)).params for seed in range(count)]


def test_no_override_changes_nothing(space):
    assert overridden(space) == (space, ())


def test_a_fixed_parameter_is_no_longer_sampled_but_still_configured(space):
    fixed, _ = overridden(space, "learning_rate=2e-3")
    for params in walks(fixed):
        assert "learning_rate" not in params
        assert fixed.configuration(params)["learning_rate"] == 0.002
        assert fixed.walk(Replay(params)).held == {"learning_rate": 0.002}


def test_a_narrowed_range_keeps_its_scale(space):
    narrowed, _ = overridden(space, "learning_rate=1e-3..2e-3", "momentum=0.2..0.4")
    domains = {parameter.name: parameter.domain for parameter in narrowed.body.parameters}
    assert domains["learning_rate"] == Float(1e-3, 2e-3, log=True)
    assert domains["momentum"] == Float(0.2, 0.4, step=0.1)


def test_one_repetition_or_all_of_them_are_narrowed_in_any_order(space):
    one, _ = overridden(space, "units_1=32", "units=16..64")
    other, _ = overridden(space, "units=16..64", "units_1=32")
    assert one == other
    units = next(p for p in one.body.parameters if p.name == "units")
    assert units.domain == Int(16, 64, log=True)
    params = next(p for p in walks(one) if p["hidden_layers"] == 3)
    assert [name for name in params if name.startswith("units")] == ["units_2", "units_3"]
    assert one.configuration(params)["units_1"] == 32
    assert [row.range for row in one.parameters if row.name == "units_1"] == ["32 (fixed)"]


def test_a_range_for_one_repetition_leaves_the_others(space):
    narrowed, _ = overridden(space, "units_2=8..9")
    seen = [p for p in walks(narrowed) if "units_2" in p]
    assert {p["units_2"] for p in seen} <= {8, 9}
    assert max(p["units_1"] for p in seen) > 9


@pytest.mark.parametrize(
    ("override", "left"),
    [
        ("batch_size=16,32", {16, 32}),
        ("batch_size=20..64", {32, 64}),
        ("batch_size=128,16", {16, 128}),
        ("hidden_layers=1,3", {1, 3}),
        ("hidden_layers=2..3", {2, 3}),
        ("optimizer=adam,sgd", {"adam", "sgd"}),
    ],
)
def test_lists_and_ranges_leave_exactly_what_they_name(space, override, left):
    narrowed, _ = overridden(space, override)
    name = override.partition("=")[0]
    assert {params[name] for params in walks(narrowed, 100)} == left


def test_lists_make_a_continuous_space_finite(space):
    finite, _ = overridden(
        space, "learning_rate=1e-3,1e-2", "optimizer=adam", "hidden_layers=1", "units=8,16"
    )
    assert finite.size() == 2 * 4 * 2
    assert not finite.conditional
    assert len(list(finite.enumerate())) == 16


def test_fixing_a_deciding_parameter_settles_its_conditions(space):
    settled, _ = overridden(space, "hidden_layers=2", "optimizer=sgd")
    for params in walks(settled):
        assert {"units_1", "units_2", "momentum"} <= set(params)
        assert "units_3" not in params


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("epochs=10", "epochs", 10),
        ("clipnorm=1", "clipnorm", 1.0),
        ("clipnorm=null", "clipnorm", None),
        ("activation=tanh", "activation", "tanh"),
        ("nesterov=true", "nesterov", True),
        ("label=12", "label", "12"),
        (" epochs = 10 ", "epochs", 10),
    ],
)
def test_what_is_not_sampled_takes_one_value(space, override, name, value):
    changed, dropped = overridden(space, override)
    assert dropped == ()
    for params in walks(changed, 3):
        received = changed.configuration(params)[name]
        assert received == value
        assert type(received) is type(value)


def test_a_choice_that_looks_like_a_number_is_found(load):
    space = load(
        "experiment: a:b\nobjective: {metric: m, direction: minimize}\nparameters:\n"
        "  label: {type: categorical, choices: ['16', 'a,b', '3', c]}\n"
    )
    assert walks(overridden(space, "label=16")[0], 1) == [{}]
    assert overridden(space, "label=a,b")[0].configuration({}) == {"label": "a,b"}
    assert {p["label"] for p in walks(overridden(space, "label=c,3")[0])} == {"c", "3"}


def test_a_bundle_is_chosen_by_its_label(load):
    space = load(BUNDLES)
    chosen, _ = overridden(space, "net=wide")
    assert chosen.configuration({"momentum": 0.5}) == {"units_1": 50, "epochs": 40, "momentum": 0.5}
    assert chosen.size() == 3
    chosen.check(PARAMETERS, METRICS, MEASURES)
    two, _ = overridden(space, "net=plain,long")
    assert list(two.enumerate()) == [{"net": "plain"}, {"net": "long"}]


def test_a_bundled_value_is_overridden_in_every_bundle(load):
    changed, _ = overridden(load(BUNDLES), "epochs=3")
    assert changed.configuration({"net": "long"}) == {"epochs": 3, "units_1": 25}
    chosen, _ = overridden(load(BUNDLES), "net=long", "epochs=3")
    assert chosen.configuration({}) == {"epochs": 3, "units_1": 25}
    other_order, _ = overridden(load(BUNDLES), "epochs=3", "net=long")
    assert other_order == chosen


def test_baselines_shut_out_are_left_out_and_named(space):
    changed, dropped = overridden(space, "hidden_layers=1")
    assert dropped == ("large",)
    assert list(changed.baselines) == ["small"]
    assert "hidden_layers" not in changed.baselines["small"]
    changed.configuration(changed.baselines["small"])


@pytest.mark.parametrize(
    ("override", "dropped"),
    [
        ("learning_rate=1e-3", ()),
        ("learning_rate=2e-3", ("small", "large")),
        ("learning_rate=2e-3..1e-2", ("small", "large")),
        ("batch_size=16,64", ("small",)),
        ("momentum=0..0.5", ("large",)),
        ("units_2=50", ()),
        ("units_2=51", ("large",)),
        ("optimizer=adam", ("large",)),
        ("epochs=3", ()),
    ],
)
def test_a_baseline_stays_exactly_when_it_is_still_inside(space, override, dropped):
    assert overridden(space, override)[1] == dropped


@pytest.mark.parametrize(
    "override",
    ["learning_rate=2e-3", "units=16..64", "units_2=9", "batch_size=16,32", "epochs=3", "l2=0"],
)
def test_an_override_is_part_of_digest_and_stored_form(space, override):
    changed, _ = overridden(space, override)
    assert changed.digest() != space.digest()
    again = Space.from_dict(changed.to_dict())
    assert again == changed
    assert again.digest() == changed.digest()


def test_the_same_override_written_differently_has_the_same_digest(space):
    one, _ = overridden(space, "learning_rate=1e-3..2e-3", "units_1=16")
    other, _ = overridden(space, "units_1=16.0", "learning_rate=0.001 .. 0.002")
    assert one.digest() == other.digest()


def test_overrides_may_follow_each_other(space):
    once, _ = overridden(space, "units=16..64", "learning_rate=1e-3")
    twice, _ = overridden(once, "units=32..64", "learning_rate=1e-3")
    assert next(p.domain for p in twice.body.parameters if p.name == "units") == Int(32, 64, True)


BAD = {
    "no equals sign": (["learning_rate"], "not an override; write NAME=VALUE"),
    "no name": (["=3"], "not an override"),
    "no value": (["epochs="], "nothing stands after the `=`"),
    "twice": (["epochs=3", "epochs=4"], "--set epochs: given twice"),
    "misspelt sampled": (["learning_rat=1"], "did you mean 'learning_rate'"),
    "misspelt fixed": (["epoch=1"], "no parameter 'epoch'.*did you mean 'epochs'"),
    "unknown": (["zzz=1"], "the experiment has no parameter 'zzz'; it has: learning_rate"),
    "outside": (["learning_rate=1"], "received 1, outside 0.0001..0.01 log .an override narrows"),
    "widening": (["units=4..64"], "--set units=4..64: received 4, outside 8..128 log"),
    "upside down": (["units=64..16"], "an empty range; swap the ends: 16..64"),
    "half a range": (["units=16.."], "not a range of two numbers"),
    "range of texts": (["units=a..b"], "not a range of two numbers"),
    "three dots": (["units=16..32..64"], "not a range of two numbers"),
    "list with a gap": (["batch_size=16,,32"], "a list with a gap"),
    "unknown choice": (["optimizer=adm"], "received 'adm'; allowed: sgd, adam; did you mean"),
    "unknown choice in a list": (["batch_size=16,33"], "received 33; allowed: 16, 32, 64, 128"),
    "range without choices": (["batch_size=17..31"], "received 17..31, which leaves nothing of"),
    "off the steps": (["momentum=0.25"], "not on the steps of 0..1 step 0.1"),
    "range off the steps": (["momentum=0.25..0.5"], "not on the steps"),
    "fraction of an int": (["hidden_layers=1.5"], "a whole number in 1..3 is needed"),
    "text for a number": (["learning_rate=fast"], "received 'fast'; a number in"),
    "not finite": (["learning_rate=nan"], "only finite numbers"),
    "beyond the repetitions": (
        ["units_4=16"],
        "hidden_layers is at most 3, so units_3 is the last",
    ),
    "never used": (
        ["units_3=16", "hidden_layers=1"],
        "hidden_layers is at most 1, so units_1 is the last",
    ),
    "range of an unsampled": (["epochs=10..20"], "it takes one value"),
    "list of an unsampled": (["clipnorm=1,2"], "it takes one value"),
    "unsampled outside": (["epochs=0"], "received 0; allowed: a whole number from 1 to 10000"),
    "unsampled of another type": (["nesterov=1"], "received 1; allowed: true or false"),
    "null where not optional": (["epochs=null"], "received null; allowed"),
}


@pytest.mark.parametrize(("overrides", "fragment"), BAD.values(), ids=BAD)
def test_a_bad_override_is_refused_and_named(space, overrides, fragment):
    with pytest.raises(SpaceError, match=fragment) as refusal:
        overridden(space, *overrides)
    assert str(refusal.value).startswith("--set ")


def test_a_second_round_may_leave_an_earlier_repetition_behind(space):
    once, _ = overridden(space, "units_3=16")
    twice, _ = overridden(once, "hidden_layers=2")
    assert [row.name for row in twice.parameters if "units" in row.name] == ["units_1 .. units_2"]
    twice.check(PARAMETERS, METRICS, MEASURES)


def test_a_range_of_one_value_or_one_choice_fixes(space):
    fixed, _ = overridden(space, "learning_rate=1e-3..1e-3", "batch_size=20..40")
    for params in walks(fixed, 5):
        assert fixed.walk(Replay(params)).held == {"learning_rate": 0.001, "batch_size": 32}


def test_what_is_already_fixed_cannot_be_changed_by_a_second_round(space):
    fixed, _ = overridden(space, "learning_rate=1e-3")
    for override in ("learning_rate=2e-3", "learning_rate=1e-3..2e-3"):
        with pytest.raises(SpaceError, match=r"fixed to 0.001"):
            overridden(fixed, override)


@pytest.mark.parametrize(
    ("value", "fragment"), [("101", "at most 100"), ("null", "counts repetitions")]
)
def test_a_fixed_count_stays_a_sensible_count(load, value, fragment):
    text = SPACE.partition("baselines:")[0].replace("repeat: hidden_layers", "repeat: epochs")
    known = {**PARAMETERS, "epochs": PARAMETERS["patience_epochs"]}
    with pytest.raises(SpaceError, match=fragment):
        apply_overrides(load(text), [f"epochs={value}"], known)


def test_a_fixed_count_of_zero_leaves_no_repetition(load):
    text = SPACE.partition("baselines:")[0].replace("repeat: hidden_layers", "repeat: layers")
    space = load(text.replace("epochs: 40", "layers: 0"))
    with pytest.raises(SpaceError, match="layers is 0, so there is no units_1"):
        overridden(space, "units_1=16")
