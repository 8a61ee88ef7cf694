"""One running sweep: loop, trial queue, recording, stopping, control, ownership, warm start.

A trial is Optuna's; an attempt is ours, `<trial>-<attempt>`. A trial that was interrupted, or
failed and has a retry left, is run again as its next attempt, with the same parameters and seed; it
is not enqueued again. Only its last attempt ends it. `--trials N` is the number of trials with an
outcome, over all starts; rejected duplicates do not count.

Failures: `crash` has 2 retries; `oom`, `timeout` and `error` have 1; the same error twice has none.
A kill from outside uses up none; the twenty-first of a trial fails it.
Then the trial is FAILED, and samplers ignore it. Five failed trials in a row, counted in trial
order within a start, end the sweep. These limits are not part of the fingerprint: they decide no
trial, only how many failures of the machine are accepted. Nor is a
`--budget`, which decides how many trials there are, never which.

A late attempt cannot change anything. If an attempt takes longer than `--trial-timeout`, its socket
is closed and then its worker is killed, so that nothing it still sends is read. An existing record
is never overwritten. A coordinator that is suspended keeps its lock.

One coordinator works on a sweep; a lock of the kernel keeps others out. The holder of the lock
first removes what a killed coordinator left half done: temporary files, weights without a record.
"""
