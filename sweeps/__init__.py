"""The framework: study, executors, records, MLflow projection and command line of a sweep.

import sweeps
sweep = sweeps.run("mlp", trials=20)
sweep.trials()
model = sweep.best().load_model()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.api import (
        Sweep,
        Trial,
        compare,
        confusion,
        enqueue,
        export,
        history,
        load,
        plan,
        replay,
        run,
        trials,
    )
    from sweeps.estimators import SklearnExperiment, SweepSearchCV, search

__all__ = [
    "SklearnExperiment",
    "Sweep",
    "SweepSearchCV",
    "Trial",
    "compare",
    "confusion",
    "enqueue",
    "export",
    "history",
    "load",
    "plan",
    "replay",
    "run",
    "search",
    "trials",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Optuna and pydantic are imported by the first use, so that `import sweeps` costs nothing.
    if name in __all__:
        from sweeps import api

        if hasattr(api, name):
            return getattr(api, name)
        from sweeps import estimators  # imports scikit-learn

        return getattr(estimators, name)
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
