"""`sweeps run`: launch a sweep, or finish the one of that name."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.cluster import ExecutorOption, ResourcesOption, TrustOption, parse_resources
from sweeps.cli.confirming import check_confirming, confirm_after, is_to_be_confirmed
from sweeps.cli.exit_codes import WHOLE, exit_code, failure
from sweeps.cli.options import (
    EventsOption,
    ExtendOption,
    HomeOption,
    MaxFailuresOption,
    QuietOption,
    SameCodeOption,
    SpaceArgument,
    TrackingOption,
    TrialTimeoutOption,
    WorkersOption,
    duration,
    parse_options,
    parse_retries,
    pasteable,
    storage_option,
)
from sweeps.config.options import RunOptions, option_of
from sweeps.workspace.addresses import redacted

if TYPE_CHECKING:
    from sweeps.launch import RunResult
    from sweeps.progress import Mode
    from sweeps.records.record import SweepInfo

_LEFT_OUT: Final = frozenset(
    {
        "space",
        "trials",
        "home",
        "extend",
        "same_code",
        "timeout",
        "target",
        "stop_after",
        "fail_under",
    }
)


def run(
    space: SpaceArgument,
    trials: Annotated[
        int | None,
        typer.Option("--trials", "-n", help="Trials with an outcome, in total over all starts."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name (default: the space's).")] = None,
    extend: ExtendOption = False,
    same_code: SameCodeOption = False,
    seed: Annotated[int, typer.Option(help="Decides every trial.")] = 0,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Fix or narrow: learning_rate=1e-3, units_1=16..64, batch_size=16,32.",
        ),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="tpe, random, qmc, grid or an import path.")
    ] = None,
    sampler_option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Option of the sampler.")
    ] = None,
    pruner: Annotated[
        str | None, typer.Option(help="none, median, hyperband, asha or an import path.")
    ] = None,
    pruner_option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Option of the pruner.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Begin no trial after this time (90, 3m, 1h30m), start-up included.",
        ),
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="End when the objective reaches this value.")
    ] = None,
    stop_after: Annotated[
        int | None, typer.Option(metavar="N", help="End after N trials without improvement.")
    ] = None,
    trial_timeout: TrialTimeoutOption = None,
    retries: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REASON=N,...",
            help="Try failed trials again, by reason (default "
            "crash=2,oom=1,timeout=1,error=1,invalid=0).",
        ),
    ] = None,
    max_failures_in_row: MaxFailuresOption = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Name or path (default: the experiment's)."),
    ] = None,
    ask_ahead: Annotated[
        int | None, typer.Option(help="Trials in flight at most; part of the sweep.")
    ] = None,
    order: Annotated[
        str, typer.Option(help="number: of the trials, reproducible; free: as trials finish.")
    ] = "number",
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    trust_cluster: TrustOption = False,
    resources: ResourcesOption = None,
    confirm: Annotated[
        bool | None,
        typer.Option(
            help="Confirm the best on fresh folds when all trials have an outcome (default: as "
            "the space says, from 15 complete trials on)."
        ),
    ] = None,
    check_determinism: Annotated[
        bool | None,
        typer.Option(
            "--check-determinism/--no-check-determinism",
            help="Train the first complete trial a second time, on an idle worker or after the "
            "last trial, and say if it comes out differently (default: of your own experiment, if "
            "it took less than 10 s; not of scripts, on clusters or with --workers 0).",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a trial failed.")] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(metavar="VALUE", help="Exit 1 if the best objective is worse than this."),
    ] = None,
    quiet: QuietOption = False,
    json: EventsOption = False,
) -> None:
    """Launch a sweep, or finish the one of that name.

    Ctrl-C stops after the running epoch; the same command goes on where it stopped.
    """
    asked = RunOptions(
        space=space,
        trials=trials,
        name=name,
        extend=extend,
        same_code=same_code,
        check_determinism=check_determinism,
        seed=seed,
        sampler=sampler,
        sampler_options=parse_options(sampler_option or [], "--sampler-option"),
        pruner=pruner,
        pruner_options=parse_options(pruner_option or [], "--pruner-option"),
        timeout=timeout,
        target=target,
        stop_after=stop_after,
        fail_under=fail_under,
        retries=parse_retries(retries or []),
        trial_timeout=trial_timeout,
        max_failures_in_row=max_failures_in_row,
        data=data,
        ask_ahead=ask_ahead,
        order=order,
        workers=workers,
        executor=executor,
        trust_cluster=trust_cluster,
        resources=parse_resources(resources or []),
        overrides=tuple(overrides or ()),
        home=home,
        tracking_uri=tracking_uri,
    )
    # Here and not above: `sweeps --help` need not wait for Optuna's storages.
    from sweeps.config.sweep import resolve
    from sweeps.launch import run_config

    progress: Mode = "json" if json else "quiet" if quiet else "auto"
    config = resolve(asked)
    check_confirming(config, asked, confirm, progress)
    result = run_config(
        config,
        asked,
        progress=progress,
        has_failed=lambda summary: failure(summary, strict, fail_under) is not None,
    )
    summary = result.summary
    _conclude(asked, result, failure(summary, strict, fail_under), show=not (json or quiet))
    code = exit_code(summary, strict=strict, fail_under=fail_under)
    if is_to_be_confirmed(result, confirm) and code in WHOLE:
        code = confirm_after(result.info, asked, progress) or code
    raise typer.Exit(code)


def _conclude(asked: RunOptions, result: RunResult, reason: str | None, *, show: bool) -> None:
    from sweeps.cli.console import Terminal
    from sweeps.render.markdown import render_markdown
    from sweeps.render.summaries import render_text
    from sweeps.wording import counted

    summary = result.summary
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        try:
            with Path(step_summary).open("a", encoding="utf-8") as file:
                file.write(render_markdown(summary))
        except OSError as error:
            print(f"no step summary: {error}", file=sys.stderr)
    if show:
        home = f"--home {shlex.quote(str(asked.home))}" if asked.home else ""
        home = " ".join(option for option in (home, storage_option()) if option)
        store = redacted(asked.tracking_uri or "")
        tracking = shlex.join(["--tracking-uri", store]) if store else ""
        text = render_text(
            summary,
            home_option=home,
            run_command=command_line(asked),
            ui_option=tracking,
            ui_address="" if summary.tracking_pending else _ui_address(asked, result.info),
        )
        Terminal().print(text, crop=False)
    if reason:
        print(pasteable(f"failed: {reason}"), file=sys.stderr)
    if summary.tracking_pending:
        print(
            f"tracking incomplete: {counted(summary.tracking_pending, 'run')} missing or "
            f"incomplete in MLflow ({summary.tracking_error or 'it was not ready yet'}); nothing "
            f"is lost, {pasteable('`sweeps sync`')} or the same command sends them",
            file=sys.stderr,
        )
    for line in summary.deleted:
        print(pasteable(line), file=sys.stderr)


def _ui_address(asked: RunOptions, info: SweepInfo) -> str:
    """Return the address of the sweep on a tracking server; empty for a database without a UI."""
    from sweeps.home import Home
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.locating import server_address

    uri = resolve_tracking_uri(Home.resolve(asked.home).path, asked.tracking_uri)
    if not uri.startswith("http"):
        return ""
    try:
        return server_address(uri, info)
    except Exception:  # the server has just gone away; the printed command asks it again
        return ""


def command_line(asked: RunOptions) -> str:
    """Return the command that continues this sweep, without `--trials` and `--home`."""
    words = ["sweeps", "run", str(asked.space)]
    for field in dataclasses.fields(asked):
        value = getattr(asked, field.name)
        if field.name in _LEFT_OUT or value == _default(field):
            continue
        option = option_of(field.name)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
            continue
        if isinstance(value, Mapping):
            value = [f"{name}={entry}" for name, entry in value.items()]
        if field.name == "tracking_uri":
            value = redacted(str(value))
        values = value if isinstance(value, list | tuple) else [value]
        words += [word for entry in values for word in (option, str(entry))]
    return shlex.join(words)


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()
