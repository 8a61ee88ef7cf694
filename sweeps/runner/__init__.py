"""One running sweep: loop, trial queue, recording, stopping, control, ownership, warm start.

An Optuna trial is a trial here, too; attempts are ours, `<trial>-<attempt>`. A trial that was
interrupted, or failed and has a retry left, is run again as its next attempt, with the same
parameters and seed; nothing is enqueued anew. Only its last attempt ends it. `--trials N` is the
number of trials with an outcome, over all starts; rejected duplicates count for nothing.

Failures: `crash` has 2 retries, `oom`, `timeout` and `error` 1, none for the same error twice; then
the trial is FAILED, which samplers ignore. Five failed trials in a row, counted in their order
within a start, end the sweep. None of that is part of the fingerprint: it decides no trial, only
how much trouble of the machine is borne.

A late attempt has no say: one that takes longer than `--trial-timeout` has its socket closed, then
its worker killed, so that nothing it might still send is read; a record that exists is never
overwritten; the lock of a coordinator that is stopped stays held.

One coordinator works on a sweep, kept alone by a lock of the kernel. Whoever holds it first takes
away what a killed one left half done: temporary files, weights without a record.
"""
