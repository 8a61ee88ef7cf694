"""Hands the records of a sweep to the projector, and ends its parent run."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from sweeps.analysis.data import LoadedSamples, SweepData
from sweeps.analysis.rows import trial_rows
from sweeps.analysis.summary import ConfirmedChampion, Summary, champion_of, summarize
from sweeps.analysis.table import trial_table, write_rows
from sweeps.capabilities import (
    SupportsExamination,
    SupportsPages,
    SupportsSamples,
    SupportsServing,
)
from sweeps.config.policies import FAILURES
from sweeps.config.sweep import SweepConfig
from sweeps.errors import ExperimentError, StoreError, UntrustedError, UsageError
from sweeps.experiments.code import (
    EditedCode,
    PreparedAgain,
    TooLittleKept,
    check_same_code,
    trained_of,
)
from sweeps.experiments.given import lives_here
from sweeps.experiments.loading import experiment_folder, recorded_experiment
from sweeps.home import Home
from sweeps.journal.events import Finished, SweepStatus
from sweeps.progress import Progress
from sweeps.records import (
    FINALIST,
    FOLD,
    CodeHistory,
    Conclusions,
    Record,
    RecordError,
    RecordStore,
    SweepInfo,
    confirmed_by,
    heard,
    notes_of,
    ranked,
)
from sweeps.records.conclusions import (
    VerificationConclusion,
    confirmed_training,
    is_finalist,
    newest,
)
from sweeps.records.notes import SWEEP
from sweeps.records.schema import Report, warn
from sweeps.render.answer import verification_in_words
from sweeps.render.markdown import render_briefing, render_conclusion, render_markdown
from sweeps.runner.control import INTERRUPTIONS, StopRequest
from sweeps.runner.ownership import Hold
from sweeps.tracking.champion import ChampionModel, model_files
from sweeps.tracking.content import TABLE_TAGS, TRIALS_TABLE, SweepNote, table_json
from sweeps.tracking.pictures import Pictures, pictured, with_matrix
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import ProjectionReport, Projector
from sweeps.tracking.runs import KnownSweep
from sweeps.tracking.store import IncompleteError, is_outage
from sweeps.tracking.view import CHAMPION, directions, mark_confirmed, mark_front, view_of
from sweeps.workspace.addresses import redacted
from sweeps.workspace.provenance import is_mixed

FOLDER: Final = "evaluation"
"""Folder of the evaluation among the files of a run."""


class AttemptFiles:
    """Makes files from the records of one sweep; called in one thread, the projector's."""

    def __init__(self, info: SweepInfo, store: RecordStore, again: PreparedAgain) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            info: The sweep.
            store: Its records.
            again: Loads the experiment and its data: finalists are evaluated, what they get wrong.
        """
        self._info, self._store, self._again = info, store, again

    def __call__(self, key: str) -> Mapping[str, bytes]:
        """Return the files of an attempt by name: those it wrote, and those that are drawn.

        The experiment draws only if it trained an epoch.

        Raises:
            IncompleteError: A finalist could not be evaluated, for example because its data are
                gone; carries the other files.
            UntrustedError: The sweep was imported and is not trusted; carries the files that were
                written during its training.
        """
        record = self._store.read(key)
        written = self._store.files(record)
        if record.result is None or not record.result.history:
            return with_matrix(record, written)
        try:
            experiment = self._again.load()
        except UntrustedError as error:
            raise UntrustedError(str(error), written) from None
        drawn = experiment.draw(record.spec(self._info.id), record.result)
        files = with_matrix(record, {**written, **drawn})
        able = isinstance(experiment, SupportsExamination)
        if not (able and is_finalist(self._info, record)):
            return files
        try:
            found = self._again.examine(record)
        except TooLittleKept:  # more will never be kept: the run is complete without them
            return files
        except Exception as error:
            what = f"`{FOLDER}/` of trial {record.trial} of {self._info.name}"
            raise IncompleteError(what, error, files) from error
        return {**files, **{f"{FOLDER}/{name}": content for name, content in found.items()}}


TRIALS_CSV: Final = "trials.csv"
FEWEST_TRIALS: Final = 15
"""With fewer complete trials a report says little, and takes longer than the quick sweep itself."""


def read_whole(data: SweepData, again: PreparedAgain) -> tuple[SweepData, Exception | None]:
    """Return a sweep with its validation samples; or without them, and the error that prevents it.

    The error is None if the sweep is only not trusted yet, and where it is the experiment's own: to
    send the report again would not mend that, and the report says it.
    """
    try:
        experiment = again.load()
        if not isinstance(experiment, SupportsSamples) or not data.records:
            return data, None
        samples = LoadedSamples.of(experiment, again.of(data.records[0]))
        return dataclasses.replace(data, samples=samples), None
    except UntrustedError:
        return data, None
    except ExperimentError as error:
        return dataclasses.replace(data, without_samples=str(error)), None
    except Exception as error:  # any error, such as data that are gone: the rest is written first
        return data, error


REPORT_OF: Final = "report_of"
"""Tag with the digest of what the report was made from, and its files; written after them."""


def digest_sources(store: RecordStore) -> str:
    """Return a digest of what report and runs are made from: what is recorded, and our code.

    Another start that finds nothing to do changes nothing.
    """
    import sweeps.analysis
    import sweeps.render
    import sweeps.tracking

    packages = (sweeps.analysis, sweeps.render, sweeps.tracking)
    folders = [path for package in packages for path in package.__path__]
    codes = (path for folder in folders for path in sorted(Path(folder).rglob("*.py")))
    found = hashlib.sha256(b"".join(path.read_bytes() for path in codes))
    state = store.state()
    ended = [(event.key, event.number, event.at) for event in state.ended.values()]
    told = [event.number for event in (*state.confirmed, *state.tested.values())]
    others = [sorted(state.undone), state.requested, sorted(state.notes.items()), state.codes]
    known = [len(state.imported.trials if state.imported else ()), state.points.keys()]
    finished = state.finished and msgspec.structs.replace(state.finished, number=0, at=0, host="")
    found.update(repr([store.info(), ended, told, others, known, finished]).encode())
    return found.hexdigest()


def _has_report(client: Any, sweep: KnownSweep, *, sources: str) -> bool:
    digest, names = _report_of(client, sweep)
    if digest != sources or not names:
        return False
    return names <= {file.path for file in client.list_artifacts(sweep.parent_id)}


def _remove_former(client: Any, sweep: KnownSweep, *, kept: Collection[str]) -> None:
    """Delete what a former report had beside it and this one has not, where a store can."""
    for name in sorted(_report_of(client, sweep)[1].difference(kept)):
        try:
            client.delete_artifact(sweep.parent_id, name)
        except Exception as error:  # it is gone already, or this store deletes nothing
            if is_outage(error):
                raise


def _report_of(client: Any, sweep: KnownSweep) -> tuple[str, set[str]]:
    tags = client.get_run(sweep.parent_id).data.tags
    digest, _, names = tags.get(REPORT_OF, "").partition(": ")
    return digest, set(filter(None, names.split(", ")))


def report_files(data: SweepData, ending: Finished) -> dict[str, bytes]:
    """Return the report, by its name; nothing if the sweep is small or goes on.

    It is nothing as well for a part of a confirmation, whose findings are in the report of its
    sweep. The page depends on records and ending alone, so that writing it again changes nothing.
    """
    from sweeps.render.sections import render_report

    is_small = len(data.ranking) < FEWEST_TRIALS
    if ending.status != "FINISHED" or is_small or confirmed_by(data.info.directory):
        return {}
    return {"report.html": render_report(data).encode("utf-8", "replace")}


def _import_what_reports() -> None:
    """Import and compile what `report_files` and the pictures need, a second in all.

    Without a report, they are imported when the pictures are drawn.
    """
    import optuna.importance  # noqa: F401  # has scikit-learn imported

    import sweeps.render.confusion
    import sweeps.render.sections  # noqa: F401
    from sweeps.render.page import page_template

    page_template()


def ending_of(store: RecordStore, records: Sequence[Record]) -> Finished:
    """Return the ending of the last start of a sweep that nobody runs now.

    A start that was killed stored none. It counts as finished if all trials asked for are there.
    """
    done = len({record.trial for record in records if record.ends_trial})
    is_whole = done >= (store.state().requested or 1)
    return store.state().finished or (
        Finished("FINISHED", None) if is_whole else Finished("KILLED", "killed")
    )


class ParentEnd(NamedTuple):
    """Best attempt, tags and text of a parent run at its end; a function of records and ending."""

    best: Record | None
    tags: dict[str, str]
    note: str


def describe_end(
    info: SweepInfo,
    records: Sequence[Record],
    asked: int,
    ending: Finished,
    champion: ConfirmedChampion | None = None,
) -> ParentEnd:
    """Return best attempt, tags and text for the parent run of a sweep that has ended."""
    summary = summarize(
        info,
        records,
        asked=asked,
        seconds=ending.seconds,
        stopped_by=ending.stopped_by,
        failure_cause=ending.failure_cause,
        time_split=ending.time_split,
    )
    summary = dataclasses.replace(summary, champion=champion)
    best = [r for r in records if summary.best and r.trial == summary.best.trial]
    front = {"front_size": str(len(summary.front))} if info.has_front else {}
    is_same = info.is_reproducible and not is_mixed(r.environment for r in records)
    mixed = {} if is_same else {"reproducible": "false"}
    tags = {
        **front,
        **mixed,
        "failed": str(summary.counts["FAILED"]),
        "done": str(summary.done),
        "asked": str(asked),
        "stopped_by": ending.stopped_by or "",
    }
    early = f"The sweep ended early: {ending.error}"
    return ParentEnd(
        next((record for record in reversed(best) if record.ends_trial), None),
        tags,
        early if ending.error else render_markdown(summary),
    )


def finish(
    projector: Projector,
    home: Home,
    info: SweepInfo,
    ending: Finished,
    again: PreparedAgain,
    records: Sequence[Record] | None = None,
    *,
    is_hurried: bool = False,
) -> None:
    """Queue the end of the parent run, then what takes longer: pictures of the best runs, pages.

    Pages take seconds to draw; with `is_hurried` they are left out. With `records`, all that are
    known, they are not read again.
    """
    store = home.store(info.id)
    read = cache(lambda: store.read_all() if records is None else records)  # no more are written
    best = cache(lambda: pictured(store, info, read()))
    pictures = Pictures(info, best, store.folder)
    if not is_hurried:
        projector.finish(lambda runs: runs.arrange(info, pictures.begin))
    projector.finish(lambda runs: end_parent(runs, store, info, ending, again, read(), best()))
    projector.finish(lambda runs: runs.arrange(info, pictures.show))
    if not is_hurried:
        projector.finish(
            lambda runs: _project_champion(runs, store, info, read(), again, pages=True)
        )


def end_parent(
    projection: Projection,
    store: RecordStore,
    info: SweepInfo,
    ending: Finished,
    again: PreparedAgain,
    records: Sequence[Record],
    best: Sequence[Record],
) -> None:
    """Write how a sweep ended into its parent run, and register its best model.

    Args:
        projection: Where the runs are.
        store: The sweep's records.
        info: The sweep.
        ending: How it ended.
        again: Its experiment and its data.
        records: All that is recorded.
        best: Those of `pictured`.

    Raises:
        IncompleteError: All is written, but the report lacks its samples.
    """
    confirmed = heard(Conclusions(store).confirmed)
    end = describe_end(info, records, store.state().requested or 0, ending, champion_of(confirmed))
    lacking, sources = None, digest_sources(store)
    is_drawn = projection.arrange(info, partial(_has_report, sources=sources))
    data = SweepData.read(info, store, records=records)
    report: dict[str, bytes] = {}
    if not is_drawn:
        data, lacking = read_whole(data, again)
        report = report_files(data, ending)
        if report:
            projection.arrange(info, partial(_remove_former, kept=report))
    told = "".join(map(render_conclusion, data.conclusions))
    note = end.note if ending.error else f"{told}{end.note}\n{render_briefing(data)}\n"
    noted = (heard(lambda: notes_of(store)) or {}).get(SWEEP)
    rows = trial_rows(records)
    table = io.StringIO(newline="")
    columns, cells = trial_table(rows, objectives=info.objectives, space=info.space)
    write_rows((dict(zip(columns, row, strict=True)) for row in cells), table, columns)
    important: list[str] = []
    if confirmed_by(info.directory) is None:  # folds and finalists have no importance
        important = [one.name for one in data.by_objective[0].importances if not one.is_reference]
    files = {
        TRIALS_CSV: table.getvalue().encode("utf-8", "replace"),
        TRIALS_TABLE: table_json(columns, cells),
        **report,
    }

    verdict = confirmed.verdict if confirmed else None
    said = {} if confirmed is None else {CHAMPION: confirmed.finalist}
    said |= {} if verdict is None else {"settled": str(verdict.settled).lower()}

    def describe(client: Any, sweep: KnownSweep) -> str:
        view = view_of(info, records, best, important, is_confirmed=verdict is not None)
        client.set_experiment_tag(sweep.experiment_id, *view)
        mark_front(client, sweep, info, records)
        if verdict is not None:
            at = store.state().confirmed[-1].at
            mark_confirmed(client, sweep, info, records, verdict, at=at)
        return directions(info, sweep, best, note, noted)

    projection.finish_sweep(
        info,
        ending.status,
        {**end.tags, **TABLE_TAGS, **said},
        projection.arrange(info, describe),
        best=end.best,
        files=files,
        drawn={REPORT_OF: f"{sources}: {', '.join(report)}"} if report and not lacking else {},
        finished_at=max((r.finished_at for r in records), default=info.created_at),
    )
    # After the parent has its status, and in one job with it: an error begins the parent anew.
    _project_champion(projection, store, info, records, again)
    if report and lacking is not None:
        raise IncompleteError(f"samples in the report of {info.name}", lacking) from lacking


def interactive_pages(
    store: RecordStore,
    info: SweepInfo,
    record: Record,
    again: PreparedAgain,
    records: Sequence[Record] | None = None,
) -> Mapping[str, bytes]:
    """Return a champion's pages by name; empty if its experiment draws none or too little was kept.

    All is of the sweep that it was trained in, whose records are read unless they are given.

    Raises:
        UsageError: The experiment cannot be loaded or was edited, or its data cannot be loaded. The
            experiment may raise other errors.
    """
    experiment = again.load()
    if not isinstance(experiment, SupportsPages):
        return {}
    check_same_code(store, record, info.experiment, experiment)
    known = store.read_all() if records is None else records
    other = choose_beside(known, record, info)
    trained = trained_of(store, info, record)
    beside = trained_of(store, info, other) if other else None
    data = again.of(record)
    try:
        return experiment.pages(data, trained, beside)
    except ValueError:  # too little was kept, and more will never be
        return {}


def choose_beside(records: Sequence[Record], champion: Record, info: SweepInfo) -> Record | None:
    """Return the trial to compare a champion with: a baseline, else the best of the others.

    In a confirmation it is a trial on the same fold.
    """
    others = [
        record
        for record in ranked(records, info.direction)
        if record.trial != champion.trial and record.params.get(FOLD) == champion.params.get(FOLD)
    ]
    baselines = [
        record
        for record in others
        if record.origin.startswith("baseline ")
        or str(record.params.get(FINALIST, "")).startswith("baseline")
    ]
    return next(iter(baselines or others), None)


def _project_champion(
    projection: Projection,
    store: RecordStore,
    info: SweepInfo,
    records: Sequence[Record],
    again: PreparedAgain,
    *,
    pages: bool = False,
) -> None:
    """Register the champion's model; with `pages`, log the pages about it instead."""
    champion = find_champion(store, info, records, again)
    if champion is not None:
        projection.register(info, champion, pages=pages)


