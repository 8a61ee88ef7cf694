"""`sweeps cluster start`: a cluster of this machine that leaves no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.executors.dask.fleet import look_at, parse_cluster
from tests.ports import free_port
from tests.sweeps.conftest import table
from tests.sweeps.executors.cluster.certificates import Authority
from tests.sweeps.launching import Launched

PATIENCE_SECONDS = 60


class Started:
    """A `sweeps cluster start` that runs, in a session of its own, as in a terminal."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        words = ["cluster", "start", "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sweeps", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.had: set[int] = set()
        self.said: list[str] = []
        while not self.said or "Ctrl-C stops it" not in self.said[-1]:
            self.said.append(self.process.stdout.readline())
            assert self.said[-1], self.said

    def signal(self, number: signal.Signals) -> int:
        """Send it as a terminal would: SIGINT to all of the session, others to the command."""
        self.had = descendants(self.process.pid)
        send = os.killpg if number == signal.SIGINT else os.kill
        send(self.process.pid, number)
        return self.process.wait(PATIENCE_SECONDS)

    def left(self) -> list[int]:
        """Processes that it had, and are still there after a while."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (alive := self.had & parents().keys()) and time.monotonic() < end:
            time.sleep(0.1)
        return sorted(alive)


def parents():
    """Every process that lives, and its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just gone
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def descendants(process):
    """Its children, their children, ...: whatever sessions these have begun."""
    children = {child for child, parent in parents().items() if parent == process}
    return children.union(*map(descendants, children))


@pytest.fixture
def start():
    running = []

    def begin(*options):
        running.append(Started(*options))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.signal(signal.SIGKILL)
        one.process.stdout.close()
        assert one.left() == []


@pytest.mark.nightly
class TestClusterStart:
    @pytest.mark.nightly
    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
    )
    def test_no_process_is_left_whatever_ends_it_amid_trainings(
        self, start, toy_space, make_home, number, code
    ):
        cluster = start("--workers", "2")
        sweep = Launched(
            ["run", str(toy_space), "--set", "longest_seconds=5", "--home", str(make_home()),
             "--executor", f"dask://127.0.0.1:{cluster.port}"]
        )  # fmt: skip
        while not list(make_home().glob("records/*/*.record")):
            assert sweep.is_alive(), sweep.stderr()
            time.sleep(0.1)
        assert cluster.signal(number) == code
        assert len(cluster.had) > 4  # Dask's workers, our fork servers, and what these train in
        assert cluster.left() == []
        assert "Traceback" not in cluster.process.stdout.read()
        assert sweep.wait() == 1
        assert "has gone" in sweep.stderr().splitlines()[-1]

    @pytest.mark.nightly
    def test_it_says_what_to_run_and_sets_what_only_the_scheduler_reads(self, start, run_toy):
        cluster = start("--workers", "1", "--threads", "2", "--resources", "GPU=1")
        uri = f"dask://127.0.0.1:{cluster.port}"
        assert f"sweeps run SPACE --executor {uri} --resources GPU=1\n" in cluster.said
        assert "a trial survives 2 deaths of its worker" in cluster.said[1]
        fleet = look_at(parse_cluster(uri, trusted=False, resources={"GPU": 0.5}))
        assert (fleet.worker_slots, fleet.notes) == (2, ())
        assert table(run_toy(trials=4, executor=uri)) == table(run_toy("here", trials=4))

    def test_another_number_of_deaths_is_said_by_whoever_uses_it(self, start):
        cluster = start("--workers", "1", "--allowed-failures", "0")
        fleet = look_at(parse_cluster(f"dask://127.0.0.1:{cluster.port}", trusted=False))
        assert "allowed-failures of its scheduler is 0" in fleet.notes[0]

    def test_with_certificates_it_is_encrypted(self, start, tmp_path):
        authority = Authority(tmp_path, "ours")
        cert, key = authority.pair("cluster")
        cluster = start(
            "--workers", "1", "--tls-ca", str(authority.ca), "--tls-cert", str(cert),
            "--tls-key", str(key),
        )  # fmt: skip
        (line,) = [line for line in cluster.said if "sweeps run" in line]
        assert line.startswith(f"DASK_DISTRIBUTED__COMM__TLS__CA_FILE={authority.ca} ")
        assert line.endswith(f"--executor dask+tls://127.0.0.1:{cluster.port}\n")
        with pytest.raises(UsageError, match=r"write dask\+tls://"):
            look_at(parse_cluster(f"dask://127.0.0.1:{cluster.port}", trusted=False))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--tls-ca, --tls-cert and --tls-key, or --trust-cluster"),
        (["--port", "0"], "give a number from 1 to 65535"),
        (["--tls-ca", "a.pem"], "give --tls-cert and --tls-key as well"),
        (
            ["--tls-ca", "a.pem", "--tls-cert", "a.pem", "--tls-key", "a.key"],
            "--tls-ca a.pem: there is no such file",
        ),
        (["--resources", "GPU=none"], "give a number above 0"),
        (["--workers", "0"], "--workers 0: give a whole number from 1 on"),
        (["--allowed-failures", "-1"], "give a whole number from 0 on"),
    ],
)
def test_a_mistake_is_one_line(options, said):
    ended = CliRunner().invoke(app, ["cluster", "start", *options])
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_refused_with_one_that_is_not():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = CliRunner().invoke(app, ["cluster", "start", "--port", str(port)])
    assert ended.exit_code == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in ended.stderr
    assert ended.stderr.count("\n") == 1
