"""Starts a Dask cluster on this machine: a scheduler and worker processes."""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sweeps.errors import UsageError
from sweeps.wording import install_command

ALLOWED_FAILURES: Final = 2
"""How many deaths of its Dask worker an attempt survives, by default.

A crash of a training does not count here, because it runs in a child of the Dask worker. So this
number is about machines; it equals our retries of a crash. The worst case is a training that ends
its whole machine, as when its container is killed for lack of memory. With 2 crash retries it costs
(2 + 1) * (2 + 1) = 9 workers until the trial has failed; with Dask's default of 3 it would be 12.
"""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format: the authority's certificate, and a key pair that it has signed."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True)
class LocalPlan:
    """The settings of a cluster on this machine.

    Attributes:
        workers: Number of worker processes.
        threads: Number of attempts that each of them trains at once.
        host: Address to listen on.
        port: Port of the scheduler.
        allowed_failures: How many deaths of its worker an attempt survives.
        certificates: None for a cluster without encryption.
        resources: Amount of each resource that each worker offers.
    """

    workers: int
    threads: int
    host: str
    port: int
    allowed_failures: int = ALLOWED_FAILURES
    certificates: Certificates | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def local_cluster(plan: LocalPlan) -> Iterator[str]:
    """Start a scheduler and workers; on leaving the context, end them and all their trainings.

    Yields:
        The scheduler's address, as Dask writes it.

    Raises:
        UsageError: Dask is not installed, or cannot start them.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError(
            f"sweeps cluster needs the package distributed: {install_command('cluster')}"
        ) from None
    dask: Any = distributed  # untyped
    with tempfile.TemporaryDirectory(prefix="sweeps-cluster-") as folder:
        try:
            cluster = dask.LocalCluster(
                n_workers=plan.workers,
                threads_per_worker=plan.threads,
                host=f"[{plan.host}]" if ":" in plan.host else plan.host,
                scheduler_port=plan.port,
                security=_security(dask, plan.certificates),
                # The scheduler reads these once, when it starts; no client can change them later.
                # Its web server cannot be switched off, so it gets any free port on 127.0.0.1.
                scheduler_kwargs={
                    "allowed_failures": plan.allowed_failures,
                    "dashboard": False,
                    "dashboard_address": "127.0.0.1:0",
                },
                memory_limit=0,  # trainings are children, which Dask does not count
                resources=dict(plan.resources) or None,
                local_directory=folder,
                preload=[__name__],
                silence_logs=logging.CRITICAL + 1,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"no Dask cluster can be started: {_cause(error)}") from None
        with cluster:
            yield str(cluster.scheduler_address)


def dask_setup(_worker: Any) -> None:
    """Ignore Ctrl-C, which is for the starter of the cluster; Dask calls this in each worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _security(dask: Any, certificates: Certificates | None) -> Any:
    if certificates is None:
        return dask.Security(require_encryption=False)
    pairs = {
        f"tls_{role}_{part}": str(getattr(certificates, part))
        for role in ("scheduler", "worker", "client")
        for part in ("cert", "key")
    }
    return dask.Security(require_encryption=True, tls_ca_file=str(certificates.ca), **pairs)


def _cause(error: BaseException) -> str:
    """Return the first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
