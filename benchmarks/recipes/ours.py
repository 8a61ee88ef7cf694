"""Notes the trials of a finished sweep of ours as the peers note theirs.

`sweeps run` is the recipe. Run afterwards in its folder, this reads the runs in MLflow: a trial
counts as finished when the last of its files lies there, not when its training ended.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

from benchmarks.recipes.command import note_trial
from sweeps import load

HOME = "home"
SWEEP = "digits"


def main() -> None:
    """Read the sweep in the working folder."""
    from mlflow.entities import ViewType
    from mlflow.tracking import MlflowClient

    sweep = load(SWEEP, HOME)
    client = MlflowClient(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments(ViewType.ALL)]
    logged = {
        run.data.tags["trial"]: _last_file(Path(unquote(urlparse(run.info.artifact_uri).path)))
        for run in client.search_runs(experiments, max_results=10_000)
        if run.data.tags.get("sweep_id") == sweep.info.id and "trial" in run.data.tags
    }
    store = sweep.home.store(sweep.info.id)
    for record in store.read_all():
        if record.result is None:
            raise SystemExit(f"trial {record.key} failed: {record.error}")
        history = record.result.history
        note_trial(
            record.params,
            len(history["loss"]),
            max(history["val_accuracy"]),
            max(record.finished_at / 1000, logged[record.key]),
            -record.result.metrics["best_val_cross_entropy"],
        )


def _last_file(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
