"""The debug checklist: rules on data, model and training, each with a verdict and its figures."""

from digitexp.checking.advice import advise
from digitexp.checking.data import check_data, check_same_data
from digitexp.checking.finding import Finding, Verdict, exit_code
from digitexp.checking.model import check_model
from digitexp.checking.training import check_training

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
