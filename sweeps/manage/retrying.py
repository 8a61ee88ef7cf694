"""`sweeps retry`: failed trials of a sweep are run again, once their cause is mended.

The sweep goes on as its records describe it, so that no option that decides its trials has to be
repeated; what runs them (workers, data, retries) is asked for anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.errors import SpaceError
from search_spaces.space import Space
from sweeps.config.options import RunOptions
from sweeps.config.sweep import SweepConfig, resolve
from sweeps.errors import UsageError
from sweeps.experiments.loading import experiment_folder
from sweeps.home import Home
from sweeps.launch import RunResult, run_config
from sweeps.progress import Mode
from sweeps.records import Record, SweepInfo, is_same_data, trials_to_retry
from sweeps.wording import counted, first_line


@dataclass(frozen=True)
class Retried:
    """Trials that were run again.

    Attributes:
        result: How the sweep stands.
        trials: Which.
        failed: The records of those that failed again.
    """

    result: RunResult
    trials: Sequence[int]
    failed: Sequence[Record]

    @property
    def failure(self) -> str | None:
        """Return, in one line, which failed again; None if none did."""
        if not self.failed:
            return None
        numbers = ", ".join(str(record.spec.slot) for record in self.failed)
        some = f"{len(self.failed)} of {counted(len(self.trials), 'trial')} failed again"
        return f"{some} ({numbers}): {first_line(self.failed[0].error or '')}"


def retry(
    home: Home,
    info: SweepInfo,
    trials: Sequence[int],
    asked: RunOptions,
    *,
    progress: Mode,
) -> Retried:
    """Run failed trials again, each as its next attempt, with the same parameters and seed.

    From the one write that marks them they have no outcome: if this is killed, the same call or
    the next start of the sweep goes on with them.

    Args:
        home: Where the sweep lies.
        info: The sweep.
        trials: Their numbers; empty for all that failed.
        asked: What runs them; all that decides a sweep's trials is taken from its records.
        progress: Who is told what happens.

    Raises:
        UsageError: A trial did not fail, the sweep runs, or its data are others; nothing changed.
    """
    store = home.store(info.id)
    records = store.read_all()
    waiting = store.retries.waiting(records)
    marked = [r.spec.slot for r in trials_to_retry(info.name, records, waiting, trials)]
    again = sorted({*marked, *(slot for slot in waiting if not trials or slot in trials)})
    config = _as_recorded(home, info, asked, tuple(trials))

    def failed() -> list[Record]:
        final = {record.spec.slot: record for record in store.read_all() if record.ends_slot}
        return [final[slot] for slot in again if slot in final and final[slot].outcome == "failed"]

    result = run_config(config, asked, progress=progress, has_failed=lambda summary: bool(failed()))
    return Retried(result, again, failed())


def _as_recorded(
    home: Home, info: SweepInfo, asked: RunOptions, trials: tuple[int, ...]
) -> SweepConfig:
    """Return the sweep as its records describe it.

    Raises:
        UsageError: Its space or its data are no longer what they were.
    """
    directory = experiment_folder(info, home.records)
    fixed = info.fingerprint
    options = dataclasses.replace(
        asked,
        name=info.name,
        seed=fixed["seed"],
        sampler=fixed["sampler"]["name"],
        sampler_options=fixed["sampler"]["options"],
        pruner=fixed["pruner"]["name"],
        pruner_options=fixed["pruner"]["options"],
        ask_ahead=fixed["ask_ahead"],
        order=fixed["order"],
        home=home.path,
        storage=home.storage,
    )
    try:
        space = Space.from_dict(info.space, directory=directory)
    except SpaceError as error:
        raise UsageError(f"sweep {info.name!r}: {error}") from error
    config = resolve(options, space)
    if not is_same_data(config.data, {"digest": fixed["data"], "split_digest": fixed["split"]}):
        raise UsageError(
            f"sweep {info.name!r} was made on other data ({info.data.get('name')}) than "
            f"{config.data.name}; name them by --data, nothing was begun"
        )
    return dataclasses.replace(config, retry=trials)
