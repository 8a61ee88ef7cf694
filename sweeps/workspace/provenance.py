"""Collects the provenance of a trial: versions, processor, host, git commit and a filtered diff."""

from __future__ import annotations

import functools
import os
import platform
import re
import socket
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Final

PACKAGES: Final = (
    "digit-sweeps", "tensorflow", "keras", "optuna", "mlflow", "numpy", "scikit-learn", "numba",
    "llvmlite", "scipy",
)  # fmt: skip
"""Distributions whose version can change the numbers of trials of the experiments shipped here.

SciPy's BLAS computes the products of dense nets, with a kernel by the features of the processor."""
_NOTED_LATER: Final = frozenset({"numba", "llvmlite", "scipy"})
"""Records of before 2026-12 do not have them."""

DIFF_BYTES: Final = 200_000
_GIT_TIMEOUT_SECONDS: Final = 10
_HARMLESS: Final = (
    "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
)  # fmt: skip
_CPU_FEATURES: Final = re.compile(
    r"(sse4_[12]|fma|avx\w*|amx_\w+|asimd\w*|neon|sve\w*|bf16|i8mm|f16c)$"
)
"""Numerical libraries choose their code by these: only equal features give equal bits."""

_SECRET_FILE: Final = re.compile(
    r"(\.env(rc|\..+)?|.+\.env|.*envfile|wp-config\.php"
    r"|.+\.(pem|crt|key|p12|pfx|jks|keystore|kdbx|ppk|ovpn)|id_(rsa|dsa|ecdsa|ed25519)"
    r"|kubeconfig|\.kube|\.docker|\.aws|(.*[._-])?(passwords?|tokens?)\.(txt|json|ya?ml|toml|csv)"
    r"|\.netrc|_netrc|\.pypirc|\.npmrc|\.pgpass|\.htpasswd|\.git-credentials"
    r"|(.*[._-])?(secrets?|credentials?)([._-].*)?)$",
    re.IGNORECASE,
)
_SECRET_LINE: Final = re.compile(
    r"""(?ix)
    (?<![a-z]) (pass | pw | pa?s+wr?d | cookies? | api[_-]?key | access[_-]?key(_id)?
        | private[_-]?key | secrets? | passw(or)?d | pwd | passphrase | \w*token | credentials?
        | client[_-]?id | auth(orization)? | sig)
        (?![a-z]) \w* ["']?\]? \s* [:=] \s* ["']? [^\s"']
    | (api[_-]?key | access[_-]?key | private[_-]?key | secret | password | passwd | token)
        ["']?\]? \s* [:=]{1,2} \s* ["']? [^\s"']{4}
    | [a-z][_-]key ["']? \s* [:=] \s* ["']? [^\s"']
    | \b key \s* = \s* ["'][\w-]{20} | \b accountkey = | hooks\.slack\.com/services/
    | \b pin ([_-]?code)? ["']?\]? \s* [:=] \s* ["']? \d{3} | \b sshpass \s (.*\s)? -p
    | \s -u \s+ [^\s:]+ : \S | \b mysql\w* \s (.*\s)? -p\S
    | -- (api-?key | secret | password | passwd | token) [ =] \S
    | \b (bearer | basic) \s+ [\w.~+/=-]{8}
    | ://[^/\s:@]*:[^/\s@]+@
    | \b (AKIA | ASIA)[0-9A-Z]{16} \b | \b AIza[\w-]{30} | \b eyJ[\w-]{8,}\.[\w-]{8}
    | \b gh[pousr]_\w{20} | \b github_pat_\w{20} | \b glpat-[\w-]{16}
    | \b hf_\w{20} | \b npm_\w{20} | \b pypi-[\w-]{16}
    | \b xox[abpr]-[\w-]{10} | \b sk-[\w-]{16}
    """
)
_LONG_WORD: Final = re.compile(r"[\w+/=-]{16}")
"""A line without such a word has no token; short passwords are found by the names above."""
_MAX_LINE_CHARACTERS: Final = 1000
"""People write no longer lines, and the patterns above take quadratic time in the length."""
_NAME: Final = re.compile(r"key|pass|pwd|secret|contrase|token", re.IGNORECASE)
_MOST_NAMES: Final = 16
"""A line with more names of secrets counts as one: each name costs a search to the line's end."""

