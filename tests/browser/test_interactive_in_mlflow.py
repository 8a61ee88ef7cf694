"""The pages of a champion open inside MLflow's artifact viewer, and can be played with there."""

from __future__ import annotations

import json
import urllib.request

import pytest
from playwright.sync_api import expect

import sweeps
from tests.browser.conftest import ONCE_OPENED, complaints_of, sweeps_ui
from tests.browser.playing import HEADINGS, PATIENCE, play

pytestmark = [pytest.mark.browser, pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    """Return the address of the run of a real sweep's champion in a running UI, and its record."""
    home = tmp_path_factory.mktemp("interactive") / "mlruns"
    sweep = sweeps.run("smoke", trials=2, home=home, progress="quiet", workers=0)
    (folder,) = home.glob("artifacts/*/*/artifacts/interactive")
    run_id = folder.parents[1].name
    with sweeps_ui(home) as address:
        root = address.partition("/#")[0].rstrip("/")
        asked = f"{root}/ajax-api/2.0/mlflow/runs/get?run_id={run_id}"
        with urllib.request.urlopen(asked, timeout=60) as answer:
            experiment = json.load(answer)["run"]["info"]["experiment_id"]
        yield f"{root}/#/experiments/{experiment}/runs/{run_id}", sweep.best().record


@pytest.fixture
def viewer(webgl, champion, screenshots):
    """Opens a page of the champion's run as a visitor does who clicks on it.

    MLflow loads the page a second time when it hears which models are registered from the run.
    """
    page = webgl.new_page(viewport={"width": 1600, "height": 1000})
    page.add_init_script(ONCE_OPENED)
    page.set_default_timeout(PATIENCE)
    complaints, requests = complaints_of(page), []
    page.on("request", lambda request: requests.append(request.url))

    address, record = champion

    def open_page(tool):
        where = f"{address}/artifacts/interactive/{tool}.html?workflowType=machine_learning"
        with page.expect_response("**/model-versions/search?*", timeout=PATIENCE) as registered:
            page.goto(where)
        registered.value.finished()
        page.wait_for_timeout(1000)
        frame = page.frame_locator("iframe")
        expect(frame.locator("h1")).to_contain_text(f"{HEADINGS[tool]}: ", timeout=PATIENCE)
        return frame, record

    yield open_page
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "in_mlflow.png")
    page.close()
    local = ("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:", "blob:null", "about:")
    assert [url for url in requests if not url.startswith(local)] == []
    assert complaints == []


@pytest.mark.nightly
def test_a_temperature_is_moved_inside_mlflow(viewer):
    frame, record = viewer("softmax")
    play("softmax", frame, record)


def test_a_training_is_played_and_a_network_trained_inside_mlflow(viewer):
    frame, record = viewer("training")
    expect(frame.locator(".trial")).to_have_count(2, timeout=PATIENCE)  # a baseline is beside it
    play("training", frame, record)
    where = frame.locator("html").evaluate("(page) => [page.dataset.trains, self.origin]")
    print(where)
    assert where[1] == "null"  # it is in a sandbox


def test_a_digit_is_drawn_inside_mlflow(viewer):
    frame, record = viewer("pad")
    play("pad", frame, record)


def test_regions_are_drawn_inside_mlflow_and_the_plane_moves(viewer):
    frame, record = viewer("decision_regions")
    play("decision_regions", frame, record)
