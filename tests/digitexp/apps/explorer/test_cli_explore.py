"""`digitexp explore` as a command: what it refuses, and how it ends."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from digitexp.cli import main
from digitexp.cli.explore import opened
from tests.ports import free_port


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """Return a function that runs the command, which must end with one line and exit code 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPS_HOME", raising=False)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["digitexp", "explore", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
        return err

    yield call
    assert list(tmp_path.glob("mlruns")) == []


def test_without_dash_it_says_what_to_install(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "dash", None)
    assert "not installed: " in (said := refused())
    assert re.search(r"-m pip install -e '\S+\[explorer\]' -c \S+constraints.txt\n", said)


def test_without_a_home_it_says_how_to_name_one(refused, tmp_path):
    assert f"home {tmp_path / 'mlruns'}: there is no such folder" in refused()


def test_an_empty_home_has_nothing_to_explore(refused, tmp_path):
    hint = f"begin with: `sweeps run smoke --home {tmp_path}`"
    assert hint in refused("--home", str(tmp_path))


@pytest.mark.tensorflow
@pytest.mark.slow
def test_an_unknown_sweep_and_a_taken_port_are_refused(refused, home):
    assert "no sweep 'smokes'" in refused("smokes", "--home", str(home))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--home", str(home), "--port", str(port))
    assert f"port {port} on 127.0.0.1 cannot be used" in said
    assert "--port" in refused("--home", str(home), "--port", "70000")


def test_no_list_of_processes_shows_the_token_that_a_browser_is_sent_to():
    asked = []
    with opened("http://127.0.0.1:8052/?token=a&b", asked.append):
        (address,) = asked
        page = Path(url2pathname(urlsplit(address).path))
        assert "token" not in address
        assert "url=http://127.0.0.1:8052/?token=a&amp;b" in page.read_text()
        assert page.stat().st_mode & 0o077 == 0
    assert not page.exists()


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)]
)
def test_it_serves_until_it_is_told_to_stop(home, number):
    port = free_port()
    words = ["explore", "smoke", "--home", str(home), "--port", str(port), "--no-browser"]
    process = subprocess.Popen(
        [sys.executable, "-m", "digitexp", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    told, address, *rest = process.stdout.readline().split()
    assert (told, rest) == ("explorer:", ["(Ctrl-C", "stops", "it)"])
    assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/\?token=[\w-]{{22,}}", address)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(address, timeout=30) as answer:
        assert b"digitexp explorer" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30)
    refused.value.close()  # it is the connection as well
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "stopped\n", "")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
