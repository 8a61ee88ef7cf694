"""The servers of others that the pages name: each is started as the page says, and used."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.ports import free_port

DOCS = Path(__file__).parents[2] / "docs"
PATIENCE_SECONDS = 180
pytestmark = pytest.mark.nightly


def typed(page, title, ports):
    """The commands of a section, by their programs, with other ports."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    section = text.partition("\n## ")[0]
    lines = "\n".join(re.findall(r"^ {4}(.*)$", section, re.MULTILINE)).replace("\\\n", " ")
    for known, free in ports.items():
        assert known in lines
        lines = lines.replace(known, str(free))
    return lines.splitlines()


def only(lines, word):
    [line] = [line for line in lines if re.search(rf"(^| ){word}\b", line)]
    return line


def surroundings(folder):
    left_out = {"MLFLOW_TRACKING_URI", "SWEEPS_HOME"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    programs = str(Path(sys.executable).parent)
    return kept | {"HOME": str(folder), "PATH": f"{programs}:{os.environ['PATH']}"}


def run(line, folder):
    ran = subprocess.run(
        ["bash", "-c", line],
        cwd=folder, env=surroundings(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


@contextmanager
def served(line, folder):
    """Run a server until the end of the block; gives what it has said so far."""
    log = folder / f"{time.monotonic_ns()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=folder, env=surroundings(folder), stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield log.read_text
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def fetch(address, said, name=None):
    """Return the status and the text of a page, once the server answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, headers={"Host": name} if name else {})
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""
        except OSError:
            assert time.monotonic() < end, said()
            time.sleep(0.2)


@pytest.fixture
def folder(tmp_path, make_home):
    make_home("mlruns")
    space = "experiment: tests.sweeps.toy_experiment:experiment\n"
    space += "objective: {metric: score, direction: maximize}\n"
    space += "parameters: {x: {type: float, low: 0, high: 1}}\n"
    (tmp_path / "toy.yaml").write_text(space)
    return tmp_path


def sweep(folder, *options):
    words = ["sweeps run toy.yaml --trials 3 --quiet", *options]
    run(f"PYTHONPATH={DOCS.parent} {' '.join(words)}", folder)


def test_optuna_dashboard_shows_a_sweep(folder):
    port = free_port()
    lines = typed("how-to.md", "... look at a sweep in Optuna Dashboard", {"8080": port})
    sweep(folder, "--name mlp --workers 0")
    run(only(lines, "sweeps export"), folder)
    with served(only(lines, "--host"), folder) as said:
        status, text = fetch(f"http://127.0.0.1:{port}/api/studies", said)
        assert (status, '"study_name": "mlp"' in text) == (200, True), text
        status, text = fetch(f"http://127.0.0.1:{port}/api/studies/1", said)
    trials = json.loads(text)["trials"]
    assert [trial["state"] for trial in trials] == ["Complete"] * 3
    assert trials[0]["values"] == [trials[0]["intermediate_values"][-1]["value"]]


def test_an_mlflow_server_takes_runs_and_those_of_before_and_answers_to_its_names(folder):
    port = free_port()
    lines = typed("how-to.md", "... run an MLflow server for a team", {"5000": port})
    sweep(folder, "--workers 0")
    with served(only(lines, "mlflow"), folder) as said:
        base = f"http://127.0.0.1:{port}"
        assert fetch(f"{base}/health", said)[0] == 200
        assert fetch(f"{base}/api/2.0/mlflow/experiments/get?experiment_id=0", said)[0] == 200
        stranger = fetch(
            f"{base}/api/2.0/mlflow/experiments/get?experiment_id=0", said, "10.example.com"
        )
        assert stranger[0] == 403
        run(only(lines, "sync"), folder)
        option = re.search(r"--tracking-uri \S+", only(lines, "run"))[0]
        sweep(folder, "--name online --workers 0", option)
        run(f"python -c '{COUNT}' {base}", folder)
    assert (folder / "mlflow-server.db").exists()
    assert any((folder / "mlflow-files").rglob("*"))


COUNT = """
import sys, mlflow
client = mlflow.MlflowClient(sys.argv[1])
ids = [one.experiment_id for one in client.search_experiments()]
names = {run.data.tags.get("sweep") for run in client.search_runs(ids)}
assert {"toy", "online"} <= names, names
"""


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_dask_cluster_trains(folder, is_encrypted):
    port = free_port()
    title = "Certificates" if is_encrypted else "One machine, to try it"
    lines = typed("clusters.md", title, {"8786": port})
    lines = [line.replace("192.0.2.1", "127.0.0.1") for line in lines]
    for line in (line for line in lines if line.startswith("openssl")):
        run(line, folder)
    variables = " && ".join([line for line in lines if line.startswith("export")] or ["true"])
    scheduler, worker = only(lines, "dask scheduler"), only(lines, "dask worker")
    if is_encrypted:
        scheduler += f" --port {port}"
    option = re.search(r"--executor \S+", only(lines, "sweeps run"))[0]
    with ExitStack() as running:
        for line in (scheduler, worker):
            whole = f"export PYTHONPATH={DOCS.parent} && {line} --no-dashboard"
            said = running.enter_context(served(whole, folder))
        end = time.monotonic() + PATIENCE_SECONDS
        while "Registered to" not in said():
            assert time.monotonic() < end, said()
            time.sleep(0.1)
        run(
            f"{variables} && export PYTHONPATH={DOCS.parent} && "
            f"sweeps run toy.yaml --trials 3 --quiet {option}",
            folder,
        )
    assert run("sweeps trials toy --csv -", folder).count("COMPLETE") == 3
