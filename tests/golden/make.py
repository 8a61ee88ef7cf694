"""Makes a golden home: sweeps as the code of one commit wrote them, for later ones to take over.

    git worktree add /tmp/a482ec2f a482ec2f
    PYTHONPATH=/tmp/a482ec2f python tests/golden/make.py a482ec2f bowls slopes

writes `home-a482ec2f.tar.xz` and `home-a482ec2f.json` beside this file. Those of b7e3d90 (format 1)
and b6b2012 were made likewise, of the recipes `digits bowls`; none is ever made again. It needs the
right to make `/golden`, a neutral place that is named in what sweeps keep; the host's name is made
neutral as well. The archive holds `home/` (what `--home` names) and `spaces/` (space files and the
experiments beside them, as they were). Left out, since it would be 30 MB instead of 2: what is
drawn for people (pictures, reports, the champion's `interactive/` pages, nearly all of it
plotly.js) and the scores of the test-set evaluation (as if that had been killed before it kept
them: the same command makes them again, for the same evaluation).

The JSON holds what is to be found in it: numbers of every trial, and the trials with which the same
code went on afterwards, in a copy that nobody kept.

`trials.json` belongs to no home; `trials.py` makes it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = Path("/golden")
HOME, SPACES, USER, VENV = ROOT / "home", ROOT / "spaces", ROOT / "user", ROOT / "venv"
COMMAND = """
import socket, sys
socket.gethostname = lambda: "golden-host"
from sweeps.__main__ import main
sys.argv[0] = "sweeps"
main()
"""
DRAWN = {".png", ".webp", ".html"}
CONTINUED = {"digits": 11, "bowl": 15, "trade": 11, "slope": 10}
"""How many trials each sweep has in the end, the home's own included."""

RUN_DIGITS = ("run", "digits.yaml", "--seed", "4", "--workers", "1", "--trial-timeout", "10",
              "--retries", "timeout=0", "--no-confirm")  # fmt: skip
RUN_BOWL = ("run", "bowl.yaml", "--workers", "0")
RUN_WIDER = ("run", "bowl-wider.yaml", "--name", "bowl", "--workers", "0", "--retries", "error=1")
RUN_TRADE = ("run", "trade.yaml", "--workers", "0")
RUN_SLOPE = ("run", "slope.yaml", "--workers", "0", "--no-confirm")
GOES_ON = {"digits": RUN_DIGITS, "bowl": RUN_WIDER, "trade": RUN_TRADE, "slope": RUN_SLOPE}
CONFIRMS = {
    "digits": ("confirm", "digits", "--test", "--workers", "1", "--json"),
    "slopes": ("confirm", "slope", "--top", "2", "--folds", "8", "--workers", "0", "--json"),
}  # fmt: skip


def main(label: str, *recipes: str) -> None:
    """Make the home, pack it, let its sweeps go on, and write down what is to be found."""
    shutil.rmtree(ROOT, ignore_errors=True)
    shutil.copytree(HERE / "spaces", SPACES, ignore=shutil.ignore_patterns("__pycache__"))
    USER.mkdir()
    _make_environment()
    _make_repository()
    for recipe in recipes:
        RECIPES[recipe]()
    sweeps("doctor")
    expected: dict[str, Any] = {"made_by": _commit(), "sweeps": _trials()}
    expected["notes"] = {name: sweeps("note", name) for name in expected["sweeps"]}
    if "digits" in recipes:
        expected["replayed"] = json.loads(sweeps("replay", "digits", "0", "--restore", "--json"))
    confirmed = next(CONFIRMS[recipe] for recipe in recipes if recipe in CONFIRMS)
    expected["confirmed"] = json.loads(sweeps(*confirmed))
    _pack(HERE / f"home-{label}.tar.xz")
    for name in GOES_ON.keys() & expected["sweeps"].keys():
        sweeps(*GOES_ON[name], "--trials", str(CONTINUED[name]), code=None)
    expected["continued"] = {n: rows for n, rows in _trials().items() if n in CONTINUED}
    text = json.dumps(expected, indent=1) + "\n"
    (HERE / f"home-{label}.json").write_text(text, encoding="utf-8")
    shutil.rmtree(ROOT)


def _make_digits() -> None:
    """A digits sweep with every kind of trial, one enqueued, noted upon, confirmed and tested."""
    sweeps(*RUN_DIGITS, "--trials", "7")
    point = ("learning_rate=0.02", "batch_size=128", "net=wide", "epochs=6")
    sweeps("enqueue", "digits", *point)
    sweeps(*RUN_DIGITS, "--trials", "8")
    sweeps("note", "digits", "0", "the one to beat")
    sweeps("note", "digits", "made to be opened by later versions")
    confirm = ("confirm", "digits", "--top", "2", "--folds", "8", "--workers", "1")
    sweeps(*confirm, "--test")


def _make_bowls() -> None:
    """Sweeps of an experiment of one's own: extended, with a trial run again; two objectives."""
    sweeps(*RUN_BOWL, "--trials", "6")
    sweeps(*RUN_WIDER, "--extend", "--trials", "10")
    sweeps("enqueue", "bowl", "x=0.25", "depth=1", "y_1=0.5", "kind=square", "behaviour=good")
    sweeps(*RUN_WIDER, "--trials", "11")
    sweeps("note", "bowl", "1", "deeper than it looks")
    sweeps("retry", "bowl", "6", "--workers", "0", code=1)  # it fails again
    sweeps(*RUN_TRADE, "--trials", "8")