def find_champion(
    store: RecordStore,
    info: SweepInfo,
    records: Sequence[Record],
    again: PreparedAgain | None = None,
    report: Report = warn,
) -> ChampionModel | None:
    """Return the winner's training on fold 0 if the sweep is confirmed, else its best trial.

    There is no champion (None) if no trial is complete, if the sweep has several objectives, or if
    it confirms another sweep. There is none either if the training that a confirmation chose is
    damaged; the registered model then stays.

    Args:
        store: The sweep's records.
        info: The sweep.
        records: All of them.
        again: Its experiment and its data, if they are loaded already.
        report: Called with a line about each damage: of a record, or of the model's weights.
    """
    if info.has_front or confirmed_by(info.directory):
        return None
    again = again or PreparedAgain(partial(recorded_experiment, info, store.folder.parent))
    try:
        if (found := confirmed_training(store)) is not None:
            trainings, confirmation, record = found
            load = partial(recorded_experiment, confirmation, store.folder.parent)
            anew = PreparedAgain(load, source=again.source)
            champion = _champion(trainings, confirmation, record, anew, report)
            verified = newest(Conclusions(store).all(report), VerificationConclusion)
            return dataclasses.replace(
                champion,
                confirmation=confirmation,
                verification=verification_in_words(verified) if verified else "",
                saved=trainings.saved_model(record.key)
                if verified and verified.found == "verified"
                else {},
            )
    except RecordError as error:
        report(str(error))
        return None
    best = next(iter(ranked(records, info.direction)), None)
    if best is None or best.objective is None:
        return None
    return _champion(store, info, best, again, report, records)


