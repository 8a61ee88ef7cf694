"""The page of softmax in Chromium: what it shows of logits and a temperature is true."""

import dataclasses

import numpy as np
import pytest

from digitexp.numpy_functions import softmax
from digitexp.pages.page import choose_images, softmax_page
from tests.browser.axe import complaints_of_axe
from tests.browser.opened import opened
from tests.digitexp.pages.factories import about, make_trial

pytestmark = pytest.mark.browser

SHOWN = "id => document.getElementById(id).data"


@pytest.fixture
def page(browser, tmp_path):
    with opened(browser, tmp_path / "softmax.html", softmax_page(make_trial())) as page:
        yield page


def shown(page):
    """Return the probabilities in the chart: at the temperature, at 1."""
    now, plainly = page.evaluate(SHOWN, "probabilities")[:2]
    return np.array(now["x"]), np.array(plainly["x"])


def move(page, slider, value):
    page.evaluate(
        """([id, value]) => {
          const slider = document.getElementById(id);
          slider.value = value;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        [slider, value],
    )


def expected_logits(number_in_gallery):
    trial = make_trial()
    chosen, _ = choose_images(trial.logits, trial.labels)
    return trial.logits[chosen[number_in_gallery]]


@pytest.mark.slow
def test_an_images_logits_become_probabilities_at_every_temperature(page, screenshots):
    page.locator(".gallery button").nth(23).click()
    logits = expected_logits(23)
    for temperature in (0.1, 0.5, 1, 3.7, 10):
        move(page, "temperature", np.log10(temperature))
        now, plainly = shown(page)
        np.testing.assert_allclose(now, softmax(logits, temperature), atol=1e-5)
        np.testing.assert_allclose(plainly, softmax(logits), atol=1e-5)
    page.screenshot(path=screenshots / "softmax-hot.png", full_page=True)


def test_a_moved_slider_makes_the_logits_ones_own(page):
    page.locator(".gallery button").nth(3).click()
    logits = expected_logits(3).astype(float)
    assert page.locator("#whose").text_content().startswith("image ")
    assert page.locator('.gallery button[aria-pressed="true"]').count() == 1
    move(page, "logit-4", 7.25)
    logits[4] = 7.25
    np.testing.assert_allclose(shown(page)[0], softmax(logits), atol=1e-5)
    assert page.locator("#whose").text_content() == "my own"
    assert page.locator('.gallery button[aria-pressed="true"]').count() == 0


@pytest.mark.slow
def test_a_slider_is_moved_by_the_keyboard(page):
    before = page.evaluate("state.logits[2]")
    page.locator("#logit-2").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    after = page.evaluate("state.logits")
    assert after[2] > before
    np.testing.assert_allclose(shown(page)[0], softmax(after), atol=1e-6)


@pytest.mark.slow
def test_entropy_and_the_largest_probability_are_said_and_drawn(page):
    logits = page.evaluate("state.logits")
    page.get_by_role("button", name="T = 1.3, fitted").click()
    probabilities = softmax(logits, 1.3)
    np.testing.assert_allclose(shown(page)[0], probabilities, atol=1e-6)
    nats = -(probabilities * np.log(probabilities)).sum()
    assert page.locator("#entropy").text_content() == f"{nats:.3f} nats"
    share = float(page.locator("#entropy-share").text_content().removesuffix(" %"))
    assert share == pytest.approx(100 * nats / np.log(10), abs=0.06)
    largest, entropies, at, entropy_at = page.evaluate(SHOWN, "curve")
    assert (at["x"], entropy_at["x"]) == ([1.3], [1.3])
    assert at["y"][0] == pytest.approx(probabilities.max())
    assert entropy_at["y"][0] == pytest.approx(nats)
    for temperature, top, entropy in zip(largest["x"], largest["y"], entropies["y"], strict=True):
        there = softmax(logits, temperature)
        assert top == pytest.approx(there.max())
        assert entropy == pytest.approx(-(there * np.log(np.maximum(there, 1e-300))).sum())
    page.get_by_role("button", name="T = 1", exact=True).click()
    np.testing.assert_allclose(*shown(page))


@pytest.mark.slow
def test_what_is_said_of_a_mistake_is_true(page):
    trial = make_trial()
    chosen, n_mistakes = choose_images(trial.logits, trial.labels)
    assert page.locator("#mistakes button").count() == n_mistakes
    page.locator("#mistakes button").first.click()
    logits, label = trial.logits[chosen[0]], trial.labels[chosen[0]]
    sure = f"{100 * softmax(logits).max():.1f} %"
    assert page.locator("#said").text_content() == (
        f"Image {chosen[0]} of the validation part: {label}, taken for {logits.argmax()} "
        f"with {sure} (T = 1)"
    )
    ink = page.evaluate(
        """() => {
          const canvas = document.getElementById("portrait");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.height, canvas.width, Array.from(pixels.data)];
        }"""
    )
    drawn = 1 - np.array(ink[2]).reshape(*ink[:2], 4)[..., 0] / 255
    np.testing.assert_allclose(drawn, trial.images[chosen[0]], atol=0.51 / 255)


@pytest.mark.nightly
def test_sliders_stand_beside_their_bars(page):
    chart = page.locator("#probabilities .bars").first.locator(".point")
    for k in range(10):
        slider, bar = page.locator(f"#logit-{k}").bounding_box(), chart.nth(k).bounding_box()
        middles = [box["y"] + box["height"] / 2 for box in (slider, bar)]
        assert abs(middles[0] - middles[1]) < 3


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_a_network_own_logits_work_for_any_number_of_classes(browser, tmp_path, n_classes):
    names = ("<b>bold</b>", "</script><i>", "a name that is much too long")[:n_classes]
    trial = dataclasses.replace(make_trial(n_classes=n_classes), weights=None, **about(names))
    with opened(browser, tmp_path / "softmax.html", softmax_page(trial)) as page:
        assert page.get_by_text("has no network to ask").is_visible()
        assert page.locator(".logit").count() == n_classes
        assert page.locator(".logit label").first.text_content() == "<b>bold</b>"
        move(page, "logit-1", 9)
        assert shown(page)[0].argmax() == 1
        np.testing.assert_allclose(
            shown(page)[0], softmax(page.evaluate("state.logits")), atol=1e-6
        )
        assert page.locator("#most-likely").text_content() == names[1]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert complaints_of_axe(page) == []
