import subprocess
import sys

import pytest

from digitexp.config import ConfigError, TrialConfig
from digitexp.training.engines import plan_training


@pytest.mark.parametrize(
    ("asked", "engine", "reason"),
    [
        ("auto", "fused", "a multilayer perceptron: a whole epoch fits in one graph"),
        ("fused", "fused", "asked for"),
        ("keras", "keras", "asked for"),
    ],
)
def test_the_plan_names_engine_and_reason(asked, engine, reason):
    plan = plan_training(TrialConfig(engine=asked), 4000, 400, 10)
    assert (plan.engine, plan.reason) == (engine, reason)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="engine is 'jax'; it must be one of auto, fused, keras"):
        TrialConfig(engine="jax")


@pytest.mark.parametrize("engine", ["fused", "keras"])
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
    plain = plan_training(TrialConfig(engine=engine), 4000, 400, 10).seconds
    assert plan_training(TrialConfig(engine=engine, **more), 4000, 400, 10).seconds > plain


@pytest.mark.parametrize(("engine", "low", "high"), [("fused", 0.1, 1), ("keras", 1, 10)])
def test_a_default_trial_is_estimated_in_plausible_seconds(engine, low, high):
    assert low < plan_training(TrialConfig(engine=engine), 4000, 400, 10).seconds < high


def test_planning_imports_no_tensorflow():
    code = (
        "import sys, digitexp.training.engines, digitexp.experiment;"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'pandas', 'sklearn', 'scipy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
