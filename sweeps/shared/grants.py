"""The grants that a role needs on the tables of a shared database, and lacks."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from sweeps.errors import UsageError
from sweeps.workspace.databases import DatabaseError

_TABLES: Final = ("sweeps_storage", "sweeps_event", "sweeps_file", "sweeps_lease")
_MISSING: Final = text(
    """WITH place AS (
        SELECT n.oid, quote_ident(n.nspname) AS name, c.relowner
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = 'sweeps_storage' AND c.relkind = 'r'
        ORDER BY pg_table_is_visible(c.oid) DESC LIMIT 1
    ), made AS (
        SELECT place.name || '.' || quote_ident(c.relname) AS name, c.relowner,
            string_agg(wanted, ', ' ORDER BY n) AS lacking
        FROM place JOIN pg_class c ON c.relnamespace = place.oid,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY w(wanted, n)
        WHERE c.relkind = 'r' AND c.relname = ANY(:tables)
            AND NOT has_table_privilege(c.oid, wanted)
        GROUP BY place.name, c.relname, c.relowner
    )
    SELECT 'USAGE ON SCHEMA ' || name AS lacking, relowner::regrole::text AS owner FROM place
    WHERE NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    SELECT lacking || ' ON TABLE ' || string_agg(name, ', '), relowner::regrole::text FROM made
    GROUP BY lacking, relowner
    UNION ALL
    SELECT 'USAGE, CREATE ON SCHEMA ' || quote_ident(here), datdba::regrole::text
    FROM pg_database, coalesce(current_schema(), 'public') here
    WHERE datname = current_database() AND NOT EXISTS (SELECT FROM place)
        AND NOT has_schema_privilege(here, 'CREATE')"""
)


class MissingGrantsError(DatabaseError, UsageError):
    """A role may not do what a command needs; the message has the SQL that allows it."""


def missing_grants(connection: Connection) -> str:
    """Return the SQL that gives the role of a connection what it lacks; empty without need."""
    role = connection.execute(text("SELECT quote_ident(current_user)")).scalar_one()
    rows = connection.execute(_MISSING, {"tables": list(_TABLES)}).all()
    if not rows:
        return ""
    owners = ", ".join(sorted({row.owner for row in rows}))
    statements = [f"  GRANT {row.lacking} TO {role};" for row in rows]
    return "\n".join([f"role {role} lacks grants. Let {owners} run:", *statements])
