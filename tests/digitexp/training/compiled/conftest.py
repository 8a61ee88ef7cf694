import pytest


@pytest.fixture(scope="session", autouse=True)
def engine():
    """Have the machine code for both types: no single test is to pay for it."""
    from digitexp.training.compiled.net import prepare_engine

    for dtype in ("float32", "float64"):
        prepare_engine(dtype)
