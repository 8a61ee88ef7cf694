"""Executors: where attempts run. One small protocol, one adapter a file."""

from sweeps.executors.attempt import Attempt, OnTrialEpoch
from sweeps.executors.in_process import InProcessExecutor
from sweeps.executors.protocol import Executor

__all__ = ["Attempt", "Executor", "InProcessExecutor", "OnTrialEpoch"]
