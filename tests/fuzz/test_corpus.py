"""What fuzzing has found, and what it begins from, is read or refused."""

import pytest

from tests.fuzz.targets import HERE, TARGETS, read

FOUND = [(file.parent.name, file) for file in sorted((HERE / "corpus").glob("*/*"))]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read_and_not_refused(name):
    seeds = list(TARGETS[name].seeds())
    assert seeds
    for seed in seeds:
        TARGETS[name].read(seed)


@pytest.mark.parametrize(("name", "file"), FOUND, ids=[f"{n}-{f.name}" for n, f in FOUND])
def test_what_was_found_is_refused_or_read(name, file):
    read(name, file.read_bytes())
