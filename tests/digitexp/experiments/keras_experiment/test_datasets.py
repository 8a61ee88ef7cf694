"""`tf.data` sets: every trial builds its own, so that nothing trained before has a say in it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

import sweeps
from digitexp.keras_experiment import KerasExperiment
from sweeps.experiment import TrialSpec
from sweeps.experiments.loading import load_experiment
from sweeps.runner.replaying import replay
from tests.digitexp.experiments.keras_experiment.own import build_cnn, images, seeded, shuffled

SPEC = TrialSpec("s", trial=3, attempt=1, seed=7, config={"epochs": 2, "filters": 2})

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def go_on(epoch, metrics):
    return None


def test_a_shuffle_without_a_seed_follows_the_seed_of_the_trial():
    data = shuffled.prepare(None, split_seed=0)
    assert data.irreproducible is None
    first, again = (shuffled.train(SPEC, data, go_on) for _ in range(2))
    other = shuffled.train(replace(SPEC, seed=8), data, go_on)
    assert first.history == again.history != other.history


def test_a_trial_depends_on_nothing_that_was_trained_before_it():
    data = seeded.prepare(None, split_seed=0)
    alone = seeded.train(SPEC, data, go_on)
    seeded.train(replace(SPEC, trial=4, seed=9), data, go_on)
    assert seeded.train(SPEC, data, go_on).history == alone.history


SPACE = """
experiment: tests.digitexp.experiments.keras_experiment.own:shuffled
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
fixed: {epochs: 2, filters: 2}
"""


@pytest.mark.nightly
def test_workers_decide_no_trial_and_a_replay_is_the_same_to_the_bit(tmp_path, make_home):
    space = tmp_path / "shuffled.yaml"
    space.write_text(SPACE)
    options = {"trials": 3, "progress": "quiet"}  # one of two workers trains twice
    two = sweeps.run(str(space), home=make_home("two"), workers=2, **options)
    none = sweeps.run(str(space), home=make_home("none"), workers=0, **options)
    assert [row.state for row in two.rows()] == ["COMPLETE"] * 3
    assert [row.objective for row in two.rows()] == [row.objective for row in none.rows()]
    experiment = load_experiment(two.info.experiment, None)
    record = two.home.store(two.info.id).read("0002-1")
    assert replay(record, experiment, experiment.prepare(None, 0)).is_bit_equal


def sets(change_training=lambda data: data, change_validation=lambda data: data):
    import tensorflow as tf

    x, y = images()
    whole = tf.data.Dataset.from_tensor_slices((x[:600], y[:600]))
    return (
        change_training(whole.skip(200)).batch(64),
        change_validation(whole.take(200)).batch(64),
    )


def of(data):
    return KerasExperiment(build_cnn, data, {"filters": 2, "learning_rate": 1e-2})


def test_sets_that_cannot_be_built_anew_are_said_to_be_irreproducible():
    given = sets(lambda data: data.shuffle(400, seed=1))
    for experiment in (of(given), of(lambda: given)):
        said = experiment.prepare(None, 0).irreproducible
        assert "training dataset" in said
        assert "give a function that builds it" in said
    assert of(sets()).prepare(None, 0).irreproducible is None


def shuffled_before_the_split(seed, *, each_time):
    import tensorflow as tf

    x, y = images()
    whole = tf.data.Dataset.from_tensor_slices((x[:600], y[:600]))
    whole = whole.shuffle(600, seed=seed, reshuffle_each_iteration=each_time)
    return whole.skip(200).batch(64), whole.take(200).batch(64)


def with_weights():
    import tensorflow as tf

    x, y = images()
    whole = tf.data.Dataset.from_tensor_slices((x[:90], y[:90], y[:90] * 1.0)).batch(30)
    return whole, whole


def with_four_members():
    import tensorflow as tf

    x, y = images()
    whole = tf.data.Dataset.from_tensor_slices((x[:90], y[:90], y[:90], y[:90])).batch(30)
    return whole, whole


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (lambda: shuffled_before_the_split(1, each_time=True), "each time it is read"),
        (lambda: sets(lambda data: data.repeat()), r"training dataset never ends; .*repeat\(\)"),
        (lambda: sets(change_validation=lambda data: data.repeat()), "validation dataset never"),
        (with_four_members, r"batches of 4 members; give \(x, y\), or \(x, y, weights\)"),
    ],
)
def test_sets_that_no_trial_could_be_compared_by_are_refused(load, said):
    with pytest.raises(ValueError, match=said):
        of(load).prepare(None, 0)


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.nightly), None])
def test_a_shuffle_that_decides_the_split_is_the_same_for_all_trials(seed):
    split = of(lambda: shuffled_before_the_split(seed, each_time=False))
    data = split.prepare(None, 0)
    assert data.irreproducible is None
    first, again = (split.train(SPEC, data, go_on) for _ in range(2))
    assert first.history == again.history
    split.train(replace(SPEC, seed=8), data, go_on)  # on the same examples, or it would fail


def test_data_that_change_between_trials_fail_the_trial():
    calls = []

    def changing():
        calls.append(1)
        return sets(change_validation=lambda d: d.take(190) if len(calls) > 4 else d)

    experiment = of(changing)
    data = experiment.prepare(None, 0)
    calls += [1] * 4
    with pytest.raises(ValueError, match="other validation examples than the sweep began with"):
        experiment.train(SPEC, data, go_on)


LOUD = """\
from digitexp.keras_experiment import KerasExperiment
{below}

def build(params):
    raise AssertionError

def load():
    import numpy as np
    import tensorflow as tf
    x, y = np.zeros((20, 2), "float32"), np.arange(20) % 2
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    return whole.batch(5), whole.batch(5)

experiment = KerasExperiment(build, load, {{"rate": 0.1}})
"""

QUIET_SPACE = """
experiment: loud:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  rate: {type: float, low: 0.01, high: 0.1}
"""


@pytest.mark.parametrize("where", ["in load", pytest.param("below", marks=pytest.mark.nightly)])
def test_what_tensorflow_logs_is_not_heard(tmp_path, where):
    below = "import tensorflow as tf" if where == "below" else ""
    (tmp_path / "loud.py").write_text(LOUD.format(below=below))
    (tmp_path / "space.yaml").write_text(QUIET_SPACE)
    command = [sys.executable, "-m", "sweeps", "plan", str(tmp_path / "space.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr == ""


FLOW = """\
import numpy as np
from digitexp.keras_experiment import KerasExperiment
from tests.digitexp.experiments.keras_experiment.own import build_cnn


def load():
    import tensorflow as tf  # which starts it, before anybody says with how many threads

    x = np.random.default_rng(0).random((1200, 8, 8), np.float32)
    y = (x.sum((1, 2)) * 3 % 10).astype(int)
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    return whole.skip(300).batch(64), whole.take(300).batch(64)


experiment = KerasExperiment(build_cnn, load, {"filters": 16, "learning_rate": 1e-2})
"""


def test_a_replay_trains_as_the_workers_did(tmp_path):
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "flow.yaml").write_text(
        "experiment: flow:experiment\n"
        "objective: {metric: best_val_loss, direction: minimize}\n"
        "parameters:\n  learning_rate: {type: float, low: 1e-3, high: 1e-2}\n"
        "fixed: {epochs: 3}\n"
    )
    home = ("--home", str(tmp_path / "home"))
    for words in (["run", "flow.yaml", "--trials", "1", "--quiet"], ["replay", "flow", "0"]):
        command = [sys.executable, "-m", "sweeps", *words, *home]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "the same to the bit" in done.stdout
