import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numba import types

from digitexp.training.compiled import machine_code

ROOT = Path(__file__).parents[4]
SOURCES = ROOT / "digitexp" / "training" / "compiled"
SMALL = """
from digitexp.training.compiled.machine_code import inner, outer

@inner
def twice(number):
    return 2 * number

@outer
def more(number):
    return twice(number) + 1
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder of caches, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def prepare(tmp_path):
    """Prepare a small function as a process does that starts; return what it computes and says."""
    source = tmp_path / "small.py"
    source.write_text(SMALL)

    def prepare():
        spec = importlib.util.spec_from_file_location("small", source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        said = []
        machine_code.prepare("small", {module.more: (types.float64,)}, said.append)
        assert module.more(3.0) == 7.0
        return said, sum(module.more.stats.cache_hits.values())

    return prepare


COMPILED = (["compiling the training of dense nets, once on this machine"], 0)
READ = ([], 1)


def files_of(cache):
    return sorted(path for path in cache.rglob("*") if path.suffix in {".nbc", ".nbi"})


def test_it_is_compiled_once_and_then_read(cache, prepare):
    assert prepare() == COMPILED
    assert len(files_of(cache)) == 2
    assert prepare() == READ
    assert prepare() == READ


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "a byte short": lambda file: os.truncate(file, file.stat().st_size - 1),
    "garbage": lambda file: file.write_bytes(b"\x80\x04garbage" * 1000),
    "one bit": lambda file: flip(file, file.stat().st_size // 2),
    "one bit at the end": lambda file: flip(file, file.stat().st_size - 100),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"more"),
    "gone": Path.unlink,
}


def flip(file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("suffix", [".nbc", ".nbi"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(cache, prepare, damage, suffix):
    prepare()
    (file,) = (path for path in files_of(cache) if path.suffix == suffix)
    DAMAGES[damage](file)
    assert prepare() == COMPILED
    assert len(files_of(cache)) == 2
    assert prepare() == READ


def test_what_somebody_who_was_killed_has_left_is_made_anew(cache, prepare):
    prepare()
    (written,) = cache.rglob("digest")
    written.unlink()
    assert prepare() == COMPILED
    assert prepare() == READ


@pytest.mark.parametrize(("days", "is_left"), [(59, True), (61, False)])
def test_what_nobody_has_needed_for_sixty_days_is_removed(cache, prepare, days, is_left):
    prepare()
    (other,) = (cache / "digit-sweeps").glob("compiled-*")
    old = other.rename(other.with_name("compiled-small-of-another-state"))
    then = time.time() - days * 24 * 3600
    os.utime(old / "lock", (then, then))
    assert prepare() == COMPILED
    assert old.exists() == is_left


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_nobody_else_may_look_into_its_folders_whatever_the_umask(cache, prepare, umask):
    before = os.umask(umask)
    try:
        prepare()
    finally:
        os.umask(before)
    for folder in (cache / "digit-sweeps", *(cache / "digit-sweeps").iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert prepare() == READ


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o702, 0o720])
@pytest.mark.parametrize("which", ["digit-sweeps", "digit-sweeps/*"])
def test_a_folder_that_others_may_write_in_is_refused(cache, prepare, which, mode):
    prepare()
    (folder,) = cache.glob(which)
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="nobody else may write there"):
        prepare()
    folder.chmod(0o755)
    assert prepare() == READ


def test_a_folder_of_another_user_is_refused(cache, prepare, monkeypatch):
    prepare()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(PermissionError, match="belong to you"):
        prepare()


def test_where_no_folder_can_be_made_the_way_out_is_said(tmp_path, prepare, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(PermissionError, match="set XDG_CACHE_HOME to a folder of your own"):
        prepare()


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_without_a_folder_of_caches_it_is_that_of_the_user(tmp_path, monkeypatch, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert machine_code.folder("small").parent == tmp_path / ".cache" / "digit-sweeps"


def test_other_sources_have_another_folder(tmp_path, monkeypatch):
    copied = tmp_path / "training" / "compiled"
    shutil.copytree(SOURCES, copied, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCES.parents[1] / "activations.py", tmp_path)

    def digest():
        return machine_code._digest(copied)

    first = digest()
    assert digest() == first
    for file in (*sorted(copied.glob("*.py")), tmp_path / "activations.py"):
        times, text = file.stat(), file.read_text("utf-8")
        file.write_text(text.replace("\n", " \n", 1), "utf-8")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert digest() != first, file.name
        file.write_text(text, "utf-8")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert digest() == first
    os.utime(file)  # Numba compiles again for a source of another time
    assert digest() != first
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert machine_code._digest(SOURCES) != first  # and for one elsewhere
    monkeypatch.setenv("NUMBA_OPT", "1")
    assert digest() != first


def test_versions_and_processor_have_folders_of_their_own(monkeypatch):
    found = {machine_code._digest(SOURCES)}
    monkeypatch.setattr(machine_code, "version", lambda name: "1.0")
    found.add(machine_code._digest(SOURCES))
    monkeypatch.setattr(machine_code.llvmlite.binding, "get_host_cpu_name", lambda: "abacus")
    found.add(machine_code._digest(SOURCES))
    monkeypatch.setattr(machine_code, "_features", lambda: ["beads"])
    found.add(machine_code._digest(SOURCES))
    assert len(found) == 4


PROCESS = """
import json, sys
sys.stdin.readline()
from digitexp.training.compiled.net import prepare_engine
said = []
prepare_engine(say=said.append)
from digitexp.training.compiled.epoch import train_epoch
print(json.dumps([said, sum(train_epoch.stats.cache_hits.values())]))
"""


@pytest.mark.slow
def test_two_processes_at_once_compile_the_engine_once_and_write_nowhere_else(tmp_path):
    folders = {name: tmp_path / name for name in ("cache", "home", "place", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    copied = tmp_path / "sources"  # a package that nobody else writes in meanwhile
    shutil.copytree(ROOT / "digitexp", copied / "digitexp",
                    ignore=shutil.ignore_patterns("__pycache__", "digits20"))  # fmt: skip
    before = set(copied.rglob("*"))
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {
        "XDG_CACHE_HOME": str(folders["cache"]), "HOME": str(folders["home"]),
        "TMPDIR": str(folders["temporary"]), "PYTHONPATH": str(copied),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], env=environment, cwd=folders["place"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = sorted(json.loads(process.communicate()[0]) for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == [[*READ], [*COMPILED]]
    assert len(files_of(folders["cache"])) == 4
    for name in ("home", "place", "temporary"):
        assert list(folders[name].rglob("*")) == []
    assert set(copied.rglob("*")) == before
