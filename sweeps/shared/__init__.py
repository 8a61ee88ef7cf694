"""A home shared by several hosts: a PostgreSQL database has its files, its studies, its leases.

Everything else works on files, as in any home: a home with a `--storage` is a working copy of the
database, as a folder is of a repository. See ARCHITECTURE.md, "A home that hosts share".
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
