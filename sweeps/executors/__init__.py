"""Executors run attempts: one small protocol, and its implementations beside it."""

from sweeps.executors.attempt import Attempt, Executor, InProcessExecutor, Nobody

__all__ = ["Attempt", "Executor", "InProcessExecutor", "Nobody"]
