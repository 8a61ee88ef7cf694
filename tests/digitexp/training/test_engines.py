import subprocess
import sys

import pytest

from digitexp.config import ConfigError, TrialConfig
from digitexp.training.engines import plan_training


def test_the_plan_names_engine_and_reason():
    plan = plan_training(TrialConfig(), 4000, 400, 10)
    assert (plan.engine, plan.reason) == ("keras", "model.fit trains every configuration")
    assert plan_training(TrialConfig(), 4000, 400, 10, "keras").reason == "asked for"


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="no engine 'jax'; choose one of auto, keras"):
        plan_training(TrialConfig(), 4000, 400, 10, "jax")


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
def test_more_work_takes_longer(more):
    plain = plan_training(TrialConfig(), 4000, 400, 10).seconds
    assert plan_training(TrialConfig(**more), 4000, 400, 10).seconds > plain


def test_a_default_trial_is_estimated_in_seconds_not_minutes():
    assert 1 < plan_training(TrialConfig(), 4000, 400, 10).seconds < 10


def test_planning_imports_no_tensorflow():
    code = (
        "import sys, digitexp.training.engines, digitexp.experiment;"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'pandas', 'sklearn', 'scipy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
