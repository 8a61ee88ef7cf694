"""Optuna Dashboard on a copy: what its buttons do never reaches the study."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

import sweeps
from sweeps.cli.servers import LOOPBACK, _for_own_pages
from tests.ports import free_port
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound


@pytest.fixture
def dashboard(finished_toy, make_home):
    before = finished_toy(trials=6)
    port = free_port()
    running = Launched(["dashboard", "--home", str(make_home()), "--port", str(port)])
    base = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    while not _answers(f"{base}/api/studies"):
        assert running.is_alive(), running.stderr()
        assert time.monotonic() < end
        time.sleep(0.1)
    yield before, base
    running.signal(signal.SIGTERM)
    assert running.wait() == 143


def _answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()  # it is the connection as well
    except OSError:
        pass
    return False


def asked(address, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    request.method = method
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@pytest.mark.slow
def test_deleting_and_telling_there_changes_nothing_here(dashboard, make_home):
    sweep, base = dashboard
    (study,) = asked(f"{base}/api/studies")["study_summaries"]
    asked(f"{base}/api/studies/{study['study_id']}", "DELETE")
    assert asked(f"{base}/api/studies")["study_summaries"] == []
    with closing(sqlite3.connect(make_home() / "optuna.db")) as database:
        assert database.execute("SELECT count(*) FROM trials").fetchone() == (6,)
    assert_sound(make_home(), table(sweep))


@pytest.mark.slow
def test_the_copy_follows_a_sweep_that_goes_on(dashboard, run_toy):
    _, base = dashboard
    more = run_toy(trials=9, workers=0)
    end = time.monotonic() + 30
    while len(asked(f"{base}/api/studies/1")["trials"]) < len(more.rows()):
        assert time.monotonic() < end
        time.sleep(0.3)
    assert len(sweeps.load("toy", more.home.path).rows()) == 9


@pytest.mark.parametrize(
    ("host", "origin", "answered"),
    [
        ("127.0.0.1:8080", None, True),
        ("localhost:8080", "http://localhost:8080", True),
        ("[::1]:8080", None, True),
        ("box.lan:8080", None, True),  # what --host names
        ("evil.example", None, False),
        ("127.0.0.1.evil.example", None, False),
        ("127.0.0.1:8080", "https://evil.example", False),
        ("127.0.0.1:8080", "null", False),
        ("[", None, False),
        ("", None, False),
    ],
)
def test_only_pages_from_here_are_answered(host, origin, answered):
    app = _for_own_pages(lambda environ, start: [b"studies"], {*LOOPBACK, "box.lan"})
    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": host} | (
        {"HTTP_ORIGIN": origin} if origin else {}
    )
    said = []
    body = b"".join(app(environ, lambda status, headers: said.append(status)))
    assert (body == b"studies") == answered
    assert said == ([] if answered else ["403 Forbidden"])


@pytest.mark.slow
def test_a_name_of_anybodys_gets_nothing(dashboard):
    _, base = dashboard
    request = urllib.request.Request(f"{base}/api/studies", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()  # it is the connection as well


NEW = b'{"study_name": "new", "directions": ["maximize"]}'


@pytest.mark.slow
def test_what_is_sent_without_origin_as_no_page_sends_it_is_refused_in_words(dashboard):
    address = urlsplit(dashboard[1]).netloc
    for kind, body, status, said in [
        ("text/plain", NEW, 415, "application/json"),
        ("application/x-www-form-urlencoded", NEW, 415, "application/json"),
        (None, NEW, 415, "application/json"),
        (None, b"", 400, "study_name and direction"),
    ]:
        with closing(HTTPConnection(address, timeout=10)) as connection:
            connection.request("POST", "/api/studies", body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            assert (answer.status, said in answer.read().decode()) == (status, True)
    assert len(asked(f"{dashboard[1]}/api/studies")["study_summaries"]) == 1


@pytest.mark.slow
def test_a_request_that_arrives_twice_makes_one_study(dashboard):
    _, base = dashboard
    first = asked(f"{base}/api/studies", "POST", json.loads(NEW))
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        asked(f"{base}/api/studies", "POST", json.loads(NEW))
    assert b"exists" in refused.value.read()
    refused.value.close()  # it is the connection as well
    names = [one["study_name"] for one in asked(f"{base}/api/studies")["study_summaries"]]
    assert names.count(first["study_summary"]["study_name"]) == 1


def test_a_database_that_cannot_be_read_is_one_message(call, make_home):
    (make_home() / "optuna.db").write_text("no database " * 100)
    result = call("dashboard", "--port", free_port())
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1), result.output
    assert "optuna.db: damaged, or no database of ours" in result.stderr
