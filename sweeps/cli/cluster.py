"""`sweeps cluster start`, and the options of `sweeps run` about clusters."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.options import TrustOption, parse_resources
from sweeps.cli.servers import LOOPBACK, check_port, name_in_url, say, signals_exit
from sweeps.config.policies import usable_cores
from sweeps.errors import UsageError
from sweeps.executors.dask.fleet import in_words
from sweeps.wording import counted

if TYPE_CHECKING:
    from sweeps.executors.dask.starting import Certificates, LocalPlan

PemOption = Annotated[Path | None, typer.Option(metavar="FILE", help="In PEM format.")]

app = typer.Typer(help="A Dask cluster for `sweeps run --executor`.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A Dask cluster for `sweeps run --executor`."""


@app.command()
def start(
    workers: Annotated[
        int | None, typer.Option(help="Worker processes (default: the cores, by --threads).")
    ] = None,
    threads: Annotated[int, typer.Option(help="Trials that a worker trains at once.")] = 1,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the scheduler.")] = 8786,
    allowed_failures: Annotated[
        int | None,
        typer.Option(metavar="K", help="Deaths of its worker that a trial survives (default 2)."),
    ] = None,
    resources: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AMOUNT,...", help="Resources of each worker, such as GPU=1."),
    ] = None,
    tls_ca: PemOption = None,
    tls_cert: PemOption = None,
    tls_key: PemOption = None,
    trust_cluster: TrustOption = False,
) -> None:
    """Run a Dask scheduler and workers on this machine, until Ctrl-C."""
    _at_least("--workers", workers, 1)
    _at_least("--threads", threads, 1)
    _at_least("--allowed-failures", allowed_failures, 0)
    certificates = _certificates(tls_ca, tls_cert, tls_key)
    if host not in LOOPBACK and certificates is None and not trust_cluster:
        raise UsageError(
            f"--host {host}: Dask sends pickles, so whoever can reach this port can run code here; "
            "give --tls-ca, --tls-cert and --tls-key, or --trust-cluster"
        )
    check_port(host, port)
    from sweeps.executors.dask.starting import ALLOWED_FAILURES, LocalPlan, local_cluster

    plan = LocalPlan(
        workers=workers or max(1, usable_cores() // threads),
        threads=threads,
        host=host,
        port=port,
        allowed_failures=ALLOWED_FAILURES if allowed_failures is None else allowed_failures,
        certificates=certificates,
        resources=parse_resources(resources or []),
    )
    try:
        with signals_exit():
            say(f"starting a Dask scheduler and {counted(plan.workers, 'worker')} ...")
            with local_cluster(plan) as address:
                _announce(plan, address)
                threading.Event().wait()
    except KeyboardInterrupt:
        say("stopped")


def _at_least(option: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise UsageError(f"{option} {value}: give a whole number from {least} on")


def _certificates(ca: Path | None, cert: Path | None, key: Path | None) -> Certificates | None:
    from sweeps.executors.dask.starting import Certificates

    files = {"--tls-ca": ca, "--tls-cert": cert, "--tls-key": key}
    missing = [option for option, file in files.items() if file is None]
    if len(missing) == len(files):
        return None
    if ca is None or cert is None or key is None:
        raise UsageError(f"TLS needs three files; give {' and '.join(missing)} as well")
    for option, file in files.items():
        if file is not None and not file.is_file():
            raise UsageError(f"{option} {file}: there is no such file")
    return Certificates(ca.resolve(), cert.resolve(), key.resolve())


def _announce(plan: LocalPlan, address: str) -> None:
    is_encrypted = plan.certificates is not None
    survived = counted(plan.allowed_failures, "death")
    say(
        f"Dask cluster: {address}, {counted(plan.workers, 'worker')}, "
        f"{counted(plan.threads, 'trial')} at once each; a trial survives {survived} of its worker"
    )
    if plan.host not in LOOPBACK and not is_encrypted:
        say("whoever can reach it can run code here")
    uri = f"{'dask+tls' if is_encrypted else 'dask'}://{name_in_url(plan.host)}:{plan.port}"
    taken = f" --resources {in_words(plan.resources)}" if plan.resources else ""
    say(f"{_tls_variables(plan)}sweeps run SPACE --executor {uri}{taken}")
    say("Ctrl-C stops it")


def _tls_variables(plan: LocalPlan) -> str:
    """Return the environment variables by which `sweeps run` finds its certificates."""
    files = plan.certificates
    if files is None:
        return ""
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    named = {"CA_FILE": files.ca, "CLIENT__CERT": files.cert, "CLIENT__KEY": files.key}
    return "".join(f"{prefix}{name}={shlex.quote(str(file))} " for name, file in named.items())
