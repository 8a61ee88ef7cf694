"""Every reply of a real server lost in turn, after it has done what it was asked to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeps.tracking.champion import ChampionModel
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import Projector
from tests.faults.mlflow_server import MlflowServer
from tests.faults.mlflow_state import State, mlflow_state, replaced
from tests.faults.proxy import Proxy
from tests.sweeps.factories import DATA, make_info, make_record

RECORDS = [make_record(0, epochs=2), make_record(1, outcome="failed")]


@dataclass
class Bench:
    """Projects the same short sweep again and again, each time as another one."""

    server: MlflowServer
    proxy: Proxy
    artifacts: Path
    sweeps: int = 0

    def project(self) -> State:
        """Project it; return what MLflow holds of it, whatever its number."""
        self.sweeps += 1
        # An experiment of its own as well: the reply to its creation may be lost.
        digest = f"{self.sweeps:08x}"
        info = make_info(id=f"20250101-{digest}", data=DATA | {"digest": digest})
        projection = Projection(self.proxy.address, self.artifacts)
        projector = Projector(projection, info, pause_seconds=0.001)
        projector.start()
        for record in RECORDS:
            projector.put(record, lambda: {"loss_curves.png": b"png"})
        best, files = RECORDS[0], {"trials.csv": b"trial\n0\n"}
        champion = ChampionModel("0000-1", "ab" * 32, 0.5, lambda: {"MLmodel": b"flavors: {}\n"})

        def finish(runs: Projection) -> None:
            runs.finish_sweep(
                info, "FINISHED", {"failed": "1"}, "done", best=best, files=files, finished_at=9
            )
            runs.register(info, champion)

        projector.finish(finish)
        report = projector.close(60)
        assert report.pending == [], report.error
        return replaced(mlflow_state(self.server.address, info.id), {digest: "<data>"})


@pytest.fixture(scope="module")
def bench(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Proxy(mlflow_server.port) as proxy:
        made = Bench(mlflow_server, proxy, tmp_path_factory.mktemp("artifacts"))
        made.project()  # the experiment that has the plain name: all others get a suffix
        yield made


def lose_replies(bench: Bench, choose: Callable[[list[str]], list[int]]) -> None:
    """Lose one reply a sweep; `choose` says which, from what is asked in an undisturbed one."""
    bench.proxy.replies.clear()
    undisturbed = bench.project()
    assert [run["status"] for run in undisturbed["runs"]] == ["FINISHED", "FINISHED", "FAILED"]
    assert (undisturbed["deleted"], undisturbed["versions"]) == (0, 1)
    assert [model["aliases"] for model in undisturbed["models"]] == [{"champion": 1}]
    asked = list(bench.proxy.replies)
    for number in choose(asked):
        bench.proxy.lose_reply(number + 1)
        assert bench.project() == undisturbed, f"lost: reply {number} to {asked[number]}"
        assert bench.proxy.has_lost


@pytest.mark.nightly
def test_the_reply_to_each_kind_of_write_is_lost_without_a_trace(bench: Bench) -> None:
    def first_of_each_kind(asked: list[str]) -> list[int]:
        kinds = [re.sub(r" HTTP.*|\?.*|/\d+/.*", "", request) for request in asked]
        writes = [k for k in dict.fromkeys(kinds) if not k.startswith("GET") and "search" not in k]
        child = max(n for n, kind in enumerate(kinds) if kind.endswith("runs/create"))
        return [*(kinds.index(kind) for kind in writes), child]

    lose_replies(bench, first_of_each_kind)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_every_reply_is_lost_without_a_trace(bench: Bench) -> None:
    lose_replies(bench, lambda asked: list(range(len(asked))))
