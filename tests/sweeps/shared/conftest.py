"""One PostgreSQL server for all tests of a process, a database for each."""

import itertools

import pytest

from tests.sweeps.shared.postgres import Postgres
from tests.tools import need

_numbers = itertools.count()


@pytest.fixture(scope="session")
def running_postgres():
    server = Postgres(need("postgresql"))
    yield server
    server.remove()


@pytest.fixture
def postgres(running_postgres):
    yield running_postgres
    if not running_postgres.is_running():
        running_postgres.start()


@pytest.fixture
def storage(postgres):
    """The address of an empty database."""
    return postgres.create(f"sweeps_{next(_numbers)}")
