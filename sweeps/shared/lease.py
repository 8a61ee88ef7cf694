"""The lease that decides which host runs a sweep, and its token, which fences off a late holder.

A kernel's lock ends with its process; of a process on another host only its silence is known
(Kleppmann 2016, "How to do distributed locking": fencing tokens). See the package for the whole.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from sweeps.errors import LeaseLost, UsageError
from sweeps.shared.server import StorageServer
from sweeps.workspace.databases import DatabaseRetry

LEASE_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 1.0
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that goes on while the machine sleeps, as the database's clock does."""

_TAKE: Final = text(
    """INSERT INTO sweeps_lease AS held (sweep_id, token, home, holder, since, expires)
    VALUES (:sweep, 1, :home, :holder, clock_timestamp(),
            clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (sweep_id) DO UPDATE
    SET token = held.token + 1, home = excluded.home, holder = excluded.holder,
        since = excluded.since, expires = excluded.expires
    WHERE held.expires < clock_timestamp() OR held.home = excluded.home
    RETURNING token"""
)
_LOOK: Final = text(
    "SELECT holder, since, expires, expires >= clock_timestamp() AS is_held "
    "FROM sweeps_lease WHERE sweep_id = :sweep"
)
_RENEW: Final = text(
    "UPDATE sweeps_lease SET expires = clock_timestamp() + make_interval(secs => :seconds) "
    "WHERE sweep_id = :sweep AND token = :token RETURNING token"
)
FENCE: Final = text(
    "SELECT token FROM sweeps_lease WHERE sweep_id = :sweep AND token = :token FOR SHARE"
)
"""A transaction that writes makes this query first; until it ends, nobody can take over."""


class Holder(NamedTuple):
    """The holder of a lease, or the last one."""

    described: str
    """Text such as `process 7 on host since 2026-11-26T01:02:03+00:00`."""
    expires: datetime
    is_held: bool


class Lease:
    """The right to write the records of one sweep, taken by making it.

    Attributes:
        database_retry: How its holder waits for the database.
    """

    def __init__(
        self,
        server: StorageServer,
        sweep_id: str,
        name: str,
        home_id: str,
        database_retry: DatabaseRetry | None = None,
    ) -> None:
        """Take the lease of a sweep; if another home left it behind, wait until it runs out.

        A lease of this same home, whose kernel lock the caller holds, was left by a process that
        is dead, and is taken over at once.

        Raises:
            UsageError: The lease is renewed meanwhile, so somebody runs the sweep.
        """
        self.database_retry = database_retry or DatabaseRetry()
        self._server, self._sweep, self._name = server, sweep_id, name
        self._is_over = False
        self._turn = threading.Lock()
        home = f"{home_id} on {socket.gethostname()}"
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        values = {"sweep": sweep_id, "home": home, "holder": holder, "seconds": LEASE_SECONDS}

        def ask(connection: Connection) -> tuple[int | None, Holder | None]:
            return connection.execute(_TAKE, values).scalar(), holder_of(connection, sweep_id)

        before: Holder | None = None
        while True:
            began = time.clock_gettime(_CLOCK)
            token, held = server.run(ask)
            if token is not None:
                self._token, self._sure_until = token, began + LEASE_SECONDS / 2
                return
            assert held is not None
            if before is None:
                waiting = f"{held.described} had this sweep: waiting whether it is still there"
                self.database_retry.note(waiting)
            elif held.expires != before.expires:
                raise UsageError(
                    f"sweep {name!r} is being run by {held.described}; wait for it, stop it "
                    f"(`sweeps stop {name}`), or begin another sweep with --name"
                )
            before = held
            time.sleep(LOOK_SECONDS)

    def renew(self) -> None:
        """Hold the lease for `LEASE_SECONDS` from now.

        Raises:
            LeaseLost: Another process holds it.
        """
        if not self._hold_for(LEASE_SECONDS):
            raise self._lost()

    def confirm(self) -> None:
        """Make sure that nobody else holds the lease; ask the database only if necessary.

        For the first half of the time after a renewal it is not asked; the second half is for the
        caller's next request, which then arrives while the lease is still held.

        Raises:
            LeaseLost: Another process holds it, or it was released.
            StoreError: The database cannot be reached.
        """
        if time.clock_gettime(_CLOCK) >= self._sure_until:
            self.renew()

    def release(self) -> None:
        """Release the lease, so that others can take it at once."""
        self._hold_for(-1.0)

    def _hold_for(self, seconds: float) -> bool:
        values = {"sweep": self._sweep, "token": self._token, "seconds": seconds}
        with self._turn:  # a thread that is left behind must not renew a released lease
            if self._is_over:
                return False
            began = time.clock_gettime(_CLOCK)
            renewed = self._server.run(
                lambda connection: connection.execute(_RENEW, values).scalar()
            )
            self._is_over = renewed is None or seconds < 0
            # Of a lost lease nothing is sure: else its threads would go on for half of one.
            self._sure_until = -math.inf if self._is_over else began + seconds / 2
            return renewed is not None

    def fence(self, connection: Connection) -> None:
        """Refuse a transaction if the lease is lost; until the transaction ends, nobody takes it.

        Raises:
            LeaseLost: Another process holds the lease.
        """
        values = {"sweep": self._sweep, "token": self._token}
        if connection.execute(FENCE, values).scalar() is None:
            raise self._lost()

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"sweep {self._name!r} was taken over by another process while this one was silent; "
            "what this one has done since is not recorded"
        )


def holder_of(connection: Connection, sweep_id: str) -> Holder | None:
    """Return the holder of the lease of a sweep, or the last one; None if there was none."""
    row = connection.execute(_LOOK, {"sweep": sweep_id}).first()
    if row is None:
        return None
    described = f"{row.holder} since {row.since.isoformat(timespec='seconds')}"
    return Holder(described, row.expires, row.is_held)
