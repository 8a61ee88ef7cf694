"""Your own Keras model, swept: a function that builds it, and data."""

from digitexp.keras_experiment.experiment import KerasExperiment

__all__ = ["KerasExperiment"]
