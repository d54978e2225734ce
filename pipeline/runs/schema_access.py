"""The tables of sign-in, and what makes the audit log append-only: triggers of the database, not good will of the code."""

from __future__ import annotations

from sqlalchemy import Column, Connection, String, Table, event, text

from pipeline.runs.schema import METADATA, Moment, audit

# One row a sign-in, by a hash of what the provider said. A session whose row has an end is signed out everywhere.
sign_ins = Table(
    "sign_ins",
    METADATA,
    Column("session", String(64), primary_key=True),
    Column("who", String(200), nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment, index=True),
)

_REFUSED = "the audit log is append-only"
_SQLITE = tuple(
    f"create trigger if not exists audit_refuses_{act} before {act} on audit begin select raise(abort, '{_REFUSED}'); end"
    for act in ("update", "delete")
)
_POSTGRESQL = (
    f"""
    create or replace function neopulse_audit_refuses() returns trigger language plpgsql as
    $$ begin raise exception '{_REFUSED}'; end $$
    """,
    "drop trigger if exists audit_refuses on audit",
    """
    create trigger audit_refuses before update or delete or truncate on audit
    for each statement execute function neopulse_audit_refuses()
    """,
)


def make_append_only(connection: Connection) -> None:
    """Let the database refuse to change or remove a row of the audit log."""
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        connection.execute(text(statement))


def add_access(connection: Connection) -> None:
    """The migration: the table of sign-ins, and the audit log closed."""
    sign_ins.create(connection, checkfirst=True)
    make_append_only(connection)


@event.listens_for(audit, "after_create")
def _close(_table: Table, connection: Connection, **_: object) -> None:
    make_append_only(connection)
