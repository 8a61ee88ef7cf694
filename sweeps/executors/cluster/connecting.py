"""The address of a Dask scheduler: checked, trusted, and looked at before anything is created."""

from __future__ import annotations

import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sweeps.errors import UsageError
from sweeps.executors.cluster.versions import differences, versions

CONNECT_SECONDS: Final = 10
_SCHEMES: Final = {"dask": "tcp", "dask+tls": "tls"}


@dataclass(frozen=True)
class Cluster:
    """A scheduler.

    Attributes:
        address: As Dask has it, `tcp://host:8786`.
        asked: As the user wrote it.
    """

    address: str
    asked: str

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody else can read or forge what is sent."""
        return self.address.startswith("tls:")

    def connect(self) -> Any:
        """Return a client of its own.

        Raises:
            UsageError: Nobody answers, or Dask is not installed.
        """
        try:
            import distributed
        except ImportError:
            raise UsageError(
                f"--executor {self.asked} needs the package distributed: pip install "
                "'digit-sweeps[cluster]'"
            ) from None
        try:
            # Certificates come from Dask's own configuration (distributed.comm.tls).
            _hush()
            dask: Any = distributed  # untyped
            security = dask.Security(require_encryption=True) if self.is_encrypted else None
            return dask.Client(
                self.address, timeout=CONNECT_SECONDS, set_as_default=False, security=security
            )
        except (OSError, TimeoutError, TypeError, ValueError, RuntimeError) as error:
            text = str(error).strip().splitlines()
            raise UsageError(
                f"--executor {self.asked}: no Dask scheduler answers there within "
                f"{CONNECT_SECONDS} s ({text[0] if text else type(error).__name__})"
            ) from None


def parse_cluster(asked: str, *, trusted: bool) -> Cluster:
    """Return the scheduler that `--executor` names.

    Raises:
        UsageError: It is no such address, or messages to it could be read and forged by others.
    """
    parts = urlsplit(asked)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in _SCHEMES or not parts.hostname or port is None or parts.path:
        raise UsageError(
            f"--executor {asked!r}: write dask://HOST:8786, or dask+tls://HOST:8786 with the "
            "certificates of Dask's configuration"
        )
    if parts.scheme == "dask" and not trusted and not _is_here(parts.hostname):
        raise UsageError(
            f"--executor {asked}: Dask sends pickles, so whoever can reach this port can run code "
            "here and there; use dask+tls://, a tunnel to 127.0.0.1, or --trust-cluster"
        )
    return Cluster(f"{_SCHEMES[parts.scheme]}://{parts.netloc}", asked)


def look_at(cluster: Cluster) -> int:
    """Return how many attempts its workers train at once.

    Raises:
        UsageError: Nobody answers, it has no worker, or workers have other versions.
    """
    with cluster.connect() as client:
        threads: dict[str, int] = client.nthreads()
        if not threads:
            raise UsageError(
                f"--executor {cluster.asked}: the scheduler has no worker; start some: dask worker "
                f"{cluster.address}"
            )
        found: dict[str, list[str]] = client.run(differences, versions())
    wrong = [f"{where}: {'; '.join(what)}" for where, what in found.items() if what]
    if wrong:
        raise UsageError(f"--executor {cluster.asked}: {wrong[0]}; install the same everywhere")
    return sum(threads.values())


def _hush() -> None:
    """Keep what Dask logs of lost connections from the terminal: we say it in one line."""
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in {"distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _is_here(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)
