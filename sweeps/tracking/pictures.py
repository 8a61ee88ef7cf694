"""The confusion matrices of a sweep: one file of each run, and the best in MLflow's image grid.

MLflow's `log_image` invents a file name at each call, so that projecting again would double every
picture. Its names (`images/<key>+step+<n>+timestamp+<ms>+<id>.png`, and `...+compressed.webp` for
the thumbnail; `MlflowClient.log_image` of 3.17) are made here from trial and step alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweeps.analysis.confusion import best_confusion, class_names, confusion_of, kept_epoch
from sweeps.analysis.summary import champion_of
from sweeps.journal.events import Record
from sweeps.records import Conclusions, heard
from sweeps.records.conclusions import confirmed_by
from sweeps.records.ranking import leading
from sweeps.records.store import RecordStore
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.runs import KnownSweep, log_files, search
from sweeps.tracking.store import IncompleteError, is_outage
from sweeps.wording import percent
from sweeps.workspace.failpoints import reached

if TYPE_CHECKING:
    from PIL.Image import Image

MATRIX: Final = "confusion_matrix.png"
THUMBNAIL_PIXELS: Final = 188
"""Ten of this size fit in two rows on a common screen; MLflow's own have 256."""
KEY: Final = "confusion_matrix"
FOLDER: Final = "images"
LOGGED_IMAGES: Final = "mlflow.loggedImages"
"""Tag that makes MLflow's UI load the images of a run."""
PICTURES: Final = "pictures"
"""Tag that says which epoch each step of the slider shows; written when all files are there."""
BEST: Final = 10
"""Most runs that the grid shows."""
SPREAD: Final = 5
"""Epochs that a slider shows before the weights that were kept; each is drawn at the end."""


