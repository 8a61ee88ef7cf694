"""A home shared by several hosts: a PostgreSQL database has its files and its leases.

A home with a `--storage` is a working copy of the database, as a folder is of a repository. All
other code works on the files of the home, as in any home.

Three states of a file are compared: the home's, the database's, and the one that both last had in
common (`shared.db`). The side that changed the file wins; if both did, the database wins. Records,
weights and files written by attempts never change, so for them the database always wins. If
somebody removes a folder, it is read again; only a command deletes. A host that is cut off goes on
with the files it has.

The lease of a sweep is renewed every 3 s and runs out after 20 s of silence, by the database's
clock. A home that finds its own lease takes it at once: it holds the kernel's lock, so the former
holder is dead. A coordinator that is silent for longer loses the sweep to the next one that takes
the lease. Its token is then older, and the database refuses each of its records within the
transaction that would make it.

MLflow's server knows no leases. So a host makes sure of its lease before each request. During the
first half of the lease's time after a renewal it is certain to hold it; later it asks the database.
A request under way cannot be recalled. So a host that takes over looks at the runs anew, at its
begin and at its end, and deletes or completes those that the late host began; a late host that
wakes up after the end of the sweep does the same.

Control requests, enqueued points and notes travel as files, within three seconds. MLflow's store
and artifacts are not shared: hosts that are to have one MLflow use a server (`--tracking-uri`).
"""

from sweeps.shared.lease import Lease
from sweeps.shared.server import StorageServer
from sweeps.shared.working_copy import FIXED, SharedStorage, bound_to, open_shared

__all__ = [
    "FIXED",
    "Lease",
    "SharedStorage",
    "StorageServer",
    "bound_to",
    "open_shared",
]
