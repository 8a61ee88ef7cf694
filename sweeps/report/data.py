"""Everything a report or a comparison is made from, read once: records, and samples to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweeps.abilities import Samples
from sweeps.experiment import PreparedData
from sweeps.records import Conclusions, Ending, Record, RecordStore, SweepInfo, Telling, ranked
from sweeps.report.slots import SlotRow, slot_rows
from sweeps.report.summary import Summary, summarize
from sweeps.report.table import parameter_names


@dataclass(frozen=True)
class LoadedSamples:
    """The validation samples that trials of a sweep were scored on, as people see them.

    Attributes:
        source: The experiment.
        data: What it prepared; the same as the sweep's, by digest.
        labels: (n,) class of each.
    """

    source: Samples
    data: PreparedData = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def picture(self, index: int) -> bytes:
        """Return one sample as a PNG."""
        return self.source.picture(self.data, index)


@dataclass(frozen=True)
class SweepData:
    """One sweep, as it is recorded now.

    Attributes:
        info: What is fixed.
        store: Its records.
        records: All of them, without arrays.
        asked: Number of trials asked for.
        ending: How its last start ended; None of one that goes on, or was killed.
        samples: What it was scored on; None where that cannot be had.
    """

    info: SweepInfo
    store: RecordStore = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)
    asked: int
    ending: Ending | None
    samples: LoadedSamples | None = None

    @classmethod
    def read(
        cls, info: SweepInfo, store: RecordStore, samples: LoadedSamples | None = None
    ) -> SweepData:
        """Read what is recorded; a sweep that runs may have more a moment later."""
        records = tuple(store.read_all())
        return cls(info, store, records, store.asked() or 0, store.ending(), samples)

    @cached_property
    def rows(self) -> list[SlotRow]:
        """One row a slot."""
        return slot_rows(self.records)

    @cached_property
    def summary(self) -> Summary:
        """Counts, best, baselines, failures."""
        ending = self.ending
        return summarize(
            self.info,
            self.records,
            asked=self.asked,
            seconds=ending.seconds if ending else 0.0,
            stopped_by=ending.stopped_by if ending else None,
            failure_cause=ending.failure_cause if ending else None,
            time_split=ending.time_split if ending else None,
        )

    @cached_property
    def tellings(self) -> list[Telling]:
        """What finalising and readings of the test part said of it."""
        return Conclusions(self.store.folder).tellings()

    @cached_property
    def finals(self) -> Mapping[int, Record]:
        """The attempt that decided each slot, by slot; slots without an outcome are left out."""
        return {r.spec.slot: r for r in self.records if r.ends_slot}

    @cached_property
    def ranking(self) -> list[SlotRow]:
        """COMPLETE rows, the best first."""
        by_slot = {row.slot: row for row in self.rows}
        return [by_slot[r.spec.slot] for r in ranked(self.records, self.info.direction)]

    @cached_property
    def varied(self) -> list[str]:
        """Parameters that differ between trials, in the order of the space."""
        names = parameter_names(self.rows)
        return [n for n in names if len({repr(row.params.get(n)) for row in self.rows}) > 1]

    @property
    def is_higher_better(self) -> bool:
        """Whether the objective is maximised."""
        return self.info.direction == "maximize"

    def full(self, slot: int) -> Record:
        """Return the deciding attempt of a slot with its arrays."""
        return self.store.read(self.finals[slot].spec.key)


def logits(record: Record) -> NDArray[np.float32] | None:
    """Return (n_validation, classes) logits of the best epoch, None if the record has none."""
    return record.result.arrays.get("validation_logits") if record.result else None
