"""`mlflow models serve` answers for the champion of real digits, and refuses what is malformed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import sweeps
from digitexp.data import load_source, split_source
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
START_SECONDS = 120
BLANK = [0.0] * 400
pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


class Server:
    """Serves a registered model on a free port of this machine, as people do."""

    def __init__(self, home, model, folder):
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.log = folder / "serving.log"
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model]
        command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
        more = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}", "PYTHONPATH": str(ROOT)}
        more["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
        more["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it calls `uvicorn`
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env=os.environ | more, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def wait(self):
        end = time.monotonic() + START_SECONDS
        while not self._is_up():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.2)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it and what it started
        self._process.wait()

    def ask(self, body, kind="application/json"):
        """Return status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address}/invocations", data, {"Content-Type": kind}
        )
        try:
            with self._opener.open(request, timeout=60) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def _is_up(self):
        try:
            with self._opener.open(f"{self.address}/ping", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()  # it is the connection as well
        except OSError:
            pass
        return False


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    home = tmp_path_factory.mktemp("serving") / "home"
    return sweeps.run("smoke", trials=2, workers=0, home=home, progress="quiet")


@pytest.fixture(scope="module")
def server(sweep, tmp_path_factory):
    server = Server(sweep.home.path, sweep.model_uri, tmp_path_factory.mktemp("server"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def images():
    digits = load_source(None).images[:64]
    return digits.reshape(len(digits), -1).astype(np.float32)


@pytest.fixture(scope="module")
def temperature(sweep):
    return sweep.best().record.result.info["temperature"]


def expected(sweep, images, temperature=None):
    """Return softmax(logits / T), T by default the one that the trial's validation part gave."""
    heat = temperature or sweep.best().record.result.info["temperature"]
    logits = np.asarray(sweep.best().load_model()(images), np.float64) / heat
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("count", [1, 64])
def test_a_request_is_answered_by_the_champions_probabilities(sweep, server, images, count):
    status, answer = server.ask({"inputs": images[:count].tolist()})
    assert status == 200, answer
    assert [*answer] == ["predictions"]
    assert [len(row) for row in answer["predictions"]] == [10] * count
    assert all(type(share) is float for row in answer["predictions"] for share in row)
    assert np.allclose(answer["predictions"], expected(sweep, images[:count]), atol=1e-6)


def test_the_temperature_is_the_one_with_the_smallest_likelihood_and_is_seen(
    sweep, server, images, temperature
):
    labels = load_source(None).labels
    record = sweep.best().record
    validation = split_source(load_source(None), 0).validation_indices
    logits = record.result.arrays["validation_logits"].astype(np.float64)

    def likelihood(heat):
        scaled = logits / heat
        scaled -= scaled.max(axis=1, keepdims=True)
        chosen = scaled[np.arange(len(scaled)), labels[validation]]
        return np.mean(np.log(np.exp(scaled).sum(axis=1)) - chosen)

    near = temperature * np.array([0.97, 0.99, 1.0, 1.01, 1.03])
    assert np.argmin([likelihood(heat) for heat in near]) == 2
    assert abs(temperature - 1) > 0.01, "else this test could not fail"
    answers = np.array(server.ask({"inputs": images.tolist()})[1]["predictions"])
    assert not np.allclose(answers, expected(sweep, images, 1.0), atol=1e-4)


def test_one_by_one_or_all_at_once_the_answers_are_the_same(server, images):
    batch = server.ask({"inputs": images[:8].tolist()})[1]["predictions"]
    single = [server.ask({"inputs": [image.tolist()]})[1]["predictions"][0] for image in images[:8]]
    assert np.allclose(batch, single, atol=1e-6)


def test_mlflow_in_this_process_and_our_own_loading_answer_as_the_server_does(
    sweep, server, images
):
    from digitexp.experiments.digits import experiment

    client = MlflowClient(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    name, _, alias = sweep.model_uri.removeprefix("models:/").partition("@")
    with warnings.catch_warnings():  # of MLflow's own, while it is imported
        warnings.simplefilter("ignore")
        from mlflow.pyfunc import load_model

        # A folder: no tracking address is set for others.
        served = load_model(client.get_model_version_by_alias(name, alias).source)
    answers = server.ask({"inputs": images[:8].tolist()})[1]["predictions"]
    assert np.allclose(served.predict(images[:8]), answers, atol=1e-6)
    own = experiment.predict(sweep.best().load_model(), images[:8])
    assert np.allclose(own, answers, atol=1e-6)


@pytest.mark.parametrize("one", [1, 1.0, True, "1"], ids=repr)
def test_numbers_of_another_type_are_converted_by_mlflow(sweep, server, one):
    status, answer = server.ask({"inputs": [[0] * 399 + [one]]})
    assert status == 200, answer
    image = np.array([[0] * 399 + [1]], np.float32)
    assert np.allclose(answer["predictions"], expected(sweep, image), atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [BLANK[:399]]},
        {"inputs": [[*BLANK, 0.0]]},
        {"inputs": BLANK},
        {"inputs": [[BLANK]]},
        {"inputs": []},
        {"inputs": [BLANK, BLANK[:10]]},
        {"inputs": 0.5},
        {"inputs": None},
        {"inputs": "an image"},
        {"inputs": [["a"] * 400]},
        {"inputs": [[*BLANK[:399], None]]},
        {"inputs": [[*BLANK[:399], {}]]},
        {"inputs": [[*BLANK[:399], float("nan")]]},
        {"inputs": [[*BLANK[:399], float("inf")]]},
        {"inputs": [[*BLANK[:399], 1.01]]},
        {"inputs": [[*BLANK[:399], -0.01]]},
        {"inputs": [[*BLANK[:399], 255]]},
        {"inputs": {"image": BLANK}},
        {"inputs": [BLANK], "instances": [BLANK]},
        {"image": [BLANK]},
        {},
        [BLANK],
        b"no JSON",
        b"\xff\xfe",
        b"",
    ],
    ids=lambda body: str(body).replace("0.0, ", "")[:50],
)
def test_a_malformed_request_is_refused_and_the_next_one_answered(server, body):
    status, answer = server.ask(body)
    assert 400 <= status < 500, (status, answer)
    assert server.ask({"inputs": [BLANK]})[0] == 200


def test_a_refusal_says_what_is_wrong(server):
    assert (
        "pixel 399 of image 0 is 1.5; give values from 0"
        in server.ask({"inputs": [[*BLANK[:399], 1.5]]})[1]
    )
    assert "does not match expected shape (-1, 400)" in server.ask({"inputs": [[0.5]]})[1]


def test_another_type_of_content_is_refused(server):
    assert server.ask(b"0,1", "image/png")[0] == 415
