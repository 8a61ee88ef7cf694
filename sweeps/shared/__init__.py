"""A home shared by several hosts: a PostgreSQL database has its files, its studies, its leases.

Everything else works on files, as in any home: a home with a `--storage` is a working copy of the
database, as a folder is of a repository.

Three states of a file are compared: here, there, and as both last had it (`shared.db`). Whoever
changed it wins; if both did, the database does. Records, weights and what attempts wrote never
change, so for them the database always wins. A folder that somebody removed is read again; deleting
is a command. A host that is cut off goes on with what it has.

The lease of a sweep is renewed every 3 s and runs out after 20 s of silence, by the database's
clock. A home that finds its own lease takes it at once: it has the kernel's lock, so whoever had it
is dead. A coordinator that was silent for longer has lost the sweep: its token is older, and the
database refuses every record and every change of the study, within the transaction that would make
it.

MLflow's server knows no leases. A host makes sure of its own before each request: for half of the
lease's time since it was renewed it is ours for certain, later the database is asked. A request
under way cannot be recalled: whoever takes over looks at the runs anew, at its begin and at its
end, and deletes or completes what the late host began; a late host that wakes to an ended sweep
does the same.

A connection may be cut after a COMMIT whose answer nobody heard: before a trial or an outcome is
written again, all that is under way is waited for, then looked at. Requests, enqueued points and
notes travel as files, within three seconds. MLflow's store and artifacts are not shared: hosts that
are to have one MLflow use a server (`--tracking-uri`).
"""

from sweeps.shared.lease import Lease
from sweeps.shared.server import ENGINE_OPTIONS, StorageServer
from sweeps.shared.storage import SharedStorage, bound_to, open_shared
from sweeps.shared.working_copy import FIXED

__all__ = [
    "ENGINE_OPTIONS",
    "FIXED",
    "Lease",
    "SharedStorage",
    "StorageServer",
    "bound_to",
    "open_shared",
]
