"""A home shared by several hosts: a PostgreSQL database has its events, its files and its leases.

A home with a `--storage` is a copy of the database. All other code reads the files of the home, as
in any home; `shared.json` says which database they are from.

**Events.** The table `sweeps_event` is the journal of every sweep, a line a row; `journal.jsonl` is
a copy. Who appends, runner or `sweeps note` on any host, asks the database first: in one
transaction it gets the lines that its copy lacks, takes the next number, and adds its own
(`RemoteSweep.exchange`). Only then they are written here. So no copy is ever ahead of the database,
no number is given twice, and a process that is killed in between has lost nothing. A copy that is
damaged or gone is written anew.

**Files.** Arrays, weights, texts and spaces never change, so they are compared by path and size
only. A file is in `sweeps_file` before an event names it. Weights may be dropped, and control
requests are withdrawn: they are deleted there first, then wherever they are missed. A sweep that
was deleted has left its lease and no event, so other homes delete it as well; a folder that
somebody removed is read again. Checkpoints, logs and locks are of one host only.

**Leases.** One host at a time works on a sweep. It renews its lease every 3 s, fetches what others
have added, and may lose it after 20 s of silence, by the database's clock. Whatever a late one
writes, the database refuses it within the transaction (`Lease.fence`), and the late one ends with
`LeaseLost`. Who only notes, enqueues or asks needs no lease.

**MLflow** knows no leases. So a host makes sure of its lease before each request. During the first
half of the lease's time after a renewal it is certain to hold it; later it asks the database. A
request under way cannot be recalled. So a host that takes over looks at the runs anew, at its begin
and at its end, and deletes or completes those that the late host began; a late host that wakes up
after the end of the sweep does the same. MLflow's store and artifacts are not shared: hosts that
are to have one MLflow use a server (`--tracking-uri`).

**Trouble.** A database that is restarted is waited for. One that stays away ends the sweep with
exit code 1: what was synced is in the database, and the same command goes on. A home that meets a
database for the first time gives it its sweeps; a home of another database is refused, as is a
change of a copy without its database.
"""

from sweeps.shared.lease import Lease
from sweeps.shared.storage import SharedStorage, bound_to, held_here, open_shared

__all__ = [
    "Lease",
    "SharedStorage",
    "bound_to",
    "held_here",
    "open_shared",
]
