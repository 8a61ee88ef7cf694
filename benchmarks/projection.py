"""What a run costs in MLflow: milliseconds of CPU, ours and those of `mlflow` by hand.

A sweep at random leaves its records. Then each way writes the same trials, with their
curves, into a new SQLite file or to a server on one, in a process of its own: the projection as a
sweep uses it, with its pictures and without; `mlflow` as people call it, each epoch as it comes and
in one batch. Only what `ours` writes can be written again without doubling it.

The first trials are not counted: they import what is needed and make the experiment.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from benchmarks.markdown import kept, markdown
from benchmarks.options import names_option, whole_numbers
from benchmarks.process_tree import HERE, cpu_seconds_of, free_port, in_background, run_sweeps

UNCOUNTED: Final = 20
"""Trials of each way that come first."""
ASKED: Final = {"file": 10, "server": 25}
"""Milliseconds of CPU that a run of ours may take, with its curves: of a server on each side."""
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
    from sweeps.experiments.code import PreparedAgain
    from sweeps.experiments.loading import recorded_experiment
    from sweeps.tracking.content import SweepNote
    from sweeps.tracking.parent import AttemptFiles
    from sweeps.tracking.projection import Projection

    again = PreparedAgain(partial(recorded_experiment, source.info, source.home.sweeps_folder))
    files = AttemptFiles(source.info, source.store, again)

    def write(record: Any) -> None:
        drawn = files(record.key) if is_drawn else {}
        projection.project(source.info, record, drawn)

    with closing(Projection(uri, source.folder / "artifacts")) as projection:
        projection.start_sweep(source.info, SweepNote())
        yield write


def by_hand(source: Source, uri: str, *, by_epoch: bool) -> Iterator[Write]:
    """Call `mlflow` as its documentation does: each epoch as it comes, or all in one batch."""
    import mlflow
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(source.info.name)

    def write(record: Any) -> None:
        with mlflow.start_run(run_name=f"trial {record.trial}") as run:
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

    yield write


WAYS: Final[dict[str, tuple[str, Way]]] = {
    "ours": ("sweeps", partial(ours, is_drawn=False)),
    "ours-drawn": ("sweeps, with two pictures", partial(ours, is_drawn=True)),
    "batch": ("`mlflow`, one batch", partial(by_hand, by_epoch=False)),
    "epochs": ("`mlflow`, each epoch", partial(by_hand, by_epoch=True)),
}


def epochs_of(record: Any) -> Iterator[dict[str, float]]:
    """Yield the metrics of each epoch."""
    history = record.result.history
    for values in zip(*history.values(), strict=True):
        yield dict(zip(history, values, strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--space", default="mlp", help="(default mlp)")
    whole_numbers(parser, trials=(200, ""))
    names_option(parser, "ways", WAYS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the sweep, then let each way write its trials."""
    trials = options.trials + UNCOUNTED
    with tempfile.TemporaryDirectory(prefix="projection-") as folder:
        run_sweeps(
            "run", options.space, "--trials", str(trials), "--sampler", "random", "--no-confirm",
            "--quiet", folder=Path(folder), timeout_seconds=5 * trials + 120,
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
    port = free_port()
    command = ["mlflow", "server", "--workers", "1", "--host", HERE, "--port", str(port),
               "--backend-store-uri", database,
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    with in_background(command, folder / "server", port, **QUIET) as server:
        yield f"http://{HERE}:{port}", server


def spent(way: str, asked: tuple[Path, str, Path], uri: str, server: int | None) -> dict[str, Any]:
    """Write the trials in this process; return what each of the counted ones took."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    source = Source(*asked)
    first, counted = source.records[:UNCOUNTED], source.records[UNCOUNTED:]
    writer = WAYS[way][1](source, uri)
    write = next(iter(writer))
    for record in first:
        write(record)

    def clocks() -> tuple[float, float, float]:
        used = 0.0 if server is None else cpu_seconds_of(server)
        return time.perf_counter(), time.process_time(), used

    began = clocks()
    for record in counted:
        write(record)
    ended = clocks()
    names = ("wall_ms", "client_ms", "server_ms")
    return {
        "runs": len(counted),
        **{
            name: 1000 * (after - before) / len(counted)
            for name, before, after in zip(names, began, ended, strict=True)
        },
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown, a row a way."""
    found = {(row["way"], row["store"]): row for row in result["rows"]}
    rows = []
    for way in (name for name in WAYS if (name, "file") in found):
        file, server = found[way, "file"], found[way, "server"]
        cpu = [file["client_ms"], server["client_ms"], server["server_ms"]]
        limits = [ASKED[store] for store in ("file", "server", "server")]
        verdicts = [kept(ms <= most) for ms, most in zip(cpu, limits, strict=True)]
        asked = f"{limits[0]}: {verdicts[0]}, {limits[1]} each: {', '.join(verdicts[1:])}"
        rows.append([WAYS[way][0], *(f"{ms:.1f}" for ms in (*cpu, sum(cpu[1:]))),
                     asked if way == "ours" else ""])  # fmt: skip
    heads = ["", "SQLite file", "server: client", "server", "together",
             "asked: file; client, server"]  # fmt: skip
    said = f"milliseconds of CPU a run, means of {result['trials']} trials"
    return f"{said}\n\n{markdown(heads, rows, 'lrrrrl')}"