_KEY_BEGIN: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_KEY_END: Final = re.compile(r"-----END [A-Z ]*PRIVATE KEY")
_LONG_MARK: Final = "[line left out: it is longer than 1000 characters]"
_LINE_MARK: Final = "[line left out: it looks like a secret]"
_FILE_MARK: Final = "[changes left out: the file may hold secrets]"


ONEDNN: Final = "onednn"
"""The feature that stands for oneDNN's kernels in TensorFlow."""


def environment(packages: Iterable[str] = ()) -> dict[str, Any]:
    """Return versions, processor and host, JSON-compatible; imports none of the packages.

    Args:
        packages: Distributions to name beyond `PACKAGES`.
    """
    names = dict.fromkeys((*PACKAGES, *packages))
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in names if (version := version_of(name))},
        "platform": f"{platform.system()}-{platform.release()}-{platform.machine()}",
        "cpu": {**_cpu(), "features": cpu_features()},
        "hostname": socket.gethostname(),
    }


def cpu_features() -> list[str]:
    """Return the features of this processor by which numerical libraries choose their code.

    `onednn` is among them where TensorFlow may take the kernels of oneDNN, whose convolutions
    differ in their last bits.
    """
    return sorted([*_cpu()["features"], *([ONEDNN] if _has_onednn() else [])])


def changed_versions(before: Mapping[str, Any]) -> list[str]:
    """Return a line for each package whose version is another one now, and for Python likewise.

    If TensorFlow took oneDNN's kernels then and not now, or the other way round, that is a line.

    Args:
        before: An environment, as recorded.
    """
    then = before.get("packages", {})
    lines = [
        f"{name} {then.get(name, 'absent')} then, {now or 'absent'} now"
        for name in dict.fromkeys((*PACKAGES, *then))
        if (now := version_of(name)) != then.get(name)
        and (name in then or name not in _NOTED_LATER)
    ]
    if before.get("python") != platform.python_version():
        lines.append(f"Python {before.get('python')} then, {platform.python_version()} now")
    had = ONEDNN in before.get("cpu", {}).get("features", ())
    if "tensorflow" in then and had != _has_onednn():
        told = "on then, off now" if had else "off then, on now"
        lines.append(f"oneDNN's kernels in TensorFlow {told} (TF_ENABLE_ONEDNN_OPTS)")
    return lines


def is_mixed(environments: Iterable[Mapping[str, Any]]) -> bool:
    """Whether processors of recorded attempts differ in features, so that the last bits may."""
    processors = (e.get(key) for e in environments for key in ("cpu", "coordinator_cpu"))
    return len({tuple(cpu.get("features", ())) for cpu in processors if cpu}) > 1


