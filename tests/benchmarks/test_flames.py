"""Flame graphs of a sweep: who a stack belongs to, and what is drawn."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks import flames

RAW = """
process 1:"";thread (1): MainThread;<module> (<string>:1);run_sweep (sweeps/launch.py:300);ask (optuna/study/study.py:9) 30
process 1:"";thread (1): MainThread;<module> (<string>:1);run_sweep (sweeps/launch.py:300) 10
process 1:"";thread (7): sweeps-projector;Thread.run (threading.py:1);log (/x/site-packages/mlflow/store.py:2) 8
process 1:"";process 2:"python -c import a; b ["x"] 13";thread (2): MainThread;call (sweeps/executors/attempt.py:4);fit (digitexp/fused.py:5) 600
process 1:"";process 2:"python -c import a; b ["x"] 13";process 3:"same";thread (3): MainThread;fit (digitexp/fused.py:5) 400
process 1:"";process 2:"python";thread (2): MainThread;call (sweeps/executors/attempt.py:4);rare (numpy/core.py:5) 1
""".strip().splitlines()  # noqa: E501 - as py-spy writes it


@pytest.fixture
def parts():
    return flames.split(RAW)


def test_a_stack_belongs_to_the_main_thread_to_that_of_mlflow_or_to_a_worker(parts):
    assert {name: sum(stacks.values()) for name, stacks in parts.items()} == {
        "coordinator": 40, "projection": 8, "worker": 1001,
    }  # fmt: skip
    assert [*parts["coordinator"]] == [
        ("sweeps.launch: run_sweep", "optuna.study.study: ask"),
        ("sweeps.launch: run_sweep",),
    ]
    assert [*parts["projection"]] == [("mlflow.store: log",)], "what starts a thread is no caller"


def test_a_share_is_that_of_the_innermost_known_package(parts):
    assert flames.by_package(parts["coordinator"]) == {"optuna": 0.75, "sweeps": 0.25}
    assert flames.by_package(parts["worker"])["sweeps"] == 1 / 1001, "what NumPy does is its own"


def test_a_call_lies_on_its_caller_and_is_as_wide_as_its_share(parts):
    picture = ET.fromstring(flames.drawn("coordinator", parts["coordinator"]))
    boxes = {
        group[0].text: {key: float(group[1].get(key)) for key in ("x", "y", "width")}
        for group in picture
    }
    caller, call = (
        boxes["sweeps.launch: run_sweep: 100.0 %"],
        boxes["optuna.study.study: ask: 75.0 %"],
    )
    assert call["y"] == caller["y"] - flames.ROW
    assert call["width"] == pytest.approx(0.75 * flames.WIDTH, abs=1)
    assert call["x"] >= caller["x"]


def test_what_is_too_rare_to_be_seen_is_not_drawn(parts):
    assert "numpy" not in flames.drawn("worker", parts["worker"])


def test_the_table_names_whose_code_it_is(parts):
    found = {
        name: {
            "seconds": sum(stacks.values()) / flames.RATE,
            "packages": flames.by_package(stacks),
        }
        for name, stacks in parts.items()
    }
    text = flames.table({"parts": found})
    assert "| coordinator | 0.8 | optuna 75 %, sweeps 25 % |" in text
    assert "| worker | 20.0 | digitexp 100 % |" in text
