"""The page of a training in Chromium: it plays, and shows every epoch as it was recorded."""

import dataclasses

import pytest
from playwright.sync_api import expect

from digitexp.pages.page import training_page
from tests.browser.axe import complaints_of_axe
from tests.browser.opened import opened
from tests.digitexp.pages.factories import about, diverged, make_trial

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOWN = "id => document.getElementById(id).data"


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


def assert_shown(page, number, trial, epoch):
    """Assert that all of an epoch of a trial is shown, and nothing of later ones."""
    counts = trial.confusion[epoch - 1]
    (heatmap,) = page.evaluate(SHOWN, f"confusion-{number}")
    assert heatmap["customdata"] == counts.tolist()
    assert heatmap["text"] == [[str(c) if c else "" for c in row] for row in counts.tolist()]
    (bars,) = page.evaluate(SHOWN, f"recalls-{number}")
    assert bars["y"] == pytest.approx((counts.diagonal() / counts.sum(axis=1)).tolist())
    traces = {trace["name"]: trace for trace in page.evaluate(SHOWN, f"loss-{number}")[:3]}
    for name, metric in (
        ("training", "loss"), ("validation", "val_loss"), ("learning rate", "learning_rate")
    ):  # fmt: skip
        assert traces[name]["x"] == list(range(1, epoch + 1))
        assert traces[name]["y"] == pytest.approx(list(trial.history[metric][:epoch]), rel=1e-5)
    accuracy = f"{100 * trial.history['val_accuracy'][epoch - 1]:.1f} %"
    assert accuracy in page.locator(f"#facts-{number}").text_content()


def test_scrubbing_shows_the_epoch(page, screenshots):
    assert_shown(page, 0, make_trial(), 8)  # it opens with the whole course
    for epoch in (1, 5, 8, 2):
        scrub(page, epoch)
        assert_shown(page, 0, make_trial(), epoch)
    page.screenshot(path=screenshots / "training.png", full_page=True)


def test_mistakes_are_shaded_by_how_many_they_are_and_right_answers_otherwise(page):
    scrub(page, 1)
    counts = make_trial().confusion[0]
    (heatmap,) = page.evaluate(SHOWN, "confusion-0")
    for true, row in enumerate(heatmap["z"]):
        for said, shade in enumerate(row):
            assert (shade != 0) == (counts[true, said] > 0)
            assert shade <= 0 if true == said else shade >= 0
    of_mistakes = sorted(
        (int(counts[t, s]), shade)
        for t, row in enumerate(heatmap["z"])
        for s, shade in enumerate(row)
        if t != s
    )
    shades = [shade for _, shade in of_mistakes]
    assert shades == sorted(shades)
    assert 0.15 < min(shade for shade in shades if shade) < max(shades) <= 1


def test_the_best_epoch_and_the_cut_of_the_rate_are_marked(page):
    shapes = page.evaluate("document.getElementById('loss-0').layout.shapes")
    assert [shape["x0"] for shape in shapes] == [make_trial().best_epoch, 5.5]


def test_it_plays_to_the_end_and_stops_there(page):
    page.evaluate(
        "() => { window.seen = []; const goes = go; go = (e) => { seen.push(e); goes(e); }; }"
    )
    page.locator("#speed").select_option("10")
    page.get_by_role("button", name="play").click()
    page.wait_for_function("state.epoch === 8 && state.timer === null")
    assert page.evaluate("seen") == list(range(1, 9))
    assert_shown(page, 0, make_trial(), 8)
    assert page.get_by_role("button", name="play").is_visible()


def test_pausing_holds_the_epoch_and_playing_goes_on_from_there(page):
    page.locator("#speed").select_option("2")
    page.get_by_role("button", name="play").click()
    page.wait_for_function("state.epoch >= 2")
    page.get_by_role("button", name="pause").click()
    held = page.evaluate("state.epoch")
    assert held < 8
    page.wait_for_timeout(1200)  # more than two epochs at this speed
    assert page.evaluate("state.epoch") == held
    assert_shown(page, 0, make_trial(), held)
    page.get_by_role("button", name="play").click()
    page.wait_for_function(f"state.epoch > {held}")


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
    assert page.evaluate("state.epoch") == 6


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
    assert beside.locator("#state-1").text_content() == "ended with epoch 4: it stays there"
    assert "stays" not in beside.locator("#state-0").text_content()
    beside.screenshot(path=screenshots / "training-beside.png", full_page=True)


def test_two_trainings_have_the_same_axes_and_their_differences_are_named(beside):
    for axis in ("xaxis", "yaxis", "yaxis2"):
        ranges = [
            beside.evaluate(f"document.getElementById('loss-{i}').layout.{axis}.range")
            for i in (0, 1)
        ]
        assert ranges[0] == ranges[1]
    rows = beside.locator(".differences tbody").first.locator("tr").all_text_contents()
    assert [row.split()[0] for row in rows] == ["learning_rate0.0030.05", "epochs84"]


@pytest.mark.parametrize(
    ("width", "columns"), [(700, 1), pytest.param(1300, 2, marks=pytest.mark.nightly)]
)
def test_two_trainings_stand_beside_or_below_each_other(beside, width, columns):
    beside.set_viewport_size({"width": width, "height": 900})
    places = [beside.locator(f"#loss-{i}").bounding_box() for i in (0, 1)]
    assert len({round(place["x"]) for place in places}) == columns
    assert beside.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("epoch", [3, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_training_that_diverged_says_when(browser, tmp_path, epoch):
    trial = diverged(make_trial(), epoch)
    html = training_page(make_trial(), trial)
    with opened(browser, tmp_path / "diverged.html", html) as page:
        assert page.locator("#state-1").text_content() == f"diverged in epoch {epoch}"
        assert page.evaluate(SHOWN, "loss-1")[0]["y"][-1] is None
        (heatmap,) = page.evaluate(SHOWN, "confusion-1")
        assert heatmap["customdata"] == trial.confusion[-1].tolist()
        if epoch > 1:
            scrub(page, epoch - 1)
            assert_shown(page, 1, trial, epoch - 1)
            assert page.locator("#state-1").text_content() != f"diverged in epoch {epoch}"


def test_hostile_names_are_shown_letter_by_letter(browser, tmp_path):
    names = ("<b>bold</b>", "</script>", "a name that is much too long")
    trial = dataclasses.replace(make_trial(n_classes=3), name="<i>x</i>", **about(names))
    with opened(browser, tmp_path / "hostile.html", training_page(trial)) as page:
        assert page.locator("h1").text_content() == "Training, epoch by epoch: <i>x</i>"
        ticks = page.locator("#recalls-0 .xtick text").all_text_contents()
        assert ticks == ["<b>bold</b>", "</script>", "a name that…"]


def test_a_class_without_images_has_no_bar(browser, tmp_path):
    trial = make_trial()
    confusion = trial.confusion.copy()
    confusion[:, 4] = 0
    html = training_page(dataclasses.replace(trial, confusion=confusion))
    with opened(browser, tmp_path / "training.html", html) as page:
        (bars,) = page.evaluate(SHOWN, "recalls-0")
        assert [k for k, share in enumerate(bars["y"]) if share is None] == [4]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert complaints_of_axe(page) == []
