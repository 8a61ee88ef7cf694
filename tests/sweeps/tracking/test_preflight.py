"""What a sweep is told about its tracking server before anything is created."""

from __future__ import annotations

import datetime
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.tracking.address import TrackingError
from sweeps.tracking.preflight import check_store
from tests.ports import free_port


class Server(http.server.ThreadingHTTPServer):
    """Answers every question in one way; with `user:password` only to those who know it."""

    status = 200
    body = b'{"experiments": []}'
    location = ""
    password: str | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        told = self.headers.get("Authorization", "")
        refused = self.server.password is not None and told != self.server.password
        status = 401 if refused else self.server.status
        body = b"You are not authenticated." if refused else self.server.body
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    yield from serving(server)


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Server]:
    """Speaks https, with a certificate that nobody trusts."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    yield from serving(server)


def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


def address(server: Server, scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{server.server_port}"


def mistake(uri: str) -> str:
    with pytest.raises(TrackingError) as caught:
        check_store(uri)
    return str(caught.value)


def test_a_file_needs_no_check_and_a_server_that_answers_is_fine(server: Server) -> None:
    assert check_store("sqlite:////nowhere/mlflow.db") is None
    assert check_store(address(server)) is None


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".example"])
def test_a_host_that_does_not_exist_is_a_mistake(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if len(host) < 64:  # a longer label is refused before any server of names is asked
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert host in mistake(f"http://{host}:5000")


def test_https_to_a_server_of_http_is_a_mistake(server: Server) -> None:
    assert "write 'http://'" in mistake(address(server, "https"))


def test_http_to_a_server_of_https_is_a_mistake(tls_server: Server) -> None:
    assert "write 'https://'" in mistake(address(tls_server))


def test_a_certificate_must_be_trusted_as_mlflow_trusts_it(
    tls_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = address(tls_server, "https", "localhost")
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in mistake(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "server.pem"))
    assert check_store(uri) is None


@pytest.mark.parametrize("secret", ["wrong", None])
def test_a_wrong_password_is_a_mistake_and_is_never_shown(
    server: Server, secret: str | None
) -> None:
    server.password = "Basic cmVhZGVyOnJpZ2h0"  # reader:right
    uri = address(server, host=f"reader:{secret}@127.0.0.1") if secret else address(server)
    told = mistake(uri)
    assert "MLFLOW_TRACKING_PASSWORD" in told
    assert "wrong" not in told


@pytest.mark.parametrize("where", ["address", "environment"])
def test_the_right_password_is_found_where_mlflow_finds_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    server.password = "Basic cmVhZGVyOnJpZ2h0"
    if where == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "reader")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "right")
        assert check_store(address(server)) is None
    else:
        assert check_store(address(server, host="reader:right@127.0.0.1")) is None


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"Invalid Host header", "permits nothing (Invalid Host header)"),
        (404, b"<html>Not Found</html>", "no MLflow server answers there, but 404"),
        (200, b"<html>It works!</html>", "no MLflow server answers there, but 200"),
    ],
)
def test_a_server_that_is_no_mlflow_or_permits_nothing_is_a_mistake(
    server: Server, status: int, body: bytes, words: str
) -> None:
    server.status, server.body = status, body
    assert words in mistake(address(server))


def test_a_server_that_has_moved_is_a_mistake_that_names_the_new_address(server: Server) -> None:
    server.status = 301
    server.location = "https://u:secret@elsewhere/api/2.0/mlflow/experiments/search?max_results=1"
    told = mistake(address(server))
    assert "'https://u:***@elsewhere'" in told
    assert "secret" not in told


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_errs_is_an_outage(server: Server, status: int) -> None:
    server.status, server.body = status, json.dumps({"message": "not now"}).encode()
    assert check_store(address(server)) == f"it answers {status}"


@pytest.mark.parametrize("scheme", ["http://", "postgresql+psycopg://me:secret@"])
def test_a_refused_connection_is_an_outage(scheme: str) -> None:
    port = free_port()
    away = check_store(f"{scheme}127.0.0.1:{port}/runs") or ""
    assert "refused" in away
    assert "secret" not in away


def test_a_database_of_no_host_is_a_mistake() -> None:
    assert "there is no host" in mistake("postgresql+psycopg://me:secret@no-such-host.invalid/runs")


def test_a_server_that_hangs_up_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in range(2):  # the question, then whether it speaks TLS
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert check_store(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_a_server_that_never_answers_is_an_outage_told_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert check_store(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < 8


def test_a_missing_driver_of_a_database_is_a_mistake_without_its_password() -> None:
    told = mistake("postgresql+nosuchdriver://me:secret@localhost/runs")
    assert "***" in told
    assert "secret" not in told


def test_a_sweep_with_a_mistaken_server_creates_nothing(
    server: Server, toy_space: Path, tmp_path: Path
) -> None:
    server.password = "Basic cmVhZGVyOnJpZ2h0"
    home = tmp_path / "home"
    words = ["run", str(toy_space), "--home", str(home), "--tracking-uri"]
    result = CliRunner().invoke(app, [*words, address(server, host="reader:wrong@127.0.0.1")])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: tracking server 'http://reader:***@127.0.0.1:")
    assert "wrong" not in result.output
    assert not home.exists()
