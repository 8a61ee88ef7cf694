"""Tracking: journal -> MLflow, a projection that can be rebuilt at any time; imports no MLflow.

A run is found by our own tags. Its terminal status is written last; a run that lacks it is
completed by the next start or by `sweeps sync`. A request that a server refuses for the moment is
repeated. When a sweep ends, the status of its parent run is written before everything else that
waits, so that a process that runs out of time leaves no parent RUNNING. Training never waits for
MLflow. Runs that the server did not take are reported (exit code 3), not lost. The ending of a
start is an event, so that the parent run, too, is a function of the journal alone. A failed attempt
that is tried again stays FAILED, with the tag `retried`; an attempt that was interrupted is KILLED.

The champion's model is a part of the projection: files in the run of its trial (code,
configuration, signature, weights; no pickle), a version in the registry, identified by the digest
of the event that ended the trial, and last the alias `champion`. There is no MLflow `LoggedModel`:
the server invents its id, so that a lost reply would leave two. Interactive pages are drawn last,
and not after an interruption. Files that cannot be made are reported, and leave their run
incomplete (tag `undrawn`).
"""