def _make_slopes() -> None:
    """Sweeps of a script: one confirmed twice, one that knows results found elsewhere, archived."""
    sweeps(*RUN_SLOPE, "--trials", "6")
    sweeps("enqueue", "slope", "rate=0.3", "kind=far", "start=2.0")
    sweeps("enqueue", "slope", "rate=0.31", "kind=near")
    sweeps(*RUN_SLOPE, "--trials", "7")
    sweeps("enqueue", "slope", "rate=0.32", "kind=near")
    sweeps("note", "slope", "down it goes")
    sweeps("confirm", "slope", "--top", "1", "--folds", "8", "--workers", "0")
    sweeps(*CONFIRMS["slopes"])
    sweeps("import", "found.csv", "--space", "slope.yaml", "--name", "taught")
    sweeps(*RUN_SLOPE, "--name", "taught", "--trials", "3")
    sweeps("archive", "taught")


RECIPES = {"digits": _make_digits, "bowls": _make_bowls, "slopes": _make_slopes}


def sweeps(*arguments: str, code: int | None = 0) -> str:
    """Run a command of sweeps in the home; return what it printed.

    Args:
        arguments: Its words.
        code: The exit code that it is to have; None: any.
    """
    print("sweeps", *arguments, flush=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(USER),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT / "code"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SWEEPS_HOME": str(HOME),
    }
    ended = subprocess.run(
        [VENV / "bin" / "python", "-c", COMMAND, *arguments],
        cwd=SPACES, env=environment, text=True, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if code is not None and ended.returncode != code:
        sys.exit(f"sweeps {' '.join(arguments)}: exit code {ended.returncode}\n{ended.stdout}")
    return ended.stdout


def _make_environment() -> None:
    """Have the code and this Python by neutral paths: they stand in tracebacks of failed trials."""
    (ROOT / "code").symlink_to(os.environ["PYTHONPATH"])
    (ROOT / "python").symlink_to(sys.base_prefix)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (VENV / "bin").mkdir(parents=True)
    (VENV / "bin" / "python").symlink_to(ROOT / "python" / "bin" / python)
    (VENV / "pyvenv.cfg").write_text(f"home = {ROOT}/python/bin\n", encoding="utf-8")
    (VENV / "lib").symlink_to(Path(sys.prefix) / "lib")


def _make_repository() -> None:
    """Records keep the commit of the working directory, and what is not committed there."""
    readme = SPACES / "README.md"
    readme.write_text("Spaces\n", encoding="utf-8")
    who = {f"GIT_{role}_{what}": value
           for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "Golden"), ("EMAIL", "golden@example.org"),
                               ("DATE", "2026-01-01T00:00:00+0000"))}  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "HOME": str(USER), **who}
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Spaces"]):
        subprocess.run(["git", *command], cwd=SPACES, env=environment, check=True)
    readme.write_text("Spaces, not committed\n", encoding="utf-8")


def _commit() -> str:
    command = ["git", "-C", os.environ["PYTHONPATH"], "rev-parse", "HEAD"]
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip()


def _trials() -> dict[str, list[dict[str, Any]]]:
    """Return what later versions are to find of every trial of every sweep."""
    script = (
        "import json, sweeps\n"
        "from sweeps.home import Home\n"
        "told = 'state reason attempts origin seed params metrics objective epochs'.split()\n"
        "print(json.dumps({i.name: [{'trial': r.trial, **{n: getattr(r, n) for n in told}}\n"
        "                           for r in sweeps.load(i.name).rows()]\n"
        "                  for i in Home.resolve().sweeps()}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "code"), "SWEEPS_HOME": str(HOME)}
    command = [VENV / "bin" / "python", "-c", script]
    told = subprocess.run(
        command, cwd=SPACES, env=environment, text=True, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, list[dict[str, Any]]] = json.loads(told.stdout)
    return found


def _pack(archive: Path) -> None:
    for database in HOME.glob("*.db"):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for path in sorted([*HOME.rglob("*"), *SPACES.rglob("*")]):
            if not path.is_file() or _is_left_out(path.relative_to(ROOT)):
                continue
            content = path.read_bytes()
            _refuse_leaks(path, content)
            member = tarfile.TarInfo(str(path.relative_to(ROOT)))
            member.size, member.mode = len(content), 0o644
            packed.addfile(member, io.BytesIO(content))
    print(f"{archive}: {archive.stat().st_size / 1e6:.2f} MB")


def _is_left_out(path: Path) -> bool:
    is_drawn = path.is_relative_to("home/artifacts") and path.suffix in DRAWN
    is_scores = path.is_relative_to("home/test") and path.suffix == ".npz"
    return is_drawn or is_scores or ".git" in path.parts


def _refuse_leaks(path: Path, content: bytes) -> None:
    """End if a file, or a member of it, names this machine or a place on it."""
    own = [os.environ["PYTHONPATH"], sys.prefix, str(Path.home()), str(HERE.parents[1])]
    parts = [content]
    if zipfile.is_zipfile(io.BytesIO(content)):  # a record, after its header, or weights
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            parts += [members.read(name) for name in members.namelist()]
    for part in parts:
        if found := [text for text in own if text.encode() in part]:
            sys.exit(f"{path} names {found}")
        if f'"{socket.gethostname()}"'.encode() in part:
            sys.exit(f"{path} names this host")


if __name__ == "__main__":
    main(*sys.argv[1:])
