"""The former name of `sweeps.capabilities`: experiments that were written by it go on."""

from sweeps.capabilities import *  # noqa: F403
