"""The notebook of the examples, executed as a reader would."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_sweep.ipynb"


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_cell_runs_and_a_bar_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "mlruns"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources=folder).execute()
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for output in codes[0].outputs if output.output_type == "display_data"]
    assert '<progress value="6" max="6"' in shown[0].data["text/html"]
    assert "6 of 6 trials: 6 COMPLETE" in shown[0].data["text/html"]
    errors = [o.text for cell in codes for o in cell.outputs if o.get("name") == "stderr"]
    assert errors == []
    assert (tmp_path / "mlruns" / "mlflow.db").exists()
