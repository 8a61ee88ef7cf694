"""Optuna Dashboard on a copy of the studies, as somebody who opens it sees it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.browser.test_sweep_view import sweep_in
from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def dashboard(tmp_path):
    sweep_in(tmp_path / "mlruns", 12)
    port = free_port()
    words = ["dashboard", "--home", str(tmp_path / "mlruns"), "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "sweeps", *words], stdout=subprocess.PIPE)
    line = process.stdout.readline().decode()
    assert "on a copy of 1 study" in line
    yield line.split()[-1]
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=30)[0].decode()
    assert (process.returncode, rest.splitlines()[-1]) == (0, "stopped")


def test_it_draws_the_trials_and_says_that_it_is_a_copy(dashboard, page, screenshots):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(dashboard)
    page.get_by_text("confusing (copy: changes are lost)").first.click()
    page.get_by_text("Hyperparameter Importance").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    page.screenshot(path=screenshots / "dashboard.png")
    assert errors == []
