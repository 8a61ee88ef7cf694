"""Does searching pay? As many random trials of the same space, whose best is confirmed as well."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sweeps.coordinator.run import run_options
from sweeps.finalizing.confirming import CONTROL_FOLDER, HowToTrain, Ran, name_for
from sweeps.finalizing.finalists import CONTROL, Finalist, choose_best
from sweeps.home import Home
from sweeps.options import RunOptions
from sweeps.records import SweepInfo
from sweeps.records.files import make_folder, write_atomically


@dataclass(frozen=True)
class Control:
    """The random trials, and the best of them; None if none is complete."""

    ran: Ran
    finalist: Finalist | None


def run_control(home: Home, info: SweepInfo, trials: int, how: HowToTrain) -> Control:
    """Run random trials of a sweep's space, as a sweep of its own without baselines.

    Its proposals and the seeds of its trainings are others than the sweep's.
    """
    folder = home.store(info.id).folder / CONTROL_FOLDER
    file = folder / "control.json"
    make_folder(folder)
    space = {**info.space, "baselines": []}
    write_atomically(file, json.dumps(space, indent=1).encode(), "conclusion")
    seed = int(info.fingerprint.get("seed", 0)) + 1
    asked = RunOptions(
        str(file), name=name_for(home, folder, f"{info.name}-control"), trials=trials, seed=seed,
        sampler="random", pruner="none", home=home.path, storage=home.storage,
        workers=how.workers, check_determinism=False,
        tracking_uri=how.tracking_uri, data=how.data,
    )  # fmt: skip
    result = run_options(asked, progress=how.progress)
    records = home.store(result.info.id).read_all()
    best = choose_best(result.info, [r for r in records if r.spec.slot < trials])
    finalist = None if best is None else Finalist(
        f"{CONTROL}{best.slot}", best.slot, best.config, best.searched, 0
    )  # fmt: skip
    summary = result.summary
    return Control(Ran(result.info, summary.stopped_by, summary.tracking_pending), finalist)
