import pytest

from search_spaces.loading import load_space
from search_spaces.mapping import space_differences

TEXT = """
experiment: tests.sweeps.toy_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
  layers: {type: int, low: 0, high: 2}
  y: {type: float, low: 0, high: 1, repeat: layers}
  kind: {type: categorical, choices: [a, b]}
fixed: {epochs: 3}
baselines:
  first: {x: 0.5, layers: 0, kind: a}
constraints: ["size <= 20"]
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        file = tmp_path / "space.yaml"
        file.write_text(text)
        return load_space(str(file)).to_dict()

    return load_text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("high: 1}\n  layers", "high: 2}\n  layers", ["x: -1..1 there, -1..2 asked"]),
        ("[a, b]", "[a, b, c]", ["kind: a, b there, a, b, c asked"]),
        (
            "high: 1, repeat: layers",
            'high: 1, when: "x > 0.9"',
            ["y: 0..1 (repeat layers) there, 0..1 (when x > 0.9) asked"],
        ),
        (
            "  kind: {",
            "  mode: {type: categorical, choices: [fine], when: 'x > 0.9'}\n  kind: {",
            ["mode: none there, fine (when x > 0.9) asked"],
        ),
        ("epochs: 3", "epochs: 4", ["fixed: epochs"]),
        ("x: 0.5", "x: 0.4", ["baselines: first"]),
        ("size <= 20", "size <= 10", ["constraints: ['size <= 20'] there, ['size <= 10'] asked"]),
        ("direction: maximize", "direction: minimize", ["objective: direction"]),
        ("experiment: tests", "description: other words\nexperiment: tests", []),
    ],
)
def test_a_difference_is_named_with_both_sides(load, old, new, expected):
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    assert list(space_differences(load(TEXT), load(changed))) == expected


def test_order_alone_is_a_difference(load):
    lines = TEXT.splitlines(keepends=True)
    swapped = "".join([*lines[:4], lines[7], *lines[4:7], *lines[8:]])
    assert list(space_differences(load(TEXT), load(swapped))) == ["the order of the parameters"]


FUNCTION = """
from search_spaces.python_space import space

SCALE = 1.0

@space(
    experiment="tests.sweeps.toy_experiment:experiment",
    objective={"metric": "score", "direction": "maximize"},
)
def sloped(trial):
    return {"x": SCALE * trial.suggest_float("x", 0.0, 1.0)}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"x", 0.0, 1.0', '"x", 0.0, 2.0', ["x: 0..1 there, 0..2 asked"]),
        ("return {", "return {'epochs': 3, ", ["the code of {module}:sloped"]),
        ("SCALE = 1.0", "SCALE = 0.5", ["the code of {module}:sloped"]),
    ],
)
def test_a_function_is_told_apart_by_what_it_asks_and_by_what_it_answers(
    tmp_path, monkeypatch, old, new, expected
):
    monkeypatch.syspath_prepend(tmp_path)

    def load_function(module, text):
        (tmp_path / f"{module}.py").write_text(text)
        return load_space(f"{module}:sloped")

    name = f"difference_{abs(hash((old, new)))}"
    before = load_function(f"{name}_before", FUNCTION)
    after = load_function(f"{name}_after", FUNCTION.replace(old, new))
    assert before.digest() != after.digest()
    found = list(space_differences(before.to_dict(), after.to_dict()))
    assert found == [text.format(module=f"{name}_after") for text in expected]
