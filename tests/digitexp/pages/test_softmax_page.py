"""The page of softmax: its images are well chosen, its logits are the network's."""

import dataclasses
import re

import numpy as np
import pytest

from digitexp.numpy_functions import softmax
from digitexp.pages import interactive_pages
from digitexp.pages.page import MISTAKES, RIGHT_ONES, choose_images, pad_page, softmax_page
from tests.digitexp.pages.factories import about, diverged, make_trial
from tests.digitexp.pages.pages import data_of, unpacked

HOSTILE = "</script><script>alert(1)</script>"


def test_logits_and_pictures_are_those_of_the_images_named():
    trial = make_trial()
    images = data_of(softmax_page(trial))["images"]
    numbers = images["numbers"]
    expected = trial.network.logits(trial.images[numbers])
    np.testing.assert_allclose(unpacked(images["logits"]), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        unpacked(images["ink"]) / 255, trial.images[numbers], atol=0.5 / 255 + 1e-6
    )
    assert images["labels"] == trial.labels[numbers].tolist()


def test_the_surest_mistakes_come_first_then_right_answers_of_every_class():
    trial = make_trial()
    chosen, n_mistakes = choose_images(trial.logits, trial.labels)
    probabilities = softmax(trial.logits)
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = said != trial.labels
    mistakes, right = chosen[:n_mistakes], chosen[n_mistakes:]
    assert n_mistakes == MISTAKES < wrong.sum()
    assert wrong[mistakes].all()
    assert sure[mistakes].tolist() == sorted(sure[wrong], reverse=True)[:MISTAKES]
    assert not wrong[right].any()
    assert trial.labels[right].tolist() == [label for label in range(10) for _ in range(2)]
    of_three = sure[(trial.labels == 3) & ~wrong]
    assert sure[right[6:8]].tolist() == [of_three.max(), of_three.min()]
    assert len(set(chosen.tolist())) == len(chosen)


@pytest.mark.parametrize("n_classes", [2, 3, 47])
def test_any_number_of_classes_has_right_answers_of_each_that_has_some(n_classes):
    random = np.random.default_rng(1)
    labels = random.integers(0, n_classes, 400)
    logits = random.normal(size=(400, n_classes)) + 3 * np.eye(n_classes)[labels]
    logits[labels == 1, 1] = -9  # none of class 1 is recognised
    chosen, n_mistakes = choose_images(logits, labels)
    right = labels[chosen[n_mistakes:]]
    assert set(right.tolist()) == set(labels.tolist()) - {1}
    counts = np.bincount(right, minlength=n_classes)
    assert counts.max() == max(1, RIGHT_ONES // n_classes)


def test_an_image_set_without_mistakes_has_none():
    chosen, n_mistakes = choose_images(np.eye(4) * 5, np.arange(4))
    assert (chosen.tolist(), n_mistakes) == ([0, 1, 2, 3], 0)
    trial = make_trial()
    right = trial.logits.argmax(axis=1) == trial.labels
    faultless = dataclasses.replace(trial, images=trial.images[right], labels=trial.labels[right])
    assert "It makes no mistake on the validation part" in softmax_page(faultless)


@pytest.mark.parametrize(
    "changes", [{"weights": None}, {"images": np.zeros((0, 8, 8), np.float32), "labels": []}]
)
def test_without_a_network_or_images_only_own_logits_are_left(changes):
    page = softmax_page(dataclasses.replace(make_trial(), **changes))
    assert data_of(page)["images"] is None
    assert "mlp at 0.003 has no network to ask" in page
    assert 'id="portrait"' not in page


def test_the_fitted_temperature_is_marked_if_there_is_a_network():
    trial = make_trial()
    assert data_of(softmax_page(trial))["fitted"] == 1.3
    assert data_of(softmax_page(dataclasses.replace(trial, weights=None)))["fitted"] is None


def test_names_cannot_end_the_script_or_make_tags():
    names = (HOSTILE, "<b>bold</b>", *map(str, range(8)))
    hostile = dataclasses.replace(make_trial(), name=HOSTILE, **about(names), part=HOSTILE)
    page = softmax_page(hostile)
    assert HOSTILE not in page
    assert "<b>bold" not in page
    assert data_of(page)["classes"] == list(names)
    assert page.count("</script>") == softmax_page(make_trial()).count("</script>")


def test_pages_are_the_same_bytes_each_time_and_nothing_is_missing():
    make_trial.cache_clear()
    first = interactive_pages(make_trial(), make_trial(0.02))
    make_trial.cache_clear()
    assert interactive_pages(make_trial(), make_trial(0.02)) == first
    assert sorted(first) == ["decision_regions.html", "pad.html", "softmax.html", "training.html"]
    assert all(page.startswith(b"<!doctype html>") for page in first.values())


def test_a_training_that_diverged_at_once_has_the_pages_that_need_no_network():
    pages = interactive_pages(diverged(make_trial(), 1))
    assert sorted(pages) == ["softmax.html", "training.html"]


@pytest.mark.parametrize("name", ["softmax", "training", "decision_regions", "pad"])
def test_no_page_may_ask_for_anything(name):
    page = interactive_pages(make_trial())[f"{name}.html"].decode()
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=\"(?!data:)", page)
    is_evaluated = "'unsafe-eval'" in page.partition("</head>")[0]
    assert is_evaluated == (name == "decision_regions")  # WebGL's charts compile theirs


def test_the_pad_has_one_to_four_networks_with_weights():
    silent = dataclasses.replace(make_trial(), weights=None)
    pages = interactive_pages(make_trial(), make_trial(0.02), silent)
    networks = data_of(pages["pad.html"].decode())["networks"]
    assert [one["name"] for one in networks] == ["mlp at 0.003", "mlp at 0.02"]
    with pytest.raises(ValueError, match="5 networks: give 1 to 4"):
        pad_page([make_trial()] * 5)


def test_pages_of_the_embedded_digits_name_where_these_are_from():
    trial = make_trial()
    assert "Yann LeCun" not in softmax_page(trial)
    known = dataclasses.replace(trial, about={**trial.about, "name": "digits20"})
    assert "Yann LeCun" in softmax_page(known)
    assert "Yann LeCun" in pad_page([known])
