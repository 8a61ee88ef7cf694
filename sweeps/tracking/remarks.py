"""What a run says in a few words for people to sort and filter by: why it ended, short labels."""

from __future__ import annotations

import json
from typing import Final

from sweeps.records.record import Record

WHY_CHARACTERS: Final = 80
LABEL_CHARACTERS: Final = 9
"""Where MLflow's parallel coordinates cut a word, so that different ones may look the same."""
LABEL_SUFFIX: Final = "_label"


def why(record: Record) -> str:
    """Return why an attempt ended: `early stopping, epoch 12`, `ValueError: too deep`."""
    history = record.result.history if record.result else {}
    epochs = max((len(values) for values in history.values()), default=0)
    at = f", epoch {epochs}" if epochs else ""
    if record.outcome == "failed":
        lines = (line.strip() for line in (record.error or "").splitlines())
        message = next((line for line in lines if line), "")
        text = (
            message
            if record.reason in {"error", "invalid"} and message
            else f"{record.reason} {message}"
        )
        clean = "".join(c if c.isprintable() else "?" for c in text.strip())
        return clean if len(clean) <= WHY_CHARACTERS else f"{clean[: WHY_CHARACTERS - 3]}..."
    return f"{record.reason.replace('_', ' ')}{at}"


def label_params(record: Record) -> dict[str, str]:
    """Return `<name>_label` for each choice whose words are longer than the UI shows in a chart."""
    labels = {}
    for name, text in record.distributions.items():
        choices = [str(choice) for choice in _choices(text)]
        chosen = str(record.params.get(name))
        if any(len(choice) > LABEL_CHARACTERS for choice in choices) and chosen in choices:
            labels[f"{name}{LABEL_SUFFIX}"] = _labels(choices)[choices.index(chosen)]
    return labels


def _choices(distribution: str) -> list[object]:
    attributes = json.loads(distribution).get("attributes", {})
    return list(attributes.get("choices", []))


def _labels(choices: list[str]) -> list[str]:
    """Return words short enough, each different: `cate~ropy` and `cate~inge`."""
    plain = [c.strip("[]()").replace(", ", "-") for c in choices]  # [64, 32] is 64-32
    short = [text if len(text) <= LABEL_CHARACTERS else f"{text[:4]}~{text[-4:]}" for text in plain]
    return [
        label if short.count(label) == 1 else f"{label[: LABEL_CHARACTERS - 3]}~{number}"
        for number, label in enumerate(short)
    ]
