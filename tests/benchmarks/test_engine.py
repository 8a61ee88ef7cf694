"""One small shape, measured beside its limits and part by part; and the pipe of the processes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import engine
from benchmarks.step import parts, products
from benchmarks.step.server import Part
from digitexp.chain import Chain, Dense
from tests.tools import need

CORE = max(os.sched_getaffinity(0))


def shape(**changes) -> dict:
    trials = {"jax": [{"seconds": 3.0, "compile_seconds": 2.0}], "ours": [{"seconds": 1.5}]}
    return {
        "units": [25, 15],
        "batch": 32,
        "engine": "compiled",
        "step_microseconds": {"products": 20.0, "jax": 60.0, "ours": 34.0},
        "ratio": 1.7,
        "parts": {"products": 16.0, "update": 8.5},
        "operations": 1_200_000,
        "trials": trials,
        **changes,
    }


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(1.7, "| 1.7: kept | compiled |"), (1.71, "| 1.7: missed | compiled |")]
)
def test_the_table_holds_steps_beside_limits_and_whole_trials(ratio, verdict):
    result = {"core": 1, "kernel": "blas", "peak": 90.2, "rounds": 1, "epochs": 1,
              "trial_epochs": 30}  # fmt: skip
    text = engine.table({**result, "shapes": [shape(ratio=ratio)]})
    assert verdict in text
    assert "| 20 | 60 | 34 |" in text
    assert text.splitlines()[-1].endswith("| 2.00 |")


def test_the_table_says_what_is_left_of_a_step_and_how_fast_its_products_are():
    result = {"core": 1, "kernel": "blas", "peak": 90.2, "rounds": 1, "epochs": 1,
              "trial_epochs": 30, "shapes": [shape()]}  # fmt: skip
    text = engine.table(result)
    assert "a large product: 90" in text
    assert "| units, batch | products | update | rest | operations |" in text
    assert "| 25-15, 32 | 16.0 | 8.5 | 9.5 | 75 |" in text


def test_the_products_are_those_of_a_step_without_the_gradient_of_the_images():
    step = products.make_step([400, 25, 15, 10], 32)
    step()
    (layers,) = (c.cell_contents for c in step.__closure__)
    for number, (inputs, delta, weights, (forward, gradient, backward)) in enumerate(layers):
        assert forward == pytest.approx(inputs @ weights, rel=1e-4, abs=1e-4)
        assert gradient == pytest.approx(inputs.T @ delta, rel=1e-4, abs=1e-4)
        if number:
            assert backward == pytest.approx(delta @ weights.T, rel=1e-4, abs=1e-4)
        assert backward.shape == inputs.shape


def test_the_operations_of_a_step_are_counted():
    # Forward 2 * 5 * (3 * 4 + 4 * 2), the gradients of both kernels the same, back once 4 x 2.
    assert products.operations([3, 4, 2], 5) == 2 * 5 * (20 + 20 + 8)


def test_the_products_that_are_timed_alone_are_those_of_the_step():
    random = np.random.default_rng(0)
    inputs, delta, weights = (
        random.standard_normal(shape, dtype=np.float32) for shape in ((6, 5), (6, 3), (5, 3))
    )
    forward, gradient, backward = map(np.empty_like, (delta, weights, inputs))
    parts._multiply(1, inputs, delta, weights, forward, gradient, backward, True)
    assert forward == pytest.approx(inputs @ weights, rel=1e-5, abs=1e-5)
    assert gradient == pytest.approx(inputs.T @ delta, rel=1e-5, abs=1e-5)
    assert backward == pytest.approx(delta @ weights.T, rel=1e-5, abs=1e-5)


@pytest.mark.slow
def test_every_part_of_a_step_takes_time():
    chain = Chain(8, (Dense("a", 6, "relu", 0.2, l2=1e-4), Dense("b", 5, "relu"), Dense("c", 4)))
    images = np.random.default_rng(0).random((10, 8), dtype=np.float32)
    found = parts.microseconds(chain, 4, images)
    assert list(found) == [
        "rows", "products", "activations", "dropout", "loss", "slopes", "update",
    ]  # fmt: skip
    assert all(value > 0 for value in found.values())


def test_a_process_is_pinned_and_answers():
    with Part("ours", CORE) as part:
        assert "openblas" in part.ask("kernel")
        assert os.sched_getaffinity(part.pid) == {CORE}


def test_a_process_that_fails_says_why():
    with (
        Part("ours", CORE) as part,
        pytest.raises(RuntimeError, match=r"(?s)ours ended with 1.*FileNotFoundError"),
    ):
        part.ask("load", data="nowhere.npz")


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_engine_measures_a_shape_and_both_trainings_learn(capsys):
    need("jax")
    arguments = ["--rounds", "1", "--epochs", "1", "--trials", "1", "--trial-epochs", "4"]
    options = program._parser().parse_args(["engine", "--shapes", "1", *arguments])
    result = engine.run(options)
    (measured,) = result["shapes"]
    assert measured["engine"] == "compiled"
    assert all(seconds > 0 for seconds in measured["step_microseconds"].values())
    assert result["peak"] > measured["operations"] / measured["step_microseconds"]["ours"] / 1e3
    for trials in measured["trials"].values():
        assert trials[0]["accuracy"] > 0.7
    assert "25-15, 32" in engine.table(result)
