"""Whatever a training returns or raises becomes a record that is read back, by both executors."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.executors.attempt import InProcessExecutor
from sweeps.records import RecordStore
from tests.homes import whole_records
from tests.sweeps.executors import misbehaving
from tests.sweeps.executors.conftest import Bench, Listener
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import record

LONE = "scores of caf\udce9.csv"  # what Python makes of a file name in Latin-1
PLAIN = {
    "outcome": "complete",
    "stop_reason": "max_epochs",
    "metrics": {"score": 0.5},
    "history": {"loss": [1.0, 0.5]},
}


@pytest.fixture(scope="module")
def in_process():
    data = misbehaving.experiment.prepare(None, 0)
    listener = Listener()
    return Bench(
        InProcessExecutor(misbehaving.experiment, data, listener, lambda spec: None), listener
    )


@pytest.fixture
def bench(request, make_bench, in_process):
    return in_process if request.param == "in this process" else make_bench(1)


@pytest.fixture
def stored(tmp_path):
    """Write an attempt as a sweep does, and return it as it is read back."""
    numbers = itertools.count()

    def stored(attempt):
        store = RecordStore(tmp_path / f"store-{next(numbers)}")
        store.folder.mkdir()
        failed = {"outcome": "failed", "objective": None} if attempt.result is None else {}
        store.write(altered(record(0), result=attempt.result, error=attempt.error, **failed))
        (found,) = whole_records(store)
        for text in (found.error, found.result and found.result.summary):
            (text or "").encode("utf-8")  # can be shown
        return store, found

    return stored


both = pytest.mark.parametrize("bench", ["in this process", "worker"], indirect=True)


@both
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"summary": LONE}, "scores of caf\\udce9.csv"),
        ({"info": {LONE: [LONE]}}, "scores of caf\\udce9.csv"),
        ({"metrics": {"score": 0.5, LONE: 1.0}}, "scores of caf\\udce9.csv"),
        ({"summary": "x" * (1 << 21)}, "x [cut]"),
    ],
    ids=["summary", "info", "metric", "length"],
)
def test_odd_texts_are_spelt_out_or_cut(bench, stored, changed, expected):
    _, found = stored(bench.result("return", PLAIN | changed))
    info = [*found.result.info, *found.result.info.values()]
    said = [found.result.summary, *found.result.metrics, *info, *(info[1] if info else [])]
    assert any(str(text).endswith(expected) for text in said)


@both
@pytest.mark.parametrize("name", ["file", "allow_pickle", "dense/kernel:0", "größe"])
def test_weights_may_have_any_name_that_can_be_printed(bench, stored, name):
    weights = {name: np.arange(3.0), "other": np.ones(2)}
    store, found = stored(bench.result("return", {**PLAIN, "weights": weights, "arrays": weights}))
    assert store.weights(found)[name].tolist() == found.result.arrays[name].tolist() == [0, 1, 2]


@both
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"weights": {"a\n": np.ones(1)}}, "named 'a\\n'; a name is 1 to 200 characters that can"),
        ({"weights": {"": np.ones(1)}}, "named ''"),
        ({"arrays": {"a.npy": np.ones(1)}}, "leave out its ending .npy"),
        ({"metrics": {"m" * 201: 1.0}}, "a name is 1 to 200 characters"),
        ({"metrics": {"score": 10**400}}, "not a number"),
        ({"info": {"n": 10**5000}}, "Exceeds the limit"),
        ({"info": {"text": "x" * (65 << 20)}}, "info of more than 64 MiB"),
    ],
)
def test_what_cannot_be_stored_fails_its_attempt_with_the_reason(bench, stored, changed, expected):
    _, found = stored(bench.result("return", PLAIN | changed))
    assert found.result is None
    assert expected in found.error


@pytest.mark.parametrize("depth", [60, 100_000])
def test_info_nested_without_an_end_fails_its_attempt(in_process, stored, depth):
    nested = []
    for _ in range(depth):
        nested = [nested]
    _, found = stored(in_process.result("return", {**PLAIN, "info": {"nested": nested}}))
    assert "info of more than 50 levels" in found.error


@both
@pytest.mark.parametrize(
    ("said", "expected"), [(LONE, "Odd: scores of caf\\udce9.csv"), (None, "Odd: <Odd that cannot")]
)
def test_whatever_is_raised_fails_its_attempt(bench, stored, said, expected):
    _, found = stored(bench.result("raise odd", said))
    assert found.error.startswith(expected)


@both
@pytest.mark.parametrize("code", [0, 3, "a text"])
def test_a_training_that_exits_fails_and_ends_nothing_else(bench, stored, code):
    _, found = stored(bench.result("exit", code))
    assert found.error.startswith(f"SystemExit: {code}")
    assert bench.result("return", PLAIN).result.metrics == {"score": 0.5}


FORKING = """
import sys
from sweeps.executors.attempt import InProcessExecutor
from tests.sweeps.executors import misbehaving
from tests.sweeps.executors.conftest import Bench, Listener

data = misbehaving.experiment.prepare(None, 0)
heard = Listener()
bench = Bench(InProcessExecutor(misbehaving.experiment, data, heard, lambda spec: None), heard)
print([bench.result("forked").result.stop_reason for _ in range(2)])
"""


def test_a_copy_that_a_training_forked_does_not_come_back_from_it(make_bench):
    bench = make_bench(1)
    assert [bench.result("forked").result.stop_reason for _ in range(4)] == ["fine"] * 4


def test_nor_does_it_in_the_calling_process():
    # In one of its own: a copy of this one, which measures coverage, would write all of that.
    ran = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "['fine', 'fine']\n", ran.stdout


texts = st.text(st.characters(exclude_categories=()), max_size=30)
numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), texts, st.binary())
arrays = st.dictionaries(texts, st.one_of(numbers, st.lists(numbers, max_size=3)), max_size=3)
documents = st.recursive(
    numbers,
    lambda part: st.one_of(
        st.lists(part, max_size=3),
        st.dictionaries(st.one_of(texts, st.integers()), part, max_size=3),
        st.tuples(part),
    ),
    max_leaves=8,
)
results = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(["complete", "diverged", "stopped", "fine", None, 1]),
        "stop_reason": st.one_of(texts, numbers),
        "metrics": st.dictionaries(texts, numbers, max_size=3),
        "history": st.dictionaries(texts, st.lists(numbers, max_size=3), max_size=3),
    },
    optional={
        "arrays": arrays,
        "weights": st.one_of(st.none(), arrays),
        "timings": st.dictionaries(texts, numbers, max_size=2),
        "summary": documents,
        "engine": numbers,
        "info": st.dictionaries(texts, documents, max_size=3),
    },
)


@both
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(returned=results)
def test_arbitrary_results_are_recorded_or_fail_with_a_reason(bench, stored, returned):
    attempt = bench.result("return", returned)
    assert (attempt.result is None) == bool(attempt.error)
    assert attempt.reason != "crash"
    _, found = stored(attempt)
    if attempt.result is not None:
        assert found.result.summary == attempt.result.summary
        assert list(found.result.arrays) == list(attempt.result.arrays)
