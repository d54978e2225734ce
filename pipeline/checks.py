"""`neopulse check`: every setting in force, and whether what they point to can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from pipeline.clock import SystemClock, bank_day
from pipeline.errors import ConfigurationError, NeopulseError
from pipeline.files import make_folder
from pipeline.masking import shown_address
from pipeline.settings import PREFIX, Settings


@dataclass(frozen=True)
class Setting:
    """One setting: its name in the environment, the value in force, the default, and what it is for."""

    name: str
    value: str
    default: str
    description: str


@dataclass(frozen=True)
class Finding:
    """What one check found; `error` says what is wrong and what to do."""

    subject: str
    text: str
    error: NeopulseError | None = None


def settings_in_force(settings: Settings | None) -> list[Setting]:
    """Every setting; without settings (they could not be read) the values are left empty."""
    return [
        Setting(
            name=PREFIX + name.upper(),
            value="" if settings is None else _in_force(settings, name),
            default=shown(field.default),
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def shown(value: Any) -> str:
    """A setting's value as it is typed; of a secret only that it is set."""
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _in_force(settings: Settings, name: str) -> str:
    """The value without what nobody should read over a shoulder, in an address too."""
    value = getattr(settings, name)
    if name == "run_store" and shown(value):
        return _address(value.get_secret_value())
    if isinstance(value, str) and "://" in value:
        return shown_address(value)
    path = settings.secret_files.get(name)
    return f"set, from {path}" if path else shown(value)


def _address(url: str) -> str:
    from pipeline.runs.database import without_secrets

    try:
        return without_secrets(make_url(url))
    except ArgumentError:
        return "(not an address)"


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at everything that the settings point to, one thing after the other."""
    checks: dict[str, Callable[[Settings], str]] = {
        "state folder": _home,
        "bank's tables": _bank_tables,
        "run store": _run_store,
        "sheet": _sheet,
        "app's port": _port,
        "published version": _version,
        "notification": _notification,
        "facts": _facts,
        "syncs": _syncs,
        "sign-in": _sign_in,
    }
    for subject, check in checks.items():
        try:
            yield Finding(subject, check(settings))
        except NeopulseError as error:
            yield Finding(subject, error.what, error)


def _home(settings: Settings) -> str:
    home = make_folder(settings.home, private=True)
    others = f"; everybody on this machine may look into it (chmod o= {home} ends that)" if home.stat().st_mode & 0o005 else ""
    return f"{home} can be written to{others}"


def _bank_tables(settings: Settings) -> str:
    from pipeline.sources.files import find
    from pipeline.transform import pinned_day

    pinned_day(settings.as_of, bank_day(SystemClock().now(), settings.zone))
    if settings.warehouse == "bigquery":
        return _bigquery_tables(settings)
    if settings.raw is None:
        return f"the demo bank, {settings.demo_transactions:,} transactions, seed {settings.demo_seed}"
    found = find(settings.raw)
    return f"{settings.raw}: " + ", ".join(
        f"{source.table.name} ({len(source.paths)} file{'s'[: len(source.paths) > 1]})" for source in found
    )


def _bigquery_tables(settings: Settings) -> str:
    from pipeline.bigquery import connect
    from pipeline.sources.bigquery import find, refuse_another_clock

    connection = connect(settings)
    found = find(connection, settings)
    for table in found.values():
        connection.bytes_of(table.as_text())  # only a query tells whether rows may be read, and from there; this one runs nothing
    refuse_another_clock(connection)
    return f"{settings.bigquery_source}: " + ", ".join(
        f"{name} ({'a view' if table.rows is None else f'{table.rows:,} rows'})" for name, table in found.items()
    )


def _sheet(settings: Settings) -> str:
    if not settings.google_sheets_id:
        return "a workbook on disk: NEOPULSE_GOOGLE_SHEETS_ID names a Google spreadsheet instead"
    from pipeline.sheets.google_calls import look_at

    return look_at(settings, clock=SystemClock())


def _run_store(settings: Settings) -> str:
    from pipeline.runs.store import RunStore

    store = RunStore.open(settings.run_store_url, clock=SystemClock())
    latest = store.latest()
    return "opens; no run yet" if latest is None else f"opens; the last run, {latest.id}, {latest.standing}"


def _syncs(settings: Settings) -> str:
    from pipeline import activation_checks

    return activation_checks.found(settings, clock=SystemClock())


def _sign_in(settings: Settings) -> str:
    from pipeline import sign_in_checks

    return sign_in_checks.found(settings, clock=SystemClock())


def _port(settings: Settings) -> str:
    from pipeline.serving import check_address, is_answering

    try:
        check_address(settings)
    except ConfigurationError:
        if is_answering(settings):
            return f"an app answers at {settings.app_address}"
        raise
    return f"{settings.address} port {settings.port} is free"


def _notification(settings: Settings) -> str:
    from pipeline.runs.store import RunStore
    from pipeline.telling import carrier_name, check_carrier

    told = check_carrier(settings, SystemClock())
    waiting = Counter(message.target for message in RunStore.open(settings.run_store_url, clock=SystemClock()).waiting())
    if here := waiting.pop(carrier_name(settings), 0):
        told += f"; {here} waiting, which the worker delivers"
    elsewhere = (f"; {count} waiting for {service}, which is not set: nobody delivers them" for service, count in waiting.items())
    return told + "".join(elsewhere)


def _facts(settings: Settings) -> str:
    from pipeline.extract.facts import check

    return check(settings, SystemClock())


_TABLES = "select table_schema, table_name from information_schema.tables where table_schema in ('marts', 'warehouse')"


def _version(settings: Settings) -> str:
    from pipeline.warehouse.duckdb import ReadOnlyDuckDB
    from pipeline.warehouse.publication import Publications, damaged

    version = Publications(settings.home, keep=settings.versions_kept).current()
    if version is None:
        return "nothing has been published yet: neopulse run makes the first"
    try:
        database = ReadOnlyDuckDB(version.database)
    except FileNotFoundError:
        raise damaged(version.folder) from None
    with closing(database):
        for row in database.query(_TABLES).to_pylist():
            database.query(f"select * from {row['table_schema']}.{row['table_name']} limit 1")
    return (
        f"{version.name}, as of {version.as_of}, {version.source}, {version.tests.passed} of {version.tests.total} tests passed"
    )
