"""Derives every random seed of a sweep from the sweep's seed, a trial number and a purpose.

`numpy.random.SeedSequence` mixes these parts, so that neighbouring seeds and trials are unrelated
(O'Neill 2015, "Developing a seed_seq alternative", as implemented by NumPy).
"""

from __future__ import annotations

from typing import Final

import numpy as np

_PROPOSAL: Final = 0
_TRAINING: Final = 1
_SEQUENCE: Final = 2


def proposal_seed(sweep_seed: int, trial: int, resample: int) -> int:
    """Return the 32-bit seed of the sampler that makes one proposal of a trial."""
    return _mix(sweep_seed, _PROPOSAL, trial, resample)


def training_seed(sweep_seed: int, trial: int) -> int:
    """Return the 31-bit seed a trial trains with, equal for every attempt at the trial."""
    return _mix(sweep_seed, _TRAINING, trial) >> 1


def sequence_seed(sweep_seed: int, first_trial: int) -> int:
    """Return the seed of the sequence (QMC) that a generation draws from, begun at `first_trial`.

    With the same seed, two generations would draw the same points.
    """
    return _mix(sweep_seed, _SEQUENCE, first_trial) if first_trial else sweep_seed


def _mix(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
