# For type checkers: at run time `digitexp/__init__.py` resolves this public name.
from digitexp.experiments.keras_experiment import KerasExperiment as KerasExperiment
