from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from sweeps.workspace.provenance import DIFF_BYTES, code_state, environment, filter_secrets

AUTHOR = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": "/dev/null"}
AUTHOR |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=AUTHOR, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "sub").mkdir()
    (tmp_path / "train.py").write_text("rate = 1\n")
    (tmp_path / ".env").write_text("A=1\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_environment_names_versions_processor_and_host() -> None:
    found = environment()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    trainers = {name for name in ("tensorflow", "keras") if find_spec(name)}
    assert set(found["packages"]) >= {"optuna", "mlflow", "numpy"} | trainers
    assert found["cpu"]["model"]
    assert found["cpu"]["count"] >= 1
    assert all(isinstance(feature, str) for feature in found["cpu"]["features"])
    assert json.loads(json.dumps(found)) == found


def test_the_environment_is_told_fast_and_imports_nothing_heavy() -> None:
    script = (
        "import sys, time; from sweeps.workspace.provenance import environment\n"
        "start = time.perf_counter();"
        "environment(); print(time.perf_counter() - start);"
        "print({'numpy', 'optuna', 'mlflow', 'tensorflow'} & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, check=True, capture_output=True, text=True
    )
    seconds, loaded = done.stdout.split("\n")[:2]
    assert float(seconds) < 0.3
    assert loaded == "set()"


def test_a_clean_repository_has_a_commit_and_no_diff(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert code_state(repository / "sub") == {"commit": head, "dirty": False, "diff": ""}


def test_uncommitted_changes_and_names_of_new_files_are_kept(repository: Path) -> None:
    (repository / "train.py").write_text("rate = 2\n")
    (repository / "new file é.py").write_text("contents stay out\n")
    git(repository, "add", "train.py")
    state = code_state(repository / "sub")
    assert state["dirty"]
    assert "-rate = 1\n+rate = 2\n" in state["diff"]
    assert "# untracked: new file é.py\n" in state["diff"]
    assert "contents stay out" not in state["diff"]


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert code_state(tmp_path) == {"commit": None, "dirty": False, "diff": ""}


def test_a_repository_without_a_commit_is_like_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert code_state(tmp_path)["commit"] is None


def test_without_git_there_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert code_state(repository)["commit"] is None


def test_a_long_diff_is_cut_at_the_end_of_a_line_with_a_note(repository: Path) -> None:
    (repository / "train.py").write_text("".join(f"x{n} = {n}\n" for n in range(60_000)))
    diff = code_state(repository)["diff"]
    assert len(diff.encode()) <= DIFF_BYTES
    *lines, note = diff.splitlines()
    assert note.startswith("[cut: the whole diff has ")
    assert lines[-1].startswith("+x")
    assert " = " in lines[-1]


def test_files_that_hold_secrets_keep_their_header_only(repository: Path) -> None:
    (repository / ".env").write_text("HARMLESS_LOOKING=hunter2\n")
    (repository / "train.py").write_text("rate = 3\n")
    diff = code_state(repository)["diff"]
    assert "diff --git a/.env b/.env\n[changes left out" in diff
    assert "hunter2" not in diff
    assert "+rate = 3" in diff


@pytest.mark.parametrize(
    "name",
    [
        ".env.local",
        "prod.env",
        "server.pem",
        "keys/tls.key",
        "id_ed25519",
        ".netrc",
        "credentials.json",
        "my_secrets.yaml",
        "secrets/a.txt",
        ".git-credentials",
        ".envrc",
        "kubeconfig",
        ".docker/config.json",
        "passwords.txt",
        "tokens.json",
        "envfile",
        "deploy/.envfile",
        "server.crt",
        "wp-config.php",
    ],
)
def test_secret_files_are_known_by_name(name: str) -> None:
    diff = f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n+hunter2\n"
    assert "hunter2" not in filter_secrets(diff)


@pytest.mark.parametrize(
    "name", ["train.py", "environment.yml", "keyboard.py", "secretary/a.py", "a.crtx"]
)
def test_other_files_keep_their_changes(name: str) -> None:
    diff = f"diff --git a/{name} b/{name}\n+x = 2\n"
    assert filter_secrets(diff) == diff


@pytest.mark.parametrize(
    "line",
    [
        "API_KEY=hunter2",
        'api-key: "hunter2"',
        "DB_PASSWORD = 'hunter2'",
        '"password": "hunter2"',
        "dbpassword=hunter2",
        "my_token = hunter2",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "run --password hunter2",
        "Authorization: Bearer hunter2hunter2",
        "https://me:hunter2@host/x",
        "id = AKIAHUNTER2HUNTER2XY",
        "x = ghp_hunter2hunter2hunter2x",
        "sk-hunter2hunter2hunter2",
        "eyJhbGciOiJI.hunter2hunter2.x",
        "DB_PASS = 'hunter2'",
        '"pass": "hunter2"',
        "user_pass: hunter2",
        "PW=hunter2",
        'SIGNING_KEY = "hunter2"',
        "encryption_key: hunter2",
        'wandb.login(key="hunter2hunter2hunter2hunter2")',
        "postgresql://:hunter2@host/db",
        "x = hf_hunter2hunter2hunter2",
        "//registry/:_authToken=npm_hunter2hunter2hunter2",
        "x = 'pypi-hunter2hunter2hunter2'",
        "curl -u me:hunter2 http://host",
        "https://hooks.slack.com/services/T0/B0/hunter2",
        "AccountName=x;AccountKey=hunter2",
        "session['pwd'] = 'hunter2'",
        'os.environ["WANDB_API_KEY"] = "hunter2"',
        "mysql -phunter2 -u root",
        "https://x.blob.core.windows.net/c?sv=2020&sig=hunter2",
        "x = 'sk_live_hunter2hunter2hunter2hunt'",
        "x = 'SG.hunter2hunter2hunter2h.hunter2hunter2hunter2hunter2hunter2hunter2h'",
        "x = 'AC0123456789abcdef0123456789abcdef'",
        "0123456789abcdef0123456789abcdef-us12",
        "x = '110201543:AAHhunter2hunter2hunter2hunter2hunt'",
        "x = 'sq0csp-hunter2hunter2hunter2hunter2hunter2hunter2h'",
        "x = 'kJ8s9DfL2mQ0xZ7vB4nT6wR1yH3cG5pA'",
        "sshpass -p hunter2 ssh me@host",
        "sshpass -phunter2 ssh me@host",
        "psswrd = 'hunter2'",
        "Cookie: session=hunter2",
        "set_cookie = 'hunter2'",
        "PIN = 4711",
        '"pin_code": "4711"',
        # So many names of secrets are no code, and searching them takes quadratic time.
        "secret" * 159,
        "token0" * 159,
    ],
)
def test_lines_with_keys_passwords_and_tokens_are_replaced(line: str) -> None:
    filtered = filter_secrets(f"+before\n+{line}\n+after\n")
    assert filtered == "+before\n+[line left out: it looks like a secret]\n+after\n"


@pytest.mark.parametrize(
    "line",
    [
        "tokenizer = Tokenizer()",
        "secretary = 2",
        "n_tokens: int",
        "keys = sorted(x)",
        "loader = DataLoader(x, pin_memory=True, pin=False)",
        "tokens = [token for token in tokenize(key) if token in key_tokens[key]]",
        "author: me",
        "learning_rate = 1e-3",
        "https://host:8080/x",
        "password reset is tested below",
        "for key, value in passes.items():",
        "compass: int = 3",
        "monkey_keys = 3",
        "from tensorflow.keras.layers import Dense",
        "url = 'https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz'",
        "activation = 'leaky_relu_with_a_long_name_indeed'",
        "model = keras.Sequential([Dense(64), Dense(10)])",
        "optimizer = keras.optimizers.schedules.ExponentialDecay(1e-3, 1000, 0.9)",
    ],
)
def test_ordinary_lines_stay(line: str) -> None:
    assert filter_secrets(f"+{line}\n") == f"+{line}\n"


def test_a_private_key_in_any_file_is_left_out_whole() -> None:
    key = "+-----BEGIN RSA PRIVATE KEY-----\n+hunter\n+two\n+-----END RSA PRIVATE KEY-----\n"
    filtered = filter_secrets(f"diff --git a/x.py b/x.py\n+a\n{key}+b\n")
    assert "hunter" not in filtered
    assert "two" not in filtered
    assert filtered.splitlines()[1] == "+a"
    assert filtered.splitlines()[-1] == "+b"


def test_a_very_long_line_is_left_out_without_taking_long() -> None:
    started = time.perf_counter()
    filtered = filter_secrets("+" + "a" * 2_000_000 + "\n+x\n")
    assert time.perf_counter() - started < 1
    assert filtered == "+[line left out: it is longer than 1000 characters]\n+x\n"


FILTERS = ["evil", "e.v.i.l", "e=v=il", "Evil Two"]


@pytest.mark.parametrize("name", FILTERS)
def test_no_program_of_the_repositorys_settings_is_run(repository: Path, name: str) -> None:
    mark = repository / "it ran"
    (repository / ".gitattributes").write_text(f"train.py filter={name} diff={name}\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "two")
    for setting in (
        f"filter.{name}.clean",
        f"filter.{name}.process",
        f"diff.{name}.command",
        f"diff.{name}.textconv",
        "core.fsmonitor",
        "diff.external",
    ):
        git(repository, "config", setting, f"touch '{mark}'; cat")
    git(repository, "config", f"filter.{name}.required", "true")
    (repository / "train.py").write_text("rate = 2\n")
    assert "+rate = 2" in code_state(repository)["diff"]
    assert not mark.exists()


def test_no_program_of_a_submodules_settings_is_run(repository: Path, tmp_path: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / ".gitattributes").write_text("* filter=evil\n")
    (inner / "a.txt").write_text("one\n")
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "one")
    git(repository, "-c", "advice.addEmbeddedRepo=false", "add", "inner")
    git(repository, "commit", "-qm", "two")
    git(inner, "config", "filter.evil.clean", f"touch '{repository / 'it ran'}'; cat")
    (inner / "a.txt").write_text("two\n")
    (repository / "train.py").write_text("rate = 2\n")
    assert "+rate = 2" in code_state(repository)["diff"]
    assert not (repository / "it ran").exists()
