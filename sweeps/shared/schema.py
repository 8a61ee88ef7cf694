"""Our tables in the shared database, beside Optuna's."""

from __future__ import annotations

from typing import Final

THERE: Final = "SELECT to_regclass('sweeps_lease')"
TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS sweeps_storage (id text PRIMARY KEY)",
    "INSERT INTO sweeps_storage VALUES (replace(gen_random_uuid()::text, '-', ''))",
    """CREATE TABLE IF NOT EXISTS sweeps_file (
        path text COLLATE "C" PRIMARY KEY,
        digest text NOT NULL,
        data bytea NOT NULL
    )""",
    # Bytes that are compressed already, as records are, gain nothing by it.
    "ALTER TABLE sweeps_file ALTER COLUMN data SET STORAGE EXTERNAL",
    """CREATE TABLE IF NOT EXISTS sweeps_lease (
        sweep_id text PRIMARY KEY,
        token bigint NOT NULL,
        home text NOT NULL,
        holder text NOT NULL,
        since timestamptz NOT NULL,
        expires timestamptz NOT NULL
    )""",
)
"""`sweeps_storage`: one row, by which a home knows its database wherever that is.

`sweeps_file`: the files of the home, `path` relative to it, `digest` their SHA-256 (hex).

`sweeps_lease`: who may write of a sweep. `token` grows with every holder: a write that carries an
older one is refused.
"""
