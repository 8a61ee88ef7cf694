"""Cases 10, 11 and 25: MLflow away, replies lost, and what people do to runs meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.experiment import METRICS
from tests.faults.lab import Lab
from tests.faults.mlflow_server import MlflowServer
from tests.faults.proxy import Proxy


def lose_the_server(lab: Lab, trials: int = 8) -> None:
    """Refused, silent, or answering 503 until all is trained: nothing is slower, and all comes.

    Some seconds each (1, 30 and 300 s scaled). Then it goes for good in mid-sweep: exit code 3, and
    `sweeps sync` sends everything once it is there again.
    """
    undisturbed = lab.undisturbed(trials, seconds=0.3)
    with _server(lab) as (server, proxy):
        for fault in ("refuse", "blackhole", "unavailable"):
            other = _beside(lab, fault, server)
            with other.cleaned():
                proxy.set(fault)
                process = other.start(trials, "--tracking-uri", proxy.address, seconds=0.3)
                start = time.monotonic()
                assert other.until(lambda other=other: other.records() >= trials, process)
                took = time.monotonic() - start
                assert took < undisturbed.seconds + 10, f"{fault}: training took {took:.0f} s"
                proxy.set("none")
                other.wait_for(process)
                other.check(trials, undisturbed=undisturbed.table)
        other = _beside(lab, "for-good", server)
        with other.cleaned():
            process = other.start(trials, "--tracking-uri", proxy.address, seconds=0.1)
            other.until_recorded(process, 2)
            proxy.set("refuse")
            assert other.wait_for(process) == 3, other.stderr()
            proxy.set("none")
            _sync(other, proxy)
            other.check(trials, undisturbed=undisturbed.table)


def lose_replies(lab: Lab, trials: int = 12) -> None:
    """Replies are lost after the server did what it was asked, and it restarts: nothing doubled."""
    with _server(lab) as (server, proxy):
        lab.tracking = server.folder / "mlflow.db"
        process = lab.start(trials, "--tracking-uri", proxy.address, seconds=0.3)
        lost = 0
        proxy.lose_reply(1)
        while process.poll() is None:
            if proxy.has_lost:
                lost += 1
                proxy.lose_reply(lab.random.randrange(1, 12))
            if lost == 5:
                lost += 1
                server.stop()
                server.start()
            time.sleep(0.01)
        proxy.lose_reply(10**9)
        assert lost > 5, f"only {lost} replies were lost"
        if lab.wait_for(process) == 3:  # the last one was lost again and again
            _sync(lab, proxy)
        lab.check(trials, undisturbed=lab.table(trials))
        lab.score.note = f"{lost} replies lost"


def meddle_with_runs(lab: Lab, trials: int = 10) -> None:
    """An old ./mlruns, a deleted experiment, deleted runs, 7000 characters, 1001 metrics, emoji."""
    from mlflow.tracking import MlflowClient

    old = lab.folder / "cwd" / "mlruns" / "0"
    old.mkdir(parents=True)
    (old / "meta.yaml").write_text("artifact_location: x\n")
    lab.space = lab.folder / "odd.yaml"
    lab.space.write_text(ODD)
    env, table = {METRICS: "1001"}, lab.table(trials)
    assert lab.run(3, env=env, cwd=old.parents[1]) == 0, lab.stderr()
    client = MlflowClient(f"sqlite:///{lab.home / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    client.delete_experiment(experiment.experiment_id)
    process = lab.start(trials, seconds=0.4, env=env, cwd=old.parents[1])
    assert lab.until_recorded(process, 3), lab.stderr()
    time.sleep(1)  # the parent and some children are there again by now
    for kind in ("trial", "sweep"):
        runs = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'")
        for run in runs[:1]:
            client.delete_run(run.info.run_id)
    lab.wait_for(process)
    assert lab.run(trials, env=env, cwd=old.parents[1]) == 0, lab.stderr()
    lab.check(trials, undisturbed=table)


ODD = """
experiment: tests.faults.experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
  note: {type: categorical, choices: ["%s", "it's \\"quoted\\"\\n😀 = 'x' --; DROP", ""]}
defaults: {trials: 6, sampler: tpe, pruner: none, ask_ahead: 4}
""" % ("long " * 1400)  # fmt: skip


@contextmanager
def _server(lab: Lab) -> Iterator[tuple[MlflowServer, Proxy]]:
    folder = lab.folder / "server"
    folder.mkdir()
    server = MlflowServer(folder, lab.migrated)
    server.start()
    try:
        with Proxy(server.port) as proxy:
            yield server, proxy
    finally:
        server.stop()


def _beside(lab: Lab, name: str, server: MlflowServer) -> Lab:
    other = lab.sibling(name)
    other.tracking = server.folder / "mlflow.db"
    return other


def _sync(lab: Lab, proxy: Proxy) -> None:
    command = [sys.executable, "-m", "sweeps", "sync", "--home", str(lab.home)]
    done = subprocess.run(
        [*command, "--tracking-uri", proxy.address],
        env=lab.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lab.exit_code = done.returncode
    assert done.returncode == 0, done.stderr
