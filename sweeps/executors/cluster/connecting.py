"""The address of a Dask scheduler: checked, trusted, and answered."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from sweeps.addresses import redacted
from sweeps.errors import UsageError

CONNECT_SECONDS: Final = 10
_VARIABLES: Final = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._CLIENT__CERT and ..._CLIENT__KEY"
_SCHEMES: Final = {"dask": "tcp", "dask+tls": "tls"}


@dataclass(frozen=True)
class Cluster:
    """A scheduler.

    Attributes:
        address: As Dask has it, `tcp://host:8786`.
        asked: As the user wrote it.
        resources: What an attempt takes of the worker that trains it.
    """

    address: str
    asked: str
    resources: Mapping[str, float] = field(default_factory=dict)

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
                "-e '.[cluster]'"
            ) from None
        dask: Any = distributed  # untyped
        security = self._security(dask)
        _hush()
        try:
            # A client that cannot connect waits long, and complains when it is thrown away.
            with ThreadPoolExecutor(1) as elsewhere:  # here a notebook's event loop may run
                elsewhere.submit(asyncio.run, self._shake_hands(security)).result()
            with warnings.catch_warnings():  # we compare versions ourselves, and name the culprit
                warnings.simplefilter("ignore")
                return dask.Client(
                    self.address, timeout=CONNECT_SECONDS, set_as_default=False, security=security
                )
        except (OSError, TimeoutError, TypeError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"--executor {self.asked}: no Dask scheduler answers there within "
                f"{CONNECT_SECONDS} s{self._cause(error)}"
            ) from None

    async def _shake_hands(self, security: Any) -> None:
        from distributed.comm.core import connect

        reach: Any = connect  # untyped
        options = security.get_connection_args("client") if security else {}
        trying = reach(self.address, timeout=CONNECT_SECONDS, **options)
        (await asyncio.wait_for(trying, CONNECT_SECONDS)).abort()

    def _security(self, dask: Any) -> Any:
        """Return the certificates of Dask's own configuration, None for a plain connection."""
        if not self.is_encrypted:
            return None
        security = dask.Security(require_encryption=True)
        try:
            has_all = security.get_connection_args("client")["ssl_context"] is not None
        except OSError as error:  # no such file, or none of a certificate
            raise UsageError(
                f"--executor {self.asked}: the certificates of Dask's configuration cannot be used "
                f"({error}); see {_VARIABLES}"
            ) from None
        if not has_all:
            raise UsageError(
                f"--executor {self.asked}: dask+tls needs an authority, a certificate and its key, "
                f"files in PEM format; name them in {_VARIABLES}"
            )
        return security

    def _cause(self, error: BaseException) -> str:
        """Say, in a line, what went wrong, and what may be the reason if somebody does listen."""
        text = re.sub(r"^in <.*?>: ", "", str(error).strip()).partition("\n")[0]
        if isinstance(error, TimeoutError) or "Timed out" in text or "refused" in text:
            return f" ({text})" if text else ""
        text = text or type(error).__name__
        if self.is_encrypted:
            return f" ({text}); it may be a plain one (dask://), or trust another authority"
        return f" ({text}); if it is an encrypted one, write dask+tls://"


def parse_cluster(
    asked: str, *, trusted: bool, resources: Mapping[str, float] | None = None
) -> Cluster:
    """Return the scheduler that `--executor` names.

    Raises:
        UsageError: It is no such address, or messages to it could be read and forged by others.
    """
    try:
        parts = urlsplit(asked)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    more = "@" in parts.netloc or parts.path or parts.query or parts.fragment
    if parts.scheme not in _SCHEMES or not host or port is None or more:
        raise UsageError(
            f"--executor {redacted(asked)!r}: write dask://HOST:8786, or dask+tls://HOST:8786 with "
            "the certificates of Dask's configuration"
        )
    if parts.scheme == "dask" and not trusted and not _is_here(host):
        raise UsageError(
            f"--executor {asked}: Dask sends pickles, so whoever can reach this port can run code "
            "here and there; use dask+tls://, a tunnel to 127.0.0.1, or --trust-cluster"
        )
    address = f"{_SCHEMES[parts.scheme]}://{parts.netloc}"
    return Cluster(address, asked, dict(resources or {}))


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
