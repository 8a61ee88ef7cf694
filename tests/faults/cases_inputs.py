"""Cases 20, 21 and 28: data, configurations and files that must be refused."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np

from sweeps.records.format import FormatError, decode, pack_arrays, seal
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
    (path,) = lab.home.glob("records/*/0001-1.record")
    whole = path.read_bytes()
    _refuse_bytes(seal(_npz_with_pickle(lab.folder, trap)))
    _refuse_bytes(pickle.dumps(_Trap(str(flag))))
    _refuse_bytes(seal(pack_arrays({"other": np.zeros(1)})))
    assert path.read_bytes() == whole
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
        np.savez(file, **{"record.json": trap})
    return (folder / "trap.npz").read_bytes()


def _refuse_bytes(data: bytes) -> None:
    try:
        decode(data)
    except (FormatError, ValueError, KeyError):
        return
    raise AssertionError("bytes that are no record were read as one")


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


def _files(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns
            for p in folder.rglob("*.record")}  # fmt: skip
