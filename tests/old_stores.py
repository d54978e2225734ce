"""A run store as the first neopulse made it (layout 1), written down as SQL: no later change of the code changes it.

Two runs, the second resuming the first, with steps, live log, request, slots, message, sent rows, acts and worker.
"""

from __future__ import annotations

from pathlib import Path

from postgres_kit import plain_engine
from sqlalchemy import text

TABLES = """
create table audit (id {id}, at {moment} not null, who varchar(200) not null, action varchar(80) not null,
    what varchar(200) not null, "before" json, "after" json);
create table deliveries ("key" varchar(200) not null primary key, target varchar(200) not null, payload json not null,
    state varchar(20) not null, reserved_at {moment} not null, delivered_at {moment}, location text not null);
create index ix_deliveries_state on deliveries (state);
create table leases (name varchar(40) not null primary key, token integer not null, holder varchar(200), run_id integer,
    taken_at {moment}, expires_at {moment});
create table migrations (number integer not null primary key, applied_at {moment} not null);
create table runs (id {id}, state varchar(20) not null, "trigger" varchar(20) not null, requested_by varchar(200) not null,
    first_step varchar(40) not null, only_step boolean not null, full_refresh boolean not null, started_at {moment} not null,
    ended_at {moment}, version varchar(40), as_of date, resumes integer references runs (id), error_kind varchar(40),
    error text, lease_token integer not null);
create index ix_runs_state on runs (state);
create table sent_rows (sync varchar(80) not null, "key" varchar(200) not null, hash varchar(80) not null,
    primary key (sync, "key"));
create table slots (job varchar(40) not null, due_at {moment} not null, taken_at {moment} not null, primary key (job, due_at));
create table workers (name varchar(200) not null primary key, started_at {moment} not null, beat_at {moment} not null,
    doing varchar(200) not null, next_run_at {moment});
create table events (id {id}, run_id integer not null references runs (id), at {moment} not null, level varchar(10) not null,
    step varchar(40) not null, text text not null);
create index events_of_run on events (run_id, id);
create table requests (id {id}, kind varchar(20) not null, "trigger" varchar(20) not null, parameters json not null,
    open_key varchar(80) unique, requested_by varchar(200) not null, requested_at {moment} not null,
    state varchar(20) not null, run_id integer references runs (id), answer text not null);
create index ix_requests_state on requests (state);
create table steps (run_id integer not null references runs (id), position integer not null, name varchar(40) not null,
    state varchar(20) not null, attempts integer not null, started_at {moment}, ended_at {moment},
    service varchar(80) not null, rows_in bigint, rows_out bigint, detail json not null, error text, progress float,
    progress_text text not null, primary key (run_id, position))
"""

ROWS = """
insert into migrations values (1, '2026-01-05 06:00:00.000000');
insert into leases values ('run', 2, null, null, '2026-01-06 06:00:00.000000', null);
insert into runs values (1, 'failed', 'schedule', 'daily', 'extract', false, false, '2026-01-05 06:00:00.000000',
    '2026-01-05 06:03:00.000000', null, null, null, 'data', 'users.csv has no column plan', 1);
insert into runs values (2, 'succeeded', 'resume', 'ada', 'transform', false, true, '2026-01-06 06:00:00.000000',
    '2026-01-06 06:04:30.250000', 'v0001', '2026-01-05', 1, null, null, 2);
insert into steps values (1, 0, 'extract', 'succeeded', 2, '2026-01-05 06:00:00.000000', '2026-01-05 06:01:00.000000', 'files',
    5000000000, 4999999999, '{"tables": {"users": 3}}', null, 1.0, 'done');
insert into steps values (1, 1, 'transform', 'failed', 1, '2026-01-05 06:01:00.000000', '2026-01-05 06:03:00.000000', 'duckdb',
    null, null, '{}', 'users.csv has no column plan', 0.25, 'stg_users');
insert into steps values (2, 1, 'transform', 'succeeded', 1, '2026-01-06 06:00:00.000000', '2026-01-06 06:04:00.000000', 'duckdb',
    10, 9, '{"notification_key": "outbox-v0001"}', null, 1.0, '');
insert into events values (1, 1, '2026-01-05 06:03:00.000000', 'error', 'transform', 'transform failed: Größe 漢');
insert into events values (2, 2, '2026-01-06 06:04:30.000000', 'info', 'transform', 'Run 2 succeeded');
insert into requests values (1, 'run', 'request', '{"first_step": "transform", "full_refresh": true, "only_step": false,
    "resumes": 1}', null, 'ada', '2026-01-06 05:59:59.000000', 'done', 2, 'Run 2 succeeded');
insert into requests values (2, 'run', 'request', '{"first_step": "sheet", "full_refresh": false, "only_step": false,
    "resumes": null}', 'an open key', 'grace', '2026-01-06 07:00:00.000000', 'waiting', null, '');
insert into slots values ('daily', '2026-01-05 05:00:00.000000', '2026-01-05 05:00:01.000000');
insert into deliveries values ('outbox-v0001', 'outbox', '{"subject": "v0001"}', 'delivered', '2026-01-06 06:04:00.000000',
    '2026-01-06 06:04:01.000000', 'outbox/v0001.eml');
insert into deliveries values ('outbox-failed-1', 'outbox', '{"subject": "run 1 failed"}', 'waiting',
    '2026-01-05 06:03:00.000000', null, '');
insert into sent_rows values ('status', 'user 1', 'a1');
insert into audit values (1, '2026-01-06 05:59:59.000000', 'ada', 'retry', 'run 1', null, '{"request": 1}');
insert into workers values ('machine', '2026-01-05 05:00:00.000000', '2026-01-06 07:00:00.000000', 'waiting',
    '2026-01-07 05:00:00.000000')
"""

KINDS = {
    "sqlite": {"id": "integer not null primary key", "moment": "datetime"},
    "postgresql": {"id": "serial primary key", "moment": "timestamp with time zone"},
}


def make(url: str) -> str:
    """Make the old store at the URL of an empty database or of a file that is not there yet; returns the URL."""
    engine = plain_engine(url)
    tables = TABLES
    for name, kind in KINDS[engine.dialect.name].items():
        tables = tables.replace("{" + name + "}", kind)
    with engine.begin() as connection:
        for statement in f"{tables.strip()};\n{ROWS.strip()}".split(";\n"):
            connection.exec_driver_sql(statement.replace("%", "%%"))
        if engine.dialect.name == "postgresql":
            for table in ("runs", "events", "requests", "audit"):
                connection.execute(text(f"select setval(pg_get_serial_sequence('{table}', 'id'), (select max(id) from {table}))"))
    engine.dispose()
    return url


def in_folder(home: Path) -> str:
    """Make the old store where a state folder has its own."""
    home.mkdir(parents=True, exist_ok=True)
    return make(f"sqlite:///{home / 'run_store.db'}")
