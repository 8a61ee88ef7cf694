"""Fuzz the readers of foreign bytes: `python -m tests.fuzz [TARGET] --seconds 60`.

Atheris (libFuzzer) changes the bytes of `targets.py` and what it learnt before, guided by the lines
they reach. The exit code is 0 after that time; else at the first find, which is written to
`build/fuzz/TARGET/`, and moves to `corpus/TARGET/` once it is mended.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

INSTRUMENTED = ["digitexp", "search_spaces", "sweeps", "zipfile", "yaml", "PIL", "numpy.lib"]
MEGABYTES = 1500
HANG_SECONDS = 20


def main() -> None:
    """Fuzz one reader, or all, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", help="default: all, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="for each")
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        missing = "Atheris is missing: on Python 3.11, pip install -e '.[fuzz]' -c constraints.txt"
        if asked.target is not None or os.environ.get("REQUIRE_TOOLS") == "1":
            sys.exit(missing)
        print(f"nothing was fuzzed. {missing}")
        return
    if asked.target is not None:
        fuzz(asked.target, asked.seconds)
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in TARGETS:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(asked.seconds)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    sys.exit(f"found something: {', '.join(failed)}" if failed else 0)


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one reader until the time is over or something is found, and exit."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import targets
    if name not in targets.TARGETS:
        sys.exit(f"received {name!r}; targets are {', '.join(targets.TARGETS)}")
    targets.guard_pickles()
    learnt = Path("build") / "fuzz" / name
    learnt.mkdir(parents=True, exist_ok=True)
    for seed in targets.TARGETS[name].seeds():
        (learnt / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    kept = targets.HERE / "corpus" / name
    options = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-timeout={HANG_SECONDS}",
        "-max_len=65536",
        "-print_final_stats=1",
        f"-artifact_prefix={learnt}/found-",
    ]
    folders = [str(learnt), *([str(kept)] if kept.is_dir() else [])]
    atheris.Setup([sys.argv[0], *options, *folders], lambda data: targets.read(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
