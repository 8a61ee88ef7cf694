"""The notebooks of the examples, executed as a reader would."""

import re
from pathlib import Path

import nbformat
import pytest

import sweeps
from sweeps.errors import UsageError

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def executed(tmp_path, monkeypatch, make_home, read_notebook, execute_notebook):
    def execute(name):
        monkeypatch.setenv("SWEEPS_HOME", str(make_home("mlruns")))
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
        notebook = read_notebook(name)
        assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
        execute_notebook(notebook, tmp_path)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        return {cell.id: cell.outputs for cell in cells}, cells

    return execute


def test_the_first_sweep_runs_and_shows_a_bar(executed, tmp_path):
    _, cells = executed("first_sweep.ipynb")
    shown = [output for output in cells[0].outputs if output.output_type == "display_data"]
    assert '<progress value="6" max="6"' in shown[0].data["text/html"]
    assert "6 of 6 trials: 6 COMPLETE" in shown[0].data["text/html"]
    assert (tmp_path / "mlruns" / "mlflow.db").exists()


@pytest.mark.nightly
def test_runs_are_compared_in_tables_curves_and_mlflow_alike(executed, tmp_path):
    outputs, _ = executed("compare_runs.ipynb")
    best = dict(best_row(outputs["trials"]))["best_val_accuracy"]
    assert any("image/png" in output.get("data", {}) for output in outputs["curves"])
    assert "predicted" in outputs["confusion"][0].data["text/plain"]
    assert " leads by " in outputs["different"][0].text
    in_mlflow = dict(best_row(outputs["mlflow"]))["metrics.best_val_accuracy"]
    assert float(in_mlflow) == pytest.approx(float(best), abs=1e-6)  # as pandas rounds it
    assert (tmp_path / "smoke.html").stat().st_size > 1e6, "with plotly.js"


@pytest.mark.nightly
def test_a_network_of_ones_own_is_confirmed_in_twenty_lines(executed):
    outputs, cells = executed("own_network.ipynb")
    own = [cell for cell in cells if cell.id in {"model", "space", "confirm"}]
    lines = [line for cell in own for line in cell.source.splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith("%%writefile")]) == 20
    bar = outputs["confirm"][-1].data["text/html"]
    assert "confirming: 40 of 40 trainings" in bar
    said, table = outputs["verdict"]
    assert re.match(r"trial-\d is better than every other finalist of network", said.text)
    assert "baseline-mine" in table.data["text/html"]
    predicted, labels = re.findall(r"\[([\d ]+)\]", outputs["champion"][0].text)
    assert sum(a == b for a, b in zip(predicted, labels, strict=True)) >= 14, "7 of 10 digits"


def best_row(outputs):
    """Return names and cells of a table's first row: its text is wrapped where it is wide."""
    table = outputs[0].data["text/html"]
    names = re.findall("<th>([^<]+)</th>", table.partition("<tbody>")[0])
    return zip(names, re.findall("<td>([^<]*)</td>", table)[: len(names)], strict=True)


SPACE = """
import sweeps
from search_spaces.python_space import space
from tests.sweeps.toy_experiment import ToyExperiment

def decorated(experiment):
    return space(experiment=experiment, objective={"metric": "score", "direction": "maximize"})

@decorated("tests.sweeps.toy_experiment:experiment")
def line(trial):
    return {"x": trial.suggest_float("x", -1, 1), "epochs": 1}

sweep = sweeps.run(line, trials=2, workers=2, progress="quiet")
sweep
"""
ENQUEUE = """
sweeps.enqueue(sweep, {"x": 0.5})
sweeps.run(line, trials=3, workers=0, progress="quiet").trial(2).params
"""
HERE = """
experiment = ToyExperiment()

@decorated("__main__:experiment")
def here(trial):
    return {"x": trial.suggest_float("x", -1, 1), "epochs": 1}

sweeps.run(here, trials=1, workers=2, progress="quiet")
print(sweeps.replay("here", 0, workers=0).is_bit_equal)
sweeps.run(here, trials=2, workers=0, progress="quiet")
"""


def test_a_function_of_a_notebook_is_a_space_with_workers(tmp_path, monkeypatch, execute_notebook):
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "mlruns"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = [nbformat.v4.new_code_cell(text) for text in (SPACE, ENQUEUE, HERE)]
    execute_notebook(nbformat.v4.new_notebook(cells=cells), tmp_path)
    run, enqueued, here = ([dict(output) for output in cell.outputs] for cell in cells)
    assert "<td>2 COMPLETE</td>" in run[-1]["data"]["text/html"]
    assert run[-1]["data"]["text/plain"].startswith("<Sweep 'line': 2 COMPLETE; best observed")
    assert enqueued[-1]["data"]["text/plain"] == "{'x': 0.5}"
    with pytest.raises(UsageError, match="__main__:line: exists only in the notebook or program"):
        sweeps.enqueue("line", {"x": 0.1})
    equal, trained = here
    assert equal["text"] == "True\n"
    assert "<td>2 COMPLETE</td>" in trained["data"]["text/html"]
