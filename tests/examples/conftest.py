"""Notebooks of the examples, executed as a reader would."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def read_notebook():
    """Read one by name."""
    return lambda name: nbformat.read(EXAMPLES / name, as_version=4)


@pytest.fixture(scope="session")
def execute_notebook():
    """Execute a notebook in a folder, in place; nothing may be written to stderr."""

    def execute(notebook, folder: Path, cell_seconds: float = 240) -> None:
        resources = {"metadata": {"path": str(folder)}}
        client = NotebookClient(
            notebook, timeout=cell_seconds, kernel_name="python3", resources=resources
        )
        client.execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        assert [o.text for o in outputs if o.get("name") == "stderr"] == []

    return execute
