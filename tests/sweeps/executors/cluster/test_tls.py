"""A sweep on an encrypted Dask cluster, with real certificates; and with none, or wrong ones."""

from __future__ import annotations

import pytest

from sweeps.errors import UsageError
from tests.sweeps.conftest import table
from tests.sweeps.executors.cluster.certificates import Authority
from tests.sweeps.executors.cluster.dask_cluster import DaskCluster


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"), "ours")


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory, authority):
    cert, key = authority.pair("cluster")
    options = ["--tls-ca-file", authority.ca, "--tls-cert", cert, "--tls-key", key]
    running = DaskCluster(tmp_path_factory.mktemp("dask"), tls=list(map(str, options)))
    running.start_scheduler()
    running.start_worker("one")
    yield running
    running.close()


@pytest.fixture
def carry(monkeypatch):
    """Have Dask's configuration name these certificates."""
    import dask.config

    def set_config(ca, cert, key):
        names = {"ca-file": ca, "client.cert": cert, "client.key": key}
        for name, file in names.items():
            variable = name.upper().replace(".", "__").replace("-", "_")
            monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{variable}", str(file))
        dask.config.refresh()

    yield set_config
    monkeypatch.undo()
    dask.config.refresh()


@pytest.mark.slow
class TestEncryptedCluster:
    def test_the_trials_are_those_of_one_machine(self, encrypted, authority, carry, run_toy):
        carry(authority.ca, *authority.pair("coordinator"))
        encrypted.wait_for(1)
        assert table(run_toy(trials=6, executor=encrypted.uri)) == table(run_toy("here", trials=6))

    def test_without_certificates_it_is_said_what_is_missing(self, encrypted, run_toy, make_home):
        with pytest.raises(UsageError, match=r"needs an authority, a certificate and its key.*_CA"):
            run_toy(trials=2, executor=encrypted.uri)
        assert not (make_home() / "sweeps").exists()

    def test_certificates_that_are_not_there_are_said(self, encrypted, authority, carry, run_toy):
        carry(authority.ca, authority.folder / "lost.pem", authority.folder / "lost.key")
        with pytest.raises(UsageError, match=r"cannot be used .*No such file"):
            run_toy(trials=2, executor=encrypted.uri)

    def test_a_stranger_is_not_let_in(self, encrypted, tmp_path, authority, carry, run_toy):
        carry(authority.ca, *Authority(tmp_path, "theirs").pair("stranger"))
        with pytest.raises(UsageError, match="trust another authority"):
            run_toy(trials=2, executor=encrypted.uri)

    def test_one_who_writes_dask_is_told_to_write_tls(self, encrypted, run_toy):
        plain = encrypted.uri.replace("dask+tls", "dask")
        with pytest.raises(UsageError, match=r"if it is an encrypted one, write dask\+tls://"):
            run_toy(trials=2, executor=plain)

    def test_one_who_writes_tls_is_told_that_it_may_be_plain(
        self, tmp_path, authority, carry, run_toy
    ):
        carry(authority.ca, *authority.pair("coordinator"))
        (tmp_path / "plain").mkdir()
        plain = DaskCluster(tmp_path / "plain")
        plain.start_scheduler()
        try:
            with pytest.raises(UsageError, match="it may be a plain one"):
                run_toy(trials=2, executor=plain.uri.replace("dask", "dask+tls"))
        finally:
            plain.close()
