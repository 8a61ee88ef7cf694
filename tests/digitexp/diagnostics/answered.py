"""Real digits with answers that are wrong where a test wants it."""

import numpy as np

from digitexp.data import load_source
from digitexp.diagnostics import Answers


def answered(wrong: dict[int, tuple[int, float]], n: int = 100, **about) -> Answers:
    """Return n images, a tenth of each class in order, all right but those named.

    Args:
        wrong: Place of an image -> what it is taken for, and the logit of that, the others 0.
        n: Images.
        **about: More fields of `Answers`.
    """
    source = load_source("digits20")
    each = [np.flatnonzero(source.labels == digit)[: n // 10] for digit in range(10)]
    chosen = np.concatenate(each)
    labels = source.labels[chosen]
    logits = np.eye(10, dtype=np.float32)[labels] * 5
    for place, (said, logit) in wrong.items():
        logits[place] = 0
        logits[place, said] = logit
    return Answers(source.images[chosen], labels, logits, source.class_names, **about)
