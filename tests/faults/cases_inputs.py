"""Cases 20, 21 and 28: data, configurations and files that must be refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import msgspec
import numpy as np

from sweeps.home import Home
from sweeps.journal.events import to_line
from sweeps.records import RecordStore
from sweeps.tracking.content import write_files
from tests.faults.lab import SPACE, Lab
from tests.sweeps.cli.test_mistakes import BAD_DATA, BAD_OPTIONS, BAD_SPACES


def bad_data(lab: Lab) -> None:
    """Every kind of bad file is refused before anything exists; the next sweep is sound."""
    file = lab.folder / "data.npz"
    for content, fragment in BAD_DATA.values():
        file.write_bytes(content)
        _refused(lab, ["run", "smoke", "--data", str(file)], fragment)
    _refused(lab, ["run", "smoke", "--data", str(_bomb(lab.folder))], "bytes declared")
    _refused(lab, ["run", "smoke", "--data", str(lab.folder / "none.npz")], "none.npz")
    _sound_afterwards(lab)


def bad_configurations(lab: Lab) -> None:
    """Every bad space and option is refused; so is a resume on changed ground, naming it."""
    space = lab.folder / "space.yaml"
    for text, fragment in BAD_SPACES.values():
        space.write_text(text)
        _refused(lab, ["run", str(space)], fragment)
    for words, fragment in BAD_OPTIONS.values():
        _refused(lab, ["run", str(SPACE), *words], _about(fragment))
    assert lab.run(3) == 0
    lab.note_recorded()
    changed = {"space": ["--set", "x=0..1"], "data": ["--data", "other"], "seed": ["--seed", "99"]}
    before = _files(lab.home)
    for what, words in changed.items():
        asked = [w for w in ("--seed", str(lab.seed)) if "--seed" not in words]
        _refused(lab, ["run", str(SPACE), *asked, *words], what, untouched=False)
        assert _files(lab.home) == before, f"{what}: the refused resume wrote something"
    lab.run(6)
    lab.check(6, undisturbed=lab.table(6))


def malicious_files(lab: Lab) -> None:
    """Pickles are never loaded, and no name leads out of a run's folder."""
    flag = lab.folder / "was-here"
    trap = np.array([_Trap(str(flag))], dtype=object)
    lab.run(2)
    _refuse_arrays(lab, _npz_with_pickle(lab.folder, trap))
    _refuse_arrays(lab, pickle.dumps(_Trap(str(flag))))
    _refuse_arrays(lab, _bomb(lab.folder).read_bytes())
    for name in ("../up.png", "/tmp/absolute.png", "a/../../b.png", "a\\..\\b.png", ""):
        try:
            write_files(lab.folder / "run", {name: b"x"})
        except ValueError:
            continue
        raise AssertionError(f"the file name {name!r} was accepted")
    assert not flag.exists(), "a pickle was loaded"
    assert not (lab.folder / "up.png").exists()
    lab.run(4)
    lab.check(4, undisturbed=lab.table(4))


def _refuse_arrays(lab: Lab, content: bytes) -> None:
    """Put bytes in the place of a trial's arrays, with their digest in its event; then undo it."""
    (info,) = Home(lab.home).sweeps()
    store, key = Home(lab.home).store(info.id), "0001-1"
    path, journal = store.details_path(key), store.journal.path
    whole, before = path.read_bytes(), journal.read_bytes()
    event = store.state().ended[key]
    forged = msgspec.structs.replace(event, details_sha256=hashlib.sha256(content).hexdigest())
    for is_forged in (False, True):  # without it the checksum alone refuses them
        path.write_bytes(content)
        if is_forged:
            journal.write_bytes(before.replace(to_line(event), to_line(forged)))
        said: list[str] = []
        record = RecordStore(store.folder).read(key, said.append)
        assert record.objective == event.objective, "they have cost the result"
        assert record.result is not None
        assert not record.result.arrays, "bytes that are no arrays were read as such"
        assert [path.name in line for line in said] == [True], said
    path.write_bytes(whole)
    journal.write_bytes(before)


class _Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> object:
        return os.mkdir, (self._path,)


def _bomb(folder: Path) -> Path:
    """Return an archive of a few megabytes that unpacks to more than a gigabyte."""
    with (
        zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("X.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(65):
            member.write(bytes(2**24))
    return folder / "bomb.npz"


def _npz_with_pickle(folder: Path, trap: np.ndarray) -> bytes:
    with (folder / "trap.npz").open("wb") as file:
        np.savez(file, **{"arrays/trap": trap})
    return (folder / "trap.npz").read_bytes()


def _refused(lab: Lab, words: list[str], fragment: str, *, untouched: bool = True) -> None:
    """Run a command that must end with 2 and one message, having created nothing."""
    home = lab.folder / "fresh" if untouched else lab.home
    code, stderr = in_process([*words, "--home", str(home)])
    assert code == 2, f"{words}: exit code {code}\n{stderr}"
    assert fragment in stderr, f"{words}: {fragment!r} is not in\n{stderr}"
    assert "Traceback" not in stderr
    assert not (untouched and home.exists()), f"{words}: something was created"


def in_process(words: list[str]) -> tuple[int, str]:
    """Run a command of `sweeps` in this process: a real one takes a second to start."""
    from typer.testing import CliRunner

    from sweeps.cli import app

    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stderr


def _about(fragment: str) -> str:
    """What a message about another space must say: names may differ, the option not."""
    return fragment if fragment != "x" else ""


def _sound_afterwards(lab: Lab) -> None:
    lab.run(4)
    lab.check(4, undisturbed=lab.table(4))


def _files(home: Path) -> dict[str, int]:
    """Return when each file of the sweeps was written; not the lock, which who looks takes."""
    files = (path for path in (home / "sweeps").rglob("*") if path.is_file())
    return {str(path): path.stat().st_mtime_ns for path in files if path.name != "lock"}
