"""The page of decision regions, opened from disk in Chromium with WebGL: it is drawn, and answers.

WebGL is computed on the processor (SwiftShader), so that no graphics card is needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from digitexp.numpy_functions import softmax
from digitexp.pages.decision_regions import decision_regions_page
from tests.browser.axe import complaints_of_axe
from tests.digitexp.pages.factories import about, make_trial

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DRAWN = "document.documentElement.dataset.drawn === 'true'"
RIGHT, WRONG, CHOSEN, PLANE = range(4)
INK = """() => {
  const { width, height } = picture;
  const pixels = picture.getContext("2d").getImageData(0, 0, width, height).data;
  return pixels.filter((_, i) => i % 4 === 0).reduce((sum, grey) => sum + 255 - grey, 0);
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    made = tmp_path_factory.mktemp("regions") / "decision_regions.html"
    made.write_text(decision_regions_page(make_trial()), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def many_names(tmp_path_factory):
    """A page with 13 classes, whose names would be markup; the network gives each its share."""
    trial, random = make_trial(), np.random.default_rng(2)
    weights = {
        **trial.weights,
        "output/kernel": random.normal(size=(15, 13)).astype(np.float32),
        "output/bias": np.zeros(13, np.float32),
    }
    names = tuple(f"<img src=x onerror=document.title={number}>" for number in range(13))
    named = replace(trial, **about(names), weights=weights)
    made = tmp_path_factory.mktemp("regions") / "many_names.html"
    made.write_text(decision_regions_page(named), encoding="utf-8")
    return made


@pytest.fixture
def opened(webgl, request, file):
    if "many_names" in request.fixturenames:
        file = request.getfixturevalue("many_names")
    page = webgl.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(120_000)  # the machine may be busy, and draws without a card
    complaints, requests = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function(DRAWN)
    yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    page.close()


def picture_of(page):
    """Return what the plot looks like once two pictures in a row are alike, as a digest."""
    before = None
    for _ in range(30):
        page.wait_for_timeout(250)
        now = hashlib.sha256(page.locator("#plot").screenshot()).hexdigest()
        if now == before:
            return now
        before = now
    raise AssertionError("the plot never comes to rest")


def pointed_at(page, kind):
    """Move the mouse over the plot until the panel shows something of the kind."""
    box = page.locator("#plot").bounding_box()
    for step in range(400):
        across, down = step % 20, step // 20
        x, y = (across * 7 % 20 + 0.5) / 20, (down * 7 % 20 + 0.5) / 20
        page.mouse.move(
            box["x"] + box["width"] * (0.3 + 0.4 * x), box["y"] + box["height"] * (0.3 + 0.4 * y)
        )
        page.wait_for_timeout(60)
        if page.locator("#picture").get_attribute("data-kind") == kind:
            return
    raise AssertionError(f"nowhere in the plot is there any {kind}")


def classes_seen(page):
    """Return the true classes of the dots that plotly.js was given."""
    return set(
        page.evaluate(
            f"[{RIGHT}, {WRONG}].flatMap((t) => plot.data[t].customdata.map((i) => LABELS[i]))"
        )
    )


@pytest.mark.nightly
def test_dots_and_plane_are_drawn_in_webgl_not_just_asked_for(opened, screenshots):
    opened.locator("#plot").screenshot(path=screenshots / "regions.png")
    with_all = picture_of(opened)
    opened.uncheck("#plane")
    without_plane = picture_of(opened)
    opened.check("#wrong")
    assert len({with_all, without_plane, picture_of(opened)}) == 3
    coloured = """() => {
      const gl = plot.querySelector("canvas").getContext("webgl");
      return new Promise((done) => {
        plot._fullLayout.scene._scene.glplot.redraw();
        const bytes = new Uint8Array(4 * gl.drawingBufferWidth * gl.drawingBufferHeight);
        const { drawingBufferWidth: width, drawingBufferHeight: height } = gl;
        gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
        done(bytes.reduce((count, byte, i) => count + (i % 4 === 3 && byte > 0 ? 1 : 0), 0));
      });
    }"""
    assert opened.evaluate(coloured) > 500


@pytest.mark.nightly
def test_dragging_turns_it_and_buttons_bring_the_standard_views(opened):
    before, eye = picture_of(opened), "plot._fullLayout.scene._scene.getCamera().eye"
    start = opened.evaluate(eye)
    box = opened.locator("#plot").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.mouse.move(*middle)
    opened.mouse.down()
    opened.mouse.move(middle[0] + 150, middle[1] + 40, steps=8)
    opened.mouse.up()
    opened.wait_for_timeout(500)
    turned = opened.evaluate(eye)
    assert max(abs(turned[a] - start[a]) for a in "xyz") > 0.2
    assert picture_of(opened) != before
    opened.check("#wrong")  # drawn anew, and seen from where it was
    assert opened.evaluate(eye) == pytest.approx(turned, abs=1e-3)
    for view, axis in (("0", "x"), ("1", "y"), ("2", "z")):
        opened.click(f"[data-view='{view}']")
        opened.wait_for_timeout(300)
        found = opened.evaluate(eye)
        assert abs(found[axis]) > 1
        assert [abs(found[a]) < 1e-3 for a in "xyz" if a != axis] == [True, True]


@pytest.mark.nightly
def test_a_confused_pair_is_isolated_its_mistakes_too_and_all_come_back(opened):
    everything = classes_seen(opened)
    assert everything == set(range(10))
    pair = opened.evaluate("DATA.pairs[0]")
    opened.select_option("#pair", "0")
    assert classes_seen(opened) == {pair["first"], pair["second"]}
    shown = opened.evaluate(f"plot.data[{RIGHT}].x.length + plot.data[{WRONG}].x.length")
    labels = make_trial().labels
    assert shown == ((labels == pair["first"]) | (labels == pair["second"])).sum()
    expect(opened.locator("#status")).to_contain_text(f"{shown} images shown")
    opened.check("#wrong")
    assert opened.evaluate(f"plot.data[{RIGHT}].x.length") == 0
    wrong = opened.evaluate(f"plot.data[{WRONG}].customdata.map((i) => [LABELS[i], PREDICTED[i]])")
    assert len(wrong) >= pair["there"] + pair["back"]
    assert all(true != said for true, said in wrong)
    opened.uncheck("#wrong")
    opened.select_option("#pair", "")
    assert classes_seen(opened) == everything


def test_the_slider_moves_the_plane_and_colours_it_by_what_is_said_there(opened):
    corner = f"['x', 'y', 'z'].map((a) => plot.data[{PLANE}][a][0])"
    colours = f"new Set(plot.data[{PLANE}].facecolor).size"
    before, seen = opened.evaluate(corner), picture_of(opened)
    opened.locator("#position").fill("7")
    after = opened.evaluate(corner)
    assert after[:2] == before[:2]
    assert after[2] > before[2] + 0.5
    assert picture_of(opened) != seen
    assert opened.evaluate(colours) > 20
    opened.select_option("#axis", "0")
    xs = opened.evaluate(f"plot.data[{PLANE}].x")
    assert len(set(xs)) == 1
    assert float(opened.locator("#at").inner_text()) == pytest.approx(xs[0], abs=0.01)


def test_pointing_at_a_dot_shows_its_picture_and_at_the_plane_what_is_between(opened, screenshots):
    opened.uncheck("#plane")
    pointed_at(opened, "image")
    said = opened.locator("#said").inner_text()
    assert "It is" in said
    assert "%" in said
    assert opened.evaluate(INK) > 1000
    opened.check("#plane")
    pointed_at(opened, "plane")
    expect(opened.locator("#said")).to_contain_text("A point of the plane")
    assert opened.evaluate(INK) > 1000
    opened.screenshot(path=screenshots / "regions_plane.png", full_page=True)
    opened.check("[value=hidden]")
    pointed_at(opened, "plane")
    opened.mouse.move(5, 5)


@pytest.mark.nightly
def test_the_picture_of_a_cell_is_the_image_the_network_was_asked_about(opened):
    trial = make_trial()
    asked = opened.evaluate(
        """() => {
          const across = axis(), position = Number(byId("position").value);
          return [40, 300, 544, 700, 1000].map((cell) => {
            const point = [middle(0, cell % side, side), middle(1, Math.floor(cell / side), side),
                           middle(across, position, positions)];
            const at = (across * positions + position) * side * side + cell;
            return [Array.from(inkAt(point)), space().classes[at], space().probabilities[at] / 255];
          });
        }"""
    )
    for ink, said, probability in asked:
        logits = trial.network.logits(np.array(ink, np.float32)[None] / 255)
        shares = softmax(logits, trial.temperature)[0]
        assert shares[said] == pytest.approx(probability, abs=0.03)
        assert said == shares.argmax() or shares.max() - shares[said] < 0.03


@pytest.mark.nightly
def test_stepping_goes_through_what_is_shown_and_right_or_wrong_are_told_apart(opened):
    opened.check("#wrong")
    opened.click("#next")
    first = opened.evaluate(f"plot.data[{CHOSEN}].customdata[0]")
    expect(opened.locator("#said")).to_contain_text("wrongly")
    opened.click("#next")
    assert opened.evaluate(f"plot.data[{CHOSEN}].customdata[0]") > first
    opened.click("#before")
    assert opened.evaluate(f"plot.data[{CHOSEN}].customdata[0]") == first
    opened.uncheck("#wrong")
    opened.check("[value=right]")
    looks = [opened.evaluate(f"new Set(plot.data[{t}].marker.color).size") for t in (RIGHT, WRONG)]
    assert looks == [1, 1]
    colours = opened.evaluate(f"[{RIGHT}, {WRONG}].map((t) => plot.data[t].marker.color[0])")
    assert colours[0] != colours[1]


@pytest.mark.nightly
def test_names_are_text_to_the_plot_as_well_and_more_than_ten_classes_differ(opened, many_names):
    opened.uncheck("#plane")
    pointed_at(opened, "image")
    opened.wait_for_timeout(300)
    label = opened.locator("#plot .hovertext").first
    expect(label).to_contain_text("<img src=x onerror=document.title=")
    assert opened.locator("img").count() == 0
    expect(opened).to_have_title(f"Decision regions: {make_trial().name}")
    expect(opened.locator("#said")).to_contain_text("<img src=x")
    assert opened.evaluate("new Set(DATA.class_names.map((_, k) => colorOf(k))).size") == 13


@pytest.mark.nightly
def test_axe_finds_nothing_serious(opened):
    assert complaints_of_axe(opened) == []
