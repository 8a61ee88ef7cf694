"""Two people share a database, each with a role of their own."""

import re

import psycopg
import pytest

from tests.sweeps.shared.postgres import PASSWORD

PEOPLE = ("ann", "bob")


@pytest.fixture
def shared(postgres, storage):
    """The address of an empty database in which Ann and Bob, of one group, may make tables."""
    with psycopg.connect(storage.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in (
            "CREATE ROLE lab",
            *(f"CREATE ROLE {one} LOGIN PASSWORD '{PASSWORD}' IN ROLE lab" for one in PEOPLE),
            "GRANT ALL ON SCHEMA public TO lab",
        ):
            connection.execute(statement.encode())
    yield {one: storage.replace("sweeper:", f"{one}:") for one in PEOPLE}
    with psycopg.connect(storage.replace("+psycopg", ""), autocommit=True) as connection:
        for one in (*PEOPLE, "lab"):
            connection.execute(f"DROP OWNED BY {one}".encode())
            connection.execute(f"DROP ROLE {one}".encode())


def may(address, *statements):
    """Let the owner of the address run SQL."""
    with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def refused(result):
    """Return the SQL of a refusal for want of grants."""
    assert result.exit_code == 2, result.output
    assert "role bob lacks" in result.stderr
    assert "Let ann run:" in result.stderr
    return re.findall(r"^ *(GRANT .*;)$", result.stderr, re.MULTILINE)


@pytest.mark.slow
def test_the_grants_that_somebody_lacks_are_named_with_the_sql_that_gives_them(call, shared):
    words = ["run", "TOY", "--workers", 0, "--quiet"]
    ran = call(*words, "--trials", 2, "--storage", shared["ann"], home="ann")
    assert ran.exit_code == 0, ran.output
    bob = ("--storage", shared["bob"])
    given = refused(call("list", *bob, home="bob"))
    assert any("public.sweeps_storage" in one for one in given)
    may(shared["ann"], "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bob")
    assert call("trials", "toy", *bob, home="bob").exit_code == 0, "to read is enough for that"
    rest = refused(call("note", "toy", "mine", *bob, home="bob"))
    assert not any("SELECT" in one for one in rest)
    may(shared["ann"], *rest)
    assert call("note", "toy", "mine", *bob, home="bob").exit_code == 0
    ran = call(*words, "--trials", 3, *bob, home="bob")
    assert ran.exit_code == 0, ran.output


def test_who_may_make_no_tables_is_told_so(call, shared, storage):
    may(storage, "REVOKE ALL ON SCHEMA public FROM lab")
    result = call("run", "TOY", "--trials", 1, "--workers", 0, "--storage", shared["bob"])
    assert result.exit_code == 2, result.output
    assert "GRANT USAGE, CREATE ON SCHEMA public TO bob;" in result.stderr


def test_tables_that_are_made_under_the_role_of_all_are_everybodys(call, shared):
    words = ["run", "TOY", "--workers", 0, "--quiet"]
    for trials, one in enumerate(PEOPLE, 1):
        storage = ("--storage", f"{shared[one]}?role=lab")
        ran = call(*words, "--trials", trials, *storage, home=one)
        assert ran.exit_code == 0, ran.output
    listed = call("list", *storage, home="bob")
    assert (listed.exit_code, "role=lab" in listed.stderr) == (0, False)
    missing = call("list", "--storage", f"{shared['ann']}?role=nobody", home="other")
    assert missing.exit_code == 2, missing.output
    assert 'role "nobody" does not exist' in missing.stderr
