"""The commands a finished sweep proposes; each can be pasted as it stands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.report.summary import Summary


def next_commands(
    summary: Summary,
    *,
    home_option: str = "",
    run_command: str = "",
    ui_option: str = "",
    ui_address: str = "",
) -> tuple[str, str, str]:
    """Return three commands: look at the runs, list the trials, go on.

    Where every trial failed: see the whole error, run them again once it is mended, go on.

    Args:
        summary: Of the sweep that has just ended.
        home_option: As it is to be pasted (`--home elsewhere`); empty for the default home.
        run_command: What started the sweep, quoted, without `--trials` and `--home`: only its
            caller knows the space and the options that the same sweep needs again. Without it the
            third command shows the best trial instead.
        ui_option: More for `sweeps ui`: the store, where it is not the home's own.
        ui_address: Where the runs are shown already, instead of `sweeps ui`.
    """
    name = shlex.quote(summary.name)
    if run_command:
        unfinished = summary.done < summary.asked
        more = f"{run_command} --trials {summary.asked if unfinished else 2 * summary.done}"
    else:
        more = f"sweeps best {name}"
    home = f" {home_option}" if home_option else ""
    if summary.all_failed and summary.first_failed is not None:
        whole = f"sweeps trials {name} {summary.first_failed}{home}"
        return whole, f"sweeps retry {name}{home}", f"{more}{home}"
    ui = ui_address or f"sweeps ui {name}{home} {ui_option}".rstrip()
    return ui, f"sweeps trials {name}{home}", f"{more}{home}"
