import pytest


@pytest.fixture(scope="session", autouse=True)
def tensorflow():
    """TensorFlow with our settings, before any test imports it by itself."""
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()
