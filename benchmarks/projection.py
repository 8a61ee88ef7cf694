"""What a run costs in MLflow: milliseconds of CPU, ours and those of what Optuna and MLflow offer.

A sweep at random leaves its records. Then each way writes the same trials, with their
curves, into a new SQLite file or to a server on one, in a process of its own: the projection as a
sweep uses it, with its pictures and without; `mlflow` as people call it, each epoch as it comes and
in one batch; Optuna's callback and MLflow's storage for studies, whose trials report each epoch.
Only what `ours` writes can be written again without doubling it.

The first trials are not counted: they import what is needed and make the experiment.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from benchmarks.process_tree import plain_environment, processes, run_tree
from benchmarks.timing import at_least_one

UNCOUNTED: Final = 20
"""Trials of each way that come first."""
ASKED: Final = {"file": 10, "server": 25}
"""Milliseconds of CPU that a run of ours may take, with its curves: of a server on each side."""
HERE: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 120
QUIET: Final = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""A server without its job runner, which has seven more processes."""

Write = Callable[[Any], object]
"""Writes the run of one record."""
Way = Callable[["Source", str], Iterator[Write]]


class Source:
    """The sweep whose trials are written: its facts, its records, and the folder of copies."""

    def __init__(self, home: Path, space: str, folder: Path) -> None:
        """Read the sweep."""
        from sweeps import load

        sweep = load(space, home)
        self.home, self.info, self.folder = sweep.home, sweep.info, folder
        self.store = self.home.store(self.info.id)
        self.records = [record for record in self.store.read_all() if record.result is not None]


def ours(source: Source, uri: str, *, is_drawn: bool) -> Iterator[Write]:
    """Write what a sweep writes: parameters, tags, curves, data and files; pictures if asked."""
    from sweeps.experiments.loading import recorded_experiment
    from sweeps.experiments.verified_data import Examiner, PreparedAgain
    from sweeps.tracking.content import SweepNote
    from sweeps.tracking.parent import AttemptFiles
    from sweeps.tracking.projection import Projection

    again = PreparedAgain(partial(recorded_experiment, source.info, source.home.records))
    files = AttemptFiles(source.info, source.store, Examiner(again, source.info.experiment))

    def write(record: Any) -> None:
        drawn = files(record.spec.key) if is_drawn else {}
        projection.project(source.info, record, drawn)

    with closing(Projection(uri, source.folder / "artifacts")) as projection:
        projection.start_sweep(source.info, SweepNote())
        yield write


def by_hand(source: Source, uri: str, *, by_epoch: bool, is_drawn: bool) -> Iterator[Write]:
    """Call `mlflow` as its documentation does: each epoch as it comes, or all in one batch."""
    import mlflow
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(source.info.name)

    def write(record: Any) -> None:
        with mlflow.start_run(run_name=f"trial {record.spec.trial}") as run:
            mlflow.log_params(record.params)
            if by_epoch:
                for epoch, values in enumerate(epochs_of(record), 1):
                    mlflow.log_metrics(values, step=epoch)
            else:
                curves = [
                    Metric(name, value, record.finished_at, epoch)
                    for epoch, values in enumerate(epochs_of(record), 1)
                    for name, value in values.items()
                ]
                mlflow.MlflowClient().log_batch(run.info.run_id, metrics=curves)
            mlflow.log_metrics(record.result.metrics)
            if is_drawn:
                draw_by_hand(source, record)

    yield write


def draw_by_hand(source: Source, record: Any) -> None:
    """Log curves and confusion matrix as the recipe of `throughput` does."""
    import mlflow
    from matplotlib import pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    from sweeps.records.confusion import best_confusion

    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(record.result.history[metric], label="training")
        axis.plot(record.result.history[f"val_{metric}"], label="validation")
        axis.set(xlabel="epoch", ylabel=metric)
        axis.legend()
    mlflow.log_figure(figure, "curves.png")
    plt.close(figure)
    counts = best_confusion(source.store.read(record.spec.key))
    display = ConfusionMatrixDisplay(counts).plot()
    mlflow.log_figure(display.figure_, "confusion_matrix.png")
    plt.close(display.figure_)


def callback(source: Source, uri: str) -> Iterator[Write]:
    """Use Optuna's `MLflowCallback`; the objective logs its epochs to the run that it opens."""
    import mlflow
    import optuna
    from optuna_integration.mlflow import MLflowCallback

    callback = MLflowCallback(uri, metric_name="objective")
    study = optuna.create_study(study_name=source.info.name)

    def write(record: Any) -> None:
        @callback.track_in_mlflow()  # type: ignore[untyped-decorator]
        def objective(trial: Any) -> float:
            for name, value in record.params.items():
                trial.suggest_float(name, value, value)
            for epoch, values in enumerate(epochs_of(record), 1):
                mlflow.log_metrics(values, step=epoch)
            return float(record.objective)

        study.optimize(objective, n_trials=1, callbacks=[callback])

    yield write


def storage(source: Source, uri: str) -> Iterator[Write]:
    """Use MLflow's own storage for studies, `MlflowStorage`; a trial reports its epochs to it."""
    import mlflow
    import optuna
    from mlflow.optuna.storage import MlflowStorage

    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(source.info.name).experiment_id
    study = optuna.create_study(storage=MlflowStorage(experiment), study_name=source.info.name)

    def write(record: Any) -> None:
        def objective(trial: Any) -> float:
            for name, value in record.params.items():
                trial.suggest_float(name, value, value)
            for epoch, values in enumerate(epochs_of(record), 1):
                trial.report(values["val_loss"], epoch)  # it takes one curve only
            return float(record.objective)

        study.optimize(objective, n_trials=1)

    yield write


