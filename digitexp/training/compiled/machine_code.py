"""How the engine's functions become machine code, and where that is kept.

Numba's files hold pickles and machine code, and Numba does not see that a function which they call
was edited. So they lie in a folder of the user's own, never in a home, an archive or the package,
under a digest of all that decides them: sources, versions, processor. Beside them stands a digest
of the files: damaged ones are never run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import llvmlite.binding
import numba

PACKAGES: Final = ("numba", "llvmlite", "numpy", "scipy")
"""Their versions decide the machine code, and the products."""
UNUSED_SECONDS: Final = 60 * 24 * 3600.0
"""Machine code that nobody has needed for so long is removed when other one is made."""
FAST: Final = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""What may be rearranged. A number may still be NaN or infinite: divergence is found by testing."""

_WITHIN: Final[dict[str, Any]] = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""Functions that only compiled code calls need no entries, which would take time to compile."""
Compiles = Callable[[Callable[..., Any]], Callable[..., Any]]

inner: Final[Compiles] = numba.njit(fastmath=FAST, **_WITHIN)
"""Compiles a function that others of the engine call; its machine code is a part of theirs."""
careful: Final[Compiles] = numba.njit(fastmath=FAST - {"reassoc"}, **_WITHIN)
"""The same for one whose sums are computed in the order in which they stand."""
outer: Final[Compiles] = numba.njit(fastmath=FAST, error_model="numpy")
"""Compiles a function that Python calls; `prepare` keeps its machine code."""


def prepare(name: str, functions: dict[Any, tuple[Any, ...]], say: Callable[[str], None]) -> None:
    """Read the machine code of functions, or make it once a machine, which takes fifteen seconds.

    Two processes that need it at once make it once.

    Args:
        name: Of these functions with these types, in the name of their folder.
        functions: The types of the arguments of each.
        say: Receives a line if it has to be made.

    Raises:
        PermissionError: The folder is not the user's own, or cannot be made.
    """
    place = folder(name)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(lock.fileno())
        written = place / "digest"
        is_whole = written.exists() and written.read_text("ascii") == _digest_of_files(place)
        if not is_whole:  # nothing is there, or somebody was killed here, or files are damaged
            for path in place.glob("*/"):
                shutil.rmtree(path)
            say("compiling the training of dense nets, once on this machine")
        with _kept_in(place):
            for function, types in functions.items():
                function.enable_caching()
                function.disable_compile(False)
                function.compile(types)
                function.disable_compile()  # other types are a mistake, or are converted to these
        if not is_whole:
            written.write_text(_digest_of_files(place), "ascii")
            _remove_unused(place.parent)


def _remove_unused(own: Path) -> None:
    """Remove the machine code of other states of the engine that nobody has needed for long."""
    for lock in own.glob("compiled-*/lock"):
        if time.time() - lock.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(lock.parent, ignore_errors=True)


def folder(name: str) -> Path:
    """Return the folder of this machine code, made if it is not there.

    Raises:
        PermissionError: It belongs to another user, others may write there, or it cannot be made.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # then it is to be ignored, says the specification of XDG
        base = Path.home() / ".cache"
    own = base / "digit-sweeps"
    found = own / f"compiled-{name}-{_digest(Path(__file__).parent)}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        for path in (own, found):  # each by itself: what `parents` makes, others may write in
            path.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise PermissionError(
            f"{found}, where machine code is kept, cannot be made ({error.strerror}): set "
            "XDG_CACHE_HOME to a folder of your own"
        ) from error
    for path in (own, found):
        about = path.stat()
        if about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                f"{path} is to belong to you, and nobody else may write there, for programs are "
                "run from it: delete it, or set XDG_CACHE_HOME to a folder of your own"
            )
    return found


def _digest(sources: Path) -> str:
    """Return a digest of all that decides the machine code of the sources in this package.

    Numba compiles again for a source elsewhere, or of another time. So both are part of it.
    """
    files = [*sorted(sources.glob("*.py")), sources.parents[1] / "activations.py"]
    found = {
        "files": [(str(one), one.stat().st_mtime_ns) for one in files],
        "packages": [f"{name} {version(name)}" for name in PACKAGES],
        "processor": [llvmlite.binding.get_host_cpu_name(), sorted(_features())],
        "python": sys.version,
        "settings": {name: os.environ[name] for name in os.environ if name.startswith("NUMBA_")},
    }
    text = b"\0".join([*(one.read_bytes() for one in files), repr(found).encode()])
    return hashlib.sha256(text).hexdigest()[:16]


def _digest_of_files(place: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(place.glob("*/*")):
        found.update(f"{path.name} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _features() -> list[str]:
    return [name for name, has in llvmlite.binding.get_host_cpu_features().items() if has]


@contextmanager
def _kept_in(place: Path) -> Iterator[None]:
    """Have Numba keep there what is compiled inside."""
    settings: Any = numba.config
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(place)
    try:
        yield
    finally:
        settings.CACHE_DIR = before
