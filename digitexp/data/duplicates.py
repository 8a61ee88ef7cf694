"""Exact duplicates: an image seen in training must not be asked again in validation or test."""

from __future__ import annotations

import hashlib

import numpy as np

from digitexp.data.source import Images


def fingerprint_images(images: Images) -> list[bytes]:
    """Return 16 bytes per image, equal exactly for equal images of one shape."""
    rows = np.ascontiguousarray(images)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def find_shared(first: list[bytes], second: list[bytes]) -> list[tuple[int, int]]:
    """Return (index in `first`, index in `second`) of each image of `second` that is in `first`."""
    known: dict[bytes, int] = {}
    for index, key in enumerate(first):
        known.setdefault(key, index)
    return [(known[key], index) for index, key in enumerate(second) if key in known]
