"""The pad in Chromium: it frames drawings as training images are, and answers as recorded."""

import dataclasses
import io
import math

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import sweeps
from digitexp.activations import ACTIVATIONS
from digitexp.config import TrialConfig
from digitexp.data.build_digits20 import cut_and_centre
from digitexp.data.loading import read_digits20
from digitexp.experiments.recorded import Recorded
from digitexp.numpy_functions import softmax
from digitexp.pages.page import Framing, pad_page
from digitexp.trained import Network
from tests.browser.axe import complaints_of_axe
from tests.browser.opened import opened
from tests.digitexp.pages.factories import about, make_trial

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PEN = 0.12
DIGITS20 = {"shape": [20, 20], "side": 20, "by_mass": False}
ANSWERS = "([i, images]) => images.map((image) => [...logitsOf(NETWORKS[i].net, image)])"


def asked(page, number, images):
    """Return the logits that a network of the page gives to images."""
    flat = images.reshape(len(images), -1).astype(float).tolist()
    return np.array(page.evaluate(ANSWERS, [number, flat]))


@pytest.fixture(scope="module")
def digits():
    return read_digits20().train.images[:300]


@pytest.fixture
def page(browser, tmp_path):
    html = pad_page([make_trial(0.02), make_trial(0.05, epochs=4)])
    with opened(browser, tmp_path / "pad.html", html) as page:
        yield page


# What networks answer.


CONVOLUTIONS = {
    "architecture": "cnn", "filters": (3, 4), "convs_per_block": 2, "batch_norm": True,
    "units": (6,),
}  # fmt: skip


@pytest.mark.parametrize(
    ("activation", "layers"),
    [
        ("relu", {"units": (9, 8)}),
        ("selu", {"units": (9,)}),
        ("gelu", {"units": ()}),
        ("relu", CONVOLUTIONS),
        ("leaky_relu", {**CONVOLUTIONS, "kernel_size": 5, "units": ()}),
        *(
            (name, {**CONVOLUTIONS, "batch_norm": False, "convs_per_block": 1})
            for name in ACTIVATIONS
        ),
    ],
)
def test_a_network_answers_as_numpys_does(browser, tmp_path, activation, layers):
    random, shape = np.random.default_rng(0), (7, 9)  # odd: cells of the pools lack a row or column
    config = TrialConfig(activation=activation, **layers)
    weights = random_weights(config, shape, random)
    trial = dataclasses.replace(
        make_trial(), config=config, weights=weights, **about(["a", "b", "c"], shape),
        images=random.random((3, *shape), np.float32), labels=np.arange(3),
        train_images=random.random((5, *shape), np.float32),
    )  # fmt: skip
    images = random.random((20, *shape), np.float32) * (random.random((20, *shape)) > 0.5)
    expected = Network(config, shape, weights).logits(images)
    with opened(browser, tmp_path / "pad.html", pad_page([trial])) as page:
        np.testing.assert_allclose(asked(page, 0, images), expected, rtol=1e-5, atol=1e-5)


def random_weights(config, shape, random):
    """Return weights for three classes, by the names of `digitexp.models.model_weights`."""
    weights, channels, (height, width) = {}, 1, shape
    size = config.kernel_size
    for block, filters in enumerate(config.filters, 1) if config.architecture == "cnn" else ():
        for turn in range(1, config.convs_per_block + 1):
            name = f"{block}_{turn}"
            weights[f"conv_{name}/kernel"] = random.normal(0, 0.4, (size, size, channels, filters))
            weights[f"conv_{name}/bias"] = random.normal(0, 0.2, filters)
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                weights[f"norm_{name}/{part}"] = random.random(filters) + 0.1
            channels = filters
        height, width = math.ceil(height / 2), math.ceil(width / 2)
    inputs = height * width * channels
    names = [f"hidden_{number}" for number in range(1, len(config.units) + 1)]
    for name, units in zip([*names, "output"], [*config.units, 3], strict=True):
        weights[f"{name}/kernel"] = random.normal(0, inputs**-0.5, (inputs, units))
        weights[f"{name}/bias"] = random.normal(0, 0.2, units)
        inputs = units
    return {name: array.astype(np.float32) for name, array in weights.items()}


SMALL = ("epochs=1", "conv_blocks=2", "filters_1=8", "filters_2=8", "units_1=32")


