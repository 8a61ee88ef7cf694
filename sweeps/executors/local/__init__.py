"""Attempts on this machine: worker processes from a fork server, or the calling process.

    coordinator -- thread of the executor --+-- control socket -- fork server -- (forks, reaps)
       (main thread proposes, records)      +-- socket ---------- worker 1 (own process group)
                                            +-- socket ---------- worker 2

A private fork server for each sweep imports the experiment once, while the first proposals are
made, and forks workers in milliseconds. It is started anew (no `__main__`, no stale module of a
notebook), in a session of its own (Ctrl-C does not reach it). Forking is sound because it has no
other thread; if `warm_up` starts some, workers are spawned instead, which is said. It is our own,
since the workers of pebble share one pipe and one lock.

Each worker has a socket of its own: one that is killed within a send leaves a torn frame, which
nobody reads. Its death is known from the server, which reaps it, and not only from the end of the
socket, which a process it started may hold open. Whatever ends the coordinator ends server and
workers. With a worker ends its process group, and on Linux whatever it started: orphans become its
children (`PR_SET_CHILD_SUBREAPER`), then those of the fork server, which kills them. A worker that
dies fails its attempt (`crash`, with the last lines it printed) and is replaced; after 100 attempts
it is replaced as well, so that memory is bounded.

An attempt is recorded, in the executor's thread, before its worker gets another one: whatever is
killed, no worker loses more than one training. As many attempts wait as run, so that no worker
waits for bookkeeping; they are withdrawn when the sweep ends. An attempt that writes files has a
folder below `.running/` beside the records; whoever outlives its process takes what lies there.
"""
