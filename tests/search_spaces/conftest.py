from pathlib import Path

import optuna
import pytest

from search_spaces.loading import load_space
from search_spaces.space import Space
from tests.search_spaces.known import FINITE, SPACE


@pytest.fixture(autouse=True)
def _quiet_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def load(tmp_path: Path):
    """Return a function from the text of a space file to its space."""

    def load_text(text: str, name: str = "space.yaml") -> Space:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load_space(str(path))

    return load_text


@pytest.fixture
def space(load) -> Space:
    return load(SPACE)


@pytest.fixture
def finite(load) -> Space:
    return load(FINITE)
