"""The debug checklist: rules on data, model and training, each with a verdict and its figures."""

from digitexp.checking.advice import advise
from digitexp.checking.rules import (
    Finding,
    Verdict,
    check_data,
    check_model,
    check_same_data,
    check_training,
    exit_code,
)

__all__ = [
    "Finding",
    "Verdict",
    "advise",
    "check_data",
    "check_model",
    "check_same_data",
    "check_training",
    "exit_code",
]
