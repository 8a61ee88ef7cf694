"""Executors run attempts: one small protocol, and its implementations beside it."""

from sweeps.executors.attempt import Attempt
from sweeps.executors.local.in_process import InProcessExecutor
from sweeps.executors.protocol import Executor, Judge, Listener

__all__ = ["Attempt", "Executor", "InProcessExecutor", "Judge", "Listener"]