def _champion(
    store: RecordStore,
    info: SweepInfo,
    record: Record,
    again: PreparedAgain,
    report: Report,
    records: Sequence[Record] | None = None,
) -> ChampionModel:
    def files() -> Mapping[str, bytes] | None:
        try:
            return _model_of(store, info, record, again)
        except RecordError as error:
            report(str(error))
            return None
        except UntrustedError:
            return None
        except UsageError as error:  # such as edited code, or weights that were freed
            warn(f"no model of trial {record.trial} of {info.name} is registered: {error}")
            return None

    def pages() -> Mapping[str, bytes]:
        try:
            return interactive_pages(store, info, record, again, records)
        except (EditedCode, UntrustedError):  # `files` reports edited code
            return {}
        except Exception as error:
            what = f"pages about trial {record.trial} of {info.name} (`interactive/`)"
            raise IncompleteError(what, error) from error

    digest = _digest(info, record)
    return ChampionModel(record.key, digest, record.objective or 0.0, files, pages)


def _digest(info: SweepInfo, record: Record) -> str:
    """Return the SHA-256 (hex) of what tells this training from any other."""
    spec = [info.id, record.key, record.seed, sorted(record.config.items())]
    files = [record.weights_sha256, record.details_sha256, record.started_at, record.finished_at]
    return hashlib.sha256(repr([spec, record.objective, files]).encode()).hexdigest()


