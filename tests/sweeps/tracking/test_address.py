from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweeps.tracking.address import TrackingError, resolve_tracking_uri, sqlite_path
from sweeps.workspace.addresses import redacted


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


def test_by_default_the_store_is_a_file_in_the_home_whatever_the_working_folder() -> None:
    assert resolve_tracking_uri(Path("/a/home"), None) == "sqlite:////a/home/mlflow.db"


def test_a_relative_home_becomes_absolute(tmp_path: Path) -> None:
    assert resolve_tracking_uri(Path("mlruns"), None) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


def test_the_option_beats_the_environment_which_beats_the_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://env:5000/")
    assert resolve_tracking_uri(Path("/h"), "http://option:5000") == "http://option:5000"
    assert resolve_tracking_uri(Path("/h"), None) == "http://env:5000"


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000",
        "https://me:secret@tracking.example/mlflow",
        "postgresql+psycopg://user:pw@db/mlflow",
        "mysql+pymysql://db/mlflow",
        "sqlite:////absolute/mlflow.db",
    ],
)
def test_servers_and_databases_are_taken_as_they_are(uri: str) -> None:
    assert resolve_tracking_uri(Path("/h"), uri) == uri


def test_a_relative_sqlite_path_becomes_absolute(tmp_path: Path) -> None:
    assert resolve_tracking_uri(Path("/h"), "sqlite:///runs.db") == f"sqlite:///{tmp_path}/runs.db"


@pytest.mark.parametrize("old", ["file:./old", "file:///{here}/old", "{here}/old", "old"])
def test_a_file_store_is_refused_with_the_command_that_migrates_it(
    tmp_path: Path, old: str
) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(TrackingError) as caught:
        resolve_tracking_uri(tmp_path / "home", old.format(here=tmp_path))
    command = (
        f"mlflow migrate-filestore --source {tmp_path}/old "
        f"--target sqlite:///{tmp_path}/home/mlflow.db"
    )
    assert command in str(caught.value)


def test_an_old_file_store_in_the_home_is_refused_until_it_is_migrated(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "meta.yaml").write_text("name: Default\n")
    with pytest.raises(TrackingError, match=f"migrate-filestore --source {tmp_path} --target"):
        resolve_tracking_uri(tmp_path, None)
    (tmp_path / "mlflow.db").touch()
    assert resolve_tracking_uri(tmp_path, None) == f"sqlite:///{tmp_path}/mlflow.db"


def test_folders_of_artifacts_are_no_file_store(tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "digits").mkdir(parents=True)
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "meta.yaml").touch()
    assert resolve_tracking_uri(tmp_path, None).endswith("/mlflow.db")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("htttp://host", ["'htttp'", "did you mean 'http'", "sqlite, http, https, postgresql"]),
        ("databricks://profile", ["'databricks'", "allowed are"]),
        ("s3://bucket/key", ["'s3'", "allowed are"]),
        ("s3://me:secret@bucket", ["me:***@bucket"]),
        ("runs.db", ["is a path", "sqlite:///"]),
        ("sqlite://", ["names no file", "/absolute/path/mlflow.db"]),
        ("sqlite:///", ["names no file"]),
        ("sqlite:///:memory:", ["names no file"]),
        ("http://", ["names no host"]),
        ("http:///path", ["names no host"]),
        ("http://host:port", ["'http://host:port'"]),
        ("http://me:sec/ret@host", ["'http://me:***@host'", "%2F for /"]),
        ("http://host?token=secret", ["'http://host?token=***'", "MLFLOW_TRACKING_TOKEN"]),
        ("sqlite://me:secret@host/x", ["'sqlite://me:***@host/x' names no file"]),
        ("file://me:secret@host/x", ["'file://me:***@host/x': a file is on no host"]),
        ("//me:secret@host", ["'//me:***@host' is a path"]),
        ("me:secret@host", ["'me:***@host'", "allowed are"]),
    ],
)
def test_other_addresses_are_refused_naming_what_is_allowed(uri: str, parts: list[str]) -> None:
    with pytest.raises(TrackingError) as caught:
        resolve_tracking_uri(Path("/h"), uri)
    message = str(caught.value)
    assert "--tracking-uri" in message
    assert [part for part in parts if part not in message] == [], message
    assert not {"secret", "sec", "ret"} & set(re.split(r"\W", message))


def test_a_mistake_in_the_environment_is_named_after_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://host")
    with pytest.raises(TrackingError, match=r"^MLFLOW_TRACKING_URI 'ftp://host'"):
        resolve_tracking_uri(Path("/h"), None)


def test_nothing_is_created_by_asking(tmp_path: Path) -> None:
    resolve_tracking_uri(tmp_path / "home", "sqlite:///sub/runs.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:secret@host:80/x", "https://me:***@host:80/x"),
        ("https://host/x", "https://host/x"),
        ("sqlite:////a#b/c.db", "sqlite:////a#b/c.db"),
        ("http://bob:secret@[bad", "http://bob:***@[bad"),
        ("http://secret@host", "http://***@host"),
        (
            "postgresql://:secret@host/db?sslmode=require",
            "postgresql://:***@host/db?sslmode=require",
        ),
        ("http://host/x?token=secret", "http://host/x?token=***"),
        ("http://host/x?secret", "http://host/x?***"),
        ("http://host/x?a=1&sslmode=on#secret", "http://host/x?a=***&sslmode=on&***"),
        ("http://host#secret", "http://host"),
        ("http://me:se@cret@host", "http://me:***@host"),
        ("http://me:sec/ret@host/x", "http://me:***@host/x"),
        ("http://me:sec?ret@host/x", "http://***"),
        ("http://me:sec#ret@host/x", "http://***"),
        ("http://host/x?token=sec@ret", "http://***"),
        ("http://secret:@host", "http://***@host"),
        ("http:/me:secret@host", "http:/me:***@host"),
        ("//me:secret@host", "//me:***@host"),
        ("me:secret@host", "me:***@host"),
        ("http://host/x?a=1;token=secret", "http://host/x?a=***&token=***"),
    ],
)
def test_passwords_are_never_shown(uri: str, shown: str) -> None:
    assert redacted(uri) == shown


def test_only_sqlite_addresses_have_a_file() -> None:
    assert sqlite_path("sqlite:////a/my runs/b.db") == Path("/a/my runs/b.db")
    assert sqlite_path("http://host") is None
