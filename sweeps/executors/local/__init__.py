"""Attempts on this machine: worker processes from a fork server, or the calling process.

    coordinator -- thread of the executor --+-- control socket -- fork server -- (forks, reaps)
       (main thread proposes, records)      +-- socket ---------- worker 1 (own process group)
                                            +-- socket ---------- worker 2

A private fork server for each sweep imports the experiment once, while the first proposals are
made, and forks workers in milliseconds. It is no fork of the caller (no `__main__`, no stale module
of a notebook), in a session of its own (Ctrl-C does not reach it). Forking is safe because the
server has no other thread. If `warm_up` starts threads, workers are spawned instead, and a line
says so.
The server is our own code, because the workers of pebble share one pipe and one lock.

In a command with several executors the first server stays, without workers, and the servers of the
others are forked from it: a search and its confirmation import TensorFlow once. Modules of the user
that the first one has imported are not looked at again; from Python, where they may be edited
between two calls, no server outlives its call. An experiment that cannot be made ready in such a
fork gets a process of its own.

The server reaps a worker and so reports its death; the end of its socket is not enough, because a
process that the worker started may hold it open. If the coordinator ends for any reason, server and
workers end as well. With a worker ends its process group, and on Linux every process that it
started: orphans become children of the worker (`PR_SET_CHILD_SUBREAPER`), then of the fork server,
which kills them. If a worker dies, its attempt fails (`crash`, with the last lines it printed) and
the worker is replaced. It is also replaced after 100 attempts, so that memory stays bounded.

As many attempts wait as run, so that no worker waits for bookkeeping; waiting attempts are
withdrawn when the sweep ends. An attempt that writes files has a folder below `.running/`, beside
the records; a process that outlives the worker collects the files. A long one leaves a checkpoint
in `.checkpoints/`, from which the next attempt goes on.
"""
