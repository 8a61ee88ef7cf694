"""Holds a sweep while something works on it: the lock of this host, and among hosts a lease."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sweeps.coordinator.lock import SweepLock
from sweeps.databases import Patience
from sweeps.errors import LeaseLost, UsageError
from sweeps.home import Home
from sweeps.records import SweepInfo
from sweeps.shared import FIXED, Lease, SharedStorage

RENEW_SECONDS: Final = 3.0
"""How often a lease is renewed, and what other hosts have left (requests, hunches) is taken."""


class Hold:
    """A sweep that nobody else works on; on this host only, nothing is left to be done."""

    lease: Lease | None = None
    """The right to write of it, where hosts share it."""

    def __init__(self, lock: SweepLock) -> None:
        self.lock = lock

    def check(self) -> None:
        """Refuse to go on with a sweep that another host has taken over.

        Raises:
            LeaseLost: It has.
        """

    def confirm(self) -> None:
        """Make sure that the sweep is still ours, before something is written elsewhere.

        Raises:
            LeaseLost: Another host has taken it over.
            StoreError: Nobody can say.
        """

    def send(self, key: str) -> None:
        """Let other hosts have an attempt that was just recorded."""

    def forget(self) -> None:
        """Let other hosts have a sweep no more, whose folder is gone here."""


@contextmanager
def hold(
    home: Home,
    info: SweepInfo,
    note: Callable[[str], None] = lambda text: None,
    on_lost: Callable[[], None] = lambda: None,
) -> Iterator[Hold]:
    """Keep others from a sweep; its folder is as the last one who had it left it.

    Args:
        home: Where the sweep lies.
        info: The sweep.
        note: Told in a line when something is waited for.
        on_lost: Called, in another thread, if another host has taken the sweep over.

    Raises:
        UsageError: Another process works on it, or nothing can be written there.
        StoreError: The shared storage could not be told all: the next command does.
    """
    home.check_writable()
    home.check_storage()
    with SweepLock(home.store(info.id).folder / "lock", info.name) as lock:
        if home.shared is None:
            yield Hold(lock)
            return
        shared = SharedHold(lock, home.shared, info, note, on_lost)
        try:
            shared.begin()
            yield shared
        except BaseException:
            shared.end(failing=True)
            raise
        shared.end(failing=False)


class SharedHold(Hold):
    """A sweep that hosts share: a thread renews the lease, and sends what could not be sent."""

    def __init__(
        self,
        lock: SweepLock,
        shared: SharedStorage,
        info: SweepInfo,
        note: Callable[[str], None],
        on_lost: Callable[[], None],
    ) -> None:
        super().__init__(lock)
        self._shared, self._info = shared, info
        self._note, self._on_lost = note, on_lost
        self._prefix = f"records/{info.id}/"
        self._unsent: set[str] = set()
        self._problem: Exception | None = None
        self._is_away = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="sweeps-lease", daemon=True)

    def begin(self) -> None:
        """Take the lease and what others have written; wait if the database is away."""
        patience, shared = Patience(self._note), self._shared
        self.lease = patience.run(
            shared.server, lambda: shared.take(self._info.id, self._info.name, self._note)
        )
        patience.run(shared.server, lambda: shared.copy.sync(self._prefix, self.lease))
        if not shared.has(self._info.id):
            raise UsageError(f"sweep {self._info.name!r} was deleted on another host")
        self._thread.start()

    def check(self) -> None:
        """See `Hold.check`."""
        if self._problem is not None:
            raise self._problem

    def confirm(self) -> None:
        """See `Hold.confirm`."""
        assert self.lease is not None
        self.lease.confirm()

    def send(self, key: str) -> None:
        """See `Hold.send`; what cannot be sent now is sent as soon as the database is back."""
        assert self.lease is not None
        paths = [f"{self._prefix}{key}{ending}" for ending in reversed(FIXED)]
        if self._is_away:
            self._unsent.update(paths)
            return
        try:
            self._shared.copy.give(paths, self.lease)
        except LeaseLost:
            raise
        except Exception as error:
            if self._shared.server.trouble(error) is None:
                raise
            self._unsent.update(paths)

    def forget(self) -> None:
        """See `Hold.forget`."""
        assert self.lease is not None
        self._shared.copy.forget(self._prefix, self.lease)

    def end(self, *, failing: bool) -> None:
        """Send what is left, and let others have the sweep.

        Raises:
            StoreError: It cannot be sent, or the sweep is another's now; if nothing else failed.
        """
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.lease is None:
            return
        with contextlib.suppress(Exception) if failing else contextlib.nullcontext():
            self.check()
            Patience(self._note, lambda: failing).run(self._shared.server, self._hand_over)

    def _hand_over(self) -> None:
        assert self.lease is not None
        self._shared.copy.sync(self._prefix, self.lease)
        self.lease.release()

    def _live(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                self._renew()
            except Exception as error:
                trouble = self._shared.server.trouble(error)
                if trouble is None or not trouble.passes:
                    self._problem = trouble.error if trouble else error
                    self._on_lost()
                    return
                if not self._is_away:
                    self._is_away = True
                    self._note(
                        f"the shared storage {self._shared.server} is away ({trouble.why}): what "
                        "is recorded is safe here, and sent when it is back"
                    )

    def _renew(self) -> None:
        assert self.lease is not None
        self.lease.renew()
        if self._is_away:
            self._is_away = False
            self._note(f"the shared storage {self._shared.server} is back")
        unsent = sorted(self._unsent, key=lambda path: path.endswith(".record"))
        if unsent:
            self._shared.copy.give(unsent, self.lease)
            self._unsent.difference_update(unsent)
        self._shared.copy.sync(self._prefix, self.lease, leave=lambda path: path.endswith(FIXED))
