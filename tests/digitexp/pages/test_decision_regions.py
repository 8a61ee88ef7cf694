"""What the page of decision regions holds is what the network says, and what the images are."""

from dataclasses import replace

import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.numpy_functions import softmax
from digitexp.pages.decision_regions import (
    COARSE,
    FINE,
    Effort,
    PrincipalComponents,
    decision_regions_page,
    first_of_each_class,
    slice_points,
)
from tests.digitexp.pages.factories import about, make_trial
from tests.digitexp.pages.pages import data_of, unpacked, without_plotly


def page_of(trial):
    """Return the page without plotly.js."""
    return without_plotly(decision_regions_page(trial))


@pytest.fixture(scope="module")
def trial():
    return make_trial()


@pytest.fixture(scope="module")
def data(trial):
    return data_of(page_of(trial))


def answers(trial, space, points):
    """What the network says of points of a space, by another way than the page's."""
    network, train = trial.network, trial.train_images
    if space == "pixels":
        projection = PrincipalComponents.fit(train.reshape(len(train), -1))
        images = projection.mean + points @ projection.components
        return network.logits(np.minimum(np.maximum(images, 0), 1))
    projection = PrincipalComponents.fit(network.hidden(train))
    outputs = projection.mean + points @ projection.components
    return outputs @ trial.weights["output/kernel"] + trial.weights["output/bias"]


