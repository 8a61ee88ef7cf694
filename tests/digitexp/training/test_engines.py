import subprocess
import sys

import pytest

from digitexp.config import ConfigError, TrialConfig
from digitexp.training.engines import plan_training


@pytest.mark.parametrize(
    ("asked", "engine", "reason"),
    [
        ("auto", "compiled", "a multilayer perceptron: an epoch is one call, without TensorFlow"),
        ("compiled", "compiled", "asked for"),
        ("keras", "keras", "asked for"),
    ],
)
def test_the_plan_names_engine_and_reason(asked, engine, reason):
    plan = plan_training(TrialConfig(engine=asked), 4000, (20, 20), 10)
    assert (plan.engine, plan.reason) == (engine, reason)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"architecture": "cnn"}, "a convolutional net"),
        ({"zoom": 0.1}, "images are augmented by Keras's layers"),
        ({"adversarial_epsilon": 0.1}, "each batch is attacked first"),
        ({"precision": "mixed_bfloat16"}, "precision mixed_bfloat16; on CPUs it was no faster"),
        ({"input_pipeline": "tf_data"}, "tf.data feeds the images"),
    ],
)
def test_what_only_keras_trains_is_said(more, reason):
    plan = plan_training(TrialConfig(**more), 4000, (20, 20), 10)
    assert plan.engine == "keras"
    assert plan.reason.startswith(reason)


@pytest.mark.parametrize(
    "more",
    [
        {"label_smoothing": 0.1},
        {"learning_rate_schedule": "cosine"},
        {"clipnorm": 1.0},
        {"initial_weights": "some.npz", "frozen_layers": 1},
    ],
)
def test_what_the_compiled_engine_trains_it_is_given(more):
    assert plan_training(TrialConfig(**more), 4000, (20, 20), 10).engine == "compiled"


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="'jax'; it must be one of auto, compiled, keras"):
        TrialConfig(engine="jax")


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize(
    "more",
    [
        {"epochs": 80},
        {"batch_size": 16},
        {"units": (128, 128)},
        {"units": (25, 15, 10)},
        {"dropout": 0.1},
    ],
)
def test_more_work_takes_longer(engine, more):
    plain = plan_training(TrialConfig(engine=engine), 4000, (20, 20), 10).seconds
    assert plan_training(TrialConfig(engine=engine, **more), 4000, (20, 20), 10).seconds > plain


@pytest.mark.parametrize(
    "more",
    [
        {"filters": (64, 64)},
        {"kernel_size": 5},
        {"convs_per_block": 2},
        {"batch_norm": True},
        {"rotation": 5.0},
        {"adversarial_epsilon": 0.1},
        {"rotation": 5.0, "augment_worst_classes": 2},
    ],
)
def test_more_work_in_a_convolutional_net_takes_longer(more):
    few = {name: value for name, value in more.items() if name != "augment_worst_classes"}
    plain = TrialConfig(architecture="cnn", **(few if len(few) < len(more) else {}))
    less, longer = (
        plan_training(config, 4000, (20, 20), 10).seconds
        for config in (plain, TrialConfig(architecture="cnn", **more))
    )
    assert longer > less


@pytest.mark.parametrize(("engine", "low", "high"), [("compiled", 0.1, 1), ("keras", 1, 10)])
def test_a_default_trial_is_estimated_in_plausible_seconds(engine, low, high):
    assert low < plan_training(TrialConfig(engine=engine), 4000, (20, 20), 10).seconds < high


def test_training_a_dense_net_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys\n"
        "from digitexp.config import TrialConfig\n"
        "from digitexp.training.train import train\n"
        "from tests.digitexp.small_data import small_digits\n"
        "outcome = train(TrialConfig(epochs=2), small_digits())\n"
        "assert (outcome.engine, outcome.metrics['epochs']) == ('compiled', 2)\n"
        "assert not {'tensorflow', 'keras', 'h5py'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_planning_imports_no_tensorflow():
    code = (
        "import sys, digitexp.training.engines, digitexp.experiments.digits;"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'pandas', 'sklearn', 'scipy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
