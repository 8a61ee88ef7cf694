"""Executors run attempts: one small protocol, and its implementations beside it."""

from sweeps.executors.attempt import Attempt, Executor, InProcessExecutor

__all__ = ["Attempt", "Executor", "InProcessExecutor"]
