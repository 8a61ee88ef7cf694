"""The page of a training in Chromium: it plays what was recorded, epoch by epoch, and trains."""

import dataclasses
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from digitexp.config import TrialConfig
from digitexp.data import load_source, split_source
from digitexp.pages.page import training_page
from digitexp.trained import Network
from tests.browser.axe import complaints_of_axe
from tests.browser.opened import opened
from tests.digitexp.pages.factories import about, diverged, make_trial, without_history

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(browser, tmp_path):
    with opened(browser, tmp_path / "training.html", training_page(make_trial())) as page:
        yield page


def scrub(page, epoch):
    page.evaluate(
        """epoch => {
          const slider = document.getElementById("epoch");
          slider.value = epoch;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        epoch,
    )


def until(page, condition, seconds=60):
    """Wait for a condition; the page's own policy keeps `wait_for_function` from asking."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def counts_of(page, number):
    """Return the counts of a confusion table, as a reader sees them: nothing is 0."""
    rows = page.locator(".counts").nth(number).locator("tbody tr")
    return [
        [int(text or 0) for text in rows.nth(k).locator("td").all_text_contents()]
        for k in range(rows.count())
    ]


def drawn_losses(page, number, name):
    """Return the points (x, y) of a curve."""
    path = page.locator(".chart").nth(number).locator(f"path.{name}").get_attribute("d")
    return np.array([[float(p) for p in point.split(",")] for point in path[1:].split("L")])


def assert_shown(page, number, trial, epoch):
    """Assert that all of an epoch of a trial is shown, and nothing of later ones."""
    counts = trial.confusion[epoch - 1]
    assert counts_of(page, number) == counts.tolist()
    shares = page.locator(".bars").nth(number).locator(".number").all_text_contents()
    found = [float(share.strip("<> %")) for share in shares]
    assert found == pytest.approx((100 * counts.diagonal() / counts.sum(axis=1)).tolist(), abs=0.1)
    for name, metric in (
        ("training", "loss"), ("validation", "val_loss"), ("rate", "learning_rate")
    ):  # fmt: skip
        x, y = drawn_losses(page, number, name).T
        values = np.log10(trial.history[metric][:epoch])
        assert len(x) == epoch
        assert (np.diff(x) > 0).all()
        if np.ptp(values):  # as high as the logarithm of the value
            slope = np.ptp(y) / np.ptp(values)
            np.testing.assert_allclose(y, y[0] - slope * (values - values[0]), atol=0.2)
    facts = page.locator(".facts").nth(number).text_content()
    assert f"{100 * trial.history['val_accuracy'][epoch - 1]:.1f} %" in facts
    assert f"epoch{epoch} of {len(trial.confusion)}" in facts


def test_scrubbing_shows_the_epoch(page, screenshots):
    assert_shown(page, 0, make_trial(), 8)  # it opens with the whole course
    for epoch in (1, 5, 8, 2):
        scrub(page, epoch)
        assert_shown(page, 0, make_trial(), epoch)
    page.screenshot(path=screenshots / "training.png", full_page=True)


def test_mistakes_are_shaded_by_how_many_they_are_and_right_answers_otherwise(page):
    scrub(page, 1)
    counts = make_trial().confusion[0]
    shades = page.evaluate(
        """[...document.querySelectorAll(".counts tbody td")]
          .map((cell) => cell.style.background.match(/(#\\w+|rgb.*?\\)) ([\\d.]+)%/)
            || [0, "", 0])"""
    )
    colours = np.array([colour for _, colour, _ in shades]).reshape(10, 10)
    strength = np.array([float(shade) for *_, shade in shades]).reshape(10, 10)
    assert ((strength > 0) == (counts > 0)).all()
    assert len(set(colours.diagonal()) - {""}) == 1
    assert len(set(colours[~np.eye(10, dtype=bool)]) - {""}) == 1
    assert set(colours.diagonal()) != set(colours[0, 1:]) | {""}
    order = np.argsort(counts.ravel(), kind="stable")
    assert (np.diff(strength.ravel()[order]) >= 0).all()


def test_the_best_epoch_and_the_cut_of_the_rate_are_marked(page):
    chart = page.locator(".chart").first
    expect(chart).to_contain_text(f"best: epoch {make_trial().best_epoch}")
    x, _ = drawn_losses(page, 0, "training").T
    best, cut = (
        float(chart.locator(f"line.{name}").first.get_attribute("x1")) for name in ("best", "cut")
    )
    assert best == pytest.approx(x[make_trial().best_epoch - 1], abs=0.1)
    assert cut == pytest.approx((x[4] + x[5]) / 2, abs=0.1)


def test_it_plays_to_the_end_and_stops_there(page):
    page.evaluate(
        "() => { window.seen = []; const goes = go; go = (e) => { seen.push(e); goes(e); }; }"
    )
    page.locator("#speed").select_option("10")
    page.get_by_role("button", name="play").click()
    until(page, "mode().point === 7 && state.timer === null")
    assert page.evaluate("seen") == list(range(8))
    assert_shown(page, 0, make_trial(), 8)
    assert page.get_by_role("button", name="play").is_visible()


def test_pausing_holds_the_epoch_and_playing_goes_on_from_there(page):
    page.locator("#speed").select_option("2")
    page.get_by_role("button", name="play").click()
    until(page, "mode().point >= 1")
    page.get_by_role("button", name="pause").click()
    held = page.evaluate("mode().point + 1")
    assert held < 8
    page.wait_for_timeout(1200)  # more than two epochs at this speed
    assert page.evaluate("mode().point + 1") == held
    assert_shown(page, 0, make_trial(), held)
    page.get_by_role("button", name="play").click()
    until(page, f"mode().point >= {held}")


def test_the_keyboard_plays_pauses_and_steps(page):
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert_shown(page, 0, make_trial(), 6)
    page.keyboard.press("ArrowRight")
    assert_shown(page, 0, make_trial(), 7)
    for focused in ("#epoch", "#play", None):  # a focused button is not pressed twice
        scrub(page, 3)
        page.evaluate("document.activeElement.blur()")
        if focused is not None:
            page.locator(focused).focus()
        page.keyboard.press("Space")
        expect(page.locator("#play")).to_have_text("❚❚ pause")
        page.keyboard.press("Space")
        expect(page.locator("#play")).to_have_text("▶ play")
    scrub(page, 5)
    page.locator("#epoch").focus()
    page.keyboard.press("ArrowRight")
    assert_shown(page, 0, make_trial(), 6)


@pytest.fixture
def beside(browser, tmp_path):
    html = training_page(make_trial(), make_trial(0.05, epochs=4))
    with opened(browser, tmp_path / "beside.html", html) as page:
        yield page


def test_two_trainings_go_by_one_slider_and_the_shorter_stays_at_its_end(beside, screenshots):
    long, short = make_trial(), make_trial(0.05, epochs=4)
    scrub(beside, 2)
    assert_shown(beside, 0, long, 2)
    assert_shown(beside, 1, short, 2)
    scrub(beside, 7)
    assert_shown(beside, 0, long, 7)
    assert_shown(beside, 1, short, 4)
    assert beside.locator(".state").nth(1).text_content() == "ended with epoch 4: it stays there"
    assert "stays" not in beside.locator(".state").first.text_content()
    beside.screenshot(path=screenshots / "training-beside.png", full_page=True)


def test_two_trainings_have_the_same_axes_and_their_differences_are_named(beside):
    ticks = [beside.locator(".chart").nth(i).locator("text").all_text_contents() for i in (0, 1)]
    ticks = [[text for text in texts if text[0].isdecimal()] for texts in ticks]
    assert ticks[0] == ticks[1]
    assert len(ticks[0]) > 8
    firsts = [drawn_losses(beside, i, "training")[0] for i in (0, 1)]
    assert firsts[0][0] == firsts[1][0]
    values = [trial.history["loss"][0] for trial in (make_trial(), make_trial(0.05, epochs=4))]
    assert (firsts[0][1] < firsts[1][1]) == (values[0] > values[1])
    rows = beside.locator(".differences tbody").first.locator("tr").all_text_contents()
    assert [row.split()[0] for row in rows] == ["learning_rate0.0030.05", "epochs84"]


@pytest.mark.parametrize(
    ("width", "columns"), [(700, 1), pytest.param(1300, 2, marks=pytest.mark.nightly)]
)
def test_two_trainings_stand_beside_or_below_each_other(beside, width, columns):
    beside.set_viewport_size({"width": width, "height": 900})
    places = [beside.locator(".chart").nth(i).bounding_box() for i in (0, 1)]
    assert len({round(place["x"]) for place in places}) == columns
    assert beside.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("epoch", [3, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_training_that_diverged_says_when(browser, tmp_path, epoch):
    trial = diverged(make_trial(), epoch)
    html = training_page(make_trial(), trial)
    with opened(browser, tmp_path / "diverged.html", html) as page:
        assert page.locator(".state").nth(1).text_content() == f"diverged in epoch {epoch}"
        assert page.locator(".chart").nth(1).locator("circle").count() == 0
        assert "training lossNaN" in page.locator(".facts").nth(1).text_content()
        assert counts_of(page, 1) == trial.confusion[-1].tolist()
        if epoch > 1:
            scrub(page, epoch - 1)
            assert_shown(page, 1, trial, epoch - 1)
            assert page.locator(".state").nth(1).text_content() != f"diverged in epoch {epoch}"


def test_hostile_names_are_shown_letter_by_letter(browser, tmp_path):
    names = ("<b>bold</b>", "</script>", "a name that is much too long")
    trial = dataclasses.replace(make_trial(n_classes=3), name="<i>x</i>", **about(names))
    with opened(browser, tmp_path / "hostile.html", training_page(trial)) as page:
        assert page.locator("h1").text_content() == "Training, epoch by epoch: <i>x</i>"
        assert page.locator(".counts th[scope=row]").all_text_contents() == [
            "<b>bold</b>", "</script>", "a name that…",
        ]  # fmt: skip
        assert page.locator(".bar .name").all_text_contents() == [
            "<b>bold</b>",
            "</script>",
            "a name that…",
        ]


def test_a_class_without_images_has_no_bar(browser, tmp_path):
    trial = make_trial()
    confusion = trial.confusion.copy()
    confusion[:, 4] = 0
    html = training_page(dataclasses.replace(trial, confusion=confusion))
    with opened(browser, tmp_path / "training.html", html) as page:
        numbers = page.locator(".bar .number").all_text_contents()
        assert [k for k, share in enumerate(numbers) if share == "–"] == [4]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert complaints_of_axe(page) == []


def train(page, **settings):
    """Train in the page with some settings, to the end."""
    page.locator("#here").click()
    for name, value in settings.items():
        control = page.locator(f"#{name.replace('_', '-')}")
        if isinstance(value, bool):
            control.set_checked(value)
        elif name == "steps":
            control.select_option(str(value))
        else:
            control.fill(str(value))
    page.locator("#train").click()
    expect(page.locator("#train")).to_have_text("Stop")
    expect(page.locator("#train")).to_have_text("Train", timeout=120_000)


RATE = {0.0001: 0, 0.003: 9, 0.1: 18}
"""Positions of the slider."""


@pytest.fixture(params=["worker", "page"])
def place(request, browser, tmp_path):
    """The page, which trains in a worker, or in itself where there may be none."""
    html = training_page(make_trial())
    if request.param == "page":
        html = html.replace("worker-src blob:;", "worker-src 'none';")
    with opened(browser, tmp_path / "here.html", html, refused=request.param == "page") as page:
        yield page, request.param


def test_a_network_is_trained_in_the_page(place, screenshots):
    page, where = place
    train(page, rate_0=RATE[0.003], both=False)
    assert page.evaluate("document.documentElement.dataset.trains") == where
    print(page.locator("#status").text_content())
    facts = page.locator(".facts").first.text_content()
    assert "step1000 of 1000" in facts
    (training,) = page.evaluate("MODES.here.trainings")
    history = training["history"]
    assert history["val_accuracy"][0] < 0.3  # before any step
    assert history["val_accuracy"][-1] > 0.85
    assert training["x"] == list(range(0, 1001, 25))
    confusion = np.array(training["confusion"])
    assert confusion.shape == (41, 10, 10)
    assert (confusion.sum(axis=2) == 100).all()  # 1000 digits validate, a hundred of each class
    assert counts_of(page, 0) == confusion[-1].tolist()
    right = confusion[-1].trace() / 1000
    assert right == pytest.approx(history["val_accuracy"][-1])
    assert f"{100 * right:.1f} %" in facts
    page.screenshot(path=screenshots / f"trained-in-a-{where}.png", full_page=True)


def test_two_rates_begin_alike_and_part(page):
    train(page, rate_0=RATE[0.0001], rate_1=RATE[0.003], steps=250)
    slow, fast = page.evaluate("MODES.here.trainings")
    assert slow["confusion"][0] == fast["confusion"][0]
    assert slow["history"]["val_loss"][0] == fast["history"]["val_loss"][0]
    assert slow["history"]["val_loss"][-1] > 2 * fast["history"]["val_loss"][-1]
    assert page.locator(".trial h2 .name").all_text_contents() == [
        "learning rate 0.0001", "learning rate 0.003",
    ]  # fmt: skip
    page.locator("#back").click()
    assert "step225 of 250" in page.locator(".facts").nth(1).text_content()
    page.locator("#recorded").click()
    assert_shown(page, 0, make_trial(), 8)


def test_what_is_moved_acts_while_it_trains_and_it_can_be_stopped(page):
    page.locator("#here").click()
    page.locator("#both").uncheck()
    page.locator("#steps").select_option("10000")
    page.locator("#train").click()
    until(page, "pointsOf(MODES.here) > 2")
    page.locator("#rate-0").fill(str(RATE[0.0001]))
    until(page, "MODES.here.trainings[0].history.learning_rate.at(-1) === 0.0001")
    page.locator("#train").click()
    expect(page.locator("#status")).to_have_text("stopped")
    points = page.evaluate("pointsOf(MODES.here)")
    page.wait_for_timeout(500)
    assert page.evaluate("pointsOf(MODES.here)") == points


def test_a_trained_network_is_the_one_that_numpy_computes(page):
    """Weights after 40 steps with dropout give NumPy's network the losses that the page shows."""
    weights, loss, right = page.evaluate(
        """async () => {
          const data = await readDigits();
          const settings = { units: [20, 12, 9], rate: 0.003, batch: 16, dropout: 0.1, seed: 3 };
          const trainer = new Trainer(data, settings);
          for (let i = 0; i < 40; i++) trainer.step();
          const { val_loss, val_accuracy } = trainer.checkpoint();
          const weights = trainer.net.layers.map(({ kernel, bias }) => [[...kernel], [...bias]]);
          return [weights, val_loss, val_accuracy];
        }"""
    )
    names = ("hidden_1", "hidden_2", "hidden_3", "output")
    arrays = {}
    for name, (kernel, bias) in zip(names, weights, strict=True):
        arrays[f"{name}/kernel"] = np.array(kernel).reshape(-1, len(bias))
        arrays[f"{name}/bias"] = np.array(bias)
    source = load_source("digits20")
    chosen = split_source(source).validation_indices
    network = Network(TrialConfig(units=(20, 12, 9)), (20, 20), arrays)
    logits, labels = network.logits(source.images[chosen]).astype(float), source.labels[chosen]
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    assert loss == pytest.approx(expected.mean(), rel=1e-5)
    assert right == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_the_slopes_are_those_of_the_loss(page):
    """Each is compared with how the loss changes when its weight is moved a little."""
    found = page.evaluate(
        """async () => {
          const data = await readDigits();
          const settings = { units: [7, 5], rate: 0.01, batch: 4, dropout: 0, seed: 1 };
          const trainer = new Trainer(data, settings);
          trainer.step();
          const loss = () => { trainer.sum = 0; trainer.learn(17); return trainer.sum; };
          const pairs = [];
          for (const { values, slope } of trainer.parameters) {
            for (const i of [0, Math.floor(values.length / 2), values.length - 1]) {
              for (const one of trainer.parameters) one.slope.fill(0);
              loss();
              const said = slope[i], kept = values[i];
              values[i] = kept + 1e-3; const [above, more] = [loss(), values[i]];
              values[i] = kept - 1e-3; const [below, less] = [loss(), values[i]];
              values[i] = kept;
              pairs.push([said, (above - below) / (more - less)]);
            }
          }
          return pairs;
        }"""
    )
    said, measured = np.array(found).T
    assert np.abs(said).max() > 0.05
    np.testing.assert_allclose(said, measured, atol=1e-4)


def test_a_trial_without_history_is_where_the_settings_begin(browser, tmp_path):
    trial = without_history(make_trial(units=(40, 30, 20, 10)))
    with opened(browser, tmp_path / "silent.html", training_page(trial)) as page:
        assert page.locator("#recorded").count() == 0
        values = page.locator(".units").evaluate_all("all => all.map((one) => one.value)")
        assert values == ["40", "30", "20"]
        expect(page.locator("#bench")).to_be_visible()
        expect(page.locator("#player")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_it_trains(page, scheme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    train(page, steps=250)
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
