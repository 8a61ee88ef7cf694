"""`sweeps retry`: runs failed trials of a sweep again, once the cause is mended.

All options that decide trials are taken from the records, so the user need not repeat them. Options
that decide how trials are run (workers, data, retries) are given anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.errors import SpaceError
from search_spaces.space import Space
from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.experiments.loading import experiment_folder
from sweeps.home import Home
from sweeps.launch import RunResult, run_config
from sweeps.progress import Mode
from sweeps.records import Record, SweepInfo, is_same_data, source_of, trials_to_retry
from sweeps.wording import counted, first_line


@dataclass(frozen=True)
class Retried:
    """The result of a retry.

    Attributes:
        result: The state of the sweep.
        trials: Numbers of the trials that were run again.
        failed: Records of those that failed again.
    """

    result: RunResult
    trials: Sequence[int]
    failed: Sequence[Record]

    @property
    def failure(self) -> str | None:
        """Return a line about the trials that failed again; None if none did."""
        if not self.failed:
            return None
        numbers = ", ".join(str(record.spec.trial) for record in self.failed)
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

    One write marks the trials; from then on they have no outcome. If the process is killed, the
    same call or the next start of the sweep goes on with them.

    Args:
        home: The home of the sweep.
        info: The sweep.
        trials: Numbers of the trials; empty for all that failed.
        asked: Options that decide how the trials are run; the others are taken from the records.
        progress: The kind of display.

    Raises:
        UsageError: A trial did not fail, the sweep is running, or its data have changed; nothing
            was changed.
    """
    store = home.store(info.id)
    records = store.read_all()
    waiting = store.retries.waiting(records)
    marked = [r.spec.trial for r in trials_to_retry(info.name, records, waiting, trials)]
    again = sorted({*marked, *(trial for trial in waiting if not trials or trial in trials)})
    config = _as_recorded(home, info, asked, tuple(trials))

    def failed() -> list[Record]:
        final = {record.spec.trial: record for record in store.read_all() if record.ends_trial}
        return [
            final[trial] for trial in again if trial in final and final[trial].outcome == "failed"
        ]

    result = run_config(config, asked, progress=progress, has_failed=lambda summary: bool(failed()))
    return Retried(result, again, failed())


def _as_recorded(
    home: Home, info: SweepInfo, asked: RunOptions, trials: tuple[int, ...]
) -> SweepConfig:
    """Return the sweep as its records describe it.

    Raises:
        UsageError: Its space or its data have changed.
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
        data=asked.data or source_of(info.data),
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
