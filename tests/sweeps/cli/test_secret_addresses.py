"""No command prints or stores a secret of an address that it is given, sound or malformed."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from sweeps.cli import app
from tests.sweeps.conftest import TOY

SECRET = "hunter2"
ADDRESSES = {
    "--tracking-uri": [
        "http://bob:{secret}@[bad",
        "http://bob:hun/{secret}@127.0.0.1:1",
        "http://bob:a?{secret}@127.0.0.1:1",
        "http://bob:a#{secret}@127.0.0.1:1",
        "http://127.0.0.1:1/?token=a@{secret}",
        "http://127.0.0.1:1/x?token={secret}",
        "http://bob:{secret}@127.0.0.1:port",
        "http:/bob:{secret}@host",
        "htp://bob:{secret}@host",
        "sqlite://bob:{secret}@host/x",
        "file://bob:{secret}@host/x",
        "//bob:{secret}@host",
        "bob:{secret}@host",
    ],
    "--storage": [
        "postgresql://bob:{secret}@[bad/db",
        "postgresql://bob:{secret}@127.0.0.1:port/db",
        "postgresql://bob:{secret}@127.0.0.1:1",
        "mysql://bob:{secret}@host/db?password={secret}",
        "bob:{secret}@host",
    ],
    "--executor": [
        "dask://bob:{secret}@127.0.0.1:1",
        "dask://127.0.0.1:1?token={secret}",
        "dask://127.0.0.1:1#{secret}",
        "dask://bob:{secret}@[bad",
        "dask://bob:{secret}@192.0.2.1:8786",
        "tcp://bob:{secret}@127.0.0.1:1",
        "bob:{secret}@host",
    ],
    "--home": ["http://bob:{secret}@host/x", "postgresql://host/x?token={secret}"],
}
"""Refused by whoever needs them, before anything is asked for on the network."""

AWAY = {
    "--tracking-uri": [
        "http://bob:{secret}@127.0.0.1:1",
        "http://bob:{secret}@[::1]:1",
        "http://{secret}@127.0.0.1:1",
    ],
    "--storage": [
        "postgresql+psycopg://bob:{secret}@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?password={secret}",
    ],
}
"""Sound, but nobody answers there."""

ARGUMENTS = {"space": "toy.yaml", "trial": "0", "file": "toy.sweep"}


def commands(option):
    """Yield the words of each command that takes an option: its name, what it must have, --home."""
    whole = get_command(app)
    everywhere = {name for parameter in whole.params for name in parameter.opts}
    pairs = [((), whole)]
    for words, command in pairs:
        pairs += [((*words, name), sub) for name, sub in getattr(command, "commands", {}).items()]
        options = {name for parameter in command.params for name in parameter.opts}
        if not words or hasattr(command, "commands") or option not in options | everywhere:
            continue
        arguments = [p for p in command.params if p.param_type_name == "argument" and p.required]
        given = [ARGUMENTS.get(argument.name, "toy") for argument in arguments]
        home = [] if option == "--home" else ["--home", "home"]
        # A port that is none: whoever would serve ends where everything else is sound.
        more = [*(["--port", "99999"] if "--port" in options else []),
                *(["--yes"] if "--yes" in options else [])]  # fmt: skip
        yield [*words, *given, *home, *more]


@pytest.fixture
def leaks(finished_toy, tmp_path, monkeypatch):
    """Return a function that has every command use an address, and tells which gave it away."""
    finished_toy()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.yaml").write_text(TOY)
    before = set(tmp_path.iterdir())
    monkeypatch.setenv("SWEEPS_STORAGE", "")  # where commands leave what they are given

    def find(option, address, asked):
        given = address.format(secret=SECRET)
        assert asked
        found = []
        for words in asked:
            result = CliRunner().invoke(app, [*words, option, given])
            if result.exception and not isinstance(result.exception, SystemExit):
                found.append((words, result.exception))
            if SECRET in result.output:
                found.append((words, result.output))
        for path in tmp_path.rglob("*"):
            if path.is_file() and SECRET.encode() in path.read_bytes():
                found.append(path)
        return [*found, *(set(tmp_path.iterdir()) - before)]

    return find


@pytest.mark.slow
@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(
    ("option", "address"), [(option, one) for option in ADDRESSES for one in ADDRESSES[option]]
)
def test_an_address_that_is_refused_is_not_given_away(leaks, option, address, is_whole):
    asked = list(commands(option))
    if not is_whole:  # every address by some commands, every command with some addresses
        few = min(4, len(ADDRESSES[option]), len(asked))
        asked = asked[ADDRESSES[option].index(address) % few :: few]
    assert leaks(option, address, asked) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "address"), [(option, one) for option in AWAY for one in AWAY[option]]
)
def test_an_address_where_nobody_answers_is_not_given_away(leaks, option, address):
    asked = [words for words in commands(option) if words[0] in {"run", "doctor", "list"}]
    assert leaks(option, address, asked) == []
