"""Sources by name or path -> float32 images in [0, 1], integer labels, and splits."""

from digitexp.data.loading import known_sources, load_source
from digitexp.data.source import DataError, Source
from digitexp.data.splits import Split, split_source

__all__ = [
    "DataError",
    "Source",
    "Split",
    "known_sources",
    "load_source",
    "split_source",
]
