"""SQLite files: shared by the study and by MLflow's own store; knows neither."""

from sweeps.databases.files import (
    abandon_creation,
    check,
    created_whole,
    enable_wal,
    migrate,
    relax_synchronous,
    schema_version,
)
from sweeps.databases.waiting import Patience, connect

__all__ = [
    "Patience",
    "abandon_creation",
    "check",
    "connect",
    "created_whole",
    "enable_wal",
    "migrate",
    "relax_synchronous",
    "schema_version",
]
