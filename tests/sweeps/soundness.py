"""What must hold of a home after any trouble: records and MLflow agree, nothing is left behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sweeps
from sweeps.manage.doctor import PARTS, examine_home, examine_sweep
from tests.sweeps import journals
from tests.sweeps.conftest import table

STATUSES = {
    "complete": "FINISHED",
    "pruned": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
_DATABASES = {f"mlflow.db{end}" for end in ("", "-wal", "-shm")}


def assert_sound(home: Path, expected: list, name: str = "toy", storage: str | None = None) -> None:
    """Assert that the sweep of that name has ended with the expected table, everywhere."""
    sweep = sweeps.load(name, home, storage)
    assert table(sweep) == expected
    records = sweep.home.store(sweep.info.id).read_all()
    for trial, asked in sweep.home.store(sweep.info.id).state().asked.items():
        assert [asked.params] == [r.params for r in records if r.trial == trial][-1:]
    wanted = {r.key: STATUSES[r.outcome] for r in records}
    assert runs(home, "trial") == wanted
    assert list(runs(home, "sweep").values()) == ["FINISHED"]
    folder = sweep.home.store(sweep.info.id).folder
    assert not (folder / "lock").read_text()
    weights = journals.weights(sweep.home.store(sweep.info.id))
    assert weights <= {record.key for record in records}
    assert strays(home) == []
    tracking = f"sqlite:///{home / 'mlflow.db'}"
    assert problems(examine_sweep(sweep.home, sweep.info, tracking)) == []
    assert problems(examine_home(sweep.home, tracking)) == []


def problems(found: list) -> list:
    """Return the problems among the findings of the doctor, without the notes."""
    return [finding for finding in found if finding[0] in PARTS]


def runs(home: Path, kind: str) -> dict[str, str]:
    """Return the status of every run by its name; two of one name are an error."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        found = database.execute(
            "SELECT COALESCE(t.value, 'sweep'), r.status FROM runs r "
            "JOIN tags k ON k.run_uuid = r.run_uuid AND k.key = 'kind' AND k.value = ? "
            "LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'trial' "
            "WHERE r.lifecycle_stage = 'active'",
            (kind,),
        ).fetchall()
    assert len({key for key, _ in found}) == len(found), f"doubled: {found}"
    return dict(found)


def strays(home: Path) -> list[str]:
    """Return what lies in a home and does not belong there."""
    known = _DATABASES | {"sweeps", "artifacts", "shared.json"}
    hidden = [str(p.relative_to(home)) for p in home.rglob(".*")]
    temporary = [str(p.relative_to(home)) for p in home.rglob("*.tmp")]
    return sorted({*hidden, *temporary, *(p.name for p in home.iterdir() if p.name not in known)})
