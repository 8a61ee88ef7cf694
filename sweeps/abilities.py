"""The former name of `sweeps.capabilities`; what has another name there is refused with it."""

from sweeps.capabilities import *  # noqa: F403
from sweeps.capabilities import __getattr__  # noqa: F401
