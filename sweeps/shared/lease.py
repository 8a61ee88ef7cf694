"""The lease that decides which host runs a sweep, and its token, which fences off a late holder.

A kernel's lock ends with its process; of a process on another host only its silence is known. So a
holder renews its lease, one that is silent for `LEASE_SECONDS` loses it, and the database refuses
every write of a holder once another one has taken over (Kleppmann 2016, "How to do distributed
locking": fencing tokens). Times are the database's own; no clock of a host decides.

MLflow's server knows no leases. So a holder checks its lease before each request there.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, text

from sweeps.errors import LeaseLost, UsageError
from sweeps.shared.server import StorageServer

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
    "SELECT token, holder, since, expires, expires >= clock_timestamp() AS is_held "
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


@dataclass(frozen=True)
class Holder:
    """The holder of a lease, or the last one.

    Attributes:
        described: Text such as `process 7 on host since 2026-11-26T01:02:03+00:00`.
        is_held: Whether the lease has not run out.
    """

    described: str
    is_held: bool


class Lease:
    """The right to write the records of one sweep."""

    def __init__(
        self, server: StorageServer, sweep_id: str, name: str, token: int, *, began: float
    ) -> None:
        self._server = server
        self._sweep, self._name, self._token = sweep_id, name, token
        self._sure_until = began + LEASE_SECONDS / 2
        self._is_over = False
        self._turn = threading.Lock()

    @classmethod
    def take(
        cls,
        server: StorageServer,
        sweep_id: str,
        name: str,
        home_id: str,
        note: Callable[[str], None] = lambda text: None,
    ) -> Lease:
        """Take the lease of a sweep; if another home left it behind, wait until it runs out.

        A lease of this same home, whose kernel lock the caller holds, was left by a process that
        is dead, and is taken over at once.

        Raises:
            UsageError: The lease is renewed meanwhile, so somebody runs the sweep.
        """
        home = f"{home_id} on {socket.gethostname()}"
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        values = {"sweep": sweep_id, "home": home, "holder": holder, "seconds": LEASE_SECONDS}
        seen: Any = None
        while True:
            began = time.clock_gettime(_CLOCK)
            taken, held = server.run(partial(_take, values))
            if taken is not None:
                return cls(server, sweep_id, name, taken, began=began)
            if seen is None:
                note(f"{_described(held)} had this sweep: waiting whether it is still there")
            elif held.expires != seen.expires:
                raise UsageError(
                    f"sweep {name!r} is being run by {_described(held)}; wait for it, stop it "
                    f"(`sweeps stop {name}`), or begin another sweep with --name"
                )
            seen = held
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

        For `LEASE_SECONDS` after a renewal nobody can take it over. For the first half of this time
        the database is not asked; the second half is for the caller's next request, which then
        arrives while the lease is still held.

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


def holder_of(server: StorageServer, sweep_id: str) -> Holder | None:
    """Return the holder of the lease of a sweep, or the last one; None if there was none."""
    held = server.run(lambda connection: connection.execute(_LOOK, {"sweep": sweep_id}).first())
    return None if held is None else Holder(_described(held), held.is_held)


def _take(values: Mapping[str, Any], connection: Connection) -> tuple[int | None, Any]:
    taken = connection.execute(_TAKE, values).scalar()
    return taken, connection.execute(_LOOK, {"sweep": values["sweep"]}).one()


def _described(held: Any) -> str:
    return f"{held.holder} since {held.since.isoformat(timespec='seconds')}"
