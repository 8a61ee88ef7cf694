"""The experiment for a Keras model of your own: a function that builds it, and data."""

from digitexp.experiments.keras_experiment.experiment import KerasExperiment
from digitexp.tensorflow_setup import quiet_when_imported

__all__ = ["KerasExperiment"]

quiet_when_imported()  # the module that imports this one may import TensorFlow next
