"""Executors run attempts: one small protocol, and its implementations beside it."""

from sweeps.executors.attempt import Attempt, InProcessExecutor
from sweeps.executors.protocol import Executor

__all__ = ["Attempt", "Executor", "InProcessExecutor"]
