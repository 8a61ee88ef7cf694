"""Registers a sweep's champion in MLflow: chooses the model, makes its files and its pages."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from sweeps.capabilities import SupportsPages, SupportsServing
from sweeps.errors import UntrustedError, UsageError
from sweeps.experiments.code import EditedCode
from sweeps.experiments.loading import experiment_folder, recorded_experiment
from sweeps.experiments.verified_data import PreparedAgain, trained_of
from sweeps.records import (
    FINALIST,
    FOLD,
    CodeHistory,
    Record,
    RecordError,
    RecordStore,
    Report,
    SweepInfo,
    confirmed_by,
    confirmed_training,
    ranked,
    warn,
)
from sweeps.tracking.champion import Champion, model_files
from sweeps.tracking.projection import Projection
from sweeps.tracking.store import IncompleteError
from sweeps.workspace.files import read_file


def interactive_pages(
    store: RecordStore,
    info: SweepInfo,
    record: Record,
    again: PreparedAgain,
    records: Sequence[Record] | None = None,
) -> Mapping[str, bytes]:
    """Return a champion's pages by name; empty if its experiment draws none or too little was kept.

    Args:
        store: The records of the sweep it was trained in.
        info: That sweep.
        record: The champion.
        again: The experiment it was trained by, and its data.
        records: All of that sweep; None: they are read.

    Raises:
        UsageError: The experiment cannot be loaded or was edited, or its data cannot be loaded. The
            experiment may raise other errors.
    """
    experiment = again.load()
    if not isinstance(experiment, SupportsPages):
        return {}
    again.experiment_of(store, info, record)
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
        if record.spec.trial != champion.spec.trial
        and record.params.get(FOLD) == champion.params.get(FOLD)
    ]
    baselines = [record for record in others if _is_baseline(record)]
    return next(iter(baselines or others), None)


def _is_baseline(record: Record) -> bool:
    named = str(record.params.get(FINALIST, ""))
    return record.origin.startswith("baseline ") or named.startswith("baseline")


# Chooses the model for MLflow's registry: the best trial's, until a sweep is confirmed.


def project_champion(
    projection: Projection,
    store: RecordStore,
    info: SweepInfo,
    records: Sequence[Record],
    again: PreparedAgain,
    *,
    pages: bool = False,
) -> None:
    """Register the champion's model, if its experiment serves any.

    Args:
        projection: Where the runs are.
        store: The sweep's records.
        info: The sweep.
        records: All of them.
        again: Its experiment, loaded only if the trial is not registered yet, and its data.
        pages: Whether to log pages about it instead, if its experiment draws any.
    """
    champion = find_champion(store, info, records, again)
    if champion is not None:
        projection.register(info, champion, pages=pages)


def find_champion(
    store: RecordStore,
    info: SweepInfo,
    records: Sequence[Record],
    again: PreparedAgain,
    report: Report = warn,
) -> Champion | None:
    """Return the winner's training on fold 0 if the sweep is confirmed, else its best trial.

    There is no champion (None) if no trial is complete, if the sweep has several objectives, or if
    it confirms another sweep. There is none either if the training that a confirmation chose is
    damaged; the registered model then stays.

    Args:
        store: The sweep's records.
        info: The sweep.
        records: All of them.
        again: Its experiment and its data.
        report: Called with a line about each damage: of a record, or of the model's weights.
    """
    if info.has_front or confirmed_by(info.directory):
        return None
    try:
        confirmed = _confirmed(store, again.source, report)
    except RecordError as error:
        report(str(error))
        return None
    if confirmed is not None:
        return confirmed
    best = next(iter(ranked(records, info.direction)), None)
    if best is None or best.objective is None:
        return None

    return _champion(store, info, best, again, report, records)


def _confirmed(store: RecordStore, source: str | None, report: Report) -> Champion | None:
    """Return the training that a confirmation chose; None without one, or if it was deleted.

    Raises:
        RecordError: The conclusion, or the record of the training, is damaged.
    """
    found = confirmed_training(store)
    if found is None:
        return None
    trainings, info, record = found
    load = partial(recorded_experiment, info, store.folder.parent)
    again = PreparedAgain(load, source=source)
    champion = _champion(trainings, info, record, again, report)
    return dataclasses.replace(champion, confirmation=info)


def _champion(
    store: RecordStore,
    info: SweepInfo,
    record: Record,
    again: PreparedAgain,
    report: Report,
    records: Sequence[Record] | None = None,
) -> Champion:
    def files() -> Mapping[str, bytes] | None:
        try:
            return _files(store, info, record, again)
        except RecordError as error:
            report(str(error))
            return None
        except UntrustedError:
            return None
        except UsageError as error:  # such as edited code, or weights that were freed
            warn(f"no model of trial {record.spec.trial} of {info.name} is registered: {error}")
            return None

    def pages() -> Mapping[str, bytes]:
        try:
            return interactive_pages(store, info, record, again, records)
        except (EditedCode, UntrustedError):  # `files` reports edited code
            return {}
        except Exception as error:
            what = f"pages about trial {record.spec.trial} of {info.name} (`interactive/`)"
            raise IncompleteError(what, error) from error

    digest = hashlib.sha256(read_file(store.folder / f"{record.spec.key}.record")).hexdigest()
    return Champion(record.spec.key, digest, record.objective or 0.0, files, pages)


def _files(
    store: RecordStore, info: SweepInfo, record: Record, again: PreparedAgain
) -> Mapping[str, bytes] | None:
    """Return the model's files, or None if none can be made of the trial.

    Raises:
        RecordError: Its weights are damaged.
        UsageError: Its experiment cannot be loaded or was edited, or its weights were freed.
    """
    if info.experiment.startswith("__main__:"):
        return None  # defined in a notebook, where no server can import it
    experiment = again.load()
    if not hasattr(experiment, "signature") or not hasattr(experiment, "predict"):
        return None
    again.experiment_of(store, info, record)
    weights = store.weights(record)
    signature = cast(SupportsServing, experiment).signature(record.model_info)
    if signature is None:
        return None
    recorded = record.environment.get("code")
    codes = CodeHistory(store.folder).group(recorded) if recorded else []
    folder = experiment_folder(info, store.folder.parent)
    return model_files(info, record, weights, signature, folder, codes)
