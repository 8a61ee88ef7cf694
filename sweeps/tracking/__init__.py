"""Tracking: records -> MLflow, a projection that can be rebuilt at any time; imports no MLflow.

Runs are found by our tags, written in an order that makes the terminal status the last word, and
completed on the next start or by `sweeps sync`. A request that a server refuses for the moment is
repeated. When a sweep ends, the status of its parent run goes before all that waits, so that
whoever has no time left leaves no parent RUNNING. Training never waits; what the server did not
take is reported (exit code 3), not lost. How a start ended lies beside the records (`ending.json`),
so that the parent run, too, is a function of files alone. A failed attempt that is tried again
stays FAILED, tagged `retried`; KILLED is for those that somebody or something interrupted.

The champion's model is a part of the projection: files in the run of its trial (code,
configuration, signature, weights; no pickle), a version in the registry, known by the digest of the
trial's record, and last the alias `champion`. There is no MLflow `LoggedModel`: its id is invented
by the server, so that a lost reply would leave two. Pages to play with are drawn last, and not for
somebody who interrupted. Files that cannot be made are said, and leave their run incomplete (tag
`undrawn`).
"""

from sweeps.tracking.address import TrackingError, resolve_tracking_uri

__all__ = ["TrackingError", "resolve_tracking_uri"]
