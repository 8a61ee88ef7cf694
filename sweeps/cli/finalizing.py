"""`sweeps finalize`: is the winner really better? Trained again, on blocks nobody was scored on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.exit_codes import FAILED, INTERRUPTED, OK, TRACKING_INCOMPLETE
from sweeps.cli.options import HomeOption, JsonOption, SweepArgument, TrackingOption
from sweeps.cli.reporting import DataOption
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.finalizing.looking import Confirmed
    from sweeps.finalizing.verdict import Verdict


def finalize(
    name: SweepArgument,
    top: Annotated[int, typer.Option(help="Best distinct configurations.", min=1)] = 5,
    blocks: Annotated[
        int, typer.Option(help="Fresh blocks, a multiple of four; 8 at least for a verdict.", min=8)
    ] = 20,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=0)] = None,
    data: DataOption = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the best again on fresh blocks, and say who is better, as good, or not to be told.

    The best configurations and the best baseline are trained on the same blocks of images that
    scored no trial, as a sweep of its own (NAME-final): it can be interrupted and goes on.
    """
    from sweeps.finalizing.confirming import judge, plan_confirmation, run_confirmation
    from sweeps.finalizing.looking import Confirmed
    from sweeps.home import Home
    from sweeps.records import need_one_objective

    if blocks % 4:
        raise UsageError(f"--blocks {blocks}: give a multiple of four, so that all images count")
    found = Home.resolve(home)
    info = found.get(name)
    need_one_objective(info)
    confirmation = plan_confirmation(found, info, top, blocks, data)
    result = run_confirmation(
        confirmation, found, workers=workers, tracking_uri=tracking_uri, data=data,
        progress="quiet" if as_json else "auto",
    )  # fmt: skip
    verdict = judge(confirmation, found.store(result.info.id))
    if as_json:
        print(json.dumps(_document(info.name, confirmation.name, verdict), indent=1))
    elif verdict is None:
        print("no verdict yet: the same command goes on")
    else:
        _tell(info.name, Confirmed(confirmation.name, verdict))
    summary = result.summary
    if summary.stopped_by in INTERRUPTED:
        raise typer.Exit(INTERRUPTED[summary.stopped_by])
    if verdict is None or verdict.blocks < blocks:
        raise typer.Exit(FAILED)
    raise typer.Exit(TRACKING_INCOMPLETE if summary.tracking_pending else OK)


def _tell(name: str, confirmed: Confirmed) -> None:
    from sweeps.cli.console import Terminal
    from sweeps.finalizing.looking import confirmation_section
    from sweeps.report.terminal import render_sections

    Terminal().print(render_sections([confirmation_section(name, confirmed)]), crop=False)


def _document(name: str, confirmation: str, verdict: Verdict | None) -> dict[str, Any]:
    standings = [] if verdict is None else verdict.standings
    return {
        "sweep": name,
        "confirmation": confirmation,
        "blocks": verdict.blocks if verdict else 0,
        "settled": verdict.is_settled if verdict else None,
        "recommended": verdict.recommended.finalist.label if verdict else None,
        "standings": [
            {
                "finalist": s.finalist.label,
                "slot": s.finalist.slot,
                "accuracy": s.mean.value,
                "accuracy_interval": list(s.mean.interval()),
                "searched": s.finalist.searched,
                "leader_ahead_by": s.behind.value if s.behind else None,
                "interval": [s.low, s.high] if s.behind else None,
                "verdict": s.word,
                "blocks_needed": s.more_blocks,
            }
            for s in standings
        ],
    }
