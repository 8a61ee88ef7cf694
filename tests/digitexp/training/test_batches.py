"""Images augmented and attacked in the training graph."""

import numpy as np
import pytest

from digitexp.config import TrialConfig
from tests.digitexp.small_data import small_digits

pytestmark = pytest.mark.tensorflow

ALL = {"rotation": 10.0, "shift": 0.1, "zoom": 0.1}


@pytest.fixture
def images():
    return small_digits().train_images[:64]


def augmented(images, seed=0, shape=(8, 8), **strengths):
    import keras

    from digitexp.training.keras_engine import augmentation

    keras.utils.set_random_seed(seed)
    return np.asarray(augmentation(TrialConfig(**strengths), shape)(images, training=True))


@pytest.mark.parametrize("strengths", [ALL, *({name: value} for name, value in ALL.items())])
def test_images_stay_images_and_a_seed_decides(images, strengths):
    first, again, other = (augmented(images, seed, **strengths) for seed in (1, 1, 2))
    assert first.shape == images.shape
    assert (first.min(), first.max()) >= (0.0, 0.0)
    assert first.max() <= images.max() + 1e-6
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != images).any()
    likeness = np.corrcoef(first.ravel(), images.ravel())[0, 1]
    assert 0.5 < likeness < 0.9999


def test_a_shift_moves_by_the_share_and_brings_background_in():
    image = np.zeros((500, 20 * 10), np.float32)
    image.reshape(-1, 20, 10)[:, 10, 5] = 1.0
    moved = augmented(image, shape=(20, 10), shift=0.2).reshape(-1, 20, 10)
    ink = moved.sum(axis=(1, 2))
    np.testing.assert_allclose(ink, 1.0, atol=1e-5)  # nothing lost, nothing brought in
    rows = (moved.sum(axis=2) * np.arange(20)).sum(axis=1) / ink - 10
    columns = (moved.sum(axis=1) * np.arange(10)).sum(axis=1) / ink - 5
    assert 3.5 < np.abs(rows).max() <= 4.001  # 0.2 of 20 rows
    assert 1.7 < np.abs(columns).max() <= 2.001  # 0.2 of 10 columns


def test_a_turn_is_measured_in_degrees():
    image = np.zeros((300, 21 * 21), np.float32)
    image.reshape(-1, 21, 21)[:, 10, 19] = 1.0  # 9 pixels to the right of the middle
    turned = augmented(image, shape=(21, 21), rotation=10.0).reshape(-1, 21, 21)
    grid = np.arange(21) - 10
    weight = np.maximum(turned.sum(axis=(1, 2)), 1e-6)
    up = (turned.sum(axis=2) * grid).sum(axis=1) / weight
    across = (turned.sum(axis=1) * grid).sum(axis=1) / weight
    degrees = np.degrees(np.arctan2(up, across))
    assert 8.5 < np.abs(degrees).max() < 11.5
    assert abs(degrees.mean()) < 1.5


def model_of(config):
    import keras

    from digitexp.models import build_model

    keras.utils.set_random_seed(3)
    return build_model(config, (8, 8), 10)


def change(config, classes=None):
    from dataclasses import replace

    from digitexp.training.keras_engine import changed_batches

    data = replace(small_digits(), augmented_classes=classes)
    return changed_batches(model_of(config), config, data)[0]


def test_only_the_chosen_classes_are_augmented(images):
    labels = small_digits().train_labels[:64]
    changed, same_labels = change(TrialConfig(**ALL), classes=(3, 5))(images, labels)
    is_changed = (np.asarray(changed) != images).any(axis=1)
    np.testing.assert_array_equal(is_changed, np.isin(labels, (3, 5)))
    np.testing.assert_array_equal(same_labels, labels)


def test_an_attacked_batch_is_trained_on_twice_and_its_second_half_is_harder(images):
    import tensorflow as tf

    labels = small_digits().train_labels[:64]
    config = TrialConfig(units=(16,), adversarial_epsilon=0.05)
    both, twice = change(config)(tf.constant(images), tf.constant(labels))
    both, twice = np.asarray(both), np.asarray(twice)
    np.testing.assert_array_equal(both[:64], images)
    np.testing.assert_array_equal(twice, np.concatenate([labels, labels]))
    moved = both[64:] - images
    assert np.abs(moved).max() <= 0.05 + 1e-6
    assert (both.min(), both.max()) == (0.0, 1.0)
    # Where no border of [0, 1] is in the way, each pixel moves by the whole step.
    free = (images > 0.05) & (images < 0.95)
    np.testing.assert_allclose(np.abs(moved)[free], 0.05, atol=1e-6)
    model = model_of(config)
    entropy = [
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(part)).numpy()
        for part in (images, both[64:])
    ]
    assert (entropy[1] > entropy[0]).mean() > 0.95


def test_the_attack_is_the_sign_of_the_gradient_that_differences_give(images):
    import tensorflow as tf

    from digitexp.training.keras_engine import attacked

    image, label = np.full((1, 64), 0.5, np.float32), np.array([4], np.int32)
    model = model_of(TrialConfig(units=(16,), activation="tanh"))
    moved = np.asarray(attacked(model, tf.constant(image), tf.constant(label), 0.01)) - image
    probes = np.repeat(image, 128, axis=0)
    probes[np.arange(64), np.arange(64)] += 0.05
    probes[64 + np.arange(64), np.arange(64)] -= 0.05
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(np.full(128, 4), model(probes)).numpy()
    slope = losses[:64] - losses[64:]
    clear = np.abs(slope) > 1e-4
    assert clear.sum() > 40
    np.testing.assert_array_equal(np.sign(moved[0])[clear], np.sign(slope)[clear])
