"""The workers of a cluster: reached, and checked before anything is created."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import platform
import re
import socket
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from sweeps.errors import UsageError
from sweeps.wording import install_command
from sweeps.workspace.addresses import redacted
from sweeps.workspace.provenance import cpu_features, version_of

ALLOWED_FAILURES: Final = 2
"""How many deaths of its Dask worker an attempt survives at best; the scheduler decides (Dask: 3).

A crash of a training does not count here, because it runs in a child of the Dask worker. So this
number is about machines; it equals our retries of a crash. The worst case is a training that ends
its whole machine, as when its container is killed for lack of memory. With 2 crash retries it costs
(2 + 1) * (2 + 1) = 9 workers until the trial has failed; with Dask's default of 3 it would be 12.
"""


PACKAGES: Final = ("digit-sweeps", "tensorflow", "keras", "numpy", "optuna")


def about(wanted: Mapping[str, str]) -> dict[str, list[str]]:
    """Describe this process: versions that differ, and features; called inside Dask's workers."""
    return {"differences": differences(wanted), "features": cpu_features()}


def versions() -> dict[str, str]:
    """Return the versions that must be equal everywhere; `absent` for a missing package."""
    found = {name: version_of(name) or "absent" for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def differences(wanted: Mapping[str, str]) -> list[str]:
    """Return the versions that differ in this process, one text each.

    Such as `keras is 3.14, the coordinator has 3.15.1`.
    """
    here = versions()
    return [
        f"{name} is {here.get(name, 'absent')}, the coordinator has {version}"
        for name, version in wanted.items()
        if here.get(name) != version
    ]


_ROUNDING: Final = 1e-9


def check_resources(resources: Mapping[str, object]) -> dict[str, float]:
    """Return amounts of resources as numbers.

    Raises:
        UsageError: An amount is no number above 0.
    """
    checked: dict[str, float] = {}
    for name, amount in resources.items():
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not is_number or not 0 < float(str(amount)) < math.inf:
            raise UsageError(f"--resources {name}={amount}: give a number above 0, such as GPU=0.5")
        checked[name] = float(str(amount))
    return checked


def in_words(resources: Mapping[str, float]) -> str:
    """Return resources as text: `GPU=0.5,SSD=1`."""
    return ",".join(f"{name}={amount:g}" for name, amount in sorted(resources.items()))


def how_often(offered: Mapping[str, float], taken: Mapping[str, float]) -> list[int]:
    """Return, for each resource taken, how many attempts the offer of a worker is enough for."""
    return [math.floor(offered.get(n, 0.0) / amount + _ROUNDING) for n, amount in taken.items()]


CONNECT_SECONDS: Final = 10
_PATIENCE_SECONDS: Final = 10 * CONNECT_SECONDS
"""What Dask is told. It gives each of its tries a fifth of it, and drops one that succeeds while
the machine stalls for as long, its socket open: so none of them may end before ours."""
_VARIABLES: Final = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._CLIENT__CERT and ..._CLIENT__KEY"
_SCHEMES: Final = {"dask": "tcp", "dask+tls": "tls"}


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler.

    Attributes:
        address: Its address as Dask writes it, `tcp://host:8786`.
        asked: Its address as the user wrote it.
        resources: Amounts that an attempt takes of the worker that trains it.
    """

    address: str
    asked: str
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody else can read or forge the messages."""
        return self.address.startswith("tls:")

    def connect(self) -> Any:
        """Return a new client of the scheduler.

        Raises:
            UsageError: No scheduler answers, or Dask is not installed.
        """
        try:
            import distributed
        except ImportError:
            raise UsageError(
                f"--executor {self.asked} needs the package distributed: "
                f"{install_command('cluster')}"
            ) from None
        dask: Any = distributed  # untyped
        security = self._security(dask)
        for name in [*logging.root.manager.loggerDict]:  # they log each lost connection
            if name.partition(".")[0] in {"distributed", "tornado"}:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            # Test the connection first: a client that cannot connect waits long, and complains when
            # it is destroyed.
            with ThreadPoolExecutor(1) as elsewhere:  # in this thread an event loop may run already
                elsewhere.submit(asyncio.run, self._shake_hands(security)).result()
            with warnings.catch_warnings():  # we compare versions ourselves, and name the worker
                warnings.simplefilter("ignore")
                return dask.Client(
                    self.address, timeout=_PATIENCE_SECONDS, set_as_default=False, security=security
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
        trying = reach(self.address, timeout=_PATIENCE_SECONDS, **options)
        (await asyncio.wait_for(trying, CONNECT_SECONDS)).abort()

    def _security(self, dask: Any) -> Any:
        """Return the certificates of Dask's own configuration, None for a plain connection."""
        if not self.is_encrypted:
            return None
        security = dask.Security(require_encryption=True)
        try:
            has_all = security.get_connection_args("client")["ssl_context"] is not None
        except OSError as error:  # a file is missing or holds no certificate
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
        """Return, in brackets, the error in a line, and a hint if a server does answer there."""
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
        UsageError: The address is not valid, or others could read and forge messages to it.
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


def _is_here(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


@dataclass(frozen=True)
class Fleet:
    """A scheduler with the workers that it had when the sweep began.

    Attributes:
        worker_slots: How many attempts the workers train at once.
        is_mixed: Whether some workers have other CPU features than the coordinator.
        notes: Lines for the user.
    """

    cluster: Cluster
    worker_slots: int
    is_mixed: bool
    notes: tuple[str, ...]


def look_at(cluster: Cluster) -> Fleet:
    """Connect to a cluster and return its workers.

    Raises:
        UsageError: No scheduler answers, there is no worker, a worker has other versions, or no
            worker offers the resources that are asked for.
    """
    with cluster.connect() as client:
        free = worker_slots(client, cluster.resources)
        if not free:
            raise UsageError(
                f"--executor {cluster.asked}: the scheduler has no worker; start some: dask worker "
                f"{cluster.address}"
            )
        if not any(free.values()):
            asked = in_words(cluster.resources)
            workers = client.scheduler_info()["workers"].values()
            offered = sorted({in_words(w["resources"]) for w in workers} - {""})
            raise UsageError(
                f"--resources {asked}: no worker offers it (offered: "
                f"{' or '.join(offered) or 'nothing'}); start one that does: dask worker "
                f"{cluster.address} --resources '{asked.replace(',', ' ')}'"
            )
        found = _ask(client, cluster)
        allowed = int(client.run_on_scheduler(allowed_failures))
    others = {where: one["features"] for where, one in found.items()}
    mixed = mixed_note(others)
    notes = [mixed] if mixed else []
    if allowed != ALLOWED_FAILURES:
        note = (
            f"cluster: allowed-failures of its scheduler is {allowed}, so an attempt is begun "
            f"again {allowed} times at most when its worker dies; for {ALLOWED_FAILURES}, start it "
            f"with DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES={ALLOWED_FAILURES}"
        )
        notes = [note, *notes]
    return Fleet(cluster, sum(free.values()), bool(mixed), tuple(notes))


def worker_slots(client: Any, resources: Mapping[str, float]) -> dict[str, int]:
    """Return how many attempts each worker trains at once, by its threads and its resources."""
    if not resources:
        return dict(client.nthreads())
    workers = client.scheduler_info()["workers"]
    return {
        where: min(int(worker["nthreads"]), *how_often(worker["resources"], resources))
        for where, worker in workers.items()
    }


def mixed_note(others: Mapping[str, Iterable[str]]) -> str | None:
    """Return a line on workers with other CPU features than this machine; None if all are equal."""
    own = set(cpu_features())
    unlike = {where: own ^ set(features) for where, features in others.items()}
    unlike = {where: features for where, features in unlike.items() if features}
    if not unlike:
        return None
    where, features = next(iter(sorted(unlike.items())))
    lacking, more = sorted(features & own), sorted(features - own)
    texts = [f"no {', '.join(lacking)}"] if lacking else []
    texts += [f"also {', '.join(more)}"] if more else []
    beyond = f" (one of {len(unlike)} workers)" if len(unlike) > 1 else ""
    return (
        f"mixed CPU features: {where}{beyond} has {'; '.join(texts)}, unlike this machine; the "
        "last bits of a trial depend on the worker that trains it: reproducible=false"
    )


def allowed_failures(dask_scheduler: Any) -> int:
    """Return how many deaths of its worker a task survives; called inside the scheduler."""
    return int(dask_scheduler.allowed_failures)


def _ask(client: Any, cluster: Cluster) -> Mapping[str, dict[str, list[str]]]:
    """Return every worker's description of itself.

    Raises:
        UsageError: A worker does not answer, or has other versions.
    """
    try:
        found: dict[str, Any] = client.run(about, versions(), on_error="return")
    except Exception as error:  # Dask cannot even return the errors of the workers
        raise UsageError(
            f"--executor {cluster.asked}: its workers do not report their versions "
            f"({type(error).__name__} {error}); install the same everywhere"
        ) from None
    for where, one in found.items():
        if isinstance(one, Exception):  # such as a worker without this package
            text = f"{type(one).__name__}: {one}"
        else:
            text = "; ".join(one["differences"])
        if text:
            raise UsageError(
                f"--executor {cluster.asked}: {where}: {text}; install the same everywhere"
            )
    return found
