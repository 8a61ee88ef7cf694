"""Execute a notebook in place: its outputs are then those of its cells, without any timing.

.venv/bin/python examples/execute_notebook.py examples/handwritten_digits.ipynb
"""

# nbformat has no types.
# mypy: allow-untyped-calls

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path: Path) -> None:
    """Run all cells in an empty folder and write their outputs; nothing if one fails."""
    notebook = nbformat.read(path, as_version=4)
    about = dict(notebook.metadata)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, record_timing=False, resources=resources).execute()
    notebook.metadata = nbformat.from_dict(about)  # not which Python it was
    nbformat.write(notebook, path)


if __name__ == "__main__":
    execute(Path(sys.argv[1]))
