"""What happens to a whole sweep: another name, its end, its way to another machine.

Each begins with one atomic change of the records; from then on it is done, whatever is killed, and
study and MLflow follow, now or at the next start.
"""

from sweeps.lifecycle.archiving import archive_sweep, restore_sweep
from sweeps.lifecycle.collecting import collect_garbage
from sweeps.lifecycle.deleting import delete_sweep, delete_unreadable
from sweeps.lifecycle.renaming import rename_sweep
from sweeps.lifecycle.sharing import import_sweep, share_sweep

__all__ = [
    "archive_sweep",
    "collect_garbage",
    "delete_sweep",
    "delete_unreadable",
    "import_sweep",
    "rename_sweep",
    "restore_sweep",
    "share_sweep",
]
