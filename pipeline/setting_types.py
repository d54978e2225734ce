"""Kinds of values that settings take, read alike whichever setting they are of."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _none_for_nothing(value: Any) -> Any:
    return None if value == "" else value


def absolute(path: Path) -> Path:
    """The path from the root, with `~` as a shell would read it: no shell reads `.env`.

    dbt and the app work in other folders, where a relative path would mean something else.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("names somebody's home folder, and there is no such person here") from None


def _optional_absolute(value: Path | None) -> Path | None:
    return None if value is None else absolute(value)


def _day(value: Any) -> Any:
    """A day as ISO 8601 writes it; a bare number would else be seconds since 1970."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("takes a day, such as 2026-01-31") from None


def _time_of_day(value: Any) -> Any:
    """An hour and a minute of the bank's own clocks, with or without a 0 before the hour; a zone would count for nothing."""
    if not isinstance(value, str):
        return value
    hour, _, rest = value.strip().partition(":")
    try:
        found = time.fromisoformat(f"{hour:0>2}:{rest}")
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None or not rest:
        raise ValueError("takes hour and minute by the bank's clocks, such as 06:00")
    return found


def _one_address(value: str) -> str:
    if not value or any(letter.isspace() for letter in value):  # an empty one would be every address of the machine
        raise ValueError("takes an address of this machine, such as 127.0.0.1; 0.0.0.0 is every one")
    return value


ListenAddress = Annotated[str, AfterValidator(_one_address)]
Day = Annotated[date, BeforeValidator(_day)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
OptionalPath = Annotated[Path | None, BeforeValidator(_none_for_nothing), AfterValidator(_optional_absolute)]