@pytest.mark.tensorflow
def test_networks_answer_as_they_did_when_they_were_trained(browser, tmp_path):
    home = tmp_path / "mlruns"
    options = {"home": home, "workers": 0, "progress": "quiet", "trials": 1}
    sweeps.run("smoke", **options)
    sweeps.run("cnn", **options, overrides=SMALL)
    trials = [Recorded(home).shown(name, "champion") for name in ("smoke", "cnn")]
    assert [trial.config.architecture for trial in trials] == ["mlp", "cnn"]
    with opened(browser, tmp_path / "pad.html", pad_page(trials)) as page:
        for number, name in enumerate(("smoke", "cnn")):
            result = sweeps.load(name, home).best().record.result
            recorded = result.arrays["validation_logits"][:200]
            found = asked(page, number, trials[number].images[:200])
            np.testing.assert_allclose(found, recorded, atol=1e-5 * np.abs(recorded).max())
            temperature = result.info["temperature"]
            np.testing.assert_allclose(
                softmax(found, temperature), softmax(recorded, temperature), atol=1e-5
            )


def test_an_image_is_answered_at_each_networks_temperature_or_at_one(page):
    page.get_by_role("button", name="an image of 3").click()
    for i, trial in enumerate((make_trial(0.02), make_trial(0.05, epochs=4))):
        (logits,) = trial.network.logits(example(3)[None]).astype(float)
        card = page.locator(".network").nth(i)
        expect(card.locator(".said")).to_have_text(str(logits.argmax()))
        assert shares(card) == pytest.approx(list(100 * softmax(logits, 1.3)), abs=0.11)
    page.locator("#temperature").fill("1")
    expect(card.locator(".at")).to_have_text("at temperature 10")
    assert shares(card) == pytest.approx(list(100 * softmax(logits, 10)), abs=0.11)
    page.get_by_role("button", name="as fitted").click()
    assert shares(card) == pytest.approx(list(100 * softmax(logits, 1.3)), abs=0.11)


def example(digit):
    """Return the image of a digit that can be chosen: its pixels are bytes."""
    trial = make_trial()
    return np.rint(trial.images[int(np.argmax(trial.labels == digit))] * 255) / 255


def shares(card):
    return [float(t.strip("<> %")) for t in card.locator(".bar .number").all_text_contents()]


