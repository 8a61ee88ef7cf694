"""Make `outside.npz` again: 200 MNIST digits that are in no split of digits20.

Rule: from MNIST's t10k files, images number 500 to 519 of each class in file order (digits20 has
the first 500), unchanged, in file order:
`python -m tests.digitexp.apps.explorer.build_outside PLACE`, a folder or the npm package's `.tgz`.
"""

import io
import sys
from pathlib import Path

import numpy as np

from digitexp.data.build_digits20 import PER_CLASS, read_files
from digitexp.data.files import FILES, read_idx_stream

FILE = Path(__file__).parent / "outside.npz"
MORE = 20


def outside_arrays(place: Path) -> dict[str, np.ndarray]:
    files = read_files(place)
    images, labels = (read_idx_stream(io.BytesIO(files[name]), name) for name in FILES["t10k"])
    chosen = np.sort(
        np.concatenate(
            [np.flatnonzero(labels == digit)[PER_CLASS : PER_CLASS + MORE] for digit in range(10)]
        )
    )
    return {"images": images[chosen], "labels": labels[chosen]}


if __name__ == "__main__":
    np.savez_compressed(FILE, **outside_arrays(Path(sys.argv[1])))
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
