"""Whether probabilities can be taken at their word, and the temperature that makes them so."""

from digitexp.calibration.cross_fitting import FOLDS, CrossFitted, cross_fit
from digitexp.calibration.error import (
    Reliability,
    calibration_terms,
    error_if_calibrated,
    expected_calibration_error,
    reliability,
)
from digitexp.calibration.judging import Comparison, Interval, compare, measured_terms
from digitexp.calibration.temperature import (
    HIGHEST,
    LOWEST,
    cross_fitted_temperatures,
    fit_temperature,
    temperature_to_serve,
)

__all__ = [
    "FOLDS",
    "HIGHEST",
    "LOWEST",
    "Comparison",
    "CrossFitted",
    "Interval",
    "Reliability",
    "calibration_terms",
    "compare",
    "cross_fit",
    "cross_fitted_temperatures",
    "error_if_calibrated",
    "expected_calibration_error",
    "fit_temperature",
    "measured_terms",
    "reliability",
    "temperature_to_serve",
]