WAYS: Final[dict[str, tuple[str, Way]]] = {
    "ours": ("sweeps", partial(ours, is_drawn=False)),
    "ours-drawn": ("sweeps, with two pictures", partial(ours, is_drawn=True)),
    "batch": ("`mlflow`, one batch", partial(by_hand, by_epoch=False, is_drawn=False)),
    "epochs": ("`mlflow`, each epoch", partial(by_hand, by_epoch=True, is_drawn=False)),
    "epochs-drawn": (
        "`mlflow`, each epoch, two figures",
        partial(by_hand, by_epoch=True, is_drawn=True),
    ),
    "callback": ("Optuna's `MLflowCallback`, each epoch", callback),
    "storage": ("MLflow's `MlflowStorage`, one curve", storage),
}


def epochs_of(record: Any) -> Iterator[dict[str, float]]:
    """Yield the metrics of each epoch."""
    history = record.result.history
    for values in zip(*history.values(), strict=True):
        yield dict(zip(history, values, strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--space", default="mlp", help="(default mlp)")
    parser.add_argument("--trials", type=at_least_one, default=200, help="(default 200)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=tuple(WAYS), metavar="WAY",
                        help=f"of {', '.join(WAYS)} (default all)")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the sweep, then let each way write its trials."""
    if "callback" in options.ways and find_spec("optuna_integration") is None:
        raise RuntimeError(
            "projection: optuna-integration is not installed: "
            "pip install -e '.[bench]' -c constraints.txt"
        )
    trials = options.trials + UNCOUNTED
    with tempfile.TemporaryDirectory(prefix="projection-") as folder:
        run_tree(
            [sys.executable, "-m", "sweeps", "run", options.space, "--trials", str(trials),
             "--sampler", "random", "--no-confirm", "--quiet", "--home", "home"],
            folder=Path(folder), environment=plain_environment(), timeout_seconds=5 * trials + 120,
        )  # fmt: skip
        rows = [
            measured(way, store, options.space, Path(folder))
            for store in ASKED
            for way in options.ways
        ]
    return {"trials": options.trials, "rows": rows}


def measured(way: str, store: str, space: str, folder: Path) -> dict[str, Any]:
    """Let a way write all trials; return the CPU of one, of the client and of the server."""
    own = folder / f"{way}-{store}"
    own.mkdir()
    print(f"{way}, {store}", file=sys.stderr, flush=True)
    with stored(store, own) as (uri, server), get_context("spawn").Pool(1) as pool:
        found = pool.apply(spent, (way, (folder / "home", space, own), uri, server))
    return {"way": way, "store": store, **found}


@contextmanager
def stored(store: str, folder: Path) -> Iterator[tuple[str, int | None]]:
    """Yield the address of a new store, and the process id of its server."""
    database = f"sqlite:///{folder / 'mlflow.db'}"
    if store == "file":
        yield database, None
        return
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", HERE,
               "--port", str(port), "--backend-store-uri", database,
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(command, cwd=folder, env=plain_environment() | QUIET, stdout=log,
                                 stderr=log, stdin=subprocess.DEVNULL)  # fmt: skip
    try:
        await_answer(port, child)
        yield f"http://{HERE}:{port}", child.pid
    finally:
        for one in processes(child.pid):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        child.wait()


def await_answer(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server takes connections.

    Raises:
        RuntimeError: It has ended, or does not after a while.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection((HERE, port), 1):
            return
        time.sleep(0.2)
    raise RuntimeError("projection: `mlflow server` does not answer")


def spent(way: str, asked: tuple[Path, str, Path], uri: str, server: int | None) -> dict[str, Any]:
    """Write the trials in this process; return what each of the counted ones took."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    source = Source(*asked)
    first, counted = source.records[:UNCOUNTED], source.records[UNCOUNTED:]
    writer = WAYS[way][1](source, uri)
    write = next(iter(writer))
    for record in first:
        write(record)
    began = time.perf_counter(), time.process_time(), served(server)
    for record in counted:
        write(record)
    ended = time.perf_counter(), time.process_time(), served(server)
    names = ("wall_ms", "client_ms", "server_ms")
    return {
        "runs": len(counted),
        **{
            name: 1000 * (after - before) / len(counted)
            for name, before, after in zip(names, began, ended, strict=True)
        },
    }


def served(server: int | None) -> float:
    """Return the CPU seconds of a server and its processes so far; 0 without one."""
    return 0.0 if server is None else sum(one.cpu_seconds for one in processes(server))


def table(result: dict[str, Any]) -> str:
    """Return Markdown, a row a way."""
    lines = [
        f"milliseconds of CPU a run, means of {result['trials']} trials",
        "",
        "| | SQLite file | server: client | server | together | asked: file; client, server |",
        "|---|---:|---:|---:|---:|---|",
    ]
    found = {(row["way"], row["store"]): row for row in result["rows"]}
    for way in dict.fromkeys(row["way"] for row in result["rows"]):
        file, server = found[way, "file"], found[way, "server"]
        both = server["client_ms"] + server["server_ms"]
        verdicts = [
            f"{ASKED['file']}: {_kept(file['client_ms'], 'file')}",
            f"{ASKED['server']} each: {_kept(server['client_ms'], 'server')}, "
            f"{_kept(server['server_ms'], 'server')}",
        ]
        asked = ", ".join(verdicts) if way == "ours" else ""
        lines.append(
            f"| {WAYS[way][0]} | {file['client_ms']:.1f} | {server['client_ms']:.1f} "
            f"| {server['server_ms']:.1f} | {both:.1f} | {asked} |"
        )
    return "\n".join(lines)


def _kept(milliseconds: float, store: str) -> str:
    return "kept" if milliseconds <= ASKED[store] else "missed"