def with_matrix(record: Record, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of an attempt, with a confusion matrix of its kept weights.

    None is added if the experiment drew one, kept no counts, or diverged.
    """
    counts = best_confusion(record)
    is_diverged = record.result is not None and record.result.outcome == "diverged"
    if counts is None or is_diverged or MATRIX in files:
        return dict(files)
    from sweeps.render.confusion import draw_confusion, png  # loads Pillow

    right, total = int(np.trace(counts)), int(counts.sum())
    title = f"{right} of {total} right ({percent(right / max(total, 1))})"
    picture = draw_confusion(counts, class_names(record, len(counts)), title)
    return {**files, MATRIX: png(picture)}


def encode(picture: Image) -> tuple[bytes, bytes]:
    """Return a picture as PNG, and as the WebP thumbnail that the grid shows first."""
    from PIL import WebPImagePlugin  # noqa: F401  # else Pillow loads the plugins of all formats

    from sweeps.render.confusion import png

    small, thumbnail = io.BytesIO(), picture.convert("RGB")
    thumbnail.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), reducing_gap=2.0)
    thumbnail.save(small, "WEBP", quality=85, method=1)
    return png(picture), small.getvalue()


def pictured(store: RecordStore, info: SweepInfo, records: Sequence[Record]) -> list[Record]:
    """Return the best complete trials with their arrays: those whose pictures and links are shown.

    A confirmed champion is the first, with several objectives the Pareto front. Of a confirmation
    there are none: the best of its trainings have had the luckiest folds.
    """
    if confirmed_by(info.directory):
        return []
    champion = champion_of(heard(Conclusions(store).confirmed, lambda damage: None))
    first = champion and champion.trial
    best = sorted(leading(records, info.objectives), key=lambda record: record.trial != first)
    return [store.read(record.key) for record in best[:BEST]]


@dataclass(frozen=True)
class ImagePlan:
    """The pictures of one run in the image grid.

    Attributes:
        rank: Its place, the champion's or the best trial's is 1; written on the pictures, as the
            grid has an order of its own.
        epochs: Step of the slider -> epoch shown at it, both from 1.
    """

    rank: int
    epochs: Mapping[int, int]

    def __str__(self) -> str:
        """Return the plan as the tag says it: `best 2, 1:1 5:5 9:7`."""
        steps = " ".join(f"{step}:{epoch}" for step, epoch in self.epochs.items())
        return f"best {self.rank}, {steps}"


def plan_pictures(best: Sequence[Record]) -> dict[str, ImagePlan]:
    """Return a plan for each of the best complete trials that kept confusion counts.

    All share the steps of the slider, so that it has no gaps: five epochs spread over the longest
    training, then one more step for the weights that were kept. A trial that ended before a step
    shows its kept weights from there on.

    Args:
        best: With their arrays, the best first.

    Returns:
        Key of an attempt -> its plan, the best first.
    """
    found = [(record, confusion_of(record)) for record in best[:BEST]]
    kept_counts = [(record, len(counts)) for record, counts in found if counts is not None]
    longest = max((epochs for _, epochs in kept_counts), default=0)
    spread = np.linspace(1, longest, min(SPREAD, longest)).round().astype(int).tolist()
    plans = {}
    for rank, (record, epochs) in enumerate(kept_counts, 1):
        kept = kept_epoch(record, epochs)
        shown = {step: step if step <= epochs else kept for step in (*spread, longest + 1)}
        plans[record.key] = ImagePlan(rank, shown)
    return plans


class Pictures:
    """Logs the pictures of a sweep's best runs and removes old ones; right ones are left alone.

    They are drawn in threads, while something else is written: Pillow leaves the interpreter to
    others for most of that time.
    """

    def __init__(
        self,
        info: SweepInfo,
        best: Callable[[], Sequence[Record]],
        scratch: Path | None = None,
    ) -> None:
        """Prepare; nothing is read or drawn yet.

        Args:
            info: The sweep.
            best: Returns its best complete trials with their arrays.
            scratch: See `log_files`.
        """
        self._info, self._best, self._scratch = info, best, scratch
        self._drawn: dict[str, Future[dict[str, bytes]]] = {}

    def begin(self, client: Any, sweep: KnownSweep) -> None:
        """Begin to draw what `show` will log, which meets and reports an error again."""
        with suppress(Exception):
            self._draw(self._missing(self._pictured(client, sweep)))

    def show(self, client: Any, sweep: KnownSweep) -> None:
        """Log what is missing, and remove what is old.

        Args:
            client: The `MlflowClient`.
            sweep: Its runs.

        Raises:
            IncompleteError: New pictures are logged, but the store refused to delete old ones.
        """
        pictured = self._pictured(client, sweep)
        wanted, missing = plan_pictures(self._best()), self._missing(pictured)
        self._draw(missing)
        refused = []
        for run in (run for key, run in pictured.items() if key not in wanted):
            error = _remove(client, run.info.run_id, ())
            if error is None:
                for tag in (PICTURES, LOGGED_IMAGES):  # the tag by which it is found goes last
                    if tag in run.data.tags:
                        client.delete_tag(run.info.run_id, tag)
            refused.append(error)
        for key, plan in missing.items():
            if key not in sweep.children:  # its run could not be written
                continue
            run_id, files = sweep.children[key][0], self._drawn[key].result()
            client.set_tag(run_id, LOGGED_IMAGES, "true")
            reached("picture.begun")
            error = _remove(client, run_id, files) if key in pictured else None
            log_files(client, run_id, files, self._scratch, sweep.files_of(run_id))
            reached("picture.filed")
            if error is None:
                client.set_tag(run_id, PICTURES, str(plan))
            refused.append(error)
        errors = [error for error in refused if error is not None]
        if errors:
            what = f"old confusion matrices, runs where they cannot be removed: {len(errors)}"
            raise IncompleteError(what, errors[0]) from errors[0]

    def _draw(self, plans: Mapping[str, ImagePlan]) -> None:
        by_key = {record.key: record for record in self._best()}
        two = ThreadPoolExecutor(2, "sweeps-pictures")
        for key, plan in plans.items():
            begun = self._drawn.get(key)
            if begun is None or (begun.done() and begun.exception() is not None):
                self._drawn[key] = two.submit(_files, by_key[key], plan)
        two.shutdown(wait=False)

    def _missing(self, pictured: Mapping[str, Any]) -> dict[str, ImagePlan]:
        plans = plan_pictures(self._best())
        shown = {key: run.data.tags.get(PICTURES) for key, run in pictured.items()}
        return {key: plan for key, plan in plans.items() if shown.get(key) != str(plan)}

    def _pictured(self, client: Any, sweep: KnownSweep) -> dict[str, Any]:
        marked = {"sweep_id": self._info.id, f"`{LOGGED_IMAGES}`": "true"}
        return {
            run.data.tags.get("trial", ""): run
            for run in search(client, sweep.experiment_id, marked)
            if run.info.lifecycle_stage == "active"
        }


def _files(record: Record, plan: ImagePlan) -> dict[str, bytes]:
    from sweeps.render.confusion import SMALL, draw_confusion

    counts = confusion_of(record)
    assert counts is not None
    epochs, classes, _ = counts.shape
    names, last = class_names(record, classes), max(plan.epochs)
    drawn: dict[str, tuple[bytes, bytes]] = {}
    files = {}
    for step, epoch in plan.epochs.items():
        matrix = counts[epoch - 1]
        kept = step == last or step > epochs
        right = np.trace(matrix) / max(int(matrix.sum()), 1)
        title = f"{plan.rank}. {'kept: ' if kept else ''}epoch {epoch}/{epochs}, {percent(right)}"
        if title not in drawn:
            drawn[title] = encode(draw_confusion(matrix, names, title, SMALL))
        # The time stamp only separates pictures of one step; here a step has one picture.
        name = f"{FOLDER}/{KEY}+step+{step}+timestamp+{step}+{record.key}"
        files[f"{name}.png"], files[f"{name}+compressed.webp"] = drawn[title]
    return files


def _remove(client: Any, run_id: str, kept: Collection[str]) -> Exception | None:
    """Delete the pictures of an earlier plan except `kept`; stop if the store cannot delete at all.

    Returns:
        The first error of a picture that could not be deleted; None without one.
    """
    first = None
    for file in client.list_artifacts(run_id, FOLDER):
        if file.path in kept:
            continue
        try:
            client.delete_artifact(run_id, file.path)
        except NotImplementedError:
            return first
        except Exception as error:
            if is_outage(error):
                raise
            first = first or error
    return first
