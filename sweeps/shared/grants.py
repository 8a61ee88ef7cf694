"""The grants that a role needs on the tables of a shared database, and lacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text

from sweeps.errors import StoreError, UsageError

_TABLES: Final = ("sweeps_storage", "sweeps_event", "sweeps_file", "sweeps_lease")
_MISSING: Final = text(
    """WITH place AS (
        SELECT n.oid, quote_ident(n.nspname) AS name, c.relowner
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = 'sweeps_storage' AND c.relkind = 'r'
        ORDER BY pg_table_is_visible(c.oid) DESC LIMIT 1
    ), made AS (
        SELECT c.oid, place.name || '.' || quote_ident(c.relname) AS name, c.relowner
        FROM place JOIN pg_class c ON c.relnamespace = place.oid
        WHERE c.relkind = 'r' AND c.relname = ANY(:tables)
    )
    SELECT 'SCHEMA' AS kind, name, 'USAGE' AS privilege, relowner FROM place
    WHERE NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    SELECT 'TABLE', name, wanted, relowner
    FROM made, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY w(wanted, n)
    WHERE NOT has_table_privilege(oid, wanted)"""
)
_WHO: Final = text(
    "SELECT current_user, quote_ident(current_user), to_regclass('sweeps_storage'), "
    "has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE'), "
    "quote_ident(coalesce(current_schema(), 'public')), "
    "(SELECT datdba::regrole FROM pg_database WHERE datname = current_database())"
)


class MissingGrantsError(StoreError, UsageError):
    """A role may not do what a command needs; the message has the SQL that allows it."""


def missing_grants(connection: Connection) -> str:
    """Return which grants the role of a connection lacks, and the SQL; empty if it lacks none."""
    role, quoted, there, may_create, schema, owner = connection.execute(_WHO).one()
    rows = connection.execute(_MISSING, {"tables": list(_TABLES)}).all()
    lacking: dict[tuple[str, str], list[str]] = {}
    for kind, name, privilege, _ in rows:
        lacking.setdefault((kind, name), []).append(privilege)
    alike: dict[tuple[str, str], list[str]] = {}
    for (kind, name), privileges in lacking.items():
        alike.setdefault((kind, ", ".join(privileges)), []).append(name)
    if rows:
        owners = "SELECT string_agg(DISTINCT oid::regrole::text, ', ') FROM pg_roles"
        asked = {"owners": [row.relowner for row in rows]}
        owner = connection.execute(text(f"{owners} WHERE oid = ANY(:owners)"), asked).scalar()
    elif there is None and not may_create:
        alike["SCHEMA", "USAGE, CREATE"] = [schema]
    if not alike:
        return ""
    said = "; ".join(f"{what} on {_counted(kind, names)}" for (kind, what), names in alike.items())
    statements = [
        f"  GRANT {what} ON {kind} {', '.join(names)} TO {quoted};"
        for (kind, what), names in alike.items()
    ]
    return "\n".join([f"role {role} lacks {said}. Let {owner} run:", *statements])


def _counted(kind: str, names: Iterable[str]) -> str:
    found = list(names)
    several = f"{len(found)} {kind.lower()}s ({found[0]}, ...)"
    return f"{kind.lower()} {found[0]}" if len(found) == 1 else several
