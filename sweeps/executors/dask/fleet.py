"""The workers of a cluster: reached and looked at before anything is created."""

from __future__ import annotations

import asyncio
import importlib.metadata
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
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit

from sweeps.errors import UsageError
from sweeps.executors.dask.starting import ALLOWED_FAILURES
from sweeps.workspace.addresses import redacted
from sweeps.workspace.provenance import cpu_features

# Whether another process would train the same: versions, and what its processor can.


PACKAGES: Final = ("digit-sweeps", "tensorflow", "keras", "numpy", "optuna")


class About(TypedDict):
    """What a worker says of itself: what it has otherwise, and its CPU features."""

    differences: list[str]
    features: list[str]


def about(wanted: Mapping[str, str]) -> About:
    """Say what this process is; called inside Dask's workers."""
    return {"differences": differences(wanted), "features": cpu_features()}


def versions() -> dict[str, str]:
    """Return the versions that must be equal everywhere; `absent` of what is not installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def differences(wanted: Mapping[str, str]) -> list[str]:
    """Return what this process has otherwise, one text each: `keras 3.15.1 there, 3.14 here`."""
    here = versions()
    return [
        f"{name} is {here.get(name, 'absent')}, the coordinator has {version}"
        for name, version in wanted.items()
        if here.get(name) != version
    ]


# The resources that a trial takes of a Dask worker, beside a thread: `GPU=0.5`; Dask counts.


_ROUNDING: Final = 1e-9


def check_resources(resources: Mapping[str, object]) -> dict[str, float]:
    """Return amounts of resources as numbers.

    Raises:
        UsageError: One is no number above 0.
    """
    checked: dict[str, float] = {}
    for name, amount in resources.items():
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not is_number or not 0 < float(str(amount)) < math.inf:
            raise UsageError(f"--resources {name}={amount}: give a number above 0, such as GPU=0.5")
        checked[name] = float(str(amount))
    return checked


def in_words(resources: Mapping[str, float]) -> str:
    """Return `GPU=0.5,SSD=1`."""
    return ",".join(f"{name}={amount:g}" for name, amount in sorted(resources.items()))


def how_often(offered: Mapping[str, float], taken: Mapping[str, float]) -> list[int]:
    """Return how many times what is taken goes into what a worker offers, for each resource."""
    return [math.floor(offered.get(n, 0.0) / amount + _ROUNDING) for n, amount in taken.items()]


# The address of a Dask scheduler: checked, trusted, and answered.


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
        # Dask gives each of its tries a fifth of the time, and drops one that succeeds while the
        # machine stalls for as long, its socket open: so none of them may end before ours.
        trying = reach(self.address, timeout=10 * CONNECT_SECONDS, **options)
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


@dataclass(frozen=True)
class Fleet:
    """A scheduler with the workers that it had when the sweep began.

    Attributes:
        places: How many attempts they train at once.
        is_mixed: Whether some have other CPU features than the coordinator.
        notes: What the user is to be told, a line each.
    """

    cluster: Cluster
    places: int
    is_mixed: bool
    notes: tuple[str, ...]


def look_at(cluster: Cluster) -> Fleet:
    """Return what the workers of a cluster are.

    Raises:
        UsageError: Nobody answers, there is no worker, workers have other versions, or none of
            them offers the resources that are asked for.
    """
    with cluster.connect() as client:
        free = places(client, cluster.resources)
        if not free:
            raise UsageError(
                f"--executor {cluster.asked}: the scheduler has no worker; start some: dask worker "
                f"{cluster.address}"
            )
        _check_resources(client, cluster, free)
        found = _ask(client, cluster)
        allowed = int(client.run_on_scheduler(allowed_failures))
    others = {where: one["features"] for where, one in found.items()}
    mixed = mixed_note(others)
    notes = [] if allowed == ALLOWED_FAILURES else [_allowed_note(allowed)]
    notes += [mixed] if mixed else []
    return Fleet(cluster, sum(free.values()), bool(mixed), tuple(notes))


def places(client: Any, resources: Mapping[str, float]) -> dict[str, int]:
    """Return how many attempts each worker trains at once: by its threads, and by its resources."""
    if not resources:
        return dict(client.nthreads())
    workers = client.scheduler_info()["workers"]
    return {
        where: min(int(worker["nthreads"]), *how_often(worker["resources"], resources))
        for where, worker in workers.items()
    }


def mixed_note(others: Mapping[str, Iterable[str]]) -> str | None:
    """Return, in a line, which workers have other CPU features than this machine; None: none."""
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
        "last bits of a trial depend on who trains it: reproducible=false"
    )


def _allowed_note(allowed: int) -> str:
    return (
        f"cluster: allowed-failures of its scheduler is {allowed}, so an attempt is begun again "
        f"{allowed} times at most when its worker dies; `sweeps cluster start` sets "
        f"{ALLOWED_FAILURES}"
    )


def allowed_failures(dask_scheduler: Any) -> int:
    """Return how many deaths of its worker a task survives; called inside the scheduler."""
    return int(dask_scheduler.allowed_failures)


def _ask(client: Any, cluster: Cluster) -> Mapping[str, About]:
    """Return what every worker says of itself."""
    try:
        found: dict[str, Any] = client.run(about, versions(), on_error="return")
    except Exception as error:  # Dask cannot even say what
        raise UsageError(
            f"--executor {cluster.asked}: its workers cannot say what they are "
            f"({type(error).__name__} {error}); install the same everywhere"
        ) from None
    wrong = {where: _trouble(one) for where, one in found.items()}
    for where, text in wrong.items():
        if text:
            raise UsageError(
                f"--executor {cluster.asked}: {where}: {text}; install the same everywhere"
            )
    return found


def _trouble(one: About | Exception) -> str:
    if isinstance(one, Exception):  # such as: it does not know this package
        return f"{type(one).__name__}: {one}"
    return "; ".join(one["differences"])


def _check_resources(client: Any, cluster: Cluster, free: Mapping[str, int]) -> None:
    if any(free.values()):
        return
    asked = in_words(cluster.resources)
    workers = client.scheduler_info()["workers"].values()
    offered = sorted({in_words(w["resources"]) for w in workers} - {""})
    raise UsageError(
        f"--resources {asked}: no worker offers it (offered: {' or '.join(offered) or 'nothing'}); "
        f"start one that does: dask worker {cluster.address} --resources "
        f"'{' '.join(asked.split(','))}'"
    )