def _model_of(
    store: RecordStore, info: SweepInfo, record: Record, again: PreparedAgain
) -> Mapping[str, bytes] | None:
    """Return the model's files, or None if none can be made of the trial.

    Raises:
        RecordError: Its weights are damaged.
        UsageError: Its experiment cannot be loaded or was edited, or its weights were freed.
    """
    if lives_here(info.experiment):
        return None
    experiment = again.load()
    if not hasattr(experiment, "signature") or not hasattr(experiment, "predict"):
        return None
    check_same_code(store, record, info.experiment, again.load())
    weights = store.weights(record)
    signature = cast(SupportsServing, experiment).signature(record.model_info)
    if signature is None:
        return None
    recorded = record.environment.get("code")
    codes = CodeHistory(store).group(recorded) if recorded else []
    folder = experiment_folder(info, store.folder.parent)
    return model_files(info, record, weights, signature, folder, codes)


CLOSE_TIMEOUT_SECONDS: Final = 60.0
"""Longest wait for one run at the end of a sweep; runs missing then are reported, not lost."""

INTERRUPTED_TIMEOUT_SECONDS: Final = 4.0
"""The same after Ctrl-C or SIGTERM, when somebody waits for the process to end."""


class ParentRun:
    """Projects one sweep: its parent run, and a child run per attempt."""

    def __init__(
        self,
        config: SweepConfig,
        info: SweepInfo,
        tracking_uri: str,
        progress: Progress,
        held: Hold,
        earlier: Finished | None = None,
        *,
        asked: int,
        is_away: bool = False,
    ) -> None:
        self._held, self._earlier = held, earlier  # how the start before ended
        self._note = progress.note
        self._home, self._info = config.home, info
        self._store: RecordStore = config.home.store(info.id)
        self._again = PreparedAgain(lambda: config.experiment, config.data)
        self._files = AttemptFiles(info, self._store, self._again)
        self._known: Sequence[Record] | None = None  # all that is recorded; None if there is more

        def warn(problem: str) -> None:
            if not is_away:  # the user has been told
                progress.note(outage_note(tracking_uri, problem))

        def check() -> None:
            held.confirm()
            self._projector.give_way()

        projection = Projection(tracking_uri, config.home.artifacts, self._store.folder, check)
        note = sweep_note(info, asked, is_running=True)
        self._projector = Projector(projection, info, note, on_outage=warn)
        self._projector.start()

    def prepare(self) -> None:
        """Import MLflow in the background, and what the report needs, if there will be one."""
        is_search = confirmed_by(self._info.directory) is None
        has_report = is_search and (self._store.state().requested or 0) >= FEWEST_TRIALS
        self._projector.prepare(_import_what_reports if has_report else lambda: None)

    def files(self) -> list[Path]:
        """Return where its runs are; see `Projector.files`."""
        return self._projector.files

    def catch_up(self, records: Sequence[Record]) -> None:
        """Project the attempts that an earlier start recorded but did not project.

        A run without a record is deleted. Its record was torn and put aside, and its trial runs
        again; or another host began the run, and lost the sweep before it shared the record.

        Args:
            records: All that is recorded.
        """
        self._known = records
        recorded = {record.key for record in records}
        if recorded or self._store.state().asked or self._held.lease is not None:
            self._projector.discard(lambda key: key not in recorded)
        for record in records:
            key = record.key
            read = partial(self._store.read, key)
            draw = partial(self._files, key)
            self._projector.put(record, draw, only_if_missing=True, read=read)

    def project(self, record: Record) -> None:
        """Project an attempt soon; returns at once."""
        self._known = None
        self._projector.put(record, partial(self._files, record.key))

    def abandon(self, error: BaseException) -> None:
        """Give the parent run its terminal status when the sweep ends by an exception."""
        status: SweepStatus = "FAILED" if isinstance(error, Exception) else "KILLED"
        text = f"{type(error).__name__} {error}".strip()
        self._end(Finished(status, "error", error=text))
        self._projector.close(INTERRUPTED_TIMEOUT_SECONDS)

    def leave(self) -> None:
        """Write nothing more, because another host has the sweep; wait for a request under way."""
        self._projector.close(CLOSE_TIMEOUT_SECONDS)

    def finish(self, summary: Summary, *, failed: bool, request: StopRequest) -> ProjectionReport:
        """End the parent run and wait, unless a signal is requested, for everything before.

        The sweep has `failed` if it missed what it was asked to reach.

        Returns:
            The runs that are missing in MLflow, and why.

        Raises:
            LeaseLost: Another host has taken the sweep over, and sends them.
        """
        status: SweepStatus = "FINISHED"
        if summary.stopped_by in INTERRUPTIONS:
            status = "KILLED"
        elif failed or summary.stopped_by == FAILURES:
            status = "FAILED"
        self._end(
            Finished(
                status,
                summary.stopped_by,
                summary.seconds,
                dict(summary.time_split),
                failure_cause=summary.failure_cause,
            )
        )
        report = self._projector.close(
            CLOSE_TIMEOUT_SECONDS,
            is_urgent=lambda: request.reason is not None,
            urgent_seconds=INTERRUPTED_TIMEOUT_SECONDS,
            on_waiting=lambda runs: self._note(
                f"MLflow gets or checks {runs} runs now; Ctrl-C leaves them to `sweeps sync`"
            ),
        )
        if report.lost is not None:
            raise report.lost
        return report

    def _end(self, ending: Finished) -> None:
        if self._known is not None and self._earlier and self._earlier.ended_alike(ending):
            ending = self._earlier  # this start trained nothing, and has nothing else to say
        with contextlib.suppress(StoreError):  # a full disk: `sweeps sync` will say `killed`
            self._store.append(ending)
        self._projector.end_first(ending.status)
        if self._held.lease is not None:
            # A host that lost the sweep may have sent a late request.
            self.catch_up(self._store.read_all())
        send_notes(self._projector, self._store, self._info)
        self._info = dataclasses.replace(self._info, checked=self._store.state().checked)
        is_hurried = bool(ending.error) or ending.stopped_by in INTERRUPTIONS
        finish(
            self._projector,
            self._home,
            self._info,
            ending,
            self._again,
            self._known,
            is_hurried=is_hurried,
        )


def sweep_note(info: SweepInfo, asked: int, *, is_running: bool) -> SweepNote:
    """Return the tags that the parent run has from the start on."""
    tags = {"asked": str(asked), "reproducible": str(info.is_reproducible).lower()}
    return SweepNote(tags=tags, is_running=is_running)


def send_notes(projector: Projector, store: RecordStore, info: SweepInfo) -> None:
    """Queue the notes on trials for MLflow; damaged notes are reported."""
    notes = heard(lambda: notes_of(store)) or {}
    for record in store.read_all() if notes.keys() - {SWEEP} else []:
        text = notes.get(str(record.trial))
        if text is not None and record.ends_trial:
            note = partial(Projection.annotate, info=info, key=record.key, text=text)
            projector.finish(note)


def outage_note(tracking_uri: str, problem: str) -> str:
    """Return the one warning about a store that is away."""
    return (
        f"MLflow at {redacted(tracking_uri)} cannot be reached ({problem}); the sweep goes on, "
        "its runs follow later"
    )
