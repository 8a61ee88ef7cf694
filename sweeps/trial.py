"""One trial of a sweep, as Python hands it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeps.experiment_code import load_same
from sweeps.records import Record
from sweeps.report.slots import SlotRow

if TYPE_CHECKING:
    from sweeps.sweep import Sweep


@dataclass(frozen=True)
class Trial:
    """One trial of a sweep, ready to be looked at or loaded."""

    sweep: Sweep = field(repr=False)
    row: SlotRow

    @property
    def slot(self) -> int:
        """Number of the trial, from 0."""
        return self.row.slot

    @property
    def params(self) -> dict[str, Any]:
        """Its sampled parameters."""
        return dict(self.row.params)

    @property
    def metrics(self) -> dict[str, float]:
        """Its headline metrics, from the restored best weights."""
        return dict(self.row.metrics)

    @property
    def value(self) -> float | None:
        """Its objective, the first if there are several; None unless it is COMPLETE."""
        return self.row.objective

    @property
    def values(self) -> dict[str, float]:
        """What it is worth by objective metric; empty unless it is COMPLETE."""
        objectives = self.sweep.info.objectives
        found = self.row.values(objectives)
        return {one.metric: v for one, v in zip(objectives, found, strict=True)} if found else {}

    @property
    def record(self) -> Record:
        """Everything that was recorded, arrays included."""
        store = self.sweep.home.store(self.sweep.info.id)
        attempts = [r for r in store.read_all() if r.spec.slot == self.slot]
        deciding = [r for r in attempts if r.ends_slot] or attempts
        return store.read(deciding[-1].spec.key)

    @property
    def files(self) -> dict[str, bytes]:
        """What it printed (`stdout.txt`) and wrote (`output/...`) by name, if it is a script.

        Raises:
            RecordError: They are damaged.
        """
        return self.sweep.home.store(self.sweep.info.id).files(self.record)

    def load_model(self) -> Any:
        """Return the trained model with its best-epoch weights.

        Raises:
            UsageError: Its weights are not kept any more, or its experiment's code has changed.
            RecordError: They are damaged.
        """
        record = self.record
        store = self.sweep.home.store(self.sweep.info.id)
        experiment = load_same(store, self.sweep.info, record)
        weights = store.weights(record)
        return experiment.load_model(record.spec.config, weights, record.model_info)
