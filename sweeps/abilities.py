"""The former name of `sweeps.capabilities`, which experiments of earlier homes import."""

from sweeps.capabilities import *  # noqa: F403
