"""Writes what must not be written twice, though connections are cut and Optuna tries again.

A transaction whose connection was cut may have been committed, or may still be. Optuna repeats some
by itself, which would store a slot twice. So a repetition is stopped where it begins, everything
under way is waited for, and what is there by then is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

import sqlalchemy

T = TypeVar("T")


class Guard(Protocol):
    """The right to write of a sweep that hosts share."""

    def fence(self, connection: sqlalchemy.Connection) -> None:
        """Refuse a transaction of who has lost that right."""

    def settle(self) -> None:
        """Wait until no transaction of ours is under way, also one that was cut off."""


class _Unanswered(Exception):  # noqa: N818, not an error
    """A transaction was cut off, and Optuna was about to repeat it."""


class Once:
    """Watches the transactions of an engine."""

    def __init__(self, engine: sqlalchemy.Engine, guard: Guard | None) -> None:
        """Begin to watch, where hosts share the database; a file is cut off by nothing."""
        self._guard = guard
        self._transactions, self._only_one = 0, False
        if guard is not None:
            sqlalchemy.event.listen(engine, "begin", self._begin)

    def write(self, write: Callable[[], T], find: Callable[[], T | None]) -> Callable[[], T]:
        """Return what writes once, however often it is called until it returns.

        Args:
            write: One transaction of Optuna's.
            find: Returns what was written, None if it was not.
        """
        is_first = True

        def write_once() -> T:
            nonlocal is_first
            while True:
                found = None if is_first else self._found(find)
                is_first = False
                if found is not None:
                    return found
                with suppress(_Unanswered), self._one_transaction():
                    return write()

        return write_once

    def _found(self, find: Callable[[], T | None]) -> T | None:
        if self._guard is not None:
            self._guard.settle()
        return find()

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        self._transactions, self._only_one = 0, True
        try:
            yield
        finally:
            self._only_one = False

    def _begin(self, connection: sqlalchemy.Connection) -> None:
        assert self._guard is not None
        self._transactions += 1
        if self._only_one and self._transactions > 1:
            raise _Unanswered
        self._guard.fence(connection)