def test_pixels_speak_for_an_answer_by_what_it_loses_without_them(page):
    page.get_by_role("button", name="an image of 0").click()
    expect(page.locator(".network .said").first).to_have_text("0")
    page.wait_for_timeout(1000)
    falls = np.array(page.evaluate("[...NETWORKS[0].falls]")).reshape(8, 8)
    trial = make_trial(0.02)
    image = example(0)
    for row, column in ((3, 2), (0, 0), (4, 5), (7, 3)):
        without = image.copy()
        without[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 0
        odds = [log_odds(trial.network.logits(one[None])[0], 0) for one in (image, without)]
        assert falls[row, column] == pytest.approx(odds[0] - odds[1], abs=1e-4)
    assert falls.max() > 0.5


def log_odds(logits, k):
    others = np.delete(logits.astype(float), k)
    return logits[k] - np.log(np.exp(others).sum())


# How drawings and pictures are framed.


def line(scale=1.0, shift=(0.0, 0.0), points=30):
    """A slanted stroke with a bend, and a dash across it."""
    bend = [(10 + 3 * i + 20 * math.sin(i / 6), 5 + 8 * i) for i in range(points)]
    return [
        [(scale * x + shift[0], scale * y + shift[1]) for x, y in stroke]
        for stroke in (bend, [(0, 120), (120, 100)])
    ]


def strokes(page, drawn, framing=DIGITS20):
    script = "([drawn, framing]) => [...framedStrokes(drawn, framing).values]"
    return np.array(page.evaluate(script, [drawn, framing])).reshape(framing["shape"])


def pictures(page, images, framing=DIGITS20):
    """Return pictures (n, h, w) as the page frames them."""
    script = """([images, height, width, framing]) => images.map((values) =>
      [...framedPicture({ values: Float64Array.from(values), height, width }, framing).values])"""
    flat = images.reshape(len(images), -1).astype(float).tolist()
    framed = np.array(page.evaluate(script, [flat, *images.shape[1:], framing]))
    return framed.reshape(-1, *framing["shape"])


def test_cut_and_centre_is_that_of_the_embedded_digits(page):
    random = np.random.default_rng(1)
    images = random.random((50, 11, 14)) * (random.random((50, 11, 14)) > 0.9)
    images[3] = 0
    script = """(images) => images.map((image) => {
      const values = Float64Array.from(image);
      return [...cutAndCentre({ values, height: 11, width: 14 }, [9, 10]).values];
    })"""
    found = np.array(page.evaluate(script, images.reshape(50, -1).tolist())).reshape(50, 9, 10)
    np.testing.assert_array_equal(found, [cut_and_centre(image, (9, 10)) for image in images])


@pytest.mark.parametrize("corner", [(0, 0), (8, 8), (3, 6)])
def test_a_digit_comes_back_unchanged_from_anywhere_in_28_by_28(page, digits, corner):
    row, column = corner
    whole = np.array([cut_and_centre(image, (20, 20)) for image in digits]) / 255
    wide = np.zeros((len(digits), 28, 28))
    wide[:, row : row + 20, column : column + 20] = whole
    np.testing.assert_array_equal(pictures(page, wide), whole)


def test_a_picture_of_the_size_of_the_frame_stays_as_it_is(page):
    image = np.zeros((1, 20, 20))
    image[0, 2:9, 3] = 0.5
    np.testing.assert_array_equal(pictures(page, image), image)


def test_a_picture_made_ten_times_larger_comes_back(page, digits):
    images = digits[:20] / 255
    wide = np.array([np.pad(np.kron(image, np.ones((10, 10))), 60) for image in images])
    np.testing.assert_allclose(pictures(page, wide), images, atol=0.06)


def test_images_placed_by_their_mass_get_drawings_placed_so(page):
    framing = {"shape": [28, 28], "side": 20, "by_mass": True}
    drawn = strokes(page, line(), framing)
    rows, columns = np.indices(drawn.shape)
    centre = [(drawn * axis).sum() / drawn.sum() for axis in (rows, columns)]
    np.testing.assert_allclose(centre, 13.5, atol=0.51)


def test_how_large_and_where_it_was_drawn_makes_no_difference(page):
    for scale in (0.05, 0.5, 3.0, 40.0):
        there = strokes(page, line(scale, shift=(17.0 * scale, -4.0)))
        np.testing.assert_allclose(there, strokes(page, line()), atol=0.05)


def test_strokes_fill_the_frame_with_the_pen(page):
    drawn = strokes(page, [[(50, 0), (50, 100)]])
    assert (drawn.min(), drawn.max()) == (0.0, 1.0)
    assert drawn.any(axis=1).all()  # from the upper edge to the lower
    assert drawn[10].sum() == pytest.approx(PEN * 20, abs=0.1)
    np.testing.assert_allclose(drawn, drawn[::-1], atol=0.1)
    level = strokes(page, [[(0, 5), (100, 5)]])
    assert level.any(axis=0).all()
    assert level.any(axis=1).sum() <= 5


def test_a_dot_is_a_dot_in_the_middle_and_nothing_is_paper(page):
    for dot in ([[(7.0, 9.0)]], [[(7.0, 9.0), (7.0, 9.0)]]):
        drawn = strokes(page, dot)
        assert drawn[9, 9] == 1.0
        assert drawn.sum() == pytest.approx(math.pi * (PEN * 20 / 2) ** 2, rel=0.1)
    assert not strokes(page, []).any()
    assert not pictures(page, np.zeros((1, 300, 200))).any()


# What is drawn, pasted, dropped or chosen.


def draw(page, points):
    """Draw one stroke with the mouse; points are shares of the pad's side."""
    box = page.locator("#canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()


TURN = [2 * math.pi * i / 40 for i in range(41)]
ZERO = [(0.5 + 0.22 * math.sin(t), 0.5 - 0.34 * math.cos(t)) for t in TURN]


def test_a_drawn_digit_is_answered_and_can_be_taken_back(page, screenshots):
    said = page.locator(".network .said").nth(1)
    expect(said).to_have_text("–")
    draw(page, ZERO)
    expect(said).to_have_text("0")
    page.wait_for_timeout(500)
    page.screenshot(path=screenshots / "pad.png", full_page=True)
    draw(page, [(0.1, 0.9), (0.9, 0.1), (0.9, 0.9)])
    page.get_by_role("button", name="Undo").click()
    expect(said).to_have_text("0")
    page.keyboard.press("Control+z")
    expect(page.locator("#hint")).to_be_visible()
    expect(said).to_have_text("–")
    draw(page, ZERO)
    page.keyboard.press("Escape")
    expect(said).to_have_text("–")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def file_of(array, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def stroke(side, paper, ink):
    array = np.full((side, side), paper, np.uint8)
    array[side // 4 : 3 * side // 4, side // 2 : side // 2 + max(side // 10, 1)] = ink
    return array


def ink_of(page, content):
    """Return the ink that the page reads from a file."""
    script = """async (bytes) => {
      const { values, height, width } = await inkOf(new Blob([Uint8Array.from(bytes)]));
      return [[...values], height, width];
    }"""
    values, height, width = page.evaluate(script, list(content))
    return np.array(values).reshape(height, width)


def test_whatever_lies_along_the_border_is_paper(page):
    for side, (paper, ink) in ((40, (0, 255)), (40, (255, 0)), (400, (240, 90)), (400, (20, 140))):
        found = ink_of(page, file_of(stroke(side, paper, ink)))
        is_ink = stroke(side, 0, 1) == 1
        assert found[~is_ink].max() == 0
        assert found[is_ink].min() == pytest.approx(1)
    faint = ink_of(page, file_of(stroke(40, 200, 100)))
    assert faint.max() == 0.5  # pixel for pixel, as a data set's images are


def test_uneven_paper_of_a_photograph_is_paper(page):
    noise = np.random.default_rng(0).normal(0, 6, (300, 300))
    photo = np.clip(stroke(300, 200, 60) + noise, 0, 255).astype(np.uint8)
    found = ink_of(page, file_of(photo, "JPEG", quality=90))
    is_ink = stroke(300, 0, 1) == 1
    assert (found[~is_ink] > 0.05).mean() < 0.01
    assert np.median(found[is_ink]) > 0.7


def test_colours_and_transparency_are_understood(page):
    colours = np.stack([stroke(40, 255, 20)] * 3, axis=2)
    assert ink_of(page, file_of(colours)).max() > 0.9
    for ink in (0, 255):  # on what is transparent, dark or light
        layers = np.zeros((40, 40, 4), np.uint8)
        layers[10:30, 20:24] = (ink, ink, ink, 255)
        found = ink_of(page, file_of(layers))
        assert (found[15, 21], found[0, 0]) == (1, 0)


def test_a_chosen_or_dropped_picture_is_answered_and_what_is_none_is_said(page):
    trial = make_trial(0.05, epochs=4)
    said = page.locator(".network .said").nth(1)
    for digit in (0, 6):
        image = example(digit)
        content = file_of(255 - np.rint(image * 255).astype(np.uint8))
        if digit:
            page.locator("#file").set_input_files(
                {"name": "of-6.png", "mimeType": "image/png", "buffer": content}
            )
        else:
            give(page, "drop", "of-0.png", content)
        (logits,) = trial.network.logits(image[None])
        expect(said).to_have_text(str(logits.argmax()))
    give(page, "paste", "words.txt", b"no picture at all")
    expect(page.get_by_role("alert")).to_have_text(
        "words.txt: no picture that this browser can read"
    )
    expect(said).to_have_text(str(logits.argmax()))  # the last one stays


def give(page, kind, name, content):
    page.evaluate(
        """([kind, name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(bytes)], name));
          const Given = kind === "drop" ? DragEvent : ClipboardEvent;
          const how = { dataTransfer: data, clipboardData: data, cancelable: true };
          document.dispatchEvent(new Given(kind, how));
        }""",
        [kind, name, list(content)],
    )


def test_training_images_say_how_a_drawing_is_framed():
    trial = make_trial()
    assert Framing.of(trial.train_images).shape == (8, 8)


def test_hostile_names_are_shown_letter_by_letter(browser, tmp_path):
    names = ("<b>bold</b>", "</script>", "a name that is much too long")
    trial = dataclasses.replace(make_trial(n_classes=3), name="<i>x</i>", **about(names))
    with opened(browser, tmp_path / "hostile.html", pad_page([trial])) as page:
        assert page.locator("h1").text_content() == "Draw a digit: <i>x</i>"
        page.locator("#examples button").last.click()
        names = page.locator(".bar .name").all_text_contents()
        assert names == ["<b>bold</b>", "</script>", "a name that…"]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.locator("#examples button").first.click()
    page.wait_for_timeout(300)
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
