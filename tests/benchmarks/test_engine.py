"""One small shape, measured by all three parts; and the parts' own pipe."""

from __future__ import annotations

import os

import pytest

from benchmarks import __main__ as program
from benchmarks import engine
from benchmarks.step.server import Part
from tests.tools import need

CORE = max(os.sched_getaffinity(0))


def shape(**changes) -> dict:
    trials = {"jax": [{"seconds": 3.0, "compile_seconds": 2.0}], "ours": [{"seconds": 1.5}]}
    return {
        "units": [25, 15],
        "batch": 32,
        "engine": "fused",
        "step_microseconds": {"products": 20.0, "jax": 60.0, "ours": 80.0},
        "ratio": 4.0,
        "trials": trials,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "4.5: kept"), ({"ratio": 4.6}, "4.5: missed"), ({"batch": 16}, " fused ")],
)
def test_the_table_holds_steps_beside_limits_and_whole_trials(changes, verdict):
    result = {"core": 1, "kernel": "blas", "rounds": 1, "epochs": 1, "trial_epochs": 30}
    text = engine.table({**result, "shapes": [shape(**changes)]})
    assert verdict in text
    assert "| 20 | 60 | 80 |" in text
    assert text.splitlines()[-1].endswith("| 2.00 |")


def test_the_products_are_those_of_a_step_without_the_gradient_of_the_images():
    from benchmarks.step import products

    step = products._make_step([400, 25, 15, 10], 32)
    step()
    (layers,) = (c.cell_contents for c in step.__closure__)
    for number, (inputs, delta, weights, (forward, gradient, backward)) in enumerate(layers):
        assert forward == pytest.approx(inputs @ weights, rel=1e-4, abs=1e-4)
        assert gradient == pytest.approx(inputs.T @ delta, rel=1e-4, abs=1e-4)
        if number:
            assert backward == pytest.approx(delta @ weights.T, rel=1e-4, abs=1e-4)
        assert backward.shape == inputs.shape


def test_a_part_is_pinned_and_answers():
    with Part("products", CORE) as part:
        assert len(part.ask("steps", widths=[8, 4, 2], batch=4, images=10, epochs=3)) == 3
        assert os.sched_getaffinity(part.pid) == {CORE}
        assert part.ask("kernel")


def test_a_part_that_fails_says_why():
    with (
        Part("products", CORE) as part,
        pytest.raises(RuntimeError, match=r"(?s)products ended with 1.*TypeError"),
    ):
        part.ask("steps", widths="nonsense", batch=4, images=10, epochs=3)


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_engine_measures_a_shape_and_both_trainings_learn(capsys):
    need("jax")
    arguments = ["--rounds", "1", "--epochs", "1", "--trials", "1", "--trial-epochs", "4"]
    options = program._parser().parse_args(["engine", "--shapes", "1", *arguments])
    result = engine.run(options)
    (measured,) = result["shapes"]
    assert measured["engine"] in {"fused", "keras"}
    assert all(seconds > 0 for seconds in measured["step_microseconds"].values())
    for trials in measured["trials"].values():
        assert trials[0]["accuracy"] > 0.7
    assert "25-15, 32" in engine.table(result)
