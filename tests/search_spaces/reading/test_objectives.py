"""`objective:` as one mapping or a list of them."""

import json

import pytest

from search_spaces.errors import SpaceError
from search_spaces.loading import load_space
from search_spaces.mapping import space_differences
from search_spaces.objectives import Objective, Script, is_script
from search_spaces.space import Space

ONE = "{metric: score, direction: maximize}"
TWO = f"[{ONE}, {{metric: cost, direction: minimize}}]"
BLOCK = "\n  - {metric: score, direction: maximize}\n  - {metric: cost, direction: minimize}"
METRICS = {"score": "maximize", "cost": "minimize", "depth": "minimize"}


@pytest.fixture
def load(tmp_path):
    def load(objective, what="experiment: package.module:experiment"):
        file = tmp_path / "space.yaml"
        parameters = "parameters:\n  x: {type: float, low: 0, high: 1}\n"
        file.write_text(f"{what}\nobjective: {objective}\n{parameters}")
        return load_space(str(file))

    return load


@pytest.mark.parametrize("text", [TWO, BLOCK])
def test_a_list_gives_several_objectives_in_their_order(load, text):
    space = load(text)
    expected = (Objective("score", "maximize"), Objective("cost", "minimize"))
    assert space.objectives == expected
    assert space.objective == expected[0]
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))).objectives == expected


def test_a_list_of_one_is_the_space_that_a_mapping_gives(load):
    assert load(f"[{ONE}]").digest() == load(ONE).digest()
    assert load(ONE).to_dict()["objective"] == {"metric": "score", "direction": "maximize"}


def test_objectives_and_their_order_are_part_of_the_digest(load):
    swapped = f"[{{metric: cost, direction: minimize}}, {ONE}]"
    assert len({load(text).digest() for text in (ONE, TWO, swapped)}) == 3


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (
            f"\n  - {ONE}\n  - {ONE}",
            ":4: objective.1.metric: 'score' is an objective already; name each metric once",
        ),
        (
            "[" + ", ".join(f"{{metric: m{n}, direction: maximize}}" for n in range(5)) + "]",
            ":2: objective: received 5 objectives; at most 4 are allowed",
        ),
        ("[]", ":2: objective: received a list; at least one entry is needed"),
        ("[score]", ":2: objective.0: received 'score'; a mapping"),
        (TWO.replace("minimize", "least"), "objective.1.direction: received 'least'; allowed"),
        (
            BLOCK.replace("minimize", "minimize, weight: 2"),
            ":4: objective.1.weight: unknown key 'weight'; allowed: metric, direction",
        ),
        (BLOCK.replace("metric: cost, ", ""), ":4: objective.1.metric: is missing"),
    ],
)
def test_a_mistake_is_named_with_its_place(load, objective, expected):
    with pytest.raises(SpaceError) as refused:
        load(objective)
    assert expected in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("metric: cost", "metric: csot", ":4: objective.1.metric: the experiment has no metric"),
        ("minimize", "maximize", ":4: objective.1.direction: received 'maximize'; cost is better"),
    ],
)
def test_each_is_checked_against_the_experiment(load, old, new, expected):
    with pytest.raises(SpaceError) as refused:
        load(BLOCK.replace(old, new)).check({}, METRICS, ())
    assert expected in str(refused.value)


def test_a_script_may_have_several(load):
    space = load(TWO, what="command: train --x {x}")
    assert space.experiment == "script:score,cost:maximize,minimize:train --x {x}"
    with pytest.raises(SpaceError, match="without `:` and `,`"):
        load(TWO.replace("cost", '"a,b"'), what="command: train --x {x}")


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        (ONE, TWO, "objective: maximize score there, maximize score, minimize cost asked"),
        (TWO, TWO.replace("cost", "depth"), "objective: maximize score, minimize cost there, max"),
    ],
)
def test_other_objectives_are_named_in_words(load, there, asked, expected):
    (difference,) = space_differences(load(there).to_dict(), load(asked).to_dict())
    assert difference.startswith(expected)


def test_a_python_space_takes_a_list(tmp_path, monkeypatch):
    (tmp_path / "trading_space.py").write_text(
        "from search_spaces.python_space import space\n"
        "@space(experiment='a:b', objective=[{'metric': 'score', 'direction': 'maximize'},\n"
        "                                    {'metric': 'cost', 'direction': 'minimize'}])\n"
        "def wide(trial):\n"
        "    return {'x': trial.suggest_float('x', 0, 1)}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    space = load_space("trading_space:wide")
    assert [one.metric for one in space.objectives] == ["score", "cost"]


@pytest.mark.parametrize(
    "script",
    [
        Script("train --x {x}", (Objective("score", "maximize"),)),
        Script('{"a": 1}', (Objective("score", "maximize"), Objective("cost", "minimize"))),
        Script(
            "sh t.sh: {x}", (Objective("a", "minimize"),), {"a": r"a: (\S+)"}, "m.csv", r"end (\S+)"
        ),
    ],
)
def test_a_script_is_read_from_the_name_that_records_keep(script):
    assert is_script(script.experiment)
    assert Script.from_experiment(script.experiment) == script
