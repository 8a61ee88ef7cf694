"""What earlier trainings of a process leave behind is freed, and seldom searched for."""

import gc
import weakref

import pytest

from digitexp import tensorflow_setup
from digitexp.tensorflow_setup import forget_trainings

pytestmark = pytest.mark.tensorflow


class Ring:
    def __init__(self):
        self.itself = self


def left():
    return weakref.ref(Ring())


@pytest.fixture
def took(monkeypatch):
    def took(seconds):
        monkeypatch.setattr(tensorflow_setup._searched, "seconds", seconds)

    gc.disable()  # else a search may come by itself
    yield took
    gc.enable()


def test_what_a_long_training_left_is_freed(took):
    took(0.0)
    garbage = left()
    forget_trainings()
    assert garbage() is None
    assert tensorflow_setup._searched.seconds > 0


def test_after_a_training_shorter_than_the_search_it_waits(took):
    took(1e6)
    garbage = left()
    forget_trainings()
    assert garbage() is not None


def test_names_of_layers_begin_anew(took):
    import keras

    took(1e6)
    keras.layers.Dense(1)
    forget_trainings()
    assert keras.layers.Dense(1).name == "dense"
