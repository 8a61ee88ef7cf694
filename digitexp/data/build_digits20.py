"""Make `digits20.npz` again from MNIST: `python -m digitexp.data.build_digits20 mnist`.

The arrays are the same, bit for bit.

Rule: from MNIST's training files and from its t10k files, the first 500 images of each class in
file order (no random numbers, so no library version can change it), each cut to the box of its ink
and centred in 20x20 with the smaller margin above and left. No MNIST digit has a larger box, so no
ink is lost. This is how the NIST digits were normalised before they were centred in 28x28.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from digitexp.data.files import read_npz_arrays
from digitexp.data.loading import PATH, find_source, verify_arrays
from digitexp.data.source import Array, DataError, Found

SHAPE = (20, 20)
PER_CLASS = 500


def build_arrays(mnist: Found) -> dict[str, Array]:
    """Build the four arrays of digits20 from MNIST.

    Raises:
        DataError: There is no test set, or the arrays are not those pinned.
    """
    if mnist.test is None:
        raise DataError.about(mnist.where, found="no t10k files", expected="all of MNIST")
    arrays: dict[str, Array] = {}
    for prefix, pair in (("train", mnist.train), ("test", mnist.test)):
        chosen = choose_first(pair.labels)
        framed = [cut_and_centre(pair.images[i], SHAPE) for i in chosen]
        arrays |= {f"{prefix}_images": np.stack(framed), f"{prefix}_labels": pair.labels[chosen]}
    verify_arrays(arrays, "built arrays")
    return arrays


def choose_first(labels: Array) -> Array:
    """Return the indices of the first `PER_CLASS` images of each class, in file order."""
    firsts = [np.flatnonzero(labels == number)[:PER_CLASS] for number in range(10)]
    return np.sort(np.concatenate(firsts))


def cut_and_centre(image: Array, shape: tuple[int, int]) -> Array:
    """Cut (h, w) pixels to the box of their ink and centre it, smaller margins above and left.

    Args:
        image: 0 is paper; any dtype.
        shape: Height and width of the result; of a larger box the middle is kept.

    Returns:
        An image of that shape and the same dtype; all paper if there is no ink.
    """
    framed = np.zeros(shape, image.dtype)
    box = cut(image)
    for axis, side in enumerate(shape):
        over = max(box.shape[axis] - side, 0)
        box = np.take(box, range(over // 2, box.shape[axis] - (over - over // 2)), axis)
    top, left = (shape[0] - box.shape[0]) // 2, (shape[1] - box.shape[1]) // 2
    framed[top : top + box.shape[0], left : left + box.shape[1]] = box
    return framed


def cut(image: Array) -> Array:
    """Return the box of the ink of (h, w) pixels; (0, 0) if there is none."""
    is_ink = image > 0
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    if not len(rows):
        return image[:0, :0]
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def main(arguments: list[str] | None = None) -> int:
    """Build the file, or with `--check` compare it with the one there is."""
    parser = argparse.ArgumentParser(prog="python -m digitexp.data.build_digits20")
    parser.add_argument("source", help="folder with MNIST's four files; or mnist, by Keras")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--output", type=Path, default=PATH, help="default: the embedded file")
    options = parser.parse_args(arguments)
    try:
        arrays = build_arrays(find_source(options.source))
        if options.check:
            verify_arrays(read_npz_arrays(options.output), str(options.output))
        else:
            np.savez_compressed(options.output, allow_pickle=False, **arrays)
    except (DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    done = "equals the arrays made anew" if options.check else "written"
    print(f"{options.output}: {done}, {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
