"""The debug checklist: rules on data, model and training, each with a verdict and its figures."""

from digitexp.apps.checklist.advice import advise
from digitexp.apps.checklist.rules import (
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