@pytest.mark.parametrize("space", ["pixels", "hidden"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_plane_has_the_classes_and_probabilities_of_the_network(trial, data, space, axis):
    held = data["spaces"][space]
    low, high = unpacked(held["low"]), unpacked(held["high"])
    position, row, column = 6, 20, np.arange(33)
    others = [other for other in range(3) if other != axis]
    points = np.empty((33, 3))
    points[:, axis] = low[axis] + 6.5 / 9 * (high[axis] - low[axis])
    points[:, others[0]] = low[others[0]] + (column + 0.5) / 33 * (high - low)[others[0]]
    points[:, others[1]] = low[others[1]] + 20.5 / 33 * (high - low)[others[1]]
    expected = answers(trial, space, points)
    classes = unpacked(held["classes"])
    assert classes.shape == (3, 9, 33, 33)
    ordered = np.sort(expected, axis=1)
    is_clear = ordered[:, -1] - ordered[:, -2] > 1e-3
    assert is_clear.sum() > 25
    np.testing.assert_array_equal(
        classes[axis, position, row][is_clear], expected.argmax(axis=1)[is_clear]
    )
    probabilities = unpacked(held["probabilities"])[axis, position, row]
    largest = softmax(expected, trial.temperature).max(axis=1)
    np.testing.assert_allclose(probabilities / 255, largest, atol=0.004)
    assert len(np.unique(classes)) >= 5


@pytest.mark.parametrize("space", ["pixels", "hidden"])
def test_images_lie_where_their_components_are_and_inside_the_box(trial, data, space):
    held = data["spaces"][space]
    points = unpacked(held["points"])
    vectors = {
        "pixels": trial.images.reshape(len(trial.images), -1),
        "hidden": trial.network.hidden(trial.images),
    }
    mean, components = unpacked(held["mean"]), unpacked(held["components"])
    np.testing.assert_allclose(points, (vectors[space] - mean) @ components.T, atol=1e-4)
    assert (points > unpacked(held["low"])).all()
    assert (points < unpacked(held["high"])).all()
    in_slice = answers(trial, space, points.astype(float)).argmax(axis=1)
    same = (in_slice == trial.logits.argmax(axis=1)).mean()
    assert held["agreement"] == pytest.approx(same, abs=0.005)


def test_what_is_said_of_an_image_is_what_the_network_says(trial, data):
    np.testing.assert_array_equal(unpacked(data["labels"]), trial.labels)
    np.testing.assert_array_equal(unpacked(data["predicted"]), trial.logits.argmax(axis=1))
    largest = softmax(trial.logits, trial.temperature).max(axis=1)
    np.testing.assert_allclose(unpacked(data["probabilities"]), largest, rtol=1e-6)
    np.testing.assert_allclose(unpacked(data["images"]) / 255, trial.images, atol=0.5 / 255)


def test_pairs_are_counted_as_scikit_learn_counts_and_the_most_confused_comes_first(trial, data):
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(trial.labels, trial.logits.argmax(axis=1))
    pairs = data["pairs"]
    assert len(pairs) >= 3
    for pair in pairs:
        assert pair["there"] == counts[pair["first"], pair["second"]]
        assert pair["back"] == counts[pair["second"], pair["first"]]
    both = counts + counts.T - 2 * np.diag(np.diag(counts))
    sums = [pair["there"] + pair["back"] for pair in pairs]
    assert sums == sorted(both[np.triu_indices(10, 1)], reverse=True)[: len(pairs)]


def test_the_first_of_each_class_are_taken_and_a_small_class_leaves_room():
    labels = np.array([0, 0, 1, 0, 0, 1, 0, 0, 2, 0])
    assert first_of_each_class(labels, 10).tolist() == list(range(10))
    assert first_of_each_class(labels, 7).tolist() == [0, 1, 2, 3, 4, 5, 8]
    assert first_of_each_class(labels, 6).tolist() == [0, 1, 2, 3, 5, 8]
    assert first_of_each_class(labels, 2).tolist() == [0, 2, 8]  # of every class one at least


def test_of_many_images_a_thousand_are_shown_and_all_are_counted(trial):
    many = replace(trial, images=np.tile(trial.images, (3, 1, 1)), labels=np.tile(trial.labels, 3))
    page = page_of(many)
    data = data_of(page)
    shown = len(unpacked(data["labels"]))
    assert 950 < shown <= 1000
    assert data["n_images"] == len(many.images)
    assert f"the {shown}\nfirst (so many of each class) of {len(many.images)}" in page
    assert data["pairs"][0]["there"] % 3 == 0


def test_slices_are_the_middles_of_equal_layers():
    low, high = np.array([0.0, 10, -3]), np.array([6.0, 14, 3])
    points = slice_points(low, high, Effort(0, 3, 2))
    assert points.shape == (3, 3, 2, 2, 3)
    assert np.unique(points[0, ..., 0]).tolist() == [1, 3, 5]
    assert points[1, 0, 0].tolist() == [[1.5, 10 + 2 / 3, -1.5], [4.5, 10 + 2 / 3, -1.5]]
    assert points[1, 0, 1, 0].tolist() == [1.5, 10 + 2 / 3, 1.5]


@pytest.mark.parametrize(
    ("units", "words"),
    [((20, 2), "the last hidden layer has 2\n      units"), ((), "no hidden layer")],
)
def test_a_network_without_three_hidden_units_is_shown_by_pixels_only_and_the_page_says_so(
    units, words
):
    page = page_of(make_trial(units=units)) if units else linear_page()
    assert list(data_of(page)["spaces"]) == ["pixels"]
    assert words in page
    assert 'value="hidden"' not in page


def linear_page():
    config = TrialConfig.from_params({"hidden_layers": 0, "seed": 0})
    kernel = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    weights = {"output/kernel": kernel, "output/bias": np.zeros(10, np.float32)}
    return page_of(replace(make_trial(), config=config, weights=weights))


def test_a_convolutional_network_of_other_images_is_asked_less_and_the_page_says_so():
    random = np.random.default_rng(1)
    config = TrialConfig.from_params(
        {"architecture": "cnn", "conv_blocks": 1, "filters_1": 4, "units_1": 6, "seed": 0}
    )
    shapes = {
        "conv_1_1/kernel": (3, 3, 1, 4), "conv_1_1/bias": (4,), "hidden_1/kernel": (5 * 4 * 4, 6),
        "hidden_1/bias": (6,), "output/kernel": (6, 3), "output/bias": (3,),
    }  # fmt: skip
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    images = random.random((30, 9, 7), np.float32)
    trial = replace(
        make_trial(), config=config, weights=weights, **about(("a", "b", "c"), (9, 7)),
        images=images, labels=np.arange(30) % 3, train_images=images,
        train_labels=np.arange(30) % 3,
    )  # fmt: skip
    page = page_of(trial)
    data = data_of(page)
    for held in data["spaces"].values():
        shape = (3, COARSE.positions, COARSE.side, COARSE.side)
        assert unpacked(held["classes"]).shape == shape
        assert unpacked(held["classes"]).max() <= 2
    assert list(data["spaces"]) == ["pixels", "hidden"]
    assert f"{COARSE.side} × {COARSE.side} cells" in page
    assert COARSE.side < FINE.side


def test_more_than_256_classes_keep_their_numbers(trial):
    random = np.random.default_rng(2)
    weights = dict(trial.weights)
    weights["output/kernel"] = random.normal(size=(15, 300)).astype(np.float32)
    weights["output/bias"] = np.linspace(0, 9, 300).astype(np.float32)
    names = tuple(str(number) for number in range(300))
    many = replace(trial, **about(names), weights=weights)
    data = data_of(page_of(many))
    assert unpacked(data["predicted"]).max() > 256
    np.testing.assert_array_equal(unpacked(data["predicted"]), many.logits.argmax(axis=1))


def test_names_are_text_whatever_they_hold(trial):
    hostile = '</script><script>alert("&1")</script>'
    names = (hostile,) * 9 + ("<img src=x onerror=alert(2)>",)
    page = page_of(replace(trial, name=hostile, part=hostile, **about(names)))
    assert "<script>alert" not in page
    assert "<img" not in page
    assert data_of(page)["class_names"] == list(names)


def test_the_same_trial_gives_the_same_bytes_and_less_than_two_megabytes_without_plotly(trial):
    page = page_of(replace(trial))
    assert page == page_of(replace(trial))
    random = np.random.default_rng(0)
    larger = random.random((1000, 20, 20), np.float32)  # noise: nothing of it can be left out
    kernel = random.normal(size=(400, 25)).astype(np.float32)
    resized = replace(
        trial, images=larger, labels=np.resize(trial.labels, 1000), train_images=larger,
        weights={**trial.weights, "hidden_1/kernel": kernel}, **about(trial.class_names, (20, 20)),
    )  # fmt: skip
    page = page_of(resized)
    assert len(unpacked(data_of(page)["images"])) == 1000
    assert len(page.encode()) < 2_000_000


def test_a_trial_without_weights_or_images_is_refused(trial):
    with pytest.raises(ValueError, match=f"{trial.name} has no weights: it diverged"):
        decision_regions_page(replace(trial, weights=None))
    with pytest.raises(ValueError, match="no images to show"):
        decision_regions_page(replace(trial, images=trial.images[:0], labels=trial.labels[:0]))
