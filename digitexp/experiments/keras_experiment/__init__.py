"""The experiment for a Keras model of your own: a function that builds it, and data."""

from digitexp.experiments.keras_experiment.experiment import KerasExperiment
from digitexp.tensorflow_setup import UNUSED, leave_out, quiet_when_imported
from sweeps.experiment import only_trains

__all__ = ["KerasExperiment"]

if only_trains():
    leave_out(UNUSED)
quiet_when_imported()  # the module that imports this one may import TensorFlow next
