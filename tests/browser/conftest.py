"""A real sweep of small networks, projected, served by `sweeps ui`, looked at in Chromium."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sweeps.experiment import TrialResult
from sweeps.journal.events import Record
from sweeps.tracking.content import SweepNote
from sweeps.tracking.projection import Projection
from tests.ports import free_port
from tests.sweeps.factories import altered, make_info, make_record
from tests.tools import need

pytest.register_assert_rewrite("tests.browser.playing")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EPOCHS = 6


@dataclass(frozen=True)
class Served:
    """A sweep in a running MLflow UI."""

    address: str
    records: list[Record]
    run_ids: list[str]
    parent_id: str


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """Return six trials trained on the 8x8 digits with as many learning rates."""
    rates = [0.001, 0.003, 0.005, 0.01, 0.02, 0.03]
    return [train(trial, rate) for trial, rate in enumerate(rates)]


def train(trial: int, learning_rate: float) -> Record:
    from sklearn.datasets import load_digits
    from sklearn.metrics import confusion_matrix, log_loss
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    images, classes = images / 16, np.unique(labels)
    network = MLPClassifier((25,), learning_rate_init=learning_rate, random_state=trial)
    history: dict[str, list[float]] = {"loss": [], "val_loss": [], "val_accuracy": []}
    confusions = []
    for _ in range(EPOCHS):
        network.partial_fit(images[:1200], labels[:1200], classes=classes)
        probabilities = network.predict_proba(images[1200:])
        history["loss"].append(float(network.loss_))
        history["val_loss"].append(float(log_loss(labels[1200:], probabilities)))
        predicted = probabilities.argmax(axis=1)
        history["val_accuracy"].append(float((predicted == labels[1200:]).mean()))
        confusions.append(confusion_matrix(labels[1200:], predicted))
    params = {"learning_rate": learning_rate}
    result = TrialResult(
        outcome="complete",
        stop_reason="max_epochs",
        metrics={
            "best_val_accuracy": max(history["val_accuracy"]),
            "best_epoch": float(np.argmax(history["val_accuracy"]) + 1),
        },
        history=history,
        arrays={"confusion": np.array(confusions, np.uint16)},
        summary="Dense 64 -> 25 -> 10\n",
        engine="scikit-learn",
    )
    record = make_record(trial, params=params, result=result)
    config = {**params, "epochs": 40, "activation": "relu"}
    return altered(record, config=config, objective=result.metrics["best_val_accuracy"])


def draw(record: Record) -> dict[str, bytes]:
    from matplotlib.figure import Figure

    assert record.result is not None
    figure = Figure(figsize=(4, 4))
    axes = figure.add_subplot(title=f"trial {record.key}", xlabel="predicted", ylabel="true")
    axes.imshow(record.result.arrays["confusion"][-1], cmap="Blues")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return {"confusion_matrix.png": buffer.getvalue()}


@pytest.fixture(scope="session")
def served(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served") / "mlruns"
    uri = f"sqlite:///{home / 'mlflow.db'}"
    info, projection = make_info(baselines=()), Projection(uri, home / "artifacts")
    parent_id = projection.start_sweep(info, SweepNote())
    run_ids = [projection.project(info, record, draw(record)) for record in records]
    best = max(records, key=lambda record: record.objective or 0)
    summary = f"**{len(records)} trials**, best observed (not confirmed): {best.key}"
    projection.finish_sweep(info, "FINISHED", {"failed": "0"}, summary, best=best)
    projection.close()
    with sweeps_ui(home) as address:
        yield Served(address, records, run_ids, parent_id)


class sweeps_ui:  # noqa: N801 - used like a function
    """Runs `sweeps ui` as a user does; Ctrl-C must end it cleanly and leave nothing behind."""

    def __init__(self, home: Path, *sweep: str) -> None:
        self.port = free_port()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        start = "from sweeps.cli import main; main()"
        command = [sys.executable, "-c", start, "ui", *sweep, "--home", str(home), "--port"]
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        self.process = subprocess.Popen(
            [*command, str(self.port)],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def __enter__(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("MLflow UI: "):
                return line.removeprefix("MLflow UI: ").strip()
        raise AssertionError(f"no address; stderr: {self.stderr()}")

    def __exit__(self, *_: Any) -> None:
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        last = self.process.stdout.read()
        self.process.stdout.close()
        stderr = self.stderr()
        self.errors.close()
        assert (code, stderr) == (0, ""), (code, last, stderr)
        assert last.endswith("stopped\n")
        with socket.socket() as probe:  # nobody listens any more
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0

    def stderr(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = need("chromium")
    with warnings.catch_warnings(), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]


@pytest.fixture(scope="session")
def webgl(browser: Browser) -> Iterator[Browser]:
    """Return a Chromium that draws in three dimensions, on the processor."""
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"]
    chromium = browser.browser_type.launch(executable_path=need("chromium"), args=[*flags, *WEBGL])
    yield chromium
    chromium.close()


ONCE_OPENED = """
try { localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true") } catch {}
"""
"""What the UI remembers of a visitor to whom it has shown its assistant, on a quarter of it."""


HARMLESS = (
    "ResizeObserver loop",  # of the UI's own layout
    "Failed to load resource",  # with its address in `failed`
)
HALF_LAID_OUT = re.compile(r"^Error: <\w+> attribute \w+: ")
"""MLflow's parallel coordinates are drawn once before their box has a size; `open_charts` waits
until nothing of that is left."""
UNKNOWN_TO_A_SERVER_WITHOUT_USERS = "/mlflow/users/current"


def complaints_of(page: Page) -> list[str]:
    """Return a list that will hold whatever the page complains of from now on."""
    found: list[str] = []

    def hear(text: str) -> None:
        if not any(words in text for words in HARMLESS) and not HALF_LAID_OUT.match(text):
            found.append(text)

    page.on("console", lambda message: hear(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: hear(str(error)))
    page.on(
        "response",
        lambda answer: (
            hear(f"{answer.status} {answer.url}")
            if answer.status >= 400 and UNKNOWN_TO_A_SERVER_WITHOUT_USERS not in answer.url
            else None
        ),
    )
    return found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.add_init_script(ONCE_OPENED)
    expect.set_options(timeout=30_000)  # the machine may be busy; by default 5 s
    page.set_default_timeout(30_000)
    yield page
    page.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Return where pictures go: a folder named by SCREENSHOTS, to be looked at, or a temporary."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