def code_state(folder: Path) -> dict[str, Any]:
    """Return `commit`, `dirty` and `diff` of the repository around a folder.

    The commit is None without git or outside a repository. The diff is the names of untracked files
    and `git diff HEAD` without what looks like a secret, at most 200 kB.
    """
    commit = (_git(folder, "rev-parse", "--verify", "HEAD") or "").strip()
    if not commit:
        return {"commit": None, "dirty": False, "diff": ""}
    shown = ("--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
    diff = _git(folder, *_without_filters(folder), "diff", *shown, "HEAD") or ""
    others = ("ls-files", "--others", "--exclude-standard", "--full-name", ":/")
    untracked = (_git(folder, *others) or "").splitlines()
    # Names first: they are few, and a long diff is cut at its end.
    names = "".join(f"# untracked: {name}\n" for name in untracked)
    text = names + filter_secrets(diff[:DIFF_BYTES])
    kept = _capped(text, len(names.encode()) + len(diff.encode()))
    return {"commit": commit, "dirty": bool(diff or untracked), "diff": kept}


def filter_secrets(diff: str) -> str:
    """Return a diff without anything that looks like a key, a password or a token.

    Of a file that is known to hold such things only the header stays; in other files single lines
    and private keys are replaced. In doubt, a line is left out.
    """
    kept: list[str] = []
    hidden_file = in_key = False
    for line in diff.splitlines():
        if line.startswith("diff --git "):
            hidden_file, in_key = _is_secret_file(line), False
            kept.append(line)
            if hidden_file:
                kept.append(_FILE_MARK)
        elif not hidden_file:
            in_key = in_key or bool(_KEY_BEGIN.search(line))
            kept.append(line[:1] + _LINE_MARK if in_key else _clean_line(line))
            in_key = in_key and not _KEY_END.search(line)
    return "".join(f"{line}\n" for line in kept)


def filter_secret_lines(text: str) -> str:
    """Return a text without the lines that look like keys, passwords or tokens."""
    marked = "".join(f" {line}\n" for line in text.splitlines())
    return "".join(f"{line[1:]}\n" for line in filter_secrets(marked).splitlines())


def _clean_line(line: str) -> str:
    if len(line) > _MAX_LINE_CHARACTERS:
        return line[:1] + _LONG_MARK
    is_secret = len(_NAME.findall(line)) > _MOST_NAMES or bool(_SECRET_LINE.search(line))
    if not is_secret and _LONG_WORD.search(line):  # perhaps the token of a service, a random text
        is_secret = any(
            detector.analyze_line(filename="", line=line, line_number=0)
            for detector in _detectors()
        )
    return line[:1] + _LINE_MARK if is_secret else line


@functools.cache
def _detectors() -> list[Any]:
    """Return the detectors of detect-secrets, except the one for public IP addresses."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    found: dict[str, Any] = get_mapping_from_secret_type_to_class()
    return [kind() for kind in found.values() if kind.__name__ != "IPPublicDetector"]


def _is_secret_file(header: str) -> bool:
    """Whether `diff --git a/old b/new` names a secret file; git quotes odd names."""
    names = (part.strip('" ') for part in re.split(r" \"?[ab]/", header)[1:])
    return any(_SECRET_FILE.match(part) for name in names for part in PurePosixPath(name).parts)


def _capped(text: str, whole_bytes: int) -> str:
    """Cut a text at the end of a line, with a note, if it or its unfiltered source is too long."""
    encoded = text.encode()
    if max(len(encoded), whole_bytes) <= DIFF_BYTES:
        return text
    note = f"[cut: the whole diff has {whole_bytes} bytes, {DIFF_BYTES} are kept]\n"
    kept = encoded[: DIFF_BYTES - len(note)].decode(errors="ignore")
    return kept[: kept.rfind("\n") + 1] + note


def _without_filters(folder: Path) -> list[str]:
    """Return options with which git runs no program that the repository's settings name."""
    found = _git(folder, "config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process)$")
    names = {line.rpartition(".")[0] for line in (found or "").splitlines()}
    # From the environment, since a filter's name may contain `=`, which ends the name after `-c`.
    return [
        f"--config-env={name}.{setting}"
        for name in sorted(names)
        for setting in ("clean=SWEEPS_EMPTY", "process=SWEEPS_EMPTY", "required=SWEEPS_FALSE")
    ]


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output; None if there is no git, no repository, or no output in time."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    environment |= {"SWEEPS_EMPTY": "", "SWEEPS_FALSE": "false"}
    command = ["git", *_HARMLESS, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def version_of(package: str) -> str | None:
    """Return the version of an installed distribution; None if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _has_onednn() -> bool:
    """Whether TensorFlow, when it is imported, is told to take oneDNN's kernels; if it is there."""
    is_off = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower() in {"0", "false"}
    return not is_off and version_of("tensorflow") is not None


@functools.cache
def _cpu() -> dict[str, Any]:
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        facts = ""
    fields = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", facts, flags=re.MULTILINE))
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return {
        "model": fields.get("model name") or platform.processor() or platform.machine(),
        "count": os.cpu_count(),
        "features": sorted({flag for flag in flags if _CPU_FEATURES.match(flag)}),
    }
