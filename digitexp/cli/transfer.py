"""`digitexp transfer`: measures the gain of a start from other data, by number of images."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitexp.cli.options import Overwrite, SplitSeed
from digitexp.cli.train import check_engine, check_output_folder, merged_settings
from digitexp.config import TrialConfig
from digitexp.weights_files import file_digest, find_weights, holds_weights

if TYPE_CHECKING:
    from digitexp.data import Source
    from digitexp.transfer import PairedAccuracies


def transfer(
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="Data to pretrain on, as in `digitexp data`; or weights: a .weights.h5, "
            "weights.npz or .keras file, or a folder with one.",
        ),
    ],
    data: Annotated[str, typer.Option(metavar="SOURCE", help="Data to be learnt.")] = "digits20",
    images_per_class: Annotated[
        str, typer.Option(metavar="N,N,...", help="Training images of each class.")
    ] = "20,50,400",
    seeds: Annotated[int, typer.Option(min=2, help="Pairs for each number of images.")] = 5,
    freeze: Annotated[
        str, typer.Option(metavar="N,N,...", help="How many of the first layers do not train.")
    ] = "0",
    source_images: Annotated[
        int | None, typer.Option(min=1, help="Images to pretrain on; all if not given.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Net and training, as in `train`."),
    ] = None,
    split_seed: SplitSeed = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for transfer.json and weights."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Pretrain a net on one source and measure what that is worth on few images of another."""
    from digitexp.data import known_sources, load_source
    from digitexp.transfer import compare, transfer_config

    began = perf_counter()
    counts = whole_numbers("--images-per-class", images_per_class, low=1)
    frozen = whole_numbers("--freeze", freeze, low=0)
    config = transfer_config(merged_settings({}, settings or []))
    check_engine(config)
    _check_frozen(config, frozen)
    if output is not None:
        check_output_folder(output, overwrite=overwrite)
    is_weights = start not in known_sources() and holds_weights(start)
    if is_weights and source_images is not None:
        raise ValueError(f"--source-images: {start} holds weights, nothing is pretrained.")
    source = None if is_weights else load_source(start)
    file = find_weights(start) if is_weights else None
    target = load_source(data)
    with tempfile.TemporaryDirectory() as scratch:
        place = output or Path(scratch)
        weights = file or _pretrained(config, source, target, source_images, split_seed, place)
        digest = file_digest(weights)
        comparisons = compare(
            config, target, str(weights), images_per_class=counts, frozen=frozen, seeds=seeds,
            split_seed=split_seed, say=_say,
        )  # fmt: skip
    seconds = round(perf_counter() - began, 1)
    pretrained = {"source": start, "digest": None if source is None else source.digest,
                  "images": source_images, "weights_sha256": digest}  # fmt: skip
    about = {
        "from": pretrained,
        "data": {"name": target.name, "digest": target.digest, "split_seed": split_seed},
        "parameters": {k: v for k, v in config.to_params().items() if k != "seed"},
        "seeds": seeds,
        "seconds": seconds,
        "comparisons": [_facts(one) for one in comparisons],
    }
    document = json.dumps(about, indent=1)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "transfer.json").write_text(document + "\n")
    if as_json:
        print(document)
    else:
        _print_table(comparisons, start, target.name, seconds)


def whole_numbers(option: str, text: str, *, low: int) -> list[int]:
    """Read `20,50,400`.

    Raises:
        ValueError: The text is something else, or a number is too small or given twice.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isdecimal()]
    good = len(numbers) == len(parts) == len(set(numbers)) and min(numbers) >= low
    if not good:
        raise ValueError(
            f"{option}: received {text!r}; write different whole numbers from {low}: 20,50,400."
        )
    return numbers


def _check_frozen(config: TrialConfig, frozen: Sequence[int]) -> None:
    if max(frozen) > config.layers_before_output:
        raise ValueError(
            f"--freeze: received {max(frozen)}; this net has {config.layers_before_output} layers "
            "before the output layer, which always trains."
        )


def _pretrained(
    config: TrialConfig,
    source: Source | None,
    target: Source,
    images: int | None,
    split_seed: int,
    place: Path,
) -> Path:
    from digitexp.transfer import pretrain, pretraining_data

    assert source is not None
    height, width = target.images.shape[1:]
    learnt = pretraining_data(source, (height, width), images, split_seed)
    _say(f"pretraining on {source.name}: {len(learnt.train_labels)} images, {height}x{width}")
    return pretrain(config, learnt, place, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _facts(one: PairedAccuracies) -> dict[str, Any]:
    gain = one.gain
    return {
        "images_per_class": one.images_per_class,
        "frozen_layers": one.frozen_layers,
        "from_nothing": list(one.alone),
        "transferred": list(one.started),
        "gain": gain.mean,
        "interval": [gain.low, gain.high],
        "verdict": gain.verdict,
    }


def _print_table(
    comparisons: Sequence[PairedAccuracies], start: str, name: str, seconds: float
) -> None:
    print(f"{name}, started from {start}: accuracy on the validation part, gain in points")
    print("images/class  frozen  from nothing  transferred   gain  95 % interval    verdict")
    for one in comparisons:
        gain = one.gain
        alone, started = (sum(row) / len(row) for row in (one.alone, one.started))
        interval = f"{gain.low * 100:+.1f} to {gain.high * 100:+.1f}"
        print(
            f"{one.images_per_class:12}  {one.frozen_layers:6}  {alone:12.1%}  {started:11.1%}"
            f"  {gain.mean * 100:+5.1f}  {interval:15}  {gain.verdict}"
        )
    pairs = len(comparisons[0].alone)
    print(f"Intervals: over {pairs} pairs of seed and images. Took {seconds:.0f} s.")
