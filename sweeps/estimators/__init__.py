"""Estimators of scikit-learn, pipelines, and what has their methods: swept, confirmed, exported."""

from sweeps.estimators.experiment import SklearnExperiment
from sweeps.estimators.searching import SweepSearchCV, search

__all__ = ["SklearnExperiment", "SweepSearchCV", "search"]
